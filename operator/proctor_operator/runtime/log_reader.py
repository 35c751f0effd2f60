"""The reading of one container's log: when, how, and what is said of it in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from proctor_operator.domain.errors import (
    ClusterError,
    Fault,
    NotFound,
    NotLeading,
)
from proctor_operator.domain.log import LogSource
from proctor_operator.domain.naming import CONTAINER_NAME, Uid
from proctor_operator.domain.redaction import Redactor
from proctor_operator.domain.workload import PodFacts
from proctor_operator.runtime.log_intake import HungUp, Intake, ReaderParts
from proctor_operator.runtime.log_pending import Overtaken, Pending
from proctor_operator.runtime.log_reading import End, Reading
from proctor_operator.runtime.run_log import RunLog

_BACKOFF_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_AT_ONCE_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 3.0
"""How long a followed log may go on after its container has ended, until it is read again instead."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Findings:
    """What is to be said of a log besides what is stored of it; a reason is one CamelCase word."""

    is_read_to_the_end: bool = False
    is_gone: bool = False
    last_error: ClusterError | None = None
    refusal: str = ""


class LogReader:
    """Reads one log to its end.

    A container that ends within `follow_after_seconds` is read once. A longer one is followed while
    there is room for its stream, and read now and then where there is none. Whatever breaks off is taken
    up again one second before the last stored line, and that line must come by: if it does not, the log
    was turned over meanwhile, and a mark in the record says that lines may be missing.

    A kubelet that is killed ends its answers anywhere, as if all were well. So half a line is stored
    only when the container has ended, and an end that shows less than it should counts when the next
    reading ends in the same way.
    """

    def __init__(
        self,
        pod: PodFacts,
        run: RunLog,
        redactor: Redactor,
        parts: ReaderParts,
        execution_uid: Uid,
    ) -> None:
        self.source = LogSource(pod.uid, CONTAINER_NAME)
        self.findings = Findings()
        self.is_done = asyncio.Event()
        self._pod = pod
        self._parts = parts
        self._pending = Pending(self.source, execution_uid, run, parts.live, parts.clock)
        self._intake = Intake(self.source, run, redactor, parts, self._pending)
        self._news = asyncio.Event()
        self._is_urgent = False
        self._failures = 0
        self._let_downs = 0
        self._has_polled = False
        self._has_followed_to_the_end = False
        self._end = End()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_attached(self) -> asyncio.Event:
        """Set when the log has been open, or will not be."""
        return self._intake.is_attached

    def start(self, when_done: Callable[[], None]) -> None:
        """Begin; `when_done` is called once, at the end."""
        self._task = asyncio.get_running_loop().create_task(self._read(), name="log reader")
        self._task.add_done_callback(lambda _: when_done())

    def learn(self, pod: PodFacts) -> None:
        """Take the newest facts; an end has the last lines read."""
        had_ended = self._has_ended
        self._pod = pod
        if self._has_ended and not had_ended:
            self._news.set()
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._intake.hang_up)

    def attach(self) -> None:
        """Follow from now on, room or not: the container is about to be stopped."""
        self._is_urgent = True
        self._news.set()

    async def stop(self) -> None:
        """Break off; what was not stored yet is read again by whoever comes next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _has_ended(self) -> bool:
        return self._pod.has_ended or self._pod.end is not None

    async def _read(self) -> None:
        try:
            await self._wait_for_its_time()
            while not await self._read_some():
                pass
        except NotLeading:
            self.findings.refusal = "another process has taken over"
        except Fault as fault:
            log.warning("Log cannot be stored", pod=self._pod.name, error=str(fault))
            self.findings.refusal = str(fault)
        finally:
            self.is_attached.set()
            self.is_done.set()

    async def _wait_for_its_time(self) -> None:
        started_at = self._pod.started_at
        if self._has_ended or started_at is None:
            return
        age = (self._parts.clock.now() - started_at).total_seconds()
        wait = self._parts.limits.follow_after_seconds - age
        await self._rest(min(max(wait, 0.0), self._parts.limits.follow_after_seconds))

    async def _read_some(self) -> bool:
        """Read until it ends or breaks off; tell whether that was all of it."""
        try:
            if self._has_ended:
                await self._read_the_end()
            elif self._is_urgent or self._parts.streams.has_room:
                await self._follow()
            else:
                await self._poll()
        except NotFound:
            await self._make_do_with_what_was_followed()
            return True
        except ClusterError as error:
            self.findings.last_error = error
            await self._back_off()
        except Overtaken:
            await self._back_off()
        except HungUp:
            pass
        return self.findings.is_read_to_the_end

    async def _read_the_end(self) -> None:
        before = self._end
        reading = await self._take_all(follows=False)
        is_unproven = self._end.is_unproven and not self._has_followed_to_the_end
        if (self._end.left or is_unproven) and self._end != before:
            return
        await self._intake.take(self._end.left, reading)
        await self._pending.flush()
        if reading.is_unproven and not self._has_followed_to_the_end:
            await self._pending.mark_gap()
        self.findings.is_read_to_the_end = True

    async def _make_do_with_what_was_followed(self) -> None:
        """The pod is gone: a log that was followed to its end needs no second reading."""
        self.findings.is_gone = True
        if not self._has_followed_to_the_end:
            return
        self._pending.keep(self._end.left)
        with suppress(Overtaken):
            await self._pending.flush()
            self.findings.is_read_to_the_end = True

    async def _follow(self) -> None:
        self._has_followed_to_the_end = False
        began, had = self._parts.clock.monotonic(), self._pending.lines_kept
        with self._parts.streams.one():
            await self._take_all(follows=True)
        self._has_followed_to_the_end = not self._end.is_unproven
        if self._has_ended:
            return
        ended_at_once = self._parts.clock.monotonic() - began < _AT_ONCE_SECONDS
        has_brought_nothing = ended_at_once and self._pending.lines_kept == had
        self._let_downs = self._let_downs + 1 if has_brought_nothing else 0
        if self._let_downs > 1:
            # Twice in a row it ended at once and brought nothing: whoever serves it follows no log.
            await self._rest_between_polls()
        else:
            # Its end is about to be told; if it is not, the connection was cut.
            await self._rest(_BACKOFF_SECONDS[-1])

    async def _poll(self) -> None:
        if not self._has_polled:
            self._has_polled = True
            with self._parts.streams.unread() as seconds:
                await self._rest(seconds)
            return
        self._has_followed_to_the_end = False
        await self._take_all(follows=False)
        await self._rest_between_polls()

    async def _rest_between_polls(self) -> None:
        with self._parts.streams.polled() as seconds:
            await self._rest(seconds)

    async def _take_all(self, *, follows: bool) -> Reading:
        reading = await self._intake.read(self._pod, follows=follows)
        self._end = reading.end()
        await self._pending.flush()
        reading.complain_of_strays()
        self._failures = 0
        return reading

    async def _back_off(self) -> None:
        seconds = _BACKOFF_SECONDS[min(self._failures, len(_BACKOFF_SECONDS) - 1)]
        self._failures += 1
        await self._rest(seconds)

    async def _rest(self, seconds: float) -> None:
        """Wait, unless there is news of the container."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()
