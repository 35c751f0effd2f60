"""The role `controller`: watches, queue, runner, record and health server, started and stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from random import Random
from socket import gethostname
from typing import Any

import kopf
import structlog

from proctor_operator.adapters.http.health import serve_health
from proctor_operator.adapters.kube.access import KubeAccess
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.cluster import KubeCluster
from proctor_operator.adapters.kube.connection import Connection, load_connection, open_session
from proctor_operator.adapters.kube.diverting import divert_events
from proctor_operator.adapters.kube.events import KubeEvents
from proctor_operator.adapters.kube.mapping import read_execution, read_proc, read_schedule
from proctor_operator.adapters.kube.podlogs import KubePodLogs
from proctor_operator.adapters.kube.watching import open_watch_session
from proctor_operator.adapters.kube.workloads import read_job, read_pod
from proctor_operator.adapters.live import LiveLog
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.occurrences import PostgresOccurrences
from proctor_operator.adapters.postgres.options import PostgresOptions
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.app.clock import ClusterClock, SystemClock
from proctor_operator.app.collecting import leave_out_what_stays
from proctor_operator.app.election import build_election, seconds_to_send
from proctor_operator.app.plugins import PluginParts, Writer, build_plugins
from proctor_operator.app.settings import Settings
from proctor_operator.app.stopping import Stopping
from proctor_operator.app.webhook import BuildRules, Webhook, build_webhook
from proctor_operator.app.wiring import (
    capture_limits,
    postgres_options,
    retention_policy,
    run_policy,
)
from proctor_operator.domain.errors import Fault, NotLeading
from proctor_operator.domain.naming import PROC_PLUGINS, Namespace, Uid
from proctor_operator.domain.objects import ObjectKey
from proctor_operator.handlers.lifecycle import register_login, watch
from proctor_operator.handlers.watches import WATCHED, Handle, Readers, event_handles, register
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.schedule_policy import SchedulePolicy
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.effects import ExecutionEffects
from proctor_operator.runtime.elector import Election
from proctor_operator.runtime.event_relay import EventRelay
from proctor_operator.runtime.findings import Findings
from proctor_operator.runtime.guarded import (
    GuardedCluster,
    GuardedEventStore,
    GuardedLogStore,
    GuardedOccurrences,
    GuardedRecords,
)
from proctor_operator.runtime.informer import Informer
from proctor_operator.runtime.log_capture import LogCapture
from proctor_operator.runtime.orphans import OrphanRunner
from proctor_operator.runtime.queue import WorkQueue
from proctor_operator.runtime.record_watch import RecordWatch
from proctor_operator.runtime.reporter import Reporter
from proctor_operator.runtime.resync import Resync
from proctor_operator.runtime.retention import RetentionRunner
from proctor_operator.runtime.runner import Runner
from proctor_operator.runtime.schedule_reporter import ScheduleReporter
from proctor_operator.runtime.schedules import ScheduleRunner
from proctor_operator.runtime.silence import WatchSilence
from proctor_operator.runtime.vital_signs import VitalSigns

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Controller:
    """The parts that run side by side."""

    election: Election
    queue: WorkQueue
    resync: Resync
    informer: Informer
    records: PostgresRecords
    metrics: PrometheusMetrics
    events: EventRelay
    record_watch: RecordWatch
    findings: Findings
    silence: WatchSilence
    signs: VitalSigns
    plugins: PluginParts

    async def life_problem(self) -> str | None:
        """Why the process should be started anew, for `/livez`; an answer proves that the loop turns."""
        return self.signs.life_problem()

    def told_by_a_watch(self, resource: str, uid: Uid) -> None:
        """An event of an object came."""
        self.metrics.watch_event(resource)
        self.findings.told(uid)

    def render_metrics(self) -> bytes:
        """Everything as it is now, for `/metrics`."""
        self.signs.measure()
        return self.metrics.render()

    async def record_problem(self) -> str | None:
        """Why the record cannot be used, for `/readyz`."""
        try:
            await self.records.check()
        except Fault as fault:
            return str(fault)
        return None

    async def plugin_problem(self) -> str | None:
        """Why it is not known which plugins there are, for `/readyz`."""
        return self.plugins.keeper.problem

    async def list_problem(self) -> str | None:
        """Why the picture of the cluster is not complete, for `/readyz`."""
        return self.resync.problem


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
        controller = await _build(settings, connection, record, stack)
        readiness = {
            "record": controller.record_problem,
            "lists": controller.list_problem,
            "plugins": controller.plugin_problem,
        }
        webhook = None
        if build_rules is not None:
            webhook = await build_webhook(
                settings, connection, controller.metrics, stack, build_rules
            )
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
        log.info("Controller started", server=connection.server, health_port=server.port)
        await _work(settings, connection, controller, stopping, webhook)
    log.info("Controller stopped")


async def _build(
    settings: Settings, connection: Connection, record: PostgresOptions, stack: AsyncExitStack
) -> Controller:
    clock = ClusterClock(SystemClock())
    metrics = PrometheusMetrics()
    random = Random()  # noqa: S311 - jitter, not a secret
    session = await stack.enter_async_context(open_session(connection))
    client = KubeClient(
        connection.server,
        session,
        metrics,
        deadline=settings.kubernetes.request_timeout_seconds,
        connect_deadline=seconds_to_send(settings.election),
        tell_time=clock.hear,
    )
    pool = RecordPool(record, metrics, clock)
    records = PostgresRecords(await stack.enter_async_context(pool))
    namespaces = tuple(Namespace(name) for name in settings.kubernetes.namespaces)
    election = await build_election(
        settings.election, connection, metrics=metrics, clock=clock, random=random, stack=stack
    )
    # Whatever writes, writes through these: they let nobody but the leader through.
    cluster = GuardedCluster(KubeCluster(client, namespaces), election)
    guarded_records = GuardedRecords(records, election)
    event_store = GuardedEventStore(KubeEvents(client, instance=gethostname()), election)
    events = EventRelay(event_store, metrics, clock)
    cache = ObjectCache()
    log_session = await stack.enter_async_context(open_session(connection, connections=0))
    capture = LogCapture(
        logs=KubePodLogs(KubeClient(connection.server, log_session, metrics)),
        store=GuardedLogStore(PostgresLogs(pool), election),
        live=LiveLog(),
        clock=clock,
        metrics=metrics,
        limits=capture_limits(settings.logs),
        wake=lambda uid: _wake(queue, cache.key_of_uid(uid)),
    )
    stack.push_async_callback(capture.stop)
    reporter = Reporter(metrics, events, clock)
    plugins = build_plugins(
        client,
        clock=clock,
        metrics=metrics,
        writer=Writer(election, election.leading),
        list_every_seconds=settings.kubernetes.list_every_seconds,
    )
    runner = Runner(
        cache=cache,
        cluster=cluster,
        effects=ExecutionEffects(
            cache=cache,
            cluster=cluster,
            records=guarded_records,
            capture=capture,
            access=KubeAccess(client),
            plugins=plugins.host,
            clock=clock,
            wake=lambda uid: _wake(queue, cache.key_of_uid(uid)),
        ),
        clock=clock,
        reporter=reporter,
        policy=run_policy(settings),
        orphans=OrphanRunner(
            cluster=cluster,
            records=guarded_records,
            capture=capture,
            clock=clock,
            reporter=reporter,
        ),
        capture=capture,
        retention=RetentionRunner(
            cache=cache,
            cluster=cluster,
            clock=clock,
            metrics=metrics,
            policy=retention_policy(settings),
        ),
        schedules=ScheduleRunner(
            cache=cache,
            cluster=cluster,
            occurrences=GuardedOccurrences(PostgresOccurrences(pool), election),
            clock=clock,
            reporter=ScheduleReporter(metrics, events, clock),
            policy=SchedulePolicy(settings.schedules.requester_max_age_days),
            saw=lambda made: _take_in(informer, made),
            look_again=lambda key, seconds: _wake_after(queue, key, seconds),
        ),
    )
    queue = WorkQueue(
        runner.run, workers=settings.queue.workers, metrics=metrics, clock=clock, random=random
    )
    informer = Informer(cache, queue)
    findings = Findings(metrics, clock)
    resync = Resync(
        cluster=cluster,
        cache=cache,
        informer=informer,
        findings=findings,
        random=random,
        leading=election.leading,
        every_seconds=settings.kubernetes.list_every_seconds,
    )
    record_watch = RecordWatch(upkeep=records, metrics=metrics)
    silence = WatchSilence(clock)
    signs = VitalSigns(
        queue=queue,
        cache=cache,
        silence=silence,
        reachability=client,
        metrics=metrics,
        clock=clock,
    )
    return Controller(
        election,
        queue,
        resync,
        informer,
        records,
        metrics,
        events,
        record_watch,
        findings,
        silence,
        signs,
        plugins,
    )


async def _work(
    settings: Settings,
    connection: Connection,
    controller: Controller,
    stopping: Stopping,
    webhook: Webhook | None,
) -> None:
    """List first, so that no decision is taken on half a picture; then watch, and work when elected."""
    # Modules before the first list, which would have the collector walk them again and again; then both.
    leave_out_what_stays()
    registry = kopf.OperatorRegistry()
    readers = Readers(read_proc, read_execution, read_schedule, read_job, read_pod)
    handles = event_handles(controller.informer, readers, controller.told_by_a_watch)
    handles |= controller.plugins.handles(controller.told_by_a_watch)
    register(registry, handles)
    if webhook is not None:
        webhook.register(registry)
    register_login(registry, lambda: _kopf_session(connection, controller, handles))
    election, listed = controller.election, controller.resync.has_listed
    resync = asyncio.create_task(controller.resync.run(), name="resync")
    electing = asyncio.create_task(election.run(ready=listed), name="election")
    upkeep = asyncio.create_task(controller.record_watch.run(), name="record watch")
    keeping = asyncio.create_task(controller.plugins.keeper.run(), name="plugins")
    stopped = asyncio.create_task(stopping.asked.wait(), name="stop")
    first_list = asyncio.create_task(_picture(listed, webhook), name="first list")
    beside = () if webhook is None else webhook.beside
    always = (resync, electing, upkeep, keeping, *beside, stopped)
    tasks = [*always, first_list]
    watches: list[asyncio.Task[None]] = []
    try:
        await _first_of(first_list, *always, may_end=(first_list, stopped))
        if stopping.asked.is_set():
            return
        log.info("First list done")
        leave_out_what_stays()
        # In this order: Kopf would take the queue's tasks for its own.
        working = asyncio.create_task(controller.queue.run(), name="queue")
        looking = asyncio.create_task(controller.signs.watch_the_loop(), name="loop watch")
        telling = asyncio.create_task(controller.events.run(), name="events")
        await controller.queue.is_working.wait()
        controller.silence.expect(WATCHED, settings.kubernetes.namespaces)
        controller.silence.expect((PROC_PLUGINS,), ())
        kopf_stop = asyncio.Event()
        watching = asyncio.create_task(
            watch(
                registry,
                namespaces=settings.kubernetes.namespaces,
                stop=kopf_stop,
                take_signals_back=stopping.listen,
                admission_server=webhook.serve if webhook is not None else None,
            ),
            name="watch",
        )
        tasks += [working, telling, looking]
        watches.append(watching)
        await _first_of(*always, watching, working, telling, looking, may_end=(stopped,))
        log.info("Draining", within_seconds=settings.queue.drain_seconds)
        leaving = asyncio.create_task(_leave(webhook), name="leave")
        tasks.append(leaving)
        await controller.queue.drain(within_seconds=settings.queue.drain_seconds)
        await leaving
        kopf_stop.set()
    finally:
        await _end(*tasks)
        # Nothing that could write is left now. Kopf writes nothing, and may take its time.
        await election.release()
        await _end(*watches)


async def _picture(listed: asyncio.Event, webhook: Webhook | None) -> None:
    """Wait until everything is there that Kopf is to see at its start."""
    await listed.wait()
    if webhook is not None:
        await webhook.wait_for_kinds()


async def _leave(webhook: Webhook | None) -> None:
    if webhook is not None:
        await webhook.drain()


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _take_in(informer: Informer, made: OwnObject) -> None:
    informer.saw(made)


def _wake_after(queue: WorkQueue, key: ObjectKey, seconds: float) -> None:
    queue.add_after(key, seconds)


def _wake(queue: WorkQueue, key: ObjectKey | None) -> None:
    if key is not None:
        queue.add(key)


async def _first_of(
    *tasks: asyncio.Task[object], may_end: Collection[asyncio.Task[object]]
) -> None:
    """Wait for the first to end; one that may not takes the process down, so that it starts anew."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        error = task.exception()
        if isinstance(error, NotLeading):
            raise error
        if error is not None:
            raise Fault(f"{task.get_name()} failed: {error}") from error
        if task not in may_end:
            raise Fault(f"{task.get_name()} ended, though nobody asked for it")


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
