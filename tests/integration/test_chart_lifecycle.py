"""The chart as Helm installs, upgrades and removes it, from the archive that a person would download."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart.installation import CHART, KINDS, proc
from localcluster.cluster import LocalCluster
from localcluster.fixtures import temporary_cluster

CONFIGURATIONS = ("mutatingwebhookconfigurations,validatingwebhookconfigurations",)
OPEN = "--set=webhook.install=false"
"""No webhook answers here."""
RELEASE = ("proctor", "--namespace=proctor-system")


@pytest.fixture
def empty_cluster() -> Iterator[LocalCluster]:
    """A cluster that nobody has installed anything into."""
    with temporary_cluster("api", "chart") as cluster:
        yield cluster


def test_kinds_and_their_objects_outlive_the_release_and_the_next_one_takes_them_over(
    empty_cluster: LocalCluster, tmp_path: Path
) -> None:
    empty_cluster.helm("package", str(CHART), f"--destination={tmp_path}")
    (archive,) = tmp_path.glob("proctor-*.tgz")

    installed = empty_cluster.helm("install", *RELEASE, "--create-namespace", OPEN, str(archive))
    assert "does not run the operator yet" in installed.stdout
    wait_for_kinds(empty_cluster)
    manifest = json.dumps(proc("kept"))
    empty_cluster.kubectl("create", "--namespace=default", "--filename=-", stdin=manifest)

    empty_cluster.helm("upgrade", *RELEASE, str(archive), "--set=watchNamespaces={default}")
    closed = empty_cluster.kubectl("get", *CONFIGURATIONS, "--output=name").stdout.split()
    assert len(closed) == 2
    empty_cluster.helm("uninstall", *RELEASE)
    kept = empty_cluster.kubectl("get", "procs", "--namespace=default", "--output=name")
    policies = empty_cluster.kubectl("get", "validatingadmissionpolicies", "--output=name")
    assert kept.stdout == "proc.proctor.dev/kept\n"
    assert policies.stdout == ""

    left = empty_cluster.kubectl("get", *CONFIGURATIONS, "--output=name")
    assert left.stdout == "", "an uninstalled webhook would keep the kinds closed for ever"

    empty_cluster.helm("install", *RELEASE, str(archive))
    wait_for_kinds(empty_cluster)


def wait_for_kinds(cluster: LocalCluster) -> None:
    crds = [f"customresourcedefinition/{kind}.proctor.dev" for kind in KINDS]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *crds)
