"""The role `webhook`: one run of Kopf that serves admission reviews, and watches nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import kopf
import structlog

from proctor_operator.adapters.http.certificates import CertificateFiles, ServingCertificate
from proctor_operator.adapters.http.health import serve_health
from proctor_operator.adapters.http.webhook import WebhookLimits, WebhookServer
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.connection import Connection, load_connection, open_session
from proctor_operator.adapters.kube.discovery import find_missing_kinds
from proctor_operator.adapters.kube.watching import open_watch_session
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.x509 import read_expiries
from proctor_operator.app.clock import SystemClock
from proctor_operator.app.collecting import leave_out_what_stays
from proctor_operator.app.sections import WebhookSettings
from proctor_operator.app.settings import Settings, SettingsError
from proctor_operator.app.stopping import Stopping
from proctor_operator.domain.errors import ClusterError, Fault
from proctor_operator.handlers.admission import REVIEWED_KINDS, KopfDesk, Reviewer
from proctor_operator.handlers.admission import register as register_admission
from proctor_operator.handlers.lifecycle import register_login, watch
from proctor_operator.runtime.silence import WatchSilence

LOOK_FOR_KINDS_EVERY_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What rules may need of the process.

    `beside` takes the tasks without which they judge by what is no longer so: when one ends, so does the
    process. `checks` say why a review must not be sent here.
    """

    settings: Settings
    client: KubeClient
    metrics: PrometheusMetrics
    stack: AsyncExitStack
    beside: list[asyncio.Task[None]] = field(default_factory=list)
    checks: list[Callable[[], str | None]] = field(default_factory=list)


BuildRules = Callable[[Tools], Awaitable[Reviewer]]
"""Builds what judges reviews."""


class Webhook:
    """The server and the rules behind it, to be added to one run of Kopf."""

    def __init__(self, server: WebhookServer, reviewer: Reviewer, tools: Tools) -> None:
        self._server = server
        self._reviewer = reviewer
        self._tools = tools
        self._kinds_problem: str | None = "not asked yet"

    @property
    def beside(self) -> tuple[asyncio.Task[None], ...]:
        """Tasks of the rules; none ends while the process is well."""
        return tuple(self._tools.beside)

    async def readiness_problem(self) -> str | None:
        """Why no reviews must be sent here, for `/readyz`."""
        problems = (check() for check in self._tools.checks)
        problem = next((one for one in problems if one is not None), self._kinds_problem)
        return problem or await self._server.readiness_problem()

    async def wait_for_kinds(self) -> None:
        """Wait until the API server knows our kinds: Kopf looks once, and judges no others."""
        while True:
            problem = await self._find_kinds_problem()
            if problem != self._kinds_problem and problem is not None:
                log.warning("Webhook waits", problem=problem)
            self._kinds_problem = problem
            if problem is None:
                return
            await asyncio.sleep(LOOK_FOR_KINDS_EVERY_SECONDS)

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Add the handlers."""
        register_admission(registry, self._reviewer)

    async def serve(self, kopf_answers: kopf.WebhookFn) -> AsyncIterator[kopf.WebhookClientConfig]:
        """Serve reviews until cancelled, as Kopf asks of a server."""
        async with self._server.serving(KopfDesk(kopf_answers)) as port:
            # Kopf would write this into a configuration that it manages; ours is the chart's.
            yield kopf.WebhookClientConfig(url=f"https://localhost:{port}")
            await asyncio.Event().wait()

    async def drain(self) -> None:
        """Leave the service, and finish what is under way."""
        await self._server.drain()

    async def _find_kinds_problem(self) -> str | None:
        try:
            missing = await find_missing_kinds(self._tools.client, REVIEWED_KINDS)
        except ClusterError as error:
            return str(error)
        return f"the API server does not know {', '.join(missing)}" if missing else None


async def build_webhook(
    settings: Settings,
    connection: Connection,
    metrics: PrometheusMetrics,
    stack: AsyncExitStack,
    build_rules: BuildRules,
) -> Webhook:
    """Build it with connections of its own; the stack closes them.

    Raises `SettingsError` without a certificate, `Fault` when it is no good.
    """
    server = build_server(settings.webhook, metrics)
    session = await stack.enter_async_context(open_session(connection))
    client = KubeClient(
        connection.server,
        session,
        metrics,
        deadline=min(
            settings.kubernetes.request_timeout_seconds, settings.webhook.deadline_seconds
        ),
    )
    tools = Tools(settings, client, metrics, stack)
    return Webhook(server, await build_rules(tools), tools)


def build_server(settings: WebhookSettings, metrics: PrometheusMetrics) -> WebhookServer:
    """From settings to a server that does not serve yet."""
    if settings.certificate_file is None:
        raise SettingsError(
            "webhook.certificate_file (PROCTOR_WEBHOOK__CERTIFICATE_FILE) is not set"
        )
    if settings.key_file is None:
        raise SettingsError("webhook.key_file (PROCTOR_WEBHOOK__KEY_FILE) is not set")
    files = CertificateFiles(settings.certificate_file, settings.key_file, settings.client_ca_file)
    return WebhookServer(
        host=settings.host,
        port=settings.port,
        certificate=ServingCertificate(files, metrics, read_expiries=read_expiries),
        limits=WebhookLimits(
            settings.deadline_seconds, settings.drain_seconds, settings.most_at_once
        ),
        metrics=metrics,
    )


async def run_webhook(settings: Settings, stopping: Stopping, build_rules: BuildRules) -> None:
    """Serve until asked to stop, then drain.

    Raises `Fault` when the certificate is no good or the port is taken, `SettingsError` without a certificate.
    """
    connection = load_connection(
        kubeconfig=settings.kubernetes.kubeconfig, context=settings.kubernetes.context
    )
    metrics = PrometheusMetrics()
    async with AsyncExitStack() as stack:
        webhook = await build_webhook(settings, connection, metrics, stack, build_rules)
        health = await serve_health(
            host=settings.health.host,
            port=settings.health.port,
            is_alive=_loop_turns,
            readiness={"webhook": webhook.readiness_problem},
            facts={},
            render_metrics=metrics.render,
        )
        stack.push_async_callback(health.close)
        leave_out_what_stays()
        log.info("Webhook started", server=connection.server, health_port=health.port)
        await _serve(connection, metrics, webhook, stopping)
    log.info("Webhook stopped")


async def _serve(
    connection: Connection, metrics: PrometheusMetrics, webhook: Webhook, stopping: Stopping
) -> None:
    registry = kopf.OperatorRegistry()
    webhook.register(registry)
    silence = WatchSilence(SystemClock())
    register_login(
        registry,
        lambda: kopf.AiohttpSession(
            aiohttp_session=open_watch_session(connection, metrics, silence),
            server=connection.server,
            default_namespace=connection.namespace,
        ),
    )
    stopped = asyncio.create_task(stopping.asked.wait(), name="stop")
    kinds = asyncio.create_task(webhook.wait_for_kinds(), name="wait for kinds")
    stop_kopf = asyncio.Event()
    tasks: list[asyncio.Task[object]] = [stopped, kinds]
    try:
        await asyncio.wait((stopped, kinds), return_when=asyncio.FIRST_COMPLETED)
        if stopping.asked.is_set():
            return
        await kinds
        serving = asyncio.create_task(
            watch(
                registry,
                namespaces=(),
                stop=stop_kopf,
                take_signals_back=stopping.listen,
                admission_server=webhook.serve,
            ),
            name="serve",
        )
        tasks.append(serving)
        always = (serving, *webhook.beside)
        await asyncio.wait((stopped, *always), return_when=asyncio.FIRST_COMPLETED)
        for one in always:
            if one.done():
                await one
                raise Fault(f"{one.get_name()} ended, though nobody asked for it")
        await webhook.drain()
        stop_kopf.set()
        await serving
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _loop_turns() -> str | None:
    """For `/livez`: that there is an answer says all there is to say."""
    return None
