"""The roles `webhook` and `all` with the operator's own rules: one run of Kopf for watches and reviews."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chart.installation import Installation
from harness.operator_process import OperatorError, run_role, write_config
from harness.pods import pod_of, report_ended
from harness.running import RunningOperator, execution, operator_in, proc
from localcluster.certificates import Authority, write_private
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase

PATH = "/validate/procexecutions"


@dataclass(frozen=True)
class Serving:
    """Certificate files, and a client that trusts them."""

    folder: Path
    authority: Authority

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": 0,
            "certificate_file": str(self.folder / "tls.crt"),
            "key_file": str(self.folder / "tls.key"),
            "drain_seconds": 1,
        }

    def ask(self, port: int, path: str, body: object) -> dict[str, Any]:
        request = urllib.request.Request(
            f"https://127.0.0.1:{port}{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        tls = ssl.create_default_context(cadata=self.authority.pair.certificate.decode())
        with urllib.request.urlopen(request, timeout=15, context=tls) as answer:
            found: dict[str, Any] = json.load(answer)["response"]
            return found


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    authority = Authority.create("webhook-ca")
    pair = authority.server("proctor-webhook", ["127.0.0.1"])
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    write_private(tmp_path / "tls.key", pair.key)
    return Serving(tmp_path, authority)


@pytest.fixture(params=["webhook", "all"])
def running(
    request: pytest.FixtureRequest,
    installed: Installation,
    database: LocalDatabase,
    serving: Serving,
    tmp_path: Path,
) -> Iterator[RunningOperator]:
    settings = {"webhook": serving.settings}
    with operator_in(
        installed,
        database,
        tmp_path,
        namespace=f"role-{request.param}",
        settings=settings,
        start=False,
    ) as operator:
        operator.role = request.param
        operator.start()
        yield operator


def port_of(operator: RunningOperator) -> int:
    assert operator.process is not None
    (event,) = (one for one in operator.process.log_events() if one["event"] == "Webhook serves")
    port: int = event["port"]
    return port


def review(namespace: str, of: str) -> dict[str, Any]:
    where = {"group": "proctor.dev", "version": "v1alpha1"}
    manifest = execution("asked", of=of)
    manifest["metadata"]["namespace"] = namespace
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "review-1",
            "kind": {**where, "kind": "ProcExecution"},
            "resource": {**where, "resource": "procexecutions"},
            "name": "asked",
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "alice@example.org", "groups": ["dba"]},
            "object": manifest,
            "dryRun": True,
        },
    }


def test_reviews_are_judged_by_the_operator_s_own_rules(
    running: RunningOperator, serving: Serving
) -> None:
    port = port_of(running)

    answer = serving.ask(port, PATH, review(running.namespace, of="nothing-of-that-name"))

    assert "webhook: ok" in running.ask("/readyz")[1]
    assert answer["allowed"] is False
    assert "the mutating webhook of proctor.dev was not asked" in answer["status"]["message"]
    assert answer["status"]["code"] < 500
    metrics = running.ask("/metrics")[1]
    assert "proctor_webhook_reviews_total{" in metrics
    assert "nothing-of-that-name" not in metrics


def test_sigterm_drains_and_ends_with_0(running: RunningOperator, serving: Serving) -> None:
    assert running.process is not None
    process = running.process
    port = port_of(running)
    body = review(running.namespace, of="nothing-of-that-name")

    process.process.terminate()
    assert wait_until(lambda: process.get("/readyz")[0] == 503, seconds=5, interval=0.02)
    assert serving.ask(port, PATH, body)["allowed"] is False, "it serves on while it drains"

    assert process.process.wait(30) == 0
    events = [one["event"] for one in process.log_events()]
    assert events.index("Stopping") < events.index("Webhook drains")
    assert not [one for one in process.log_events() if one.get("level") == "error"]


def test_all_controls_and_admits_side_by_side(
    installed: Installation, database: LocalDatabase, serving: Serving, tmp_path: Path
) -> None:
    with operator_in(
        installed,
        database,
        tmp_path,
        namespace="side-by-side",
        settings={"webhook": serving.settings},
        start=False,
    ) as operator:
        operator.role = "all"
        operator.start()
        operator.apply(proc("both"), execution("both-1", of="both"))
        port = port_of(operator)
        body = review(operator.namespace, of="nothing-of-that-name")
        for _ in range(50):
            assert serving.ask(port, PATH, body)["allowed"] is False
        report_ended(operator, pod_of(operator, "both-1"))
        operator.wait_for_phase("both-1", "Succeeded")
        assert operator.stop() == 0


def test_the_role_webhook_without_a_certificate_says_which_setting_is_missing(
    tmp_path: Path, installed: Installation
) -> None:
    settings = {"kubernetes": {"kubeconfig": str(installed.cluster.kubeconfig)}}
    done = run_role("webhook", config=write_config(tmp_path / "operator.yaml", settings))

    assert done.returncode == 2
    assert "webhook.certificate_file (PROCTOR_WEBHOOK__CERTIFICATE_FILE) is not set" in done.stderr


def test_a_certificate_that_is_not_there_is_named(
    installed: Installation, database: LocalDatabase, serving: Serving, tmp_path: Path
) -> None:
    (serving.folder / "tls.key").unlink()
    with operator_in(
        installed,
        database,
        tmp_path,
        namespace="no-key",
        settings={"webhook": serving.settings},
        start=False,
    ) as operator:
        operator.role = "webhook"
        with pytest.raises(OperatorError, match=r"tls.key: No such file"):
            operator.start()
