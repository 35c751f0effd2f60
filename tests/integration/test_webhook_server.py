"""The webhook server behind a real API server: what reaches the rules, what people read, and restarts."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.installation import Installation, install
from harness.operator_process import OperatorProcess, write_config
from harness.requesters import may_ask
from harness.webhook_process import DENIED, FINALIZER, LABEL, LAUNCHER
from harness.webhooks import SERVICE, host_address
from localcluster.certificates import Authority, write_private
from localcluster.cluster import LocalCluster
from localcluster.fixtures import temporary_cluster
from localcluster.waiting import wait_until

Manifest = dict[str, Any]
NAMESPACE = "proctor-system"
TEAM = "team-a"
USER = "ada@example.org"
TESTS = Path(__file__).parents[1]


@dataclass
class Replica:
    """One webhook process, and its own EndpointSlice in the Service, as a kubelet would keep it."""

    name: str
    installed: Installation
    folder: Path
    settings: Mapping[str, Any]
    process: OperatorProcess | None = None

    def start(self) -> None:
        self.process = OperatorProcess.start(
            "webhook",
            config=write_config(self.folder / f"{self.name}.yaml", self.settings),
            log=self.folder / f"{self.name}.log",
            environment={"PYTHONPATH": str(TESTS)},
            launcher=LAUNCHER,
        )
        self._publish(is_ready=True)

    def restart(self) -> None:
        """As a rolling update does it: unready, out of the Service, ended, and back."""
        running = self.running
        stopped = threading.Thread(target=running.stop)
        stopped.start()
        assert wait_until(lambda: running.get("/readyz")[0] != 200, seconds=10, interval=0.05)
        self._publish(is_ready=False)
        stopped.join()
        assert running.process.returncode == 0
        self.start()

    @property
    def running(self) -> OperatorProcess:
        assert self.process is not None
        return self.process

    def _publish(self, *, is_ready: bool) -> None:
        (port,) = {
            event["port"]
            for event in self.running.log_events()
            if event["event"] == "Webhook serves"
        }
        manifest = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": SERVICE},
            },
            "addressType": "IPv4",
            "endpoints": [
                {
                    "addresses": [host_address(self.installed.cluster)],
                    "conditions": {"ready": is_ready},
                }
            ],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
        self.installed.cluster.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))


@dataclass(frozen=True)
class Stage:
    """A cluster whose executions go through two replicas."""

    installed: Installation
    replicas: tuple[Replica, Replica]

    def create(self, manifest: Manifest, *flags: str) -> tuple[str, str]:
        """What kubectl prints as that user: standard output and standard error."""
        done = self.installed.cluster.kubectl(
            *("create", f"--namespace={TEAM}", "--filename=-", "--output=json", *flags),
            *(f"--as={USER}", "--as-group=dba", "--as-group=sre"),
            stdin=json.dumps(manifest),
            check=False,
        )
        return done.stdout, done.stderr

    def asked(self, name: str) -> list[Manifest]:
        """Reviews of that object that reached the rules of either replica."""
        events = [one for replica in self.replicas for one in replica.running.log_events()]
        return [one for one in events if one["event"] == "Asked" and one["object_name"] == name]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("webhook")
    authority = Authority.create("webhook-ca")
    pair = authority.server(SERVICE, [f"{SERVICE}.{NAMESPACE}.svc"])
    (folder / "tls.crt").write_bytes(pair.certificate)
    write_private(folder / "tls.key", pair.key)
    with temporary_cluster("api", "webhook") as cluster:
        installed = install(cluster, namespace=NAMESPACE, team=TEAM)
        settings = {
            "kubernetes": {"kubeconfig": str(cluster.kubeconfig)},
            "health": {"host": "127.0.0.1", "port": 0},
            "webhook": {
                "port": 0,
                "certificate_file": str(folder / "tls.crt"),
                "key_file": str(folder / "tls.key"),
                "drain_seconds": 1.5,
            },
        }
        replicas = (
            Replica("one", installed, folder, settings),
            Replica("two", installed, folder, settings),
        )
        written = [*may_ask(USER), service(), *configurations(authority.pair.certificate)]
        cluster.kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(written))
        try:
            for replica in replicas:
                replica.start()
            stage = Stage(installed, replicas)
            assert wait_until(
                lambda: LABEL in stage.create(execution("first"), "--dry-run=server")[0], seconds=30
            )
            yield stage
        finally:
            for replica in replicas:
                if replica.process is not None and replica.process.process.poll() is None:
                    replica.process.kill()


def service() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 9443}]},
    }


def configurations(authority: bytes) -> list[Manifest]:
    """Executions go to paths that are served, schedules to one that is not."""

    def configuration(kind: str, *webhooks: Manifest) -> Manifest:
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": "a-test"},
            "webhooks": webhooks,
        }

    def webhook(path: str, resource: str) -> Manifest:
        where = {"namespace": NAMESPACE, "name": SERVICE, "port": 443, "path": path}
        return {
            "name": f"{path.strip('/').replace('/', '.')}.a-test.dev",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "NoneOnDryRun",
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            "clientConfig": {"service": where, "caBundle": base64.b64encode(authority).decode()},
            "rules": [
                {
                    "apiGroups": ["proctor.dev"],
                    "apiVersions": ["v1alpha1"],
                    "resources": [resource],
                    "operations": ["CREATE"],
                }
            ],
        }

    return [
        configuration("Mutating", webhook("/mutate/procexecutions", "procexecutions")),
        configuration(
            "Validating",
            webhook("/validate/procexecutions", "procexecutions"),
            webhook("/validate/nothing", "procschedules"),
        ),
    ]


def execution(name: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "metadata": {"name": name, "finalizers": ["example.org/mine"]},
        "spec": {"procRef": {"name": "grow-disk"}} | spec,
    }


def test_a_create_reaches_the_rules_with_who_what_and_which(stage: Stage) -> None:
    stored, said = stage.create(execution("seen"))

    assert stored, said
    (asked,) = stage.asked("seen")
    assert (asked["operation"], asked["resource"]) == ("CREATE", "procexecutions")
    assert asked["user"] == USER
    assert {"dba", "sre", "system:authenticated"} == set(asked["groups"])
    assert asked["dry_run"] is False
    assert asked["review"]
    assert "Warning: seen by a test" in said


def test_a_dry_run_is_told_as_one_and_stores_nothing(stage: Stage) -> None:
    shown, said = stage.create(execution("dry"), "--dry-run=server")

    assert LABEL in shown, said
    assert [one["dry_run"] for one in stage.asked("dry")] == [True]
    got = stage.installed.cluster.kubectl("get", "pexec", "dry", f"--namespace={TEAM}", check=False)
    assert "NotFound" in got.stderr


def test_what_a_mutating_rule_adds_is_stored(stage: Stage) -> None:
    stored, said = stage.create(execution("stamped"))

    assert stored, said
    made = json.loads(stored)
    assert made["metadata"]["labels"] == {LABEL: "a-test"}
    assert made["metadata"]["finalizers"] == ["example.org/mine", FINALIZER]
    assert made["spec"]["requestedBy"] == {"username": USER, "via": "API"}


def test_a_denial_is_what_kubectl_prints(stage: Stage) -> None:
    stored, said = stage.create(execution("denied", reason="deny"))

    assert stored == ""
    assert said.strip().endswith(
        'Error from server (TooEarly): error when creating "STDIN": admission webhook '
        f'"validate.procexecutions.a-test.dev" denied the request: {DENIED}'
    )


def test_an_error_of_a_rule_fails_closed_and_tells_nothing(stage: Stage) -> None:
    stored, said = stage.create(execution("burst", reason="burst"))

    assert stored == ""
    assert "InternalError" in said
    assert "its log has it under review" in said
    assert "hunter2" not in said


def test_a_path_that_is_not_served_fails_closed(stage: Stage) -> None:
    spec = {"procRef": {"name": "grow-disk"}, "cron": "0 2 * * *"}
    manifest = execution("nightly") | {"kind": "ProcSchedule", "spec": spec}

    stored, said = stage.create(manifest)

    assert stored == ""
    assert "failed calling webhook" in said
    assert "could not find the requested resource" in said


def test_the_replicas_are_restarted_during_500_creates_and_none_is_lost(stage: Stage) -> None:
    """Each is admitted with its stamp; none is lost, refused or stored without one."""
    send = sender(stage)
    is_over = threading.Event()
    numbers = itertools.count()
    answers: list[tuple[int, Manifest]] = []

    def keep_creating() -> None:
        with closing(send.connect()) as connection:
            while not is_over.is_set() or len(answers) < 500:
                answers.append(send(connection, execution(f"rolling-{next(numbers)}")))

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(keep_creating) for _ in range(4)]
        try:
            assert wait_until(lambda: len(answers) > 20, seconds=30)
            for replica in stage.replicas:
                before = len(answers)
                replica.restart()
                assert len(answers) > before, "it was restarted while creates went on"
        finally:
            is_over.set()
        for one in done:
            one.result()

    assert [answer for code, answer in answers if code != 201] == []
    made = [answer for _, answer in answers]
    assert len({one["metadata"]["name"] for one in made}) >= 500
    assert all(one["metadata"]["labels"] == {LABEL: "a-test"} for one in made)
    assert all(one["spec"]["requestedBy"]["username"] == USER for one in made)


@dataclass(frozen=True)
class Sender:
    """Creates executions as the user, over a connection that is kept."""

    address: str
    tls: ssl.SSLContext

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.address, timeout=30, context=self.tls)

    def __call__(
        self, connection: http.client.HTTPSConnection, manifest: Manifest
    ) -> tuple[int, Manifest]:
        connection.request(
            "POST",
            f"/apis/proctor.dev/v1alpha1/namespaces/{TEAM}/procexecutions",
            json.dumps(manifest),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def sender(stage: Stage) -> Sender:
    cluster = stage.installed.cluster
    assert isinstance(cluster, LocalCluster)
    folder = stage.replicas[0].folder
    config = yaml.safe_load(
        cluster.client_kubeconfig(USER, ["dba"], folder / "ada.kubeconfig").read_text()
    )
    user = config["users"][0]["user"]
    for key, name in (("client-certificate-data", "ada.crt"), ("client-key-data", "ada.key")):
        write_private(folder / name, base64.b64decode(user[key]))
    tls = ssl.create_default_context(cafile=str(cluster.ca_file))
    tls.load_cert_chain(folder / "ada.crt", folder / "ada.key")
    return Sender(cluster.server.removeprefix("https://"), tls)
