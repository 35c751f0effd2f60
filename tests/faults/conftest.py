"""What fault tests share: one cluster and one server that tell everything, and a stage for each test."""

from __future__ import annotations

import json
import os
import re
import secrets
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chart.installation import Installation, install
from faults.stage import Stage, staged
from faults.witness import AUDIT_POLICY
from localcluster.cluster import LocalCluster
from localcluster.config import Tuning
from localcluster.fixtures import temporary_cluster
from localpostgres.server import LocalPostgres

SEED_VARIABLE = "PROCTOR_FAULTS_SEED"
ACT_SECONDS = 300


@pytest.fixture(scope="session")
def seed() -> int:
    """The number that all random moments and fates of the session come from."""
    return int(os.environ.get(SEED_VARIABLE) or secrets.randbelow(2**31))


@pytest.fixture(scope="session")
def told_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster of level api whose audit log holds whole bodies."""
    policy = tmp_path_factory.mktemp("audit") / "policy.json"
    policy.write_text(json.dumps(AUDIT_POLICY))
    tuning = Tuning(extra_args={"kube-apiserver": (f"--audit-policy-file={policy}",)})
    with temporary_cluster("api", "faults", tuning=tuning) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def installed(told_cluster: LocalCluster) -> Installation:
    """The chart, in force there."""
    return install(told_cluster, namespace="proctor-system", team="team-a")


@pytest.fixture(scope="session")
def told_postgres(postgres_server: LocalPostgres) -> LocalPostgres:
    """The server, which remembers when each transaction was committed."""
    postgres_server.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    postgres_server.stop()
    postgres_server.start()
    return postgres_server


@pytest.fixture
def stage_settings() -> Mapping[str, Mapping[str, Any]]:
    """Settings of the operator that a module wants otherwise."""
    return {}


@pytest.fixture
def stage(
    installed: Installation,
    told_cluster: LocalCluster,
    told_postgres: LocalPostgres,
    migrated_template: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    seed: int,
    stage_settings: Mapping[str, Mapping[str, Any]],
) -> Iterator[Stage]:
    """An operator at work in a namespace of its own, behind proxies."""
    # Tests of one beginning share a cluster, and must not meet in a namespace.
    whole = request.node.name.removeprefix("test_")
    words = re.sub("[^a-z0-9]+", "-", whole.lower())[:32].strip("-")
    name = f"{words}-{zlib.crc32(whole.encode()):08x}"
    print(f"{SEED_VARIABLE}={seed}")  # noqa: T201 - pytest shows it where the test fails
    with staged(
        installed,
        told_cluster,
        told_postgres,
        migrated_template,
        tmp_path,
        name=name,
        seed=seed,
        settings=stage_settings,
    ) as made:
        made.start_operator()
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A fault takes its time, and so does what comes to rest after it."""
    for item in items:
        is_ours = item.path.parent == Path(__file__).parent
        if is_ours and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(ACT_SECONDS))
