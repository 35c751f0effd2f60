"""One simulated world: cluster, record, people, one operator process after another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from proctor_operator.domain.identity import Via
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import RecordedRun, RunRequest
from simulation.api_server import EXECUTIONS, ApiServer, Commit
from simulation.bystanders import SimulatedMetrics
from simulation.chance import Chance
from simulation.collectors import GarbageCollector, TimeToLive
from simulation.event_book import EventBook
from simulation.invariants import Watchdog
from simulation.job_controller import JobController
from simulation.kubelet import Kubelet
from simulation.line import FaultSchedule
from simulation.log_promise import LogPromise
from simulation.log_table import LogTable
from simulation.occurrence_table import OccurrenceTable
from simulation.operator_process import NAMESPACE, OperatorProcess, Surroundings
from simulation.people import People
from simulation.plans import Plan, Trouble, Window
from simulation.record_store import RecordTable
from simulation.slot_promise import SlotPromise
from simulation.virtual_time import VirtualClock
from simulation.watch_streams import EventNumbers
from simulation.workload import Deed, ExecutionPlan, Truth

_MEDDLER_PAUSE_SECONDS: Final = 0.1
_TO_GET_READY_SECONDS: Final = 2.0
_TO_SETTLE_SECONDS: Final = 25.0


class World:
    """Must be made inside a virtual event loop."""

    def __init__(
        self, plan: Plan, executions: tuple[ExecutionPlan, ...], *, are_events_stored: bool = True
    ) -> None:
        clock = VirtualClock()
        self._loop = asyncio.get_running_loop()
        self._executions = executions
        self._tasks: set[asyncio.Task[None]] = set()
        self._processes: list[OperatorProcess] = []
        self._last_disturbance = 0.0
        self.trace: list[str] = []
        self.truths: dict[str, Truth] = {}
        self.server = ApiServer(clock.monotonic)
        self.table = RecordTable(clock)
        self.occurrences = OccurrenceTable(self._find_scheduled_run)
        self.logs = LogTable()
        self.chance = Chance(plan.seed)
        self.faults = FaultSchedule(plan, now=clock.monotonic, note=self.note, do=self._do)
        self.metrics = SimulatedMetrics()
        self.events = EventBook(is_open=are_events_stored)
        self.server.observe(self._on_commit)
        self.table.observe(lambda _, row: self.note(f"record now says {_in_short(row)}"))
        self.watchdog = Watchdog(
            self.server,
            self.table,
            self.truths,
            clock.monotonic,
            lambda: self.faults.is_late_write,
            has_usurper=any(one.trouble is Trouble.USURPER for one in plan.windows),
        )
        self.faults.watch_writes(self.watchdog.begins_to_write)
        self.log_promise = LogPromise(
            self.logs,
            self.table,
            self.truths,
            self.watchdog.says,
            lambda: self.faults.is_late_write,
            has_rival=any(one.trouble is Trouble.USURPER for one in plan.windows),
        )
        SlotPromise(self.server, self.table, self.truths, self.watchdog.says, clock.monotonic)
        JobController(self.server, self.chance, truths=self.truths)
        Kubelet(self.server, self.chance, truths=self.truths)
        GarbageCollector(self.server, self.chance)
        TimeToLive(self.server, self.chance)
        self._people = People(self.server, self.table, self.truths, self.disturb)
        self._numbers = EventNumbers()
        self._around = Surroundings(
            self.server,
            self.table,
            self.occurrences,
            self.logs,
            plan,
            self.faults,
            self.chance,
            self._numbers,
            self.metrics,
            self.events,
            self.truths,
            self.note,
        )

    def _find_scheduled_run(self, namespace: Namespace, name: str) -> Uid | None:
        rows = (row.request for row in self.table.rows.values())
        found = (one for one in rows if (one.namespace, one.name) == (namespace, name))
        return next((one.key.uid for one in found if _is_scheduled(one)), None)

    def start(self) -> None:
        """Publish, request when it is time, and let the operator live."""
        for one in self._executions:
            self._people.publish(one)
            self._loop.call_at(one.arrives_at, self._people.request, one)
        self._spawn(self._keep_an_operator_alive())
        for window in self.faults.windows:
            self._loop.call_at(window.start, self._begin_trouble, window)

    async def stop(self) -> None:
        """Kill everybody and wait for the last."""
        for process in self._processes:
            process.die("the simulation is over")
            await process.wait_until_gone()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def last_disturbance(self) -> float:
        """When the last thing happened after which the operator is owed some time."""
        return max(
            self._last_disturbance, self.faults.last_fault_at, self.faults.last_window_ends_at
        )

    @property
    def watch_events(self) -> int:
        """How many so far."""
        return self._numbers.count

    @property
    def is_all_asked_for(self) -> bool:
        """Whether every execution has arrived, and no deed and no late write is to come."""
        arrived = sum(1 for truth in self.truths.values() if truth.uid)
        to_come = self._people.deeds_to_come + self.faults.late_writes
        return arrived == len(self._executions) + self._people.applied_again and not to_come

    def disturb(self) -> None:
        """Something happens that the operator did not do."""
        self._last_disturbance = self._loop.time()

    def note(self, what: str) -> None:
        """Write a line into the trace."""
        self.trace.append(f"{self._loop.time():9.3f}  {what}")

    def _do(self, deed: Deed) -> None:
        self._people.do(deed)

    def _on_commit(self, commit: Commit) -> None:
        if not commit.actor.startswith("operator"):
            self.disturb()
        status = commit.after["status"]
        said = status.get("phase") or [one["type"] for one in status.get("conditions", ())] or ""
        key = "/".join((commit.key[0], commit.key[2]))
        self.note(f"v{commit.version} {commit.actor} {commit.type} {key} {said}")

    def _spawn(self, life: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(life)
        self._tasks.add(task)

    async def _keep_an_operator_alive(self) -> None:
        """As a Deployment does."""
        number = 1
        stale = 0
        while True:
            process = self._begin(f"operator-{number}", stale=stale)
            await process.wait_until_gone()
            if process.why_it_died:
                self.watchdog.says("I11", f"{process.name} died of itself: {process.why_it_died}")
            await asyncio.sleep(self._seconds_of_downtime())
            await asyncio.sleep(self.chance.between(0.5, 6.0, "restart", str(number)))
            self.faults.hit()
            number += 1
            stale = self._around.plan.stale

    def _seconds_of_downtime(self) -> float:
        """Until somebody may be there again."""
        now = self._loop.time()
        ends = (
            one.end
            for one in self.faults.windows
            if one.trouble is Trouble.DOWNTIME and one.start <= now
        )
        return max(0.0, max(ends, default=now) - now)

    def _begin_trouble(self, window: Window) -> None:
        match window.trouble:
            case Trouble.MEDDLER:
                self._meddle(window.end)
            case Trouble.DOWNTIME:
                for process in self._processes:
                    process.die("nobody is to be there")
            case Trouble.USURPER:
                usurper = self._begin(f"operator-usurper-{window.start:g}", is_usurper=True)
                self._loop.call_at(window.end, usurper.die, "somebody noticed")
            case Trouble.TWO_CONTROLLERS | Trouble.PARTITION | Trouble.PAUSE | Trouble.HAND_OVER:
                leader = self._leader()
                standby = self._begin(f"operator-standby-{window.start:g}")
                self._trouble_leader(window, leader, standby)
            case _:
                pass

    def _trouble_leader(
        self, window: Window, leader: OperatorProcess, standby: OperatorProcess
    ) -> None:
        at = self._loop.call_at
        match window.trouble:
            case Trouble.TWO_CONTROLLERS:
                at(window.end, standby.die, "it is not needed any more")
            case Trouble.HAND_OVER:
                at(window.start + _TO_GET_READY_SECONDS, leader.ask_to_stop)
                at(window.end, standby.ask_to_stop)
            case Trouble.PARTITION:
                self.note(f"{leader.name} cannot reach the API server")
                leader.is_cut_off = True
                at(window.end, self._heal, leader)
                at(window.end + _TO_SETTLE_SECONDS, standby.ask_to_stop)
            case Trouble.PAUSE:
                leader.stand_still(window.end - window.start)
                at(window.end + _TO_SETTLE_SECONDS, standby.ask_to_stop)

    def _heal(self, process: OperatorProcess) -> None:
        self.note(f"{process.name} can reach the API server again")
        process.is_cut_off = False

    def _leader(self) -> OperatorProcess:
        """Who holds the Lease; else the newest process."""
        holder = self.server.leases.holder
        alive = [one for one in self._processes if one.is_alive] or self._processes
        return next((one for one in alive if one.name == holder), alive[-1])

    def _begin(self, name: str, *, stale: int = 0, is_usurper: bool = False) -> OperatorProcess:
        process = OperatorProcess(self._around, name, stale=stale, is_usurper=is_usurper)
        self._processes.append(process)
        process.start()
        return process

    def _meddle(self, until: float) -> None:
        for one in self._executions:
            key = (EXECUTIONS, NAMESPACE, one.name)
            if self.server.find(key) is not None:
                mark = {"metadata": {"annotations": {"meddler": str(self._loop.time())}}}
                self.server.patch(key, mark, actor="meddler")
        if self._loop.time() < until:
            self._loop.call_later(_MEDDLER_PAUSE_SECONDS, self._meddle, until)


def _is_scheduled(request: RunRequest) -> bool:
    return request.requester is not None and request.requester.via is Via.SCHEDULE


def _in_short(row: RecordedRun) -> str:
    if row.outcome is None:
        return f"{row.request.name}: started at {row.started_at}"
    return f"{row.request.name}: {row.outcome.phase}/{row.outcome.reason}"
