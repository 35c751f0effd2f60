"""The parts of a controller, put together: queue, runner, watches' informer, and what looks after them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from socket import gethostname

from proctor_operator.adapters.kube.access import KubeAccess
from proctor_operator.adapters.kube.cluster import KubeCluster
from proctor_operator.adapters.kube.events import KubeEvents
from proctor_operator.adapters.kube.podlogs import KubePodLogs
from proctor_operator.adapters.live import LiveLog
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.occurrences import PostgresOccurrences
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.app.ground import Ground
from proctor_operator.app.plugins import PluginParts, Writer, build_plugins
from proctor_operator.app.settings import Settings
from proctor_operator.app.wiring import capture_limits, retention_policy, run_policy
from proctor_operator.domain.errors import Fault
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import ObjectKey
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


@dataclass(frozen=True, slots=True)
class _Shared:
    """What several runners use. Whatever writes, writes through these: they let nobody but the leader through."""

    cache: ObjectCache
    cluster: GuardedCluster
    records: GuardedRecords
    capture: LogCapture
    plugins: PluginParts
    events: EventRelay


@dataclass(frozen=True, slots=True)
class _Calls:
    """How a runner has an object looked at: the execution of a UID, a key after some seconds, what it made."""

    wake: Callable[[Uid], None]
    look_again: Callable[[ObjectKey, float], None]
    saw: Callable[[OwnObject], None]


def assemble(settings: Settings, ground: Ground, stack: AsyncExitStack) -> Controller:
    """Put the parts together; nothing runs yet. The stack ends what they leave open."""
    cache = ObjectCache()

    # The queue calls the runner, and what the runner does calls the queue, which is made last.
    def wake(uid: Uid) -> None:
        key = cache.key_of_uid(uid)
        if key is not None:
            queue.add(key)

    def look_again(key: ObjectKey, seconds: float) -> None:
        queue.add_after(key, seconds)

    def saw(made: OwnObject) -> None:
        informer.saw(made)

    calls = _Calls(wake, look_again, saw)
    records = PostgresRecords(ground.pool)
    shared = _build_shared(settings, ground, cache, records, calls)
    stack.push_async_callback(shared.capture.stop)
    runner = _build_runner(settings, ground, shared, calls)
    queue = WorkQueue(
        runner.run,
        workers=settings.queue.workers,
        metrics=ground.metrics,
        clock=ground.clock,
        random=ground.random,
    )
    informer = Informer(cache, queue)
    findings = Findings(ground.metrics, ground.clock)
    silence = WatchSilence(ground.clock)
    return Controller(
        election=ground.election,
        queue=queue,
        resync=Resync(
            cluster=shared.cluster,
            cache=cache,
            informer=informer,
            findings=findings,
            metrics=ground.metrics,
            random=ground.random,
            leading=ground.election.leading,
            every_seconds=settings.kubernetes.list_every_seconds,
        ),
        informer=informer,
        records=records,
        metrics=ground.metrics,
        events=shared.events,
        record_watch=RecordWatch(upkeep=records, metrics=ground.metrics),
        findings=findings,
        silence=silence,
        signs=VitalSigns(
            queue=queue,
            cache=cache,
            silence=silence,
            reachability=ground.client,
            metrics=ground.metrics,
            clock=ground.clock,
        ),
        plugins=shared.plugins,
    )


def _build_shared(
    settings: Settings,
    ground: Ground,
    cache: ObjectCache,
    records: PostgresRecords,
    calls: _Calls,
) -> _Shared:
    election, clock, metrics = ground.election, ground.clock, ground.metrics
    namespaces = tuple(Namespace(name) for name in settings.kubernetes.namespaces)
    event_store = KubeEvents(ground.client, instance=gethostname())
    return _Shared(
        cache=cache,
        cluster=GuardedCluster(KubeCluster(ground.client, namespaces), election),
        records=GuardedRecords(records, election),
        capture=LogCapture(
            logs=KubePodLogs(ground.log_client),
            store=GuardedLogStore(PostgresLogs(ground.pool), election),
            live=LiveLog(),
            clock=clock,
            metrics=metrics,
            limits=capture_limits(settings.logs),
            wake=calls.wake,
        ),
        plugins=build_plugins(
            ground.client,
            clock=clock,
            metrics=metrics,
            writer=Writer(election, election.leading),
            list_every_seconds=settings.kubernetes.list_every_seconds,
        ),
        events=EventRelay(GuardedEventStore(event_store, election), metrics, clock),
    )


def _build_runner(settings: Settings, ground: Ground, shared: _Shared, calls: _Calls) -> Runner:
    clock, cache, cluster = ground.clock, shared.cache, shared.cluster
    reporter = Reporter(ground.metrics, shared.events, clock)
    effects = ExecutionEffects(
        cache=cache,
        cluster=cluster,
        records=shared.records,
        capture=shared.capture,
        access=KubeAccess(ground.client),
        plugins=shared.plugins.host,
        clock=clock,
        wake=calls.wake,
    )
    return Runner(
        cache=cache,
        cluster=cluster,
        effects=effects,
        clock=clock,
        reporter=reporter,
        policy=run_policy(settings),
        orphans=OrphanRunner(
            cluster=cluster,
            records=shared.records,
            capture=shared.capture,
            clock=clock,
            reporter=reporter,
            ended=effects.ended_elsewhere,
        ),
        capture=shared.capture,
        retention=RetentionRunner(
            cache=cache,
            cluster=cluster,
            clock=clock,
            metrics=ground.metrics,
            policy=retention_policy(settings),
        ),
        schedules=_build_schedule_runner(settings, ground, shared, calls),
    )


def _build_schedule_runner(
    settings: Settings, ground: Ground, shared: _Shared, calls: _Calls
) -> ScheduleRunner:
    return ScheduleRunner(
        cache=shared.cache,
        cluster=shared.cluster,
        occurrences=GuardedOccurrences(PostgresOccurrences(ground.pool), ground.election),
        clock=ground.clock,
        reporter=ScheduleReporter(ground.metrics, shared.events, ground.clock),
        policy=SchedulePolicy(settings.schedules.requester_max_age_days),
        saw=calls.saw,
        look_again=calls.look_again,
    )
