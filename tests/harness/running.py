"""An operator at work in a namespace of its own, and what a test asks of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from chart.installation import Installation
from harness.operator_process import OperatorProcess, run_role, write_config
from harness.requesters import ALICE, by_requester, plain
from localcluster.errors import LocalClusterError, tail
from localcluster.existing import NodeCluster
from localpostgres.fixtures import LocalDatabase

Manifest = dict[str, Any]
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
IMAGE = "proctor.local/busybox:1"


@dataclass
class RunningOperator:
    """The operator watches `namespace` only, records into `database`, and acts under its own account."""

    cluster: NodeCluster
    namespace: str
    database: LocalDatabase
    config: Path
    log: Path
    role: str = "controller"
    launcher: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    admission: bool = False
    """Whether webhooks stamp what is written; else manifests bring what they would add."""
    process: OperatorProcess | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready; until then it is known to whoever ends it."""
        self.process = OperatorProcess.begin(
            self.role,
            config=self.config,
            log=self.log,
            environment=self.environment,
            launcher=self.launcher,
        )
        self.process.wait_until_ready()

    def stop(self) -> int:
        """Stop it politely; returns the exit code."""
        return self._running().stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self._running().kill()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._running().process.pid

    def ask(self, path: str) -> tuple[int, str]:
        """GET from its health server."""
        return self._running().get(path)

    def records(self, *arguments: str) -> str:
        """What `proctor-operator records` prints."""
        done = run_role("records", *arguments, config=self.config)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def recorded(self, name: str) -> Manifest:
        """The newest recorded run of an execution of that name, as the database has it."""
        rows = self.database.query(
            "SELECT to_jsonb(e) FROM proctor.executions e WHERE name = $1 ORDER BY number DESC LIMIT 1",
            name,
        )
        assert rows, f"the record has no run called {name}"
        found: Manifest = json.loads(rows[0][0])
        return found

    def apply(self, *manifests: Manifest) -> None:
        """Apply objects in the operator's namespace: executions as who asks for them, the rest as admin."""
        for flags, run in by_requester(manifests):
            sent = [plain(one) for one in run] if self.admission else run
            self.kubectl("apply", "--filename=-", *flags, stdin=yaml.safe_dump_all(sent))

    def get(self, kind: str, name: str) -> Manifest:
        """Read an object."""
        found: Manifest = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def list(self, kind: str, selector: str = "") -> list[Manifest]:
        """Read all objects of a kind in the namespace."""
        shown = self.kubectl("get", kind, f"--selector={selector}", "--output=json")
        found: list[Manifest] = json.loads(shown)["items"]
        return found

    def wait_for_phase(self, name: str, phase: str, *, seconds: int = 60) -> Manifest:
        """Wait until the execution shows the phase, and return it."""
        return self.wait_for("procexecution", name, "{.status.phase}", phase, seconds=seconds)

    def wait_for(
        self, kind: str, name: str, path: str, value: str, *, seconds: int = 60
    ) -> Manifest:
        """Wait until a field has a value; what it had instead is in the error."""
        try:
            self.kubectl(
                "wait", f"--for=jsonpath={path}={value}", f"{kind}/{name}", f"--timeout={seconds}s"
            )
        except LocalClusterError as error:
            found = self.kubectl("get", kind, name, "--output=yaml")
            raise AssertionError(f"{error}\n{found}\n{tail(self.log)}") from None
        return self.get(kind, name)

    def wait_until_gone(self, kind: str, name: str, *, seconds: int = 60) -> None:
        """Wait until an object is no more."""
        self.kubectl("wait", "--for=delete", f"{kind}/{name}", f"--timeout={seconds}s")

    def wait_until_none(self, kind: str, selector: str, *, seconds: int = 60) -> None:
        """Wait until no object with these labels is left; none to begin with is fine."""
        self.kubectl(
            "wait", "--for=delete", kind, f"--selector={selector}", f"--timeout={seconds}s"
        )

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl in the namespace as the cluster's admin."""
        return self.cluster.kubectl(*arguments, f"--namespace={self.namespace}", stdin=stdin).stdout

    def _running(self) -> OperatorProcess:
        assert self.process is not None, "start it first"
        return self.process


@contextmanager
def operator_in(
    installed: Installation,
    database: LocalDatabase,
    folder: Path,
    *,
    namespace: str,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    start: bool = True,
    admission: bool = False,
) -> Iterator[RunningOperator]:
    """Make the namespace, start the operator there, and stop it afterwards.

    With `admission` a webhook answers: executions are sent as their requester writes them.
    """
    cluster = installed.cluster
    made = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": RESTRICTED},
    }
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(made))
    kubeconfig = cluster.service_account_kubeconfig(
        installed.namespace, installed.account, folder / "operator.kubeconfig"
    )
    base: dict[str, dict[str, Any]] = {
        "kubernetes": {"kubeconfig": str(kubeconfig), "namespaces": [namespace]},
        "postgres": {"dsn": database.runtime_dsn, "owner_dsn": database.owner_dsn},
        "health": {"host": "127.0.0.1", "port": 0},
        "runs": {"release_after_seconds": 0},
        "election": election_in(installed.namespace, lease=f"proctor-{namespace}"),
    }
    for section, values in (settings or {}).items():
        base[section] = {**base.get(section, {}), **values}
    config = write_config(folder / "operator.yaml", base)
    running = RunningOperator(
        cluster, namespace, database, config, folder / "operator.log", admission=admission
    )
    try:
        if start:
            running.start()
        yield running
    finally:
        if running.process is not None:
            running.process.stop_if_it_runs()


def election_in(namespace: str, *, lease: str) -> dict[str, Any]:
    """Settings of an election for tests: who comes after a killed operator waits six seconds, not fifteen."""
    return {
        "namespace": namespace,
        "lease": lease,
        "duration_seconds": 6,
        "renew_every_seconds": 1,
        "give_up_after_seconds": 4,
    }


def proc(name: str = "hello", script: str = "echo hello", **spec: Any) -> Manifest:
    """A Proc that runs a shell script, and that anybody may run."""
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "Proc",
        "metadata": {"name": name},
        "spec": {
            "description": "For a test",
            "image": IMAGE,
            "command": ["/bin/sh", "-c"],
            "args": [script],
            "authorization": {"anyone": True},
        }
        | spec,
    }


def execution(name: str = "hello-1", of: str = "hello", **spec: Any) -> Manifest:
    """An execution that brings the stamp and the finalizer that admission gives."""
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "metadata": {"name": name, "finalizers": ["proctor.dev/record"]},
        "spec": {
            "procRef": {"name": of},
            "requestedBy": {"username": ALICE, "groups": ["dba"], "via": "API"},
        }
        | spec,
    }


def condition(manifest: Manifest, type_: str) -> Manifest:
    """A condition of an object; empty when it is not there."""
    conditions = manifest.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type_), {})
