"""The work queue in virtual time: one pass per key at a time, back-off, delays, draining."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from proctor_operator.domain.errors import ClusterUnavailable, Fault, ProctorError, Waiting
from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.runtime.queue import (
    BACKOFF_CAP_SECONDS,
    PASS_DEADLINE_SECONDS,
    Movement,
    WorkQueue,
)
from simulation.virtual_time import VirtualClock, run_virtually
from unit.fakes import FakeMetrics


def key(name: str) -> ObjectKey:
    return ObjectKey(Kind.PROC_EXECUTION, Namespace("apps"), name)


A, B = key("a"), key("b")


class Calm(Random):
    """No jitter, so that times are exact."""

    def random(self) -> float:
        return 0.0


class Work:
    """Notes when each pass began and ended; what it does besides is the test's."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.begun: list[tuple[str, float]] = []
        self.ended: list[tuple[str, float]] = []
        self.answers: dict[str, list[float | ProctorError | Exception | None]] = {}
        self.active: Counter[str] = Counter()

    async def __call__(self, one: ObjectKey) -> float | None:
        loop = asyncio.get_running_loop()
        self.begun.append((one.name, loop.time()))
        self.active[one.name] += 1
        assert self.active[one.name] == 1, "two passes over one object at a time"
        try:
            await asyncio.sleep(self.seconds)
            answer = self.answers[one.name].pop(0) if self.answers.get(one.name) else None
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.active[one.name] -= 1
            self.ended.append((one.name, loop.time()))

    def times(self, name: str) -> list[float]:
        return [round(at, 6) for which, at in self.begun if which == name]


def run(
    work: Work,
    script: Callable[[WorkQueue], Awaitable[None]],
    *,
    workers: int = 4,
    random: Random | None = None,
    metrics: FakeMetrics | None = None,
) -> None:
    """Let the queue work while the script goes on, and then stop it."""

    async def main() -> None:
        queue = WorkQueue(
            work,
            workers=workers,
            metrics=metrics or FakeMetrics(),
            clock=VirtualClock(),
            random=random or Calm(),
        )
        working = asyncio.create_task(queue.run())
        await script(queue)
        working.cancel()
        await asyncio.wait([working])

    run_virtually(main())


def test_a_key_added_many_times_before_its_pass_runs_once() -> None:
    work = Work()

    async def script(queue: WorkQueue) -> None:
        for _ in range(5):
            queue.add(A)
        await asyncio.sleep(10)

    run(work, script)

    assert work.times("a") == [0]


def test_a_key_added_during_its_pass_runs_once_more_afterwards() -> None:
    work = Work(seconds=3)

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1)
        queue.add(A)
        queue.add(A)
        await asyncio.sleep(20)

    run(work, script)

    assert work.times("a") == [0, 3]


def test_keys_are_worked_on_side_by_side_up_to_the_number_of_workers() -> None:
    work = Work(seconds=1)

    async def script(queue: WorkQueue) -> None:
        for name in "abcde":
            queue.add(key(name))
        await asyncio.sleep(10)

    run(work, script, workers=2)

    assert [at for _, at in work.begun] == [0, 0, 1, 1, 2]
    assert [name for name, _ in work.begun] == list("abcde"), "in the order they came"


def test_a_pass_that_asks_for_another_look_gets_it_after_that_time() -> None:
    work = Work()
    work.answers["a"] = [30.0, None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(100)

    run(work, script)

    assert work.times("a") == [0, 30]


def test_waiting_comes_again_after_its_delay_and_counts_as_no_failure() -> None:
    work, metrics = Work(), FakeMetrics()
    work.answers["a"] = [Waiting("Queued", "m", after_seconds=7.0)] * 2 + [Fault("x"), None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(100)

    run(work, script, metrics=metrics)

    assert work.times("a") == [0, 7, 14, 14.05]
    said = [one.removeprefix("ProcExecution ") for one in metrics.passes]
    assert said == ["waiting", "waiting", "retried", "done"]


@pytest.mark.parametrize("error", [Fault("gone"), RuntimeError("a mistake")])
def test_back_off_doubles_up_to_its_cap_whatever_failed(error: Exception) -> None:
    work = Work()
    work.answers["a"] = [error] * 14

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1000)

    run(work, script)

    at = work.times("a")
    gaps = [round(later - earlier, 6) for earlier, later in pairwise(at)]
    assert gaps[:4] == [0.05, 0.1, 0.2, 0.4]
    assert gaps[-3:] == [BACKOFF_CAP_SECONDS] * 3
    assert len(at) == 15


def test_a_success_in_between_lets_the_back_off_begin_anew() -> None:
    work = Work()
    work.answers["a"] = [Fault("x"), Fault("x"), 1.0, Fault("x"), None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(100)

    run(work, script)

    assert work.times("a") == [0, 0.05, 0.15, 1.15, 1.2]


RETRY_AFTER = {
    "longer than the back-off": (4.0, 4.0),
    "shorter than the back-off": (0.01, 0.05),
    "longer than the cap": (3600.0, BACKOFF_CAP_SECONDS),
    "none": (None, 0.05),
}


@pytest.mark.parametrize(("asked", "waited"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_what_the_server_asks_for_is_heeded_within_bounds(
    asked: float | None, waited: float
) -> None:
    work = Work()
    work.answers["a"] = [ClusterUnavailable("busy", status=429, retry_after=asked), None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(100)

    run(work, script)

    assert work.times("a") == [0, waited]


def test_news_of_a_failing_object_does_not_wait_for_the_back_off() -> None:
    work = Work()
    work.answers["a"] = [Fault("x")] * 10 + [None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(20)
        before = len(work.begun)
        queue.add(A)
        await asyncio.sleep(0.001)
        assert len(work.begun) == before + 1

    run(work, script)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), seconds=st.floats(0.1, 1000))
def test_jitter_is_never_early_and_at_most_a_fifth(seed: int, seconds: float) -> None:
    work = Work()
    work.answers["a"] = [seconds, None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(2000)

    run(work, script, random=Random(seed))

    assert seconds - 1e-6 <= work.times("a")[1] <= seconds * 1.2 + 1e-6


DELAYS = {
    "a sooner one replaces a later one": ([10.0, 5.0], [5]),
    "a later one does not replace a sooner one": ([5.0, 10.0], [5]),
}


@pytest.mark.parametrize(("delays", "expected"), DELAYS.values(), ids=DELAYS)
def test_of_two_delays_the_sooner_counts(delays: list[float], expected: list[float]) -> None:
    work = Work()

    async def script(queue: WorkQueue) -> None:
        await asyncio.sleep(0)
        for seconds in delays:
            queue.add_after(A, seconds)
        await asyncio.sleep(100)

    run(work, script)

    assert work.times("a") == expected


def test_a_key_that_is_added_now_is_not_looked_at_again_for_its_old_delay() -> None:
    work = Work()

    async def script(queue: WorkQueue) -> None:
        queue.add_after(A, 10)
        queue.add(A)
        queue.add_after(A, 5)
        await asyncio.sleep(100)

    run(work, script)

    assert work.times("a") == [0]


def test_a_forgotten_key_has_no_delay_and_no_failures_left() -> None:
    work = Work()
    work.answers["a"] = [Fault("x")] * 5 + [Fault("y"), None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1.0)
        queue.forget(A)
        await asyncio.sleep(100)
        assert len(work.begun) == 5
        work.begun.clear()
        queue.add(A)
        await asyncio.sleep(0.06)

    run(work, script)

    assert work.times("a") == [101, 101.05]


def test_a_poison_object_delays_no_other() -> None:
    work = Work()
    work.answers["a"] = [RuntimeError("poison")] * 500

    async def script(queue: WorkQueue) -> None:
        for _ in range(50):
            queue.add(A)
            queue.add(B)
            await asyncio.sleep(1)

    run(work, script, workers=1)

    assert work.times("b") == list(range(50))


def test_a_slow_object_delays_no_other_while_a_worker_is_free() -> None:
    work = Work(seconds=60)

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1)
        work.seconds = 0
        queue.add(B)
        await asyncio.sleep(1)

    run(work, script, workers=2)

    assert work.times("b") == [1]


def test_a_pass_that_hangs_is_ended_and_tried_again() -> None:
    work, metrics = Work(seconds=10_000), FakeMetrics()

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        queue.add(B)
        await asyncio.sleep(PASS_DEADLINE_SECONDS - 1)
        work.seconds = 0
        await asyncio.sleep(100)

    run(work, script, workers=1, metrics=metrics)

    assert work.times("a") == [0, PASS_DEADLINE_SECONDS + 0.05]
    assert work.times("b") == [PASS_DEADLINE_SECONDS], "it holds the worker no longer than that"
    assert metrics.passes[0] == "ProcExecution timed-out"


def test_a_time_out_of_the_work_itself_is_no_hang() -> None:
    work, metrics = Work(), FakeMetrics()
    work.answers["a"] = [TimeoutError("a mistake"), None]

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(10)

    run(work, script, metrics=metrics)

    assert metrics.passes == ["ProcExecution crashed", "ProcExecution done"]


def test_the_movement_tells_of_the_oldest_ready_key_and_the_longest_pass() -> None:
    work, metrics = Work(seconds=8), FakeMetrics()

    async def script(queue: WorkQueue) -> None:
        await asyncio.sleep(1)
        assert queue.movement() == Movement(
            is_working=True,
            oldest_ready_seconds=0,
            standstill_seconds=0,
            longest_pass_seconds=0,
            free_workers=1,
        )
        queue.add(A)
        await asyncio.sleep(2)
        queue.add(B)
        queue.add(key("c"))
        await asyncio.sleep(3)
        assert queue.movement() == Movement(
            is_working=True,
            oldest_ready_seconds=3,
            standstill_seconds=3,
            longest_pass_seconds=5,
            free_workers=0,
        )
        await asyncio.sleep(100)

    run(work, script, workers=1, metrics=metrics)

    assert metrics.waits == [0, 6, 14]


def test_a_thousand_objects_that_fail_alike_write_a_handful_of_lines() -> None:
    work = Work()
    work.answers = {f"n{number}": [ClusterUnavailable("away")] * 3 for number in range(1000)}

    async def script(queue: WorkQueue) -> None:
        for name in work.answers:
            queue.add(key(name))
        await asyncio.sleep(40)
        work.answers = {"late": [ClusterUnavailable("away"), Fault("else")]}
        queue.add(key("late"))
        await asyncio.sleep(1)

    with capture_logs() as lines:
        run(work, script)

    told = [line for line in lines if line["event"] == "Pass over object failed"]
    assert len(told) == 7
    assert told[-2]["similar_left_out"] == 3000 - 5
    assert told[-1]["error"] == "else", "another cause is told at once"


def test_draining_lets_the_pass_under_way_finish_and_takes_no_further_key() -> None:
    work = Work(seconds=5)

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        queue.add(B)
        queue.add_after(key("later"), 6)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await queue.drain(within_seconds=30)
        assert asyncio.get_running_loop().time() - began == 4
        await asyncio.sleep(100)

    run(work, script, workers=1)

    assert work.ended == [("a", 5)]


def test_draining_gives_up_when_its_time_is_over() -> None:
    work = Work(seconds=500)

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        await asyncio.sleep(1)
        await queue.drain(within_seconds=10)
        assert asyncio.get_running_loop().time() == 11

    run(work, script)


def test_an_idle_queue_drains_at_once_and_its_run_ends() -> None:
    async def main() -> None:
        queue = WorkQueue(
            Work(), workers=3, metrics=FakeMetrics(), clock=VirtualClock(), random=Calm()
        )
        working = asyncio.create_task(queue.run())
        await asyncio.sleep(1)
        await queue.drain(within_seconds=10)
        await asyncio.wait_for(working, timeout=1)

    run_virtually(main())


def test_the_depth_that_is_counted_returns_to_nothing() -> None:
    work, metrics = Work(seconds=1), FakeMetrics()

    async def script(queue: WorkQueue) -> None:
        queue.add(A)
        queue.add(B)
        await asyncio.sleep(10)

    run(work, script, workers=1, metrics=metrics)

    assert max(metrics.depths) == 2
    assert metrics.depths[-1] == 0


@settings(max_examples=50)
@given(
    arrivals=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 20)), min_size=1, max_size=25
    ),
    workers=st.integers(1, 3),
)
def test_every_key_is_looked_at_after_it_was_last_added(
    arrivals: list[tuple[str, int]], workers: int
) -> None:
    work = Work(seconds=1.5)

    async def script(queue: WorkQueue) -> None:
        loop = asyncio.get_running_loop()
        for name, at in sorted(arrivals, key=lambda one: one[1]):
            await asyncio.sleep(max(0, at - loop.time()))
            queue.add(key(name))
        await asyncio.sleep(200)

    run(work, script, workers=workers)

    for name in {name for name, _ in arrivals}:
        last = max(at for which, at in arrivals if which == name)
        assert max(work.times(name)) >= last


def test_passes_that_wait_for_nothing_leave_the_event_loop_to_others() -> None:
    done: list[ObjectKey] = []
    seen: list[int] = []

    async def main() -> None:
        async def work(one: ObjectKey) -> None:
            done.append(one)

        queue = WorkQueue(
            work, workers=4, metrics=FakeMetrics(), clock=VirtualClock(), random=Calm()
        )
        working = asyncio.create_task(queue.run())
        for number in range(100):
            queue.add(key(str(number)))
        while len(done) < 100:
            await asyncio.sleep(0)
            seen.append(len(done))
        working.cancel()
        await asyncio.wait([working])

    run_virtually(main())

    assert max(after - before for before, after in pairwise(seen)) <= 4
