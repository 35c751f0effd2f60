"""One life of the controller: built as `app.parts` builds it, killed without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from proctor_operator.adapters.kube.cluster import KubeCluster
from proctor_operator.adapters.kube.events import KubeEvents
from proctor_operator.adapters.kube.leases import KubeLeases
from proctor_operator.adapters.live import LiveLog
from proctor_operator.app.clock import ClusterClock
from proctor_operator.domain.errors import NotLeading
from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.objects import ObjectKey
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.leadership import Terms
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.reconcile.retention import RetentionPolicy
from proctor_operator.reconcile.schedule_policy import SchedulePolicy
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.effects import ExecutionEffects
from proctor_operator.runtime.elector import Election, Elector, Unopposed
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
from proctor_operator.runtime.log_streams import CaptureLimits
from proctor_operator.runtime.orphans import OrphanRunner
from proctor_operator.runtime.queue import WorkQueue
from proctor_operator.runtime.reporter import Reporter
from proctor_operator.runtime.resync import Resync
from proctor_operator.runtime.retention import RetentionRunner
from proctor_operator.runtime.runner import Runner
from proctor_operator.runtime.schedule_reporter import ScheduleReporter
from proctor_operator.runtime.schedules import ScheduleRunner
from simulation.api_server import ApiServer
from simulation.bystanders import SimulatedAccess, SimulatedLogs, SimulatedMetrics
from simulation.chance import Chance
from simulation.client import SimulatedClient
from simulation.event_book import EventBook
from simulation.line import FaultSchedule, Line
from simulation.log_table import LogTable, SimulatedLogStore
from simulation.no_plugins import NoPlugins
from simulation.occurrence_table import OccurrenceTable, SimulatedOccurrences
from simulation.plans import Plan, Trouble
from simulation.record_store import RecordTable, SimulatedRecords
from simulation.standing_still import Stillness
from simulation.virtual_time import VirtualClock
from simulation.watch_streams import EventNumbers, WatchStreams
from simulation.workload import Truth

NAMESPACE = "team"
KEEP_SECONDS = 30
"""How long every finished execution stays at least; less than in life, so that a life is short."""
_WORKERS = 4
_SKEW_SECONDS: Final = 300.0
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that outlives an operator."""

    server: ApiServer
    table: RecordTable
    occurrences: OccurrenceTable
    logs: LogTable
    plan: Plan
    faults: FaultSchedule
    chance: Chance
    numbers: EventNumbers
    metrics: SimulatedMetrics
    events: EventBook
    truths: dict[str, Truth]
    note: Callable[[str], None]


class MachineClock(VirtualClock):
    """The clock of the operator's own machine. No two machines agree on the time, and it must not matter.

    It shows a wrong time, and may jump, but its seconds are as long as everybody's.
    """

    _JUMPS: Final = {
        Trouble.CLOCK_AHEAD: timedelta(hours=1),
        Trouble.CLOCK_BEHIND: timedelta(hours=-1),
    }

    def __init__(self, faults: FaultSchedule, *, ahead_by: timedelta) -> None:
        self._faults = faults
        self._ahead_by = ahead_by

    def now(self) -> datetime:
        jumps = (by for trouble, by in self._JUMPS.items() if self._faults.is_on(trouble))
        return super().now() + sum(jumps, start=self._ahead_by)


class OperatorProcess:
    """Nothing of it is left when it dies; `stale` versions back is where its first lists are.

    A `usurper` works without asking for the Lease.
    """

    def __init__(
        self, around: Surroundings, name: str, *, stale: int = 0, is_usurper: bool = False
    ) -> None:
        self._around = around
        self._name = name
        self._is_usurper = is_usurper
        self._asked_to_stop = asyncio.Event()
        self.stillness = Stillness()
        self.is_cut_off = False
        self._from_version = max(0, len(around.server.commits) - stale)
        self._is_stale = stale > 0
        self._task: asyncio.Task[None] | None = None
        self._streams: WatchStreams | None = None
        self._capture: LogCapture | None = None
        self.is_alive = True
        self.ended = asyncio.Event()
        self.why_it_died = ""

    @property
    def name(self) -> str:
        """For the trace."""
        return self._name

    def start(self) -> None:
        """Begin to live."""
        self._around.note(f"{self.name} starts")
        self._task = self.stillness.create_task(self._live(), self.name)
        self._task.add_done_callback(self._died)

    def die(self, why: str) -> None:
        """Be killed: what is under way has no further effect."""
        if self.is_alive:
            self.is_alive = False
            self._around.note(f"{self.name} is killed: {why}")
            self._around.faults.hit()
            self.stillness.end()
            assert self._task is not None
            asyncio.get_running_loop().call_soon(self._task.cancel)

    def stand_still(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so many seconds."""
        self._around.note(f"{self.name} stands still")
        self.stillness.begin()
        asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if self.is_alive:
            self._around.note(f"{self.name} goes on")
            self._around.faults.hit()
            self.stillness.end()

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self.is_alive:
            self._around.note(f"{self.name} is asked to stop")
            self._asked_to_stop.set()

    async def wait_until_gone(self) -> None:
        """Wait until the last task of it has ended."""
        await self.ended.wait()

    async def _live(self) -> None:
        """As `app.shift.Shift`: list first, then watch, and work when elected."""
        around = self._around
        skew = around.chance.between(-_SKEW_SECONDS, _SKEW_SECONDS, "clock", self.name)
        machine = MachineClock(around.faults, ahead_by=timedelta(seconds=skew))
        clock = ClusterClock(machine)
        line = Line(self, around.faults, around.chance, clock)
        client = SimulatedClient(around.server, line, around.events, actor=self.name)
        client.lists_at = self._from_version if self._is_stale else None
        election = self._take_part(client, machine)
        queue, resync, informer, relay = self._build(line, client, election, clock)
        listed = asyncio.create_task(resync.has_listed.wait())
        stopped = asyncio.create_task(self._asked_to_stop.wait())
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(resync.run()),
            asyncio.create_task(election.run(ready=resync.has_listed)),
            stopped,
        ]
        try:
            await _first_of(listed, *tasks)
            client.lists_at = None
            if stopped.done():
                return
            self._watch(informer)
            tasks += [asyncio.create_task(queue.run()), asyncio.create_task(relay.run())]
            await _first_of(*tasks)
            await queue.drain(within_seconds=_DRAIN_SECONDS)
        finally:
            for task in (*tasks, listed):
                task.cancel()
            await asyncio.gather(*tasks, listed, return_exceptions=True)
            if self._capture is not None:
                await self._capture.stop()
            if self.is_alive:
                await election.release()

    def _take_part(self, client: SimulatedClient, machine: MachineClock) -> Election:
        around = self._around
        if self._is_usurper:
            return Unopposed(around.metrics)
        return Elector(
            leases=KubeLeases(client, Namespace("proctor-system"), "proctor-controller"),
            clock=machine,
            metrics=around.metrics,
            terms=Terms(),
            identity=self.name,
            random=around.chance.of("elector", self.name),
        )

    def _build(
        self, line: Line, client: SimulatedClient, election: Election, clock: ClusterClock
    ) -> tuple[WorkQueue, Resync, Informer, EventRelay]:
        around = self._around
        random = around.chance.of("operator", self.name)
        cluster = GuardedCluster(KubeCluster(client, (Namespace(NAMESPACE),)), election)
        records = GuardedRecords(SimulatedRecords(around.table, line), election)
        event_store = GuardedEventStore(KubeEvents(client, instance=self.name), election)
        relay = EventRelay(event_store, around.metrics, clock)
        cache = ObjectCache()
        capture = LogCapture(
            logs=SimulatedLogs(around.server, line, around.truths),
            store=GuardedLogStore(SimulatedLogStore(around.logs, line), election),
            live=LiveLog(),
            clock=clock,
            metrics=around.metrics,
            limits=CaptureLimits(),
            wake=lambda uid: _wake(queue, cache.key_of_uid(uid)),
        )
        effects = ExecutionEffects(
            cache=cache,
            cluster=cluster,
            records=records,
            capture=capture,
            access=SimulatedAccess(line),
            plugins=NoPlugins(),
            clock=clock,
            wake=lambda uid: _wake(queue, cache.key_of_uid(uid)),
        )
        reporter = Reporter(around.metrics, relay, clock)
        runner = Runner(
            cache=cache,
            cluster=cluster,
            effects=effects,
            clock=clock,
            reporter=reporter,
            # In every second life the clean-up of Jobs waits, as it does where nobody has set it otherwise;
            # in every third each start comes in a rush.
            policy=RunPolicy(
                release_after_seconds=15 * (around.plan.seed % 2),
                starts_told_at_once=0 if around.plan.seed % 3 == 2 else 5,
            ),
            orphans=OrphanRunner(
                cluster=cluster,
                records=records,
                capture=capture,
                clock=clock,
                reporter=reporter,
                ended=effects.ended_elsewhere,
            ),
            capture=capture,
            retention=RetentionRunner(
                cache=cache,
                cluster=cluster,
                clock=clock,
                metrics=around.metrics,
                policy=RetentionPolicy(keep_seconds=KEEP_SECONDS),
            ),
            schedules=ScheduleRunner(
                cache=cache,
                cluster=cluster,
                occurrences=GuardedOccurrences(
                    SimulatedOccurrences(around.occurrences, line), election
                ),
                clock=clock,
                reporter=ScheduleReporter(around.metrics, relay, clock),
                policy=SchedulePolicy(),
                saw=lambda made: _take_in(informer, made),
                look_again=lambda key, seconds: _wake_after(queue, key, seconds),
            ),
        )
        queue = WorkQueue(
            runner.run, workers=_WORKERS, metrics=around.metrics, clock=clock, random=random
        )
        informer = Informer(cache, queue)
        self._findings = Findings(around.metrics, clock)
        resync = Resync(
            cluster=cluster,
            cache=cache,
            informer=informer,
            findings=self._findings,
            metrics=around.metrics,
            random=random,
            leading=election.leading,
        )
        self._capture = capture
        return queue, resync, informer, relay

    def _watch(self, informer: Informer) -> None:
        around = self._around
        self._streams = WatchStreams(
            around.server,
            informer,
            self._findings,
            plan=around.plan,
            numbers=around.numbers,
            faults=around.faults,
            chance=around.chance,
            owner=self,
        )
        self._streams.open(self._from_version if self._is_stale else len(around.server.commits))

    def _died(self, task: asyncio.Task[None]) -> None:
        if self._streams is not None:
            self._streams.close()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, NotLeading):
            self._around.note(f"{self.name} ends: {error}")
        elif error is not None:
            self.why_it_died = f"{type(error).__name__}: {error}"
        self.is_alive = False
        self._around.faults.hit()
        self.ended.set()


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


def _take_in(informer: Informer, made: OwnObject) -> None:
    informer.saw(made)


def _wake_after(queue: WorkQueue, key: ObjectKey, seconds: float) -> None:
    queue.add_after(key, seconds)


def _wake(queue: WorkQueue, key: ObjectKey | None) -> None:
    if key is not None:
        queue.add(key)
