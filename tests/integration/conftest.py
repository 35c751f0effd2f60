"""What integration tests share: one cluster with the chart in it, and an operator for each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chart.installation import Installation, install
from harness.running import RunningOperator, operator_in
from harness.siege import Siege, besieged
from harness.webhooks import SELECTORLESS
from localcluster.cluster import LocalCluster
from localcluster.fixtures import temporary_cluster
from localpostgres.fixtures import LocalDatabase

_LONGEST_FIRST = ("test_missing_rights", "test_election", "test_quiet", "test_life_cycle")
"""Modules that wait for minutes: begun last, one of them would keep all workers but one idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that take longest in front; the order within a module stays."""
    places = {name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def installed(api_cluster: LocalCluster) -> Installation:
    """The chart, in force in a cluster without nodes."""
    return install(api_cluster, namespace="proctor-system", team="team-a")


@pytest.fixture(scope="session")
def admitting() -> Iterator[Installation]:
    """The chart with admission, in a cluster of its own: closed to everybody until a webhook answers."""
    with temporary_cluster("api", "admission") as cluster:
        yield install(
            cluster, SELECTORLESS, namespace="proctor-system", team="team-a", admission=True
        )


@pytest.fixture(scope="module")
def operator(
    installed: Installation,
    module_database: LocalDatabase,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[RunningOperator]:
    """An operator that watches the namespace named after the test module."""
    namespace = named_after(request)
    folder = tmp_path_factory.mktemp(namespace)
    with operator_in(installed, module_database, folder, namespace=namespace) as running:
        yield running


@pytest.fixture(scope="module")
def siege(
    admitting: Installation,
    module_database: LocalDatabase,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Siege]:
    """A namespace under attack, named after the test module."""
    team = named_after(request)
    with besieged(admitting, module_database, tmp_path_factory.mktemp(team), team=team) as stage:
        yield stage


def named_after(request: pytest.FixtureRequest) -> str:
    """A namespace for the test module."""
    return Path(str(request.path)).stem.removeprefix("test_").replace("_", "-")
