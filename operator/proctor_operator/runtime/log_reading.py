"""One reading of a log, from its opening to its end: which lines are new, and where some may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from proctor_operator.domain.errors import ClusterUnavailable
from proctor_operator.domain.log_lines import LineReader, Overlap, time_of

_WHOLE_SECONDS: Final = len("2026-01-01T00:00:00")
_TURN_SECONDS: Final = 2.0
_IDLE_SECONDS: Final = 0.05
_CLOCKS_DIFFER_SECONDS: Final = 5.0
_BUFFERED_BYTES: Final = 96 * 1024
"""What a reader may be behind while the kubelet is not: it lies in the network's buffers."""


class Doubt:
    """Tells where a followed log may have lost a whole file of the node's.

    The kubelet turns a log over at most every 3 s, and who follows it goes on with the newest file. So
    a file can be skipped only by a reader that is far behind, and then times jump by as much between
    two lines. A jump in what was printed before the log was opened is silence, and so is one that
    was waited through.
    """

    def __init__(self, opened_at: datetime) -> None:
        self._counts_from = opened_at.timestamp() - _CLOCKS_DIFFER_SECONDS
        self._behind_bytes = 0
        self._last: float | None = None

    def took(self, size: int, *, waited_seconds: float) -> None:
        """Bytes have come, after so long a wait for them."""
        if waited_seconds >= _IDLE_SECONDS:
            self._behind_bytes = 0
        self._behind_bytes += size

    def is_raised_by(self, line_at: datetime) -> bool:
        """Whether lines may be missing before this one."""
        at = line_at.timestamp()
        last, self._last = self._last, at
        if last is None or at - last < _TURN_SECONDS:
            return False
        return at >= self._counts_from and self._behind_bytes > _BUFFERED_BYTES


@dataclass(frozen=True, slots=True)
class End:
    """How a reading ended: what it brought that may not be whole, and `Reading.is_unproven`."""

    left: tuple[bytes, ...] = ()
    is_unproven: bool = False


@dataclass(slots=True)
class Reading:
    """`since` is where it begins, None at the start of the log.

    `overlap` holds the stored lines that come again, None when nothing is stored. `starts_unseen_after`:
    a first line later than that may not be the first; None when nothing is to be proven. `is_doubted`:
    there is a mark already for what may be missing before the next line.

    The first line of a reading from `since` may be the rest of a line, with whatever a container printed
    where a time should stand. The whole of that line was stored, and so was the line behind it. So a first
    line that is not stored waits for the next one, and counts when that is not stored either: then the
    log was turned over meanwhile, and the reading begins where a file does.
    """

    lines: LineReader
    since: datetime | None
    overlap: Overlap | None
    doubt: Doubt | None
    starts_unseen_after: datetime | None
    is_doubted: bool
    _second: bytes = b""
    _has_begun: bool = False
    _first: bytes | None = None

    def took(self, size: int, *, waited_seconds: float) -> None:
        """Bytes have come, after so long a wait for them."""
        if self.doubt is not None:
            self.doubt.took(size, waited_seconds=waited_seconds)

    def new_among(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Those lines that are to be stored, each looked at only when it is asked for."""
        for line in lines:
            is_new = self.overlap is None or self.overlap.is_new(line)
            first, self._first = self._first, None
            if first is not None and is_new:
                yield first
            is_first, self._has_begun = not self._has_begun, True
            if is_new and is_first and self.since is not None:
                self._first = line
            elif is_new:
                yield line

    def end(self) -> End:
        """What is left when nothing more comes: a line without its end, or the first one if it is the only one."""
        left = list(self.new_among(self.lines.end()))
        if self._first is not None:
            left.append(self._first)
        return End(tuple(left), self.is_unproven)

    def is_gap_before(self, line: bytes) -> bool:
        """Whether lines may be missing before this new line, and no mark says so yet."""
        if line[:_WHOLE_SECONDS] == self._second:
            return False
        self._second = line[:_WHOLE_SECONDS]
        at = time_of(line)
        is_doubtful = self.doubt is not None and self.doubt.is_raised_by(at)
        is_unproven, was_doubted = self._is_unproven_at(at), self.is_doubted
        self.starts_unseen_after = None
        self.is_doubted = False
        if self.overlap is not None:
            self.overlap.is_proven = True
        return is_doubtful or (is_unproven and not was_doubted)

    @property
    def is_unproven(self) -> bool:
        """Whether it brought nothing that shows that it goes on where the record ends."""
        return not self.is_doubted and self._is_unproven_at(None)

    def complain_of_strays(self) -> None:
        """Raise when the kubelet put in a word of its own: then it broke off."""
        if self.lines.strays:
            raise ClusterUnavailable(f"the log broke off: {self.lines.strays[0]}")

    def _is_unproven_at(self, first_line_at: datetime | None) -> bool:
        if self.overlap is not None:
            return not self.overlap.is_proven
        if self.starts_unseen_after is None:
            return False
        return first_line_at is None or first_line_at > self.starts_unseen_after
