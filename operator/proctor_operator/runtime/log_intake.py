"""One log's way from the stream of the node into what waits to be stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.errors import ClusterError
from proctor_operator.domain.log import LogSource
from proctor_operator.domain.log_lines import LineReader, time_of
from proctor_operator.domain.redaction import Redactor
from proctor_operator.domain.workload import PodFacts
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.live import LivePublisher
from proctor_operator.ports.logs import LogPlace, PodLogs
from proctor_operator.runtime.log_pending import Pending
from proctor_operator.runtime.log_reading import Doubt, Reading
from proctor_operator.runtime.log_streams import (
    READ_BYTES_PER_SECOND,
    CaptureLimits,
    Pace,
    Streams,
)
from proctor_operator.runtime.run_log import RunLog

_FIRST_TURN: Final = timedelta(seconds=3)
"""The kubelet turns no log over sooner; start times are whole seconds."""
_SEEN_LATE_SECONDS: Final = 0.5
"""A reading begins a moment late."""


@dataclass(frozen=True, slots=True)
class ReaderParts:
    """What every reader needs."""

    logs: PodLogs
    clock: Clock
    live: LivePublisher
    streams: Streams
    limits: CaptureLimits


class HungUp(Exception):
    """The container has ended and its followed log has not."""


class Intake:
    """Opens the log, takes what comes at the promised pace, and marks where lines may be missing."""

    def __init__(
        self,
        source: LogSource,
        run: RunLog,
        redactor: Redactor,
        parts: ReaderParts,
        pending: Pending,
    ) -> None:
        self.is_attached = asyncio.Event()
        """Once the log was open."""
        self._source = source
        self._run = run
        self._redactor = redactor
        self._parts = parts
        self._pending = pending
        self._coming: asyncio.Task[bytes] | None = None

    async def read(self, pod: PodFacts, *, follows: bool) -> Reading:
        """Take all that comes; what is left at the end of the reading is not taken yet."""
        reading = await self._begin(pod, follows=follows)
        pieces = self._pieces(pod, follows=follows, since=reading.since)
        async with aclosing(pieces):
            await self._take_pieces(pieces, reading)
        return reading

    async def take(self, new: Iterable[bytes], reading: Reading) -> None:
        """Have lines wait that are not stored yet, or store them when they are many."""
        kept: list[bytes] = []
        for line in new:
            if reading.is_gap_before(line):
                self._pending.keep(kept)
                kept = []
                await self._pending.mark_gap(time_of(line))
            kept.append(line)
        self._pending.keep(kept)
        if self._pending.fills_a_chunk:
            await self._pending.flush()

    def hang_up(self) -> None:
        """Have a reading that waits for more end with `HungUp`."""
        if self._coming is not None:
            self._coming.cancel()

    async def _begin(self, pod: PodFacts, *, follows: bool) -> Reading:
        position = await self._pending.begin_anew()
        now = self._parts.clock.now()
        since = position.reads_from(now)
        has_stored = bool(position.last_line)
        return Reading(
            lines=LineReader(self._redactor, may_begin_inside_a_line=since is not None),
            since=since,
            overlap=await self._run.overlap(self._source, since) if has_stored else None,
            doubt=Doubt(now) if follows else None,
            starts_unseen_after=None if position.sequence else self._unseen_after(pod),
            is_doubted=position.is_behind_a_gap,
        )

    def _unseen_after(self, pod: PodFacts) -> datetime | None:
        """The time after which a first line proves nothing about the start; None when it is seen."""
        if pod.started_at is None:
            return None
        finished_at = pod.end.finished_at if pod.end is not None else None
        age = ((finished_at or self._parts.clock.now()) - pod.started_at).total_seconds()
        if age <= self._parts.limits.sees_the_start_within_seconds + _SEEN_LATE_SECONDS:
            return None
        return pod.started_at + _FIRST_TURN

    async def _pieces(
        self, pod: PodFacts, *, follows: bool, since: datetime | None
    ) -> AsyncGenerator[bytes]:
        place = LogPlace(pod.namespace, pod.name, self._source.container)
        async with self._parts.logs.open(place, follows=follows, since=since) as pieces:
            self.is_attached.set()
            async for piece in pieces:
                yield piece

    async def _take_pieces(self, pieces: AsyncGenerator[bytes], reading: Reading) -> None:
        """Store in between what has waited for long enough."""
        pace = Pace(READ_BYTES_PER_SECOND)
        try:
            while piece := await self._next(pieces, reading):
                await self.take(reading.new_among(reading.lines.feed(piece)), reading)
                await pace.took(len(piece))
                await self._parts.streams.pace.took(len(piece))
        except (ClusterError, HungUp):
            await self._pending.flush()
            raise

    async def _next(self, pieces: AsyncGenerator[bytes], reading: Reading) -> bytes:
        """The next piece; empty at the end."""
        asked_at = self._parts.clock.monotonic()
        coming = asyncio.get_running_loop().create_task(_piece_of(pieces))
        self._coming = coming
        try:
            while not coming.done():
                await asyncio.wait({coming}, timeout=self._pending.seconds_until_flush())
                if not coming.done():
                    await self._pending.flush()
        finally:
            self._coming = None
            if not coming.done():
                coming.cancel()
                await asyncio.wait({coming})
        if coming.cancelled():
            raise HungUp
        piece = coming.result()
        reading.took(len(piece), waited_seconds=self._parts.clock.monotonic() - asked_at)
        return piece


async def _piece_of(pieces: AsyncGenerator[bytes]) -> bytes:
    return await anext(pieces, b"")
