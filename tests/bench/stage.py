"""What the benchmark stands on: a cluster with simulated nodes, PostgreSQL, the chart, the operator."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.configurations import WebhookConfigurations
from bench.counting import AuditLog, requests_served
from bench.machine import Machine
from chart.installation import Installation, install
from harness.operator_metrics import OperatorMetrics
from harness.operator_process import OperatorProcess, run_role
from harness.running import RESTRICTED, RunningOperator, operator_in
from harness.webhooks import SELECTORLESS, webhook_in
from localcluster.cluster import LocalCluster
from localcluster.fixtures import temporary_cluster
from localpostgres.binaries import ensure_packages
from localpostgres.fixtures import LocalDatabase
from localpostgres.server import ADMIN, DATABASE, OWNER, RUNTIME, LocalPostgres

RUNS = "bench"
RAW = "bench-raw"


@dataclass(frozen=True)
class Admission:
    """The role `webhook`, and the configurations that send reviews to it."""

    webhook: OperatorProcess
    configurations: WebhookConfigurations


@dataclass(frozen=True)
class Stage:
    """The operator is a process of its own, under the account that the chart gives it."""

    cluster: LocalCluster
    operator: RunningOperator
    machine: Machine
    audit: AuditLog
    admission: Admission | None = None

    def start_operator(self) -> None:
        """Start it and wait until it is ready."""
        self.operator.start()
        self.machine.operator_pid = self.operator.pid

    def stop_operator(self) -> None:
        """Stop it politely."""
        self.operator.stop()
        self.machine.operator_pid = 0

    def have_admission(self, *, there: bool) -> None:
        """Put the webhook configurations in force, or take them away."""
        self._admission().configurations.have(there=there)

    def webhook_metrics(self) -> OperatorMetrics:
        """What the webhook counts now."""
        return OperatorMetrics(self._admission().webhook.get("/metrics")[1])

    def served(self) -> dict[str, float]:
        """Requests that the API server has answered so far."""
        return requests_served(self.cluster.kubectl("get", "--raw=/metrics").stdout)

    def metrics(self) -> OperatorMetrics:
        """What the operator counts now."""
        return OperatorMetrics(self.operator.ask("/metrics")[1])

    def _admission(self) -> Admission:
        assert self.admission is not None, "this stage has no webhook"
        return self.admission


@contextmanager
def the_stage(folder: Path, *, with_webhook: bool, rush_patience: float) -> Iterator[Stage]:
    """Bring everything up, and take it down afterwards; a webhook is in force from the start."""
    ensure_packages()
    with _postgres() as server, temporary_cluster("simulated", "bench") as cluster:
        installed = install(
            cluster,
            *((SELECTORLESS,) if with_webhook else ()),
            namespace="proctor-system",
            team="team-a",
            admission=with_webhook,
        )
        cluster.kubectl(
            "create",
            "--filename=-",
            stdin=json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {"name": RAW, "labels": RESTRICTED},
                }
            ),
        )
        database = LocalDatabase(
            DATABASE, server.dsn(OWNER), server.dsn(RUNTIME), server.dsn(ADMIN)
        )
        settings: dict[str, dict[str, Any]] = {
            "kubernetes": {"namespaces": []},
            # As shipped, and as in a real burst: clean-up comes later.
            "runs": {"release_after_seconds": 60, "rush_patience_seconds": rush_patience},
            # Renewed as shipped, but patient: a burst may keep the API server busy for long.
            "election": {
                "duration_seconds": 60,
                "renew_every_seconds": 5.0,
                "give_up_after_seconds": 45.0,
            },
            # Nothing is cleaned up inside a run.
            "retention": {"succeeded": -1, "failed": -1, "ttl_seconds": -1},
        }
        with ExitStack() as stack:
            operator = stack.enter_context(
                operator_in(
                    installed, database, folder, namespace=RUNS, settings=settings, start=False
                )
            )
            migrated = run_role("migrate", config=operator.config)
            if migrated.returncode != 0:
                raise RuntimeError(f"the record could not be migrated: {migrated.stderr}")
            machine = Machine(cluster, server)
            admission = None
            if with_webhook:
                admission = _admission(stack, installed, database, folder)
                machine.webhook_pid = admission.webhook.process.pid
            stage = Stage(cluster, operator, machine, AuditLog(cluster.audit_log), admission)
            stage.start_operator()
            yield stage


def _admission(
    stack: ExitStack, installed: Installation, database: LocalDatabase, folder: Path
) -> Admission:
    webhook = stack.enter_context(webhook_in(installed, database, folder))
    return Admission(webhook, WebhookConfigurations(installed, RUNS))


@contextmanager
def _postgres() -> Iterator[LocalPostgres]:
    """A server that waits for the disk, as a real one does."""
    server = LocalPostgres.create(f"bench-{os.getpid()}", durable=True, dies_with_parent=True)
    try:
        yield server
    finally:
        server.remove()
