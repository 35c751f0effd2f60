"""The role `certs` on a real API server, which itself judges what is served."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chart.installation import Installation, proc
from harness.operator_process import OperatorError
from harness.webhooks import (
    CERTS_ACCOUNT,
    SECRET,
    ServingFiles,
    host_address,
    lead_to,
    run_certs,
    serving_files,
)
from localcluster.waiting import wait_until
from proctor_operator.adapters.kube.certificates import KubeCertificates
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.connection import load_connection, open_session
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.x509 import X509Authority
from proctor_operator.domain.errors import Conflict
from proctor_operator.domain.naming import Namespace
from proctor_operator.ports.certificates import CertificateStore
from proctor_operator.reconcile.certificates import CertificatePolicy
from proctor_operator.runtime.certificates import CertificateKeeper

CONFIGURATIONS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")


class ShiftedClock:
    """The real time, and some days more."""

    def __init__(self, days: float = 0) -> None:
        self.days = days

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)  # noqa: TID251 - the API server's is real

    def monotonic(self) -> float:
        return 0.0


class AllowsAll(BaseHTTPRequestHandler):
    """The least that a webhook can be: it allows everything, and counts."""

    reviews: list[str] = []  # noqa: RUF012 - one server at a time

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.reviews.append(self.path.partition("?")[0])
        answer = {
            "apiVersion": review["apiVersion"],
            "kind": review["kind"],
            "response": {"uid": review["request"]["uid"], "allowed": True},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


class QuietServer(ThreadingHTTPServer):
    """The API server breaks connections off whose certificate it does not trust."""

    def handle_error(self, *_: object) -> None:
        """It shows in the API server's answer."""


@contextmanager
def a_webhook(files: ServingFiles, address: str) -> Iterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    server = QuietServer((address, 0), AllowsAll)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
async def store(admitting: Installation, tmp_path: Path) -> AsyncIterator[KubeCertificates]:
    """The objects as the account of `certs` may touch them."""
    kubeconfig = admitting.cluster.service_account_kubeconfig(
        admitting.namespace, CERTS_ACCOUNT, tmp_path / "kubeconfig"
    )
    connection = load_connection(kubeconfig=kubeconfig, context=None)
    async with open_session(connection) as session:
        client = KubeClient(connection.server, session, PrometheusMetrics())
        yield KubeCertificates(
            client, Namespace(admitting.namespace), secret=SECRET, configuration="proctor.dev"
        )


def keeper(store: CertificateStore, *, days: float = 0) -> CertificateKeeper:
    names = frozenset({"proctor-webhook.proctor-system.svc"})
    return CertificateKeeper(
        store=store,
        authority=X509Authority(),
        clock=ShiftedClock(days),
        policy=CertificatePolicy(names, life=timedelta(days=90)),
    )


def versions(installed: Installation) -> list[str]:
    """Of everything that the role may write."""
    return [metadata["resourceVersion"] for metadata in _metadata(installed)]


def _metadata(installed: Installation) -> list[dict[str, Any]]:
    kubectl, output = installed.cluster.kubectl, "--output=json"
    shown = [
        kubectl("get", "secret", SECRET, f"--namespace={installed.namespace}", output),
        *(kubectl("get", kind, "proctor.dev", output) for kind in CONFIGURATIONS),
    ]
    return [json.loads(one.stdout)["metadata"] for one in shown]


def asks_the_webhook(installed: Installation, name: str) -> bool:
    """Whether a proc can be created, which the API server asks the webhook about."""
    before = len(AllowsAll.reviews)
    return installed.refusal_of(proc(name)) == "" and len(AllowsAll.reviews) > before


def test_the_role_makes_what_the_api_server_trusts_and_a_second_run_writes_nothing(
    admitting: Installation, tmp_path: Path
) -> None:
    run_certs(admitting.cluster, admitting.namespace, tmp_path)
    files = serving_files(admitting.cluster, admitting.namespace, tmp_path)
    address = host_address(admitting.cluster)
    with a_webhook(files, address) as port:
        lead_to(admitting.cluster, admitting.namespace, address, port)
        assert wait_until(lambda: asks_the_webhook(admitting, "asked"), seconds=30), (
            admitting.refusal_of(proc("asked"))
        )
    assert {"/mutate/procs", "/validate/procs"} <= set(AllowsAll.reviews)

    before = versions(admitting)
    run_certs(admitting.cluster, admitting.namespace, tmp_path)
    assert versions(admitting) == before


async def test_through_a_renewal_the_api_server_trusts_what_is_served_at_every_moment(
    admitting: Installation, store: KubeCertificates, tmp_path: Path
) -> None:
    await keeper(store).keep()
    address = host_address(admitting.cluster)
    old = (await store.fetch_secret()).certificate

    with pytest.raises(Stop):
        await keeper(Stopping(store, writes=1), days=61).keep()
    staged = await store.fetch_secret()
    assert staged.certificate == old
    assert staged.next_certificate
    _expect_trust(admitting, tmp_path, address, "staged")

    with pytest.raises(Stop):
        await keeper(Stopping(store, writes=2), days=61).keep()
    assert (await store.fetch_secret()).certificate == old
    _expect_trust(admitting, tmp_path, address, "trusted")

    await keeper(store, days=61).keep()
    new = await store.fetch_secret()
    assert new.certificate != old
    assert new.authorities.count("BEGIN") >= 2


def _expect_trust(installed: Installation, folder: Path, address: str, name: str) -> None:
    """What a webhook that mounts the Secret now serves is trusted."""
    files = serving_files(installed.cluster, installed.namespace, folder)
    with a_webhook(files, address) as port:
        lead_to(installed.cluster, installed.namespace, address, port)
        assert wait_until(lambda: asks_the_webhook(installed, name), seconds=30)


@pytest.mark.parametrize("kind", CONFIGURATIONS)
async def test_a_bundle_that_was_changed_is_put_right_and_nothing_else_is_written(
    admitting: Installation, store: KubeCertificates, kind: str
) -> None:
    await keeper(store).keep()
    patch = [{"op": "replace", "path": "/webhooks/1/clientConfig/caBundle", "value": ""}]
    admitting.cluster.kubectl(
        "patch", kind, "proctor.dev", "--type=json", f"--patch={json.dumps(patch)}"
    )
    (wrong,) = [one for one in await store.fetch_trusts() if "" in one.bundles]

    await keeper(store).keep()

    bundle = (await store.fetch_secret()).authorities
    assert all(one.trusts(bundle) for one in await store.fetch_trusts())
    assert wrong.kind == f"{kind}s"


async def test_who_is_late_meets_a_conflict(store: KubeCertificates) -> None:
    await keeper(store).keep()
    content = await store.fetch_secret()
    (trust, _) = await store.fetch_trusts()

    with pytest.raises(Conflict):
        await store.replace_secret(replace(content, resource_version="1"))
    with pytest.raises(Conflict):
        await store.write_bundle(replace(trust, resource_version="1"), "x")


def test_a_right_that_is_missing_is_said(admitting: Installation, tmp_path: Path) -> None:
    admitting.cluster.kubectl("create", "serviceaccount", CERTS_ACCOUNT, "--namespace=default")

    with pytest.raises(OperatorError, match=r"certs ended with 1: .*forbidden"):
        run_certs(admitting.cluster, "default", tmp_path)


class Stop(Exception):
    """The process ended."""


class Stopping:
    """Ends whoever works with the store after so many writes."""

    def __init__(self, store: KubeCertificates, *, writes: int) -> None:
        self._store = store
        self._left = writes

    async def fetch_trusts(self) -> Any:
        if self._left == 0:
            raise Stop
        return await self._store.fetch_trusts()

    async def fetch_secret(self) -> Any:
        return await self._store.fetch_secret()

    async def replace_secret(self, content: Any) -> None:
        await self._store.replace_secret(content)
        self._left -= 1

    async def write_bundle(self, trust: Any, bundle: str) -> None:
        await self._store.write_bundle(trust, bundle)
        self._left -= 1
