"""Between lines and the chunks that the record keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
from proctor_operator.domain.log_lines import bytes_cut_off, text_of, time_of

CHUNK_BYTES: Final = 256 * 1024
OVERLAP: Final = timedelta(seconds=1)
"""How far a log is read again: stdout and stderr are stamped by two hands, so times may step back a little."""
_CLOCKS_DIFFER: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next chunk of a source begins; `last_line` is the one before it, empty at the start.

    `line` and `byte` count what was printed. `cut_bytes` is what the lines of the last chunk have lost.
    `is_behind_a_gap`: a mark says that lines may be missing here.
    """

    sequence: int = 0
    line: int = 0
    byte: int = 0
    last_line: bytes = b""
    cut_bytes: int = 0
    is_behind_a_gap: bool = False

    def reads_from(self, now: datetime) -> datetime | None:
        """From when on to read the log after a break; None for all of it.

        A time ahead of the clock may be of a node's clock that was set back since, and then what came
        later has an earlier time.
        """
        if not self.last_line:
            return None
        at = time_of(self.last_line)
        return at - OVERLAP if at <= now + _CLOCKS_DIFFER else None


def chunk_of(source: LogSource, position: Position, lines: Sequence[bytes]) -> LogChunk:
    """Lay lines into the chunk that stands at `position`; its times are the earliest and the latest."""
    first_at, last_at = _first_and_last_time(lines)
    return LogChunk(
        LogSpan(
            source=source,
            sequence=position.sequence,
            first_line=position.line,
            first_byte=position.byte,
            lines=len(lines),
            size=sum(len(text_of(line)) + 1 for line in lines),
            first_at=first_at,
            last_at=last_at,
        ),
        data=b"".join(line + b"\n" for line in lines),
    )


def gap_mark(source: LogSource, position: Position, at: datetime) -> LogChunk:
    """An empty chunk: before what follows, lines may be missing that were never read."""
    return LogChunk(
        LogSpan(source, position.sequence, position.line, position.byte, 0, 0, at, at), data=b""
    )


def position_after(chunk: LogChunk, before: Position) -> Position:
    """Where the chunk after this one begins; `before` is where this one stands."""
    span = chunk.span
    if not span.lines:
        return replace(before, sequence=span.sequence + 1, is_behind_a_gap=True)
    lines = lines_of(chunk.data)
    cut = sum(bytes_cut_off(line) for line in lines)
    return Position(
        sequence=span.sequence + 1,
        line=span.first_line + span.lines,
        byte=span.first_byte + span.size + cut,
        last_line=lines[-1],
        cut_bytes=cut,
    )


def _first_and_last_time(lines: Sequence[bytes]) -> tuple[datetime, datetime]:
    """Times of one width in one zone sort as text, which is much faster than to read each.

    A node writes in the zone that it keeps, which may put its clock back in between.
    """
    if time_of(lines[0]).utcoffset() == time_of(lines[-1]).utcoffset():
        return time_of(min(lines)), time_of(max(lines))
    times = [time_of(line) for line in lines]
    return min(times), max(times)


def lines_of(data: bytes) -> list[bytes]:
    """Take a chunk apart again."""
    return data.split(b"\n")[:-1]
