"""The role `controller`: watches, queue, runner, record and health server, started and stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

import kopf
import structlog

from proctor_operator.adapters.http.health import serve_health
from proctor_operator.adapters.kube.connection import Connection, load_connection
from proctor_operator.adapters.kube.diverting import divert_events
from proctor_operator.adapters.kube.mapping import read_execution, read_proc, read_schedule
from proctor_operator.adapters.kube.watching import open_watch_session
from proctor_operator.adapters.kube.workloads import read_job, read_pod
from proctor_operator.app.ground import open_ground
from proctor_operator.app.parts import Controller, assemble
from proctor_operator.app.settings import Settings
from proctor_operator.app.shift import Shift
from proctor_operator.app.stopping import Stopping
from proctor_operator.app.webhook import BuildRules, Webhook, build_webhook
from proctor_operator.app.wiring import postgres_options
from proctor_operator.handlers.lifecycle import register_login, watch
from proctor_operator.handlers.watches import Handle, Readers, event_handles, register

log = structlog.get_logger(__name__)


async def run_controller(
    settings: Settings, stopping: Stopping, build_rules: BuildRules | None = None
) -> None:
    """Run until asked to stop, then let the passes under way finish.

    With rules of admission it serves webhooks as well, in the same run of Kopf.
    Raises `Fault` when the cluster cannot be reached at all, `SettingsError` when no record is set.
    """
    record = replace(postgres_options(settings.postgres), reuses_plans=True)
    connection = load_connection(
        kubeconfig=settings.kubernetes.kubeconfig, context=settings.kubernetes.context
    )
    async with AsyncExitStack() as stack:
        ground = await open_ground(settings, connection, record, stack)
        controller = assemble(settings, ground, stack)
        webhook = None
        if build_rules is not None:
            webhook = await build_webhook(settings, connection, ground.metrics, stack, build_rules)
        port = await _serve_health(settings, controller, webhook, stack)
        log.info("Controller started", server=connection.server, health_port=port)
        registry = _build_registry(connection, controller, webhook)

        async def watch_until(stop: asyncio.Event) -> None:
            await watch(
                registry,
                namespaces=settings.kubernetes.namespaces,
                stop=stop,
                take_signals_back=stopping.listen,
                admission_server=webhook.serve if webhook is not None else None,
            )

        shift = Shift(settings, controller, stopping=stopping, webhook=webhook, watch=watch_until)
        await shift.run()
    log.info("Controller stopped")


async def _serve_health(
    settings: Settings, controller: Controller, webhook: Webhook | None, stack: AsyncExitStack
) -> int:
    """Serve it until the stack ends; returns the port."""
    readiness = {
        "record": controller.record_problem,
        "lists": controller.list_problem,
        "plugins": controller.plugin_problem,
    }
    if webhook is not None:
        readiness["webhook"] = webhook.readiness_problem
    server = await serve_health(
        host=settings.health.host,
        port=settings.health.port,
        is_alive=controller.life_problem,
        readiness=readiness,
        facts={"election": controller.election.describe},
        render_metrics=controller.render_metrics,
    )
    stack.push_async_callback(server.close)
    return server.port


def _build_registry(
    connection: Connection, controller: Controller, webhook: Webhook | None
) -> kopf.OperatorRegistry:
    """What Kopf is to watch, to judge, and how it logs in."""
    registry = kopf.OperatorRegistry()
    readers = Readers(read_proc, read_execution, read_schedule, read_job, read_pod)
    handles = event_handles(controller.informer, readers, controller.told_by_a_watch)
    handles |= controller.plugins.handles(controller.told_by_a_watch)
    register(registry, handles)
    if webhook is not None:
        webhook.register(registry)
    register_login(registry, lambda: _kopf_session(connection, controller, handles))
    return registry


def _kopf_session(
    connection: Connection, controller: Controller, handles: Mapping[str, Handle]
) -> kopf.AiohttpSession:
    session = open_watch_session(
        connection, controller.metrics, controller.silence, divert_events(handles)
    )
    return kopf.AiohttpSession(
        aiohttp_session=session,
        server=connection.server,
        default_namespace=connection.namespace,
    )
