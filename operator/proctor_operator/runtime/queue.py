"""The work queue: one worker per key at a time, every key once, back-off with jitter for what fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

import structlog

from proctor_operator.domain.errors import ClusterUnavailable, Fault, NotLeading, Waiting
from proctor_operator.domain.objects import ObjectKey
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.metrics import QueueMetrics
from proctor_operator.runtime.complaints import Complaints

BACKOFF_BASE_SECONDS: Final = 0.05
BACKOFF_CAP_SECONDS: Final = 30.0
PASS_DEADLINE_SECONDS: Final = 120.0
"""Each call has a deadline of its own; this bounds whatever forgot to have one (I11)."""
_JITTER: Final = 0.2

Work = Callable[[ObjectKey], Awaitable[float | None]]
"""One pass over one object; returns the seconds after which to look again, or None."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Movement:
    """Whether keys get their turn. Ages are in seconds, 0 where there is nothing to be old."""

    is_working: bool
    """False before the workers start and while they drain."""
    oldest_ready_seconds: float
    standstill_seconds: float
    """For how long there have been ready keys of which no worker took any."""
    longest_pass_seconds: float
    free_workers: int


class WorkQueue:
    """Runs `work` for keys as they come.

    A key added while it is being worked on runs once more afterwards. A pass that raises `Waiting` runs
    again after its delay; one that is told `NotLeading` is not taken up again; one that fails otherwise,
    or takes longer than `pass_deadline` seconds, runs again with exponential back-off, and delays no
    other key. Time is the event loop's.
    """

    def __init__(
        self,
        work: Work,
        *,
        workers: int,
        metrics: QueueMetrics,
        clock: Clock,
        random: Random,
        pass_deadline: float = PASS_DEADLINE_SECONDS,
    ) -> None:
        self._work = work
        self._workers = workers
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self.pass_deadline = pass_deadline
        self._complaints = Complaints(clock)
        self._ready: deque[ObjectKey] = deque()
        self._ready_since: dict[ObjectKey, float] = {}
        self._active_since: dict[ObjectKey, float] = {}
        self._taken_at = float("-inf")
        self._again: set[ObjectKey] = set()
        self._timers: dict[ObjectKey, asyncio.TimerHandle] = {}
        self._failures: dict[ObjectKey, int] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_draining = False
        self.is_working = asyncio.Event()

    def add(self, key: ObjectKey) -> None:
        """Put a key at the end of the queue, unless it is in it."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._active_since:
            self._again.add(key)
        elif key not in self._ready_since:
            self._ready_since[key] = self._clock.monotonic()
            self._ready.append(key)
            self._wake.set()
        self._count()

    def add_after(self, key: ObjectKey, seconds: float) -> None:
        """Put a key into the queue later, unless it is to come sooner anyhow."""
        loop = asyncio.get_running_loop()
        if key in self._ready_since or key in self._again:
            return
        timer = self._timers.get(key)
        when = loop.time() + seconds
        if timer is not None and timer.when() <= when:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._timer_fired, key)

    async def run(self) -> None:
        """Work until cancelled, or until `drain` has let the last pass finish."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work_on_keys())
            self.is_working.set()

    async def drain(self, *, within_seconds: float) -> None:
        """Take no further key, and wait for the passes under way."""
        self._is_draining = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._idle.wait()

    def movement(self) -> Movement:
        """How it moves at the moment."""
        now = self._clock.monotonic()
        oldest = self._ready_since[self._ready[0]] if self._ready else now
        return Movement(
            is_working=self.is_working.is_set() and not self._is_draining,
            oldest_ready_seconds=now - oldest,
            standstill_seconds=min(now - oldest, now - self._taken_at),
            longest_pass_seconds=now - min(self._active_since.values(), default=now),
            free_workers=self._workers - len(self._active_since),
        )

    def forget(self, key: ObjectKey) -> None:
        """Drop what is remembered of an object that is gone."""
        self._failures.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _timer_fired(self, key: ObjectKey) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work_on_keys(self) -> None:
        while not self._is_draining:
            if not self._ready:
                self._wake.clear()
                await self._wake.wait()
                continue
            key = self._ready.popleft()
            now = self._clock.monotonic()
            self._metrics.key_waited(key.kind, now - self._ready_since.pop(key))
            self._active_since[key] = self._taken_at = now
            self._idle.clear()
            try:
                await self._pass(key)
            finally:
                del self._active_since[key]
                if not self._active_since:
                    self._idle.set()
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
                self._count()
            # A pass with nothing to do waits for nothing: thousands of them would be one long stall.
            await asyncio.sleep(0)

    async def _pass(self, key: ObjectKey) -> None:
        began = self._clock.monotonic()
        result = "done"
        deadline = asyncio.timeout(self.pass_deadline)
        try:
            async with deadline:
                after = await self._work(key)
        except Waiting as waiting:
            result = "waiting"
            self._succeeded(key, waiting.after_seconds)
        except NotLeading:
            # The key belongs to the next leader, who lists everything; this process is about to end.
            result = "stopped"
        except Fault as fault:
            result = "retried"
            self._failed(key, fault)
        except Exception as error:
            # The one place that must survive anything: a poison object delays no other (I11).
            if deadline.expired():
                result = "timed-out"
                self._failed(key, TimeoutError(f"not over after {self.pass_deadline:g} s"))
            else:
                result = "crashed"
                if self._complaints.next_line(f"crash {key.kind}") is not None:
                    log.exception("Pass over object crashed", kind=key.kind, object=_named(key))
                self._failed(key, error)
        else:
            self._succeeded(key, after)
        self._metrics.pass_finished(key.kind, result, self._clock.monotonic() - began)

    def _succeeded(self, key: ObjectKey, after: float | None) -> None:
        self._failures.pop(key, None)
        if after is not None and not self._is_draining:
            self.add_after(key, self._jittered(after))

    def _failed(self, key: ObjectKey, error: Exception) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = min(BACKOFF_BASE_SECONDS * 2 ** min(failures, 20), BACKOFF_CAP_SECONDS)
        if isinstance(error, ClusterUnavailable) and error.retry_after is not None:
            seconds = max(seconds, min(error.retry_after, BACKOFF_CAP_SECONDS))
        left_out = self._complaints.next_line(f"{key.kind} {key.namespace} {type(error).__name__}")
        if left_out is not None:
            log.warning(
                "Pass over object failed",
                kind=key.kind,
                object=_named(key),
                error=str(error),
                failures=failures + 1,
                again_in_seconds=round(seconds, 3),
                similar_left_out=left_out,
            )
        if not self._is_draining:
            self.add_after(key, self._jittered(seconds))

    def _count(self) -> None:
        self._metrics.queue_depth(len(self._ready_since) + len(self._active_since))

    def _jittered(self, seconds: float) -> float:
        """Never earlier than asked, so that a time-out has really passed; up to a fifth later."""
        return seconds * (1 + _JITTER * self._random.random())


def _named(key: ObjectKey) -> str:
    return f"{key.namespace}/{key.name}"
