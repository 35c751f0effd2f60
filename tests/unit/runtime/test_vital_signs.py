"""Silences, ages and the loop's lag, read off the parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from proctor_operator.domain.execution import Phase, ProcExecutionStatus
from proctor_operator.domain.objects import ObjectKey
from proctor_operator.runtime.cache import ObjectCache, key_of
from proctor_operator.runtime.queue import PASS_DEADLINE_SECONDS, WorkQueue
from proctor_operator.runtime.silence import WatchSilence
from proctor_operator.runtime.vital_signs import LOOP_CHECK_SECONDS, VitalSigns
from simulation.virtual_time import TIME_ZERO, VirtualClock, run_virtually
from unit.builders import deleted_execution, execution, finished_execution
from unit.fakes import FakeMetrics


@dataclass
class Line:
    since_an_answer: float = 0.0
    since_no_answer: float = float("inf")


class Patient:
    """An operator whose passes do not end, and cannot be ended."""

    def __init__(self) -> None:
        self.metrics = FakeMetrics()
        self.cache = ObjectCache()
        self.clock = VirtualClock()
        self.silence = WatchSilence(self.clock)
        self.line = Line()
        self.queue = WorkQueue(
            self._hang, workers=1, metrics=self.metrics, clock=self.clock, random=Random(1)
        )
        self.signs = VitalSigns(
            queue=self.queue,
            cache=self.cache,
            silence=self.silence,
            reachability=self.line,
            metrics=self.metrics,
            clock=self.clock,
        )

    async def _hang(self, _: ObjectKey) -> float | None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                if not self.queue.movement().is_working:
                    raise


def look(script: Callable[[Patient], Awaitable[None]]) -> None:
    async def main() -> None:
        await script(Patient())

    run_virtually(main())


def test_each_kind_is_as_silent_as_its_quietest_stream() -> None:
    async def script(patient: Patient) -> None:
        patient.silence.expect(("jobs", "pods"), ("a", "b"))
        await asyncio.sleep(50)
        patient.silence.heard("jobs", "a")
        await asyncio.sleep(10)
        patient.silence.heard("jobs", "b")
        patient.silence.heard("pods", "a")
        await asyncio.sleep(1)
        assert patient.silence.silences() == {"jobs": 11, "pods": 61}

    look(script)


def test_a_watch_that_never_opens_is_silent_from_the_beginning() -> None:
    async def script(patient: Patient) -> None:
        assert patient.silence.silences() == {}
        patient.silence.expect(("jobs",), ())
        await asyncio.sleep(181)
        problem = patient.signs.life_problem()
        assert problem is not None
        assert problem.startswith("the watch of jobs")
        patient.line.since_an_answer = 200.0
        assert patient.signs.life_problem() is None

    look(script)


def test_a_watch_that_is_refused_is_silent_for_a_reason_and_no_restart_mends_it() -> None:
    async def script(patient: Patient) -> None:
        patient.silence.expect(("jobs", "pods"), ("a",))
        for _ in range(30):
            await asyncio.sleep(10)
            patient.silence.refused("jobs", "a")
            patient.silence.heard("pods", "a")
        assert patient.silence.silences() == {"jobs": 300, "pods": 0}
        assert patient.signs.life_problem() is None
        await asyncio.sleep(181)
        assert patient.signs.life_problem() is not None

    look(script)


def test_a_pass_that_cannot_be_ended_ends_the_process() -> None:
    async def script(patient: Patient) -> None:
        working = asyncio.create_task(patient.queue.run())
        await asyncio.sleep(1)
        patient.queue.add(key_of(execution()))
        await asyncio.sleep(PASS_DEADLINE_SECONDS + 50)
        assert patient.signs.life_problem() is None
        await asyncio.sleep(20)
        assert patient.signs.life_problem() == "a pass has been under way for 190 s"
        await patient.queue.drain(within_seconds=0)
        working.cancel()
        await asyncio.wait([working])

    look(script)


def test_what_is_not_over_and_what_is_held_up_is_measured() -> None:
    async def script(patient: Patient) -> None:
        await asyncio.sleep(500)
        now = TIME_ZERO + timedelta(seconds=500)
        running = ProcExecutionStatus(phase=Phase.RUNNING)
        others = {
            "pending": execution(name="pending", uid="u1"),
            "running": execution(name="running", uid="u2", status=running),
            "finished": finished_execution(name="finished", uid="u3"),
            "held": deleted_execution(
                name="held", uid="u4", deletion_time=now - timedelta(seconds=70)
            ),
            "let go": deleted_execution(
                name="let-go", uid="u5", finalizers=(), deletion_time=now - timedelta(seconds=400)
            ),
        }
        for one in others.values():
            patient.cache.put(one)
        patient.signs.measure()

        vitals = patient.metrics.last_vitals
        assert vitals is not None
        assert vitals.live_executions == {Phase.PENDING: 3, Phase.RUNNING: 1}
        assert vitals.oldest_held_seconds == 70

    look(script)


def test_a_loop_that_is_held_up_is_late() -> None:
    async def script(patient: Patient) -> None:
        watching = asyncio.create_task(patient.signs.watch_the_loop())
        await asyncio.sleep(LOOP_CHECK_SECONDS * 10.5)
        assert len(patient.metrics.lags) == 10
        assert max(patient.metrics.lags) < 0.001
        stall(0.3)
        await asyncio.sleep(LOOP_CHECK_SECONDS)
        assert 0.3 - LOOP_CHECK_SECONDS <= max(patient.metrics.lags) <= 0.3
        watching.cancel()

    look(script)


def stall(seconds: float) -> None:
    """Let time pass without the loop having its turn, as a callback does that blocks."""
    loop = asyncio.get_running_loop()
    loop._jump(seconds)  # type: ignore[attr-defined] # of the virtual loop
