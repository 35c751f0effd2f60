"""What the demo stands on: a cluster, PostgreSQL, the chart, the operator under its own account."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chart.installation import KINDS
from harness.operator_process import OperatorError, OperatorProcess, ask, write_config
from harness.requesters import ALICE
from harness.webhooks import (
    SELECTORLESS,
    free_port,
    host_address,
    lead_to,
    run_certs,
    serving_files,
    settings_of_webhook,
    wait_until_asked,
)
from localcluster.cluster import LocalCluster, connect, up
from localcluster.errors import ClusterStateError, LocalClusterError
from localcluster.existing import ExistingCluster, NodeCluster
from localcluster.images import busybox_image, write_image
from localcluster.lifecycle import known_names, take_down
from localcluster.waiting import step, wait_until
from localpostgres.binaries import ensure_packages
from localpostgres.server import OWNER, RUNTIME, LocalPostgres

ROOT = Path(__file__).parents[2]
NAME = "proctor-demo"
NAMESPACE = "demo"
OPERATOR_NAMESPACE = "proctor-system"
ALICES_GROUP = "dba"


def report(line: str) -> None:
    """Tell the person what goes on."""
    print(f"demo: {line}", flush=True)


@dataclass(frozen=True)
class Stage:
    """`folder` remembers what was made; it holds passwords, and only its owner may read it."""

    folder: Path

    @classmethod
    def at_hand(cls) -> Stage:
        """The demo of this checkout."""
        return cls(ROOT / ".demo")

    @property
    def config(self) -> Path:
        """The operator's settings."""
        return self.folder / "operator.yaml"

    @property
    def alice(self) -> Path:
        """The kubeconfig of a user."""
        return self.folder / "alice.kubeconfig"

    @property
    def operator_log(self) -> Path:
        """The operator's log."""
        return self.folder / "operator.log"

    def cluster(self) -> NodeCluster:
        """The cluster of the demo; raises `ClusterStateError` when it is not up."""
        context = self._remembered().get("context")
        if context:
            return ExistingCluster.of(context, self.folder)
        return connect(NAME)

    def set_up(self, context: str | None) -> None:
        """Bring up what is not there yet."""
        if context is None and os.geteuid() != 0:
            raise LocalClusterError(
                "a cluster on this machine needs root",
                remedy="run `sudo make demo`, or use a cluster that you have: `make demo CONTEXT=name`",
            )
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self._remembered().get("context") != context and self._remembered():
            raise LocalClusterError(
                "the demo is up in another cluster", remedy="make demo-down, then make demo again"
            )
        self._remember(context=context)
        ensure_packages()
        with step(report, "cluster"):
            cluster = self._cluster_up(context)
        with step(report, "PostgreSQL"):
            server = self._postgres_up()
        with step(report, "chart and image"):
            self._install(cluster)
        with step(report, "operator and admission"):
            self._operator_up(cluster, server)

    def take_down(self) -> None:
        """Remove all of it; whatever is missing already is fine."""
        self._stop_operator()
        if self._remembered().get("context"):
            with suppress(LocalClusterError):
                self._uninstall(self.cluster())
        elif NAME in known_names():
            take_down(NAME)
        server = LocalPostgres.load(NAME)
        if server is None:
            LocalPostgres.remove_remains(NAME)
        else:
            server.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _cluster_up(self, context: str | None) -> NodeCluster:
        if context:
            return ExistingCluster.of(context, self.folder)
        try:
            cluster = connect(NAME)
        except ClusterStateError:
            return up(NAME, "full", report=report)
        if _answers(cluster):
            return cluster
        report("the cluster of an earlier demo does not answer: making it anew")
        self._stop_operator()
        take_down(NAME)
        return up(NAME, "full", report=report)

    def _postgres_up(self) -> LocalPostgres:
        server = LocalPostgres.load(NAME)
        if server is None:
            LocalPostgres.remove_remains(NAME)
            return LocalPostgres.create(NAME, durable=True)
        server.start()
        return server

    def _install(self, cluster: NodeCluster) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cluster.load_image(write_image(busybox_image(), Path(folder) / "busybox.tar"))
        chart = str(ROOT / "charts" / "proctor")
        flags = [f"--namespace={OPERATOR_NAMESPACE}", "--create-namespace"]
        # The roles run as processes here: the Service leads to this machine, not to pods.
        flags.append(f"--set-json={SELECTORLESS}")
        cluster.helm("upgrade", "--install", "proctor", chart, *flags)
        for kind in KINDS:
            crd = f"customresourcedefinition/{kind}.proctor.dev"
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", crd)
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(namespace))
        self._alice_up(cluster)
        if isinstance(cluster, LocalCluster):
            cluster.kubectl("config", "set-context", "--current", f"--namespace={NAMESPACE}")

    def _alice_up(self, cluster: NodeCluster) -> None:
        """A user with a login of her own, who may run procs in the demo's namespace and no more."""
        cluster.client_kubeconfig(ALICE, [ALICES_GROUP], self.alice)
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "alice-runs-procs", "namespace": NAMESPACE},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "proctor-runner",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ALICE}],
        }
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(binding))

    def _operator_up(self, cluster: NodeCluster, server: LocalPostgres) -> None:
        if self._operator_answers():
            return
        self._stop_operator()
        kubeconfig = self.folder / "operator.kubeconfig"
        cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, "proctor", kubeconfig)
        run_certs(cluster, OPERATOR_NAMESPACE, self.folder)
        address = host_address(cluster)
        port = free_port(address)
        webhook = settings_of_webhook(
            serving_files(cluster, OPERATOR_NAMESPACE, self.folder),
            port=port,
            operator_accounts=[f"system:serviceaccount:{OPERATOR_NAMESPACE}:proctor"],
        )
        settings = self._settings(kubeconfig, server) | {"webhook": webhook}
        write_config(self.config, settings)
        operator = OperatorProcess.start(
            "all", config=self.config, log=self.operator_log, detached=True
        )
        self._remember(operator_pid=operator.process.pid, health_port=operator.health_port)
        lead_to(cluster, OPERATOR_NAMESPACE, address, port)
        wait_until_asked(cluster, address)

    def _settings(self, kubeconfig: Path, server: LocalPostgres) -> dict[str, Any]:
        return {
            "kubernetes": {"kubeconfig": str(kubeconfig)},
            "postgres": {"dsn": server.dsn(RUNTIME), "owner_dsn": server.dsn(OWNER)},
            "health": {"host": "127.0.0.1", "port": 0},
            "election": {"namespace": OPERATOR_NAMESPACE},
        }

    def _operator_answers(self) -> bool:
        port = self._remembered().get("health_port")
        return bool(port) and ask(f"http://127.0.0.1:{port}/readyz")[0] == 200

    def _stop_operator(self) -> None:
        pid = self._remembered().get("operator_pid")
        if not pid or not _is_our_operator(pid, self.config):
            return
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: not _is_our_operator(pid, self.config), seconds=20):
            os.kill(pid, signal.SIGKILL)
            if not wait_until(lambda: not _is_our_operator(pid, self.config), seconds=5):
                raise OperatorError(f"the operator, process {pid}, does not end")

    def _uninstall(self, cluster: NodeCluster) -> None:
        """In a cluster that lives on: objects first, then what makes them.

        The operator is gone by now, so finalizers are taken off by hand, which admission would not let be.
        """
        for kind in ("mutating", "validating"):
            configuration = f"{kind}webhookconfiguration/proctor.dev"
            cluster.kubectl("delete", configuration, "--ignore-not-found", check=False)
        self._remove_the_namespace(cluster)
        cluster.helm("uninstall", "proctor", f"--namespace={OPERATOR_NAMESPACE}", check=False)
        for kind in KINDS:
            crd = f"customresourcedefinition/{kind}.proctor.dev"
            cluster.kubectl("delete", crd, "--ignore-not-found", check=False)
        cluster.kubectl(
            "delete", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found", check=False
        )

    def _remove_the_namespace(self, cluster: NodeCluster) -> None:
        there = f"--namespace={NAMESPACE}"
        asked = ("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        cluster.kubectl(*asked, check=False)
        for kind in ("procexecutions", "jobs"):
            found = cluster.kubectl("get", kind, there, "--output=name", check=False).stdout
            for name in found.split():
                bare = '--patch={"metadata":{"finalizers":null}}'
                cluster.kubectl("patch", name, there, "--type=merge", bare, check=False)
        gone = ("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=60s")
        cluster.kubectl(*gone, check=False)

    def _remembered(self) -> dict[str, Any]:
        try:
            remembered: dict[str, Any] = json.loads((self.folder / "stage.json").read_text())
        except FileNotFoundError:
            return {}
        return remembered

    def _remember(self, **facts: object) -> None:
        path = self.folder / "stage.json"
        path.write_text(json.dumps({**self._remembered(), **facts}))


def _answers(cluster: LocalCluster) -> bool:
    try:
        asked = cluster.kubectl("get", "--raw=/readyz", "--request-timeout=5s", check=False)
    except LocalClusterError:
        return False
    return asked.returncode == 0


def _is_our_operator(pid: int, config: Path) -> bool:
    """Whether that process still is the operator with these settings, and no zombie."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(config).encode() in command
