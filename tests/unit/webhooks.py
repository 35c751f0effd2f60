"""A webhook server with real TLS on loopback, real Kopf behind it, and reviews to send."""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import aiohttp
import kopf
from kopf._cogs.structs.references import Insights, Resource
from kopf._core.engines.admission import serve_admission_request
from kopf._core.reactor.inventory import ResourceMemories

from localcluster.certificates import Authority, Pair, write_private
from proctor_operator.adapters.http.certificates import CertificateFiles, ServingCertificate
from proctor_operator.adapters.http.webhook import WebhookLimits, WebhookServer
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.x509 import read_expiries
from proctor_operator.domain.admission import AdmissionAnswer, AdmissionRequest, Admitted
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.naming import GROUP, VERSION
from proctor_operator.domain.review import Reply, Review, Verdict
from proctor_operator.handlers.admission import ROUTES, KopfDesk, register
from proctor_operator.handlers.lifecycle import build_settings

Manifest = dict[str, Any]
Judge = Callable[[AdmissionRequest], Awaitable[AdmissionAnswer]]

LIMITS = WebhookLimits(deadline_seconds=8.0, drain_seconds=0.0, most_at_once=100)
KINDS = {route.resource: route.kind for route in ROUTES}
PATH = "/validate/procexecutions"
JSON = {"Content-Type": "application/json"}


async def admit(_: AdmissionRequest) -> AdmissionAnswer:
    return Admitted()


async def nothing() -> None:
    """Wait for nothing."""


@dataclass
class Rules:
    """A `Reviewer` that answers as a test says, and keeps what it was asked."""

    on_mutate: Judge = admit
    on_validate: Judge = admit
    asked: list[AdmissionRequest] = field(default_factory=list)

    async def mutate(self, request: AdmissionRequest) -> AdmissionAnswer:
        self.asked.append(request)
        return await self.on_mutate(request)

    async def validate(self, request: AdmissionRequest) -> AdmissionAnswer:
        self.asked.append(request)
        return await self.on_validate(request)


@dataclass
class Desk:
    """A `ReviewDesk` that admits, after waiting for what a test says."""

    wait: Callable[[], Awaitable[object]] = nothing
    paths: Collection[str] = tuple(route.path for route in ROUTES)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[Review] = field(default_factory=list)

    async def answer(self, path: str, review: Review) -> Reply:
        assert path in self.paths
        self.seen.append(review)
        self.begun.set()
        await self.wait()
        return Reply(admitted(review.request.uid), Verdict.ADMITTED, Cause.NONE)


def admitted(uid: str) -> Manifest:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": uid, "allowed": True},
    }


@dataclass(frozen=True)
class KopfAtWork:
    """Kopf's own function for servers, and the memories it fills."""

    desk: KopfDesk
    memories: ResourceMemories


def kopf_desk(rules: Rules) -> KopfAtWork:
    """What Kopf gives to a server once it has found our kinds, without a cluster to find them in."""
    registry = kopf.OperatorRegistry()
    register(registry, rules)
    insights = Insights()
    insights.webhook_resources.update(Resource(GROUP, VERSION, plural) for plural in KINDS)
    memories = ResourceMemories()
    answers = functools.partial(
        serve_admission_request,
        settings=build_settings(),
        memories=memories,
        memobase=cast("Any", kopf.Memo()),
        registry=registry,
        insights=insights,
        indices={},
    )
    return KopfAtWork(KopfDesk(answers), memories)


def review(
    plural: str = "procexecutions",
    /,
    *,
    operation: str = "CREATE",
    uid: str = "review-1",
    **changed: Any,
) -> Manifest:
    """An AdmissionReview as the API server sends it; `changed` are fields of its request."""
    manifest = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KINDS.get(plural, "Other"),
        "metadata": {"name": "grow-1", "namespace": "team-a", "uid": "object-1"},
        "spec": {"procRef": {"name": "grow-disk"}},
    }
    where = {"group": GROUP, "version": VERSION}
    request = {
        "uid": uid,
        "kind": {**where, "kind": manifest["kind"]},
        "resource": {**where, "resource": plural},
        "requestKind": {**where, "kind": manifest["kind"]},
        "requestResource": {**where, "resource": plural},
        "name": "grow-1",
        "namespace": "team-a",
        "operation": operation,
        "userInfo": {
            "username": "ada",
            "uid": "7",
            "groups": ["dba", "system:authenticated"],
            "extra": {"example.org/scopes": ["a", "b"]},
        },
        "object": manifest if operation in ("CREATE", "UPDATE") else None,
        "oldObject": manifest if operation in ("UPDATE", "DELETE") else None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": request | changed,
    }


@dataclass(frozen=True)
class Folder:
    """Certificate files as a Secret's volume shows them."""

    path: Path

    @property
    def files(self) -> CertificateFiles:
        client_ca = self.path / "client-ca.crt"
        return CertificateFiles(
            self.path / "tls.crt", self.path / "tls.key", client_ca if client_ca.exists() else None
        )

    def put(self, name: str, content: bytes) -> None:
        """All of it at once: no reader sees half a file."""
        fresh = self.path / f".{name}"
        write_private(fresh, content)
        fresh.replace(self.path / name)

    def write(self, pair: Pair) -> None:
        self.put("tls.crt", pair.certificate)
        self.put("tls.key", pair.key)

    def write_client_ca(self, *authorities: Authority) -> None:
        content = b"".join(one.pair.certificate for one in authorities)
        self.put("client-ca.crt", content)


def serving_pair(authority: Authority) -> Pair:
    return authority.server("proctor-webhook", ["127.0.0.1", "localhost"])


def client_context(
    authority: Authority, pair: Pair | None = None, folder: Path | None = None
) -> ssl.SSLContext:
    """A client that trusts that authority alone, and may show a certificate."""
    context = ssl.create_default_context(cadata=authority.pair.certificate.decode())
    if pair is not None and folder is not None:
        pair.write(folder, "client")
        context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context


@dataclass
class Served:
    """A server at work, and a client for it."""

    server: WebhookServer
    metrics: PrometheusMetrics
    client: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    async def ask(self, body: object, path: str = PATH) -> Manifest:
        """Send a review, which must get an answer."""
        async with self.client.post(
            self.url + path, data=BytesIO(json.dumps(body).encode()), headers=JSON
        ) as answer:
            assert answer.status == 200, await answer.text()
            found: Manifest = (await answer.json())["response"]
            return found

    def counted(self, sample: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(sample, labels) or 0.0


@asynccontextmanager
async def served(
    desk: Any,
    folder: Folder,
    authority: Authority,
    *,
    limits: WebhookLimits = LIMITS,
    client_tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Served]:
    """Serve, with a client that trusts the authority."""
    metrics = PrometheusMetrics()
    server = WebhookServer(
        host="127.0.0.1",
        port=0,
        certificate=ServingCertificate(
            folder.files, metrics, read_expiries=read_expiries, look_every_seconds=0.02
        ),
        limits=limits,
        metrics=metrics,
    )
    connector = aiohttp.TCPConnector(ssl=client_tls or client_context(authority))
    async with server.serving(desk), aiohttp.ClientSession(connector=connector) as client:
        yield Served(server, metrics, client)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what a peer does in its own time."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the peer tells nobody
            await asyncio.sleep(0.01)
