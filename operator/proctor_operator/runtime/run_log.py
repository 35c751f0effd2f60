"""What the record holds of one run's output, and the only way to add to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from proctor_operator.domain.errors import RecordUnavailable
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
from proctor_operator.domain.log_chunks import (
    Position,
    chunk_of,
    gap_mark,
    lines_of,
    position_after,
)
from proctor_operator.domain.log_limits import (
    TOTAL_BYTES,
    Tally,
    holes,
    in_order,
    spans_to_drop,
    tally,
)
from proctor_operator.domain.log_lines import Overlap
from proctor_operator.domain.run import RunKey
from proctor_operator.ports.metrics import LogMetrics
from proctor_operator.ports.records import LogStore

AWAY_RETRY_SECONDS: Final = 2.0
_REMEMBERED_BYTES: Final = 32 * 1024

ResultT = TypeVar("ResultT")


class RunLog:
    """The spans of a run, as far as they are known, and where each of its sources goes on.

    A run that `is_new` is believed to have nothing stored; should somebody have, the sequence number
    that is taken shows it, and nothing wrong is written. Readers wait for a record that is away, and do
    not read on meanwhile; whoever sums up gets `RecordUnavailable`.
    """

    def __init__(self, key: RunKey, store: LogStore, metrics: LogMetrics, *, is_new: bool) -> None:
        self._key = key
        self._store = store
        self._patient = _PatientStore(store)
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._spans: dict[LogSource, list[LogSpan]] = {}
        self._positions: dict[LogSource, Position] = {}
        self._recent: dict[LogSource, LogChunk] = {}
        self._is_believed = is_new
        self._is_known = False

    @property
    def is_record_away(self) -> bool:
        """Whether a reader waits for the record."""
        return self._patient.is_away

    async def position(self, source: LogSource) -> Position:
        """Where the next chunk of a source begins."""
        async with self._lock:
            return await self._position(self._patient, source)

    async def overlap(self, source: LogSource, since: datetime | None) -> Overlap:
        """The stored lines of a source that a reading from `since` on brings again, and a few more.

        None: that a reading of the whole file brings again.
        """
        async with self._lock:
            position = await self._position(self._patient, source)
            floor = since.replace(microsecond=0) if since is not None else None
            stored: list[bytes] = []
            for span in reversed(self._spans.get(source, ())):
                # Times in spans are whole microseconds, those of lines are not.
                comes_again = floor is None or span.last_at + timedelta(milliseconds=1) >= floor
                if span.lines and comes_again:
                    stored.extend(lines_of(await self._text(self._patient, span)))
            dropped = holes(self._spans.get(source, ()))
            return Overlap(stored, position.last_line, dropped)

    async def append(self, source: LogSource, lines: Sequence[bytes], *, sequence: int) -> bool:
        """Store lines as the chunk of that sequence number; False when somebody else got in first.

        Then nothing was stored, and the source's position is another one: it may have become known
        only after the reader began.
        """
        async with self._lock:
            position = await self._position(self._patient, source)
            if position.sequence != sequence:
                return False
            return await self._store_chunk(chunk_of(source, position, lines), position)

    async def mark_gap(self, source: LogSource, at: datetime, *, sequence: int) -> bool:
        """Note in the record that lines may be missing before what follows; False as in `append`."""
        async with self._lock:
            position = await self._position(self._patient, source)
            if position.sequence != sequence:
                return False
            return await self._store_chunk(gap_mark(source, position, at), position)

    async def tally(self) -> Tally:
        """Count what is stored and what was dropped; for when nobody reads any more."""
        async with self._lock:
            if not self._is_known:
                await self._load(self._store)
            counted = tally(in_order(span for spans in self._spans.values() for span in spans))
            ends = [await self._position(self._store, source) for source in self._spans]
        cut = sum(position.cut_bytes for position in ends)
        return Tally(
            lines=counted.lines,
            size=counted.size + cut,
            dropped_lines=counted.dropped_lines,
            cut_bytes=counted.cut_bytes + cut,
            gaps=counted.gaps,
        )

    async def newest_lines(self, source: LogSource, at_least_bytes: int) -> list[bytes]:
        """The last stored lines of a source, so many bytes of them or all."""
        async with self._lock:
            lines: list[bytes] = []
            size = 0
            for span in reversed(self._spans.get(source, ())):
                if size >= at_least_bytes:
                    break
                lines = lines_of(await self._text(self._store, span)) + lines
                size += span.size
            return lines

    async def _store_chunk(self, chunk: LogChunk, position: Position) -> bool:
        span = chunk.span
        # Until the answer is there; whoever is cut off in between leaves it unknown.
        self._is_known = False
        if not await self._patient.append_log(self._key, chunk):
            await self._load(self._patient)
            return False
        self._is_known = True
        self._spans.setdefault(span.source, []).append(span)
        self._positions[span.source] = position_after(chunk, position)
        self._recent.pop(span.source, None)
        if len(chunk.data) <= _REMEMBERED_BYTES:
            self._recent[span.source] = chunk
        self._metrics.log_bytes_captured(span.size)
        await self._drop_beyond_the_limit()
        return True

    async def _drop_beyond_the_limit(self) -> None:
        every = [span for spans in self._spans.values() for span in spans]
        if sum(span.size for span in every) <= TOTAL_BYTES:
            return
        dropped = spans_to_drop(in_order(every))
        await self._patient.drop_log(self._key, dropped)
        gone = set(dropped)
        for source, spans in self._spans.items():
            self._spans[source] = [span for span in spans if span not in gone]
        self._metrics.log_lines_dropped(sum(span.lines for span in dropped))

    async def _load(self, store: _Reads) -> None:
        spans = await store.log_spans(self._key)
        self._spans.clear()
        self._positions.clear()
        self._recent.clear()
        for span in spans:
            self._spans.setdefault(span.source, []).append(span)
        self._is_known = self._is_believed = True

    async def _position(self, store: _Reads, source: LogSource) -> Position:
        if not self._is_believed:
            await self._load(store)
        known = self._positions.get(source)
        if known is None:
            known = await self._position_by_the_record(store, source)
            self._positions[source] = known
        return known

    async def _position_by_the_record(self, store: _Reads, source: LogSource) -> Position:
        """The last chunk tells; marks of gaps after it hold no line."""
        position = Position()
        for span in self._since_the_last_line(source):
            position = position_after(LogChunk(span, await self._text(store, span)), position)
        return position

    def _since_the_last_line(self, source: LogSource) -> list[LogSpan]:
        spans = self._spans.get(source, [])
        with_lines = [number for number, span in enumerate(spans) if span.lines]
        return spans[with_lines[-1] :] if with_lines else spans

    async def _text(self, store: _Reads, span: LogSpan) -> bytes:
        if not span.lines:
            return b""
        recent = self._recent.get(span.source)
        if recent is not None and recent.span == span:
            return recent.data
        return await store.fetch_log_chunk(self._key, span.source, span.sequence) or b""


class _Reads(Protocol):
    """What a store and a patient one have in common."""

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]: ...

    async def fetch_log_chunk(
        self, key: RunKey, source: LogSource, sequence: int
    ) -> bytes | None: ...


class _PatientStore:
    """A `LogStore` that waits for a record that is away."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self.is_away = False

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        return await self._until_it_answers(lambda: self._store.append_log(key, chunk))

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        return await self._until_it_answers(lambda: self._store.log_spans(key))

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        return await self._until_it_answers(
            lambda: self._store.fetch_log_chunk(key, source, sequence)
        )

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        await self._until_it_answers(lambda: self._store.drop_log(key, spans))

    async def _until_it_answers(self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        while True:
            try:
                result = await call()
            except RecordUnavailable:
                self.is_away = True
                await asyncio.sleep(AWAY_RETRY_SECONDS)
            else:
                self.is_away = False
                return result
