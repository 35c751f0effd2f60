"""The reading of one container's log: when, how, and what is said of it in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from proctor_operator.domain.errors import (
    ClusterError,
    Fault,
    NotFound,
    NotLeading,
)
from proctor_operator.domain.log import LogSource
from proctor_operator.domain.log_chunks import CHUNK_BYTES
from proctor_operator.domain.log_lines import LineReader, time_of
from proctor_operator.domain.naming import CONTAINER_NAME, Uid
from proctor_operator.domain.redaction import Redactor
from proctor_operator.domain.workload import PodFacts
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.live import LivePublisher
from proctor_operator.ports.logs import LogPlace, PodLogs
from proctor_operator.runtime.log_reading import Doubt, Reading
from proctor_operator.runtime.log_streams import (
    READ_BYTES_PER_SECOND,
    CaptureLimits,
    Pace,
    Streams,
)
from proctor_operator.runtime.run_log import RunLog

_BACKOFF_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
_AT_ONCE_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 3.0
"""How long a followed log may go on after its container has ended, until it is read again instead."""
_FLUSH_SECONDS: Final = (2.0, 30.0)
_FIRST_TURN: Final = timedelta(seconds=3)
"""The kubelet turns no log over sooner; start times are whole seconds."""
_SEEN_LATE_SECONDS: Final = 0.5
"""A reading begins a moment late."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReaderParts:
    """What every reader needs."""

    logs: PodLogs
    clock: Clock
    live: LivePublisher
    streams: Streams
    limits: CaptureLimits


@dataclass(slots=True)
class Findings:
    """What is to be said of a log besides what is stored of it; a reason is one CamelCase word."""

    is_read_to_the_end: bool = False
    is_gone: bool = False
    last_error: ClusterError | None = None
    refusal: str = ""


class _Overtaken(Exception):
    """Somebody else stored a chunk of this source: begin anew from what is stored."""


class _HungUp(Exception):
    """The container has ended and its followed log has not."""


class LogReader:
    """Reads one log to its end.

    A container that ends within `follow_after_seconds` is read once. A longer one is followed while
    there is room for its stream, and read now and then where there is none. Whatever breaks off is taken
    up again one second before the last stored line, and that line must come by: if it does not, the log
    was turned over meanwhile, and a mark in the record says that lines may be missing.
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
        self.is_attached = asyncio.Event()
        self.is_done = asyncio.Event()
        self._pod = pod
        self._run = run
        self._redactor = redactor
        self._parts = parts
        self._execution_uid = execution_uid
        self._news = asyncio.Event()
        self._is_urgent = False
        self._began_at = parts.clock.monotonic()
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._pending_since = 0.0
        self._sequence = 0
        self._failures = 0
        self._lines_kept = 0
        self._let_downs = 0
        self._has_polled = False
        self._has_followed_to_the_end = False
        self._coming: asyncio.Task[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

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
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._hang_up)

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
        is_final = self._has_ended
        try:
            if is_final:
                await self._take_all(follows=False, is_final=True)
                self.findings.is_read_to_the_end = True
            elif self._is_urgent or self._parts.streams.has_room:
                await self._follow()
            else:
                await self._poll()
        except NotFound:
            self.findings.is_gone = True
            self.findings.is_read_to_the_end = self._has_followed_to_the_end
            return True
        except ClusterError as error:
            self.findings.last_error = error
            await self._back_off()
        except _Overtaken:
            await self._back_off()
        except _HungUp:
            pass
        return self.findings.is_read_to_the_end

    async def _follow(self) -> None:
        self._has_followed_to_the_end = False
        began, had = self._parts.clock.monotonic(), self._lines_kept
        with self._parts.streams.one():
            await self._take_all(follows=True, is_final=False)
        self._has_followed_to_the_end = True
        if self._has_ended:
            return
        ended_at_once = self._parts.clock.monotonic() - began < _AT_ONCE_SECONDS
        has_brought_nothing = ended_at_once and self._lines_kept == had
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
        await self._take_all(follows=False, is_final=False)
        await self._rest_between_polls()

    async def _rest_between_polls(self) -> None:
        with self._parts.streams.polled() as seconds:
            await self._rest(seconds)

    async def _take_all(self, *, follows: bool, is_final: bool) -> None:
        reading = await self._begin_reading(follows=follows)
        async with aclosing(self._pieces(follows=follows, since=reading.since)) as pieces:
            await self._take_pieces(pieces, reading)
        if follows or is_final:
            await self._take(reading.lines.end(), reading)
        await self._flush()
        reading.complain_of_strays()
        self._failures = 0
        if reading.is_unproven and not (is_final and self._has_followed_to_the_end):
            await self._mark_gap(reading)

    async def _begin_reading(self, *, follows: bool) -> Reading:
        self._pending.clear()
        self._pending_size = 0
        position = await self._run.position(self.source)
        self._sequence = position.sequence
        since = position.reads_from
        return Reading(
            lines=LineReader(self._redactor),
            since=since,
            overlap=await self._run.overlap(self.source, since) if since is not None else None,
            doubt=Doubt(self._parts.clock.now()) if follows else None,
            starts_unseen_after=self._unseen_after() if not position.sequence else None,
            is_doubted=position.is_behind_a_gap,
        )

    def _unseen_after(self) -> datetime | None:
        """The time after which a first line proves nothing about the start; None when it is seen."""
        started_at = self._pod.started_at
        if started_at is None:
            return None
        finished_at = self._pod.end.finished_at if self._pod.end is not None else None
        age = ((finished_at or self._parts.clock.now()) - started_at).total_seconds()
        if age <= self._parts.limits.sees_the_start_within_seconds + _SEEN_LATE_SECONDS:
            return None
        return started_at + _FIRST_TURN

    async def _pieces(self, *, follows: bool, since: datetime | None) -> AsyncGenerator[bytes]:
        place = LogPlace(self._pod.namespace, self._pod.name, self.source.container)
        async with self._parts.logs.open(place, follows=follows, since=since) as pieces:
            self.is_attached.set()
            async for piece in pieces:
                yield piece

    async def _take_pieces(self, pieces: AsyncGenerator[bytes], reading: Reading) -> None:
        """Take what comes, and store in between what has waited for long enough."""
        pace = Pace(READ_BYTES_PER_SECOND)
        try:
            while piece := await self._next(pieces, reading):
                await self._take(reading.lines.feed(piece), reading)
                await pace.took(len(piece))
                await self._parts.streams.pace.took(len(piece))
        except (ClusterError, _HungUp):
            await self._flush()
            raise

    async def _next(self, pieces: AsyncGenerator[bytes], reading: Reading) -> bytes:
        """The next piece; empty at the end."""
        asked_at = self._parts.clock.monotonic()
        coming = asyncio.get_running_loop().create_task(_piece_of(pieces))
        self._coming = coming
        try:
            while not coming.done():
                await asyncio.wait({coming}, timeout=self._seconds_until_flush())
                if not coming.done():
                    await self._flush()
        finally:
            self._coming = None
            if not coming.done():
                coming.cancel()
                await asyncio.wait({coming})
        if coming.cancelled():
            raise _HungUp
        piece = coming.result()
        reading.took(len(piece), waited_seconds=self._parts.clock.monotonic() - asked_at)
        return piece

    async def _take(self, lines: list[bytes], reading: Reading) -> None:
        new: list[bytes] = []
        for line in lines:
            if not reading.is_new(line):
                continue
            if reading.is_gap_before(line):
                self._keep(new)
                await self._flush()
                await self._mark_gap(reading, time_of(line))
                new = []
            new.append(line)
        self._keep(new)
        if self._pending_size >= CHUNK_BYTES:
            await self._flush()

    def _keep(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if not self._pending:
            self._pending_since = self._parts.clock.monotonic()
        self._pending.extend(lines)
        self._lines_kept += len(lines)
        self._pending_size += sum(map(len, lines))
        self._parts.live.publish(self._execution_uid, self.source, lines)

    def _seconds_until_flush(self) -> float | None:
        """A log of hours is stored in fewer, larger chunks: what is not stored can be read again."""
        if not self._pending:
            return None
        now = self._parts.clock.monotonic()
        soonest, latest = _FLUSH_SECONDS
        age_at_most = min(max((now - self._began_at) / 10, soonest), latest)
        return max(0.0, self._pending_since + age_at_most - now)

    async def _flush(self) -> None:
        if not self._pending:
            return
        lines, self._pending, self._pending_size = self._pending, [], 0
        if not await self._run.append(self.source, lines, sequence=self._sequence):
            raise _Overtaken
        self._sequence += 1

    async def _mark_gap(self, reading: Reading, at: datetime | None = None) -> None:
        reading.is_doubted = True
        at = at or self._parts.clock.now()
        if not await self._run.mark_gap(self.source, at, sequence=self._sequence):
            raise _Overtaken
        self._sequence += 1

    def _hang_up(self) -> None:
        if self._coming is not None:
            self._coming.cancel()

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


async def _piece_of(pieces: AsyncGenerator[bytes]) -> bytes:
    return await anext(pieces, b"")
