"""What end-to-end tests share: a cluster with a node, the chart in it, a webhook and an operator at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chart.installation import Installation, install
from harness.running import RunningOperator, operator_in
from harness.webhooks import SELECTORLESS, webhook_in
from localcluster.existing import NodeCluster
from localpostgres.fixtures import new_database
from localpostgres.server import LocalPostgres


@pytest.fixture(scope="session")
def installed(node_cluster: NodeCluster) -> Installation:
    """The chart, in force in a cluster that runs pods."""
    return install(
        node_cluster, SELECTORLESS, namespace="proctor-system", team="team-a", admission=True
    )


@pytest.fixture(scope="session")
def operator(
    installed: Installation,
    postgres_server: LocalPostgres,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningOperator]:
    """One operator and one webhook for all tests; the namespace `e2e` enforces Pod Security restricted."""
    folder = tmp_path_factory.mktemp("e2e")
    with (
        new_database(postgres_server, migrated_template) as database,
        webhook_in(installed, database, folder),
        operator_in(installed, database, folder, namespace="e2e", admission=True) as running,
    ):
        yield running
