"""What no watch told of, asked for from a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chart.installation import Installation, execution, proc
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.cluster import EXECUTION_RESOURCE, KubeCluster
from proctor_operator.adapters.kube.connection import load_connection, open_session
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.domain.errors import Expired
from proctor_operator.domain.naming import Namespace


@pytest.fixture
async def client(installed: Installation, tmp_path: Path) -> AsyncIterator[KubeClient]:
    """A client with the operator's own rights."""
    kubeconfig = installed.cluster.service_account_kubeconfig(
        installed.namespace, installed.account, tmp_path / "kubeconfig"
    )
    connection = load_connection(kubeconfig=kubeconfig, context=None)
    async with open_session(connection) as session:
        yield KubeClient(connection.server, session, PrometheusMetrics())


@pytest.fixture
async def cluster(client: KubeClient, installed: Installation) -> KubeCluster:
    """Listed once, when two executions were there."""
    for name in ("stays", "goes"):
        installed.create(execution(f"{name}-1", arguments={"TEXT": "x" * 1000}))
    listing = KubeCluster(client, (Namespace(installed.team),))
    assert {"stays-1", "goes-1"} <= {one.name async for one in listing.list_own()}
    return listing


async def changes(cluster: KubeCluster, *known: tuple[Any, Any]) -> dict[str, bool]:
    read = cluster.changed_own(lambda uid, version: (uid, version) in known)
    return {change.known.name: change.is_gone async for change in read}


async def test_changes_of_every_kind_are_told_once(
    cluster: KubeCluster, installed: Installation
) -> None:
    kubectl, team = installed.cluster.kubectl, f"--namespace={installed.team}"
    kubectl("annotate", "pexec", "stays-1", "touched=yes", team)
    kubectl("delete", "pexec", "goes-1", team)
    installed.create(execution("comes-1"))
    installed.create(proc("comes"))
    known = installed.create(execution("known-1"))["metadata"]

    told = await changes(cluster, (known["uid"], known["resourceVersion"]))

    assert told == {"stays-1": False, "goes-1": True, "comes-1": False, "comes": False}
    assert await changes(cluster) == {}
    kubectl("delete", "pexec/stays-1", "pexec/comes-1", "pexec/known-1", "proc/comes", team)
    gone = await changes(cluster)
    assert gone == dict.fromkeys(("stays-1", "comes-1", "known-1", "comes"), True)


async def test_a_history_that_is_forgotten_is_said(
    client: KubeClient, installed: Installation
) -> None:
    with pytest.raises(Expired):
        async for _ in client.changes(EXECUTION_RESOURCE, installed.team, "1"):
            pass
