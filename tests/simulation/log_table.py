"""Chunks of output, as the record keeps them: a sequence number of a source is given once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
from proctor_operator.domain.run import RunKey
from simulation.line import RECORD, Line

ChunkObserver = Callable[[RunKey, LogChunk], None]


class LogTable:
    """The rows; they outlive every operator. Observers see each chunk that is stored."""

    def __init__(self) -> None:
        self._chunks: dict[RunKey, dict[tuple[LogSource, int], LogChunk]] = {}
        self._observers: list[ChunkObserver] = []

    def observe(self, observer: ChunkObserver) -> None:
        """Call `observer` with each chunk that is stored."""
        self._observers.append(observer)

    def append(self, key: RunKey, chunk: LogChunk) -> bool:
        """Store it, unless another one has its place; the same again is fine."""
        chunks = self._chunks.setdefault(key, {})
        place = (chunk.span.source, chunk.span.sequence)
        if place in chunks:
            return chunks[place] == chunk
        chunks[place] = chunk
        for observer in self._observers:
            observer(key, chunk)
        return True

    def chunks_of(self, key: RunKey) -> tuple[LogChunk, ...]:
        """Sources by their first time, then by sequence."""
        chunks = self._chunks.get(key, {}).values()
        began: dict[LogSource, float] = {}
        for chunk in chunks:
            at = chunk.span.first_at.timestamp()
            began[chunk.span.source] = min(at, began.get(chunk.span.source, at))

        def place(chunk: LogChunk) -> tuple[float, str, int]:
            source = chunk.span.source
            return began[source], source.pod_uid, chunk.span.sequence

        return tuple(sorted(chunks, key=place))

    def data(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        """The text of one chunk."""
        chunk = self._chunks.get(key, {}).get((source, sequence))
        return chunk.data if chunk is not None else None

    def drop(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        """Delete chunks."""
        for span in spans:
            self._chunks[key].pop((span.source, span.sequence), None)

    def lines(self, uid: str, pod_uid: str) -> list[bytes]:
        """What is stored of a pod, without times."""
        return [
            line.partition(b" ")[2]
            for key in self._chunks
            if key.uid == uid
            for chunk in self.chunks_of(key)
            if chunk.span.source.pod_uid == pod_uid
            for line in chunk.data.splitlines()
        ]


class SimulatedLogStore:
    """The `LogStore` port of one operator process."""

    def __init__(self, table: LogTable, line: Line) -> None:
        self._table = table
        self._line = line

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        what = f"append log {key.uid} {chunk.span.source.pod_uid} {chunk.span.sequence}"
        return await self._line.write(
            RECORD,
            what,
            lambda: self._table.append(key, chunk),
            meddle=lambda: self._table.append(key, _first_line_of(chunk)),
        )

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        return await self._line.read(
            RECORD,
            f"read spans {key.uid}",
            lambda: tuple(chunk.span for chunk in self._table.chunks_of(key)),
        )

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        return await self._line.read(
            RECORD, f"read chunk {key.uid}", lambda: self._table.data(key, source, sequence)
        )

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        await self._line.write(RECORD, f"drop log {key.uid}", lambda: self._table.drop(key, spans))


def _first_line_of(chunk: LogChunk) -> LogChunk:
    """What another controller stored in its place, who had read less by then."""
    line, *_ = chunk.data.splitlines(keepends=True) or [b""]
    size = len(line.partition(b" ")[2])
    return LogChunk(replace(chunk.span, lines=min(1, chunk.span.lines), size=size), line)
