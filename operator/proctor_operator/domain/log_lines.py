"""The stream of a container's log, as the kubelet gives it with `timestamps=true`, taken apart into lines.

A line is kept as bytes: its time (RFC 3339, nanoseconds), a space, and the text, which is masked and at
most 1 MiB; behind that stands how much was cut off, if anything was. The newline is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.redaction import Redactor
from proctor_operator.domain.text import readable

LINE_LIMIT_BYTES: Final = 1024 * 1024
_MASKED_TOGETHER_BYTES: Final = LINE_LIMIT_BYTES + 64 * 1024
"""What is kept of a line until it is masked, so that no secret is halved by the cut and missed."""

_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-][01]\d:[0-5]\d) ")
_WHOLE_SECONDS: Final = len("2026-01-01T00:00:00")
_SOME_DAYS: Final = timedelta(days=3)
_STRAYS_REMEMBERED: Final = 3
_STRAY_BYTES: Final = 200
_CUT: Final = re.compile(rb" \[(\d+) bytes cut\]")


class LineReader:
    """Takes bytes as they come and gives whole lines; holds little more than one line of the longest kind.

    Where the stream `may_begin_inside_a_line`, the rest of that line is passed over, unless it looks like a
    line with a time.
    """

    def __init__(self, redactor: Redactor, *, may_begin_inside_a_line: bool = False) -> None:
        self._redactor = redactor
        self._may_be_inside = may_begin_inside_a_line
        self._rest = bytearray()
        self._beyond = 0
        self._second = b""
        self.strays: list[str] = []
        """Lines without a time: words of the kubelet's; they are left out."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole by now."""
        first, *others = data.split(b"\n")
        self._keep(first)
        if not others:
            return []
        last = others.pop()
        raw = [self._take_rest(), *((one, 0) for one in others)]
        self._keep(last)
        may_be_inside, self._may_be_inside = self._may_be_inside, False
        return self._shaped(raw[1:] if may_be_inside and not _has_a_time(raw[0][0]) else raw)

    def end(self) -> list[bytes]:
        """Return what is left when the container has ended: a last line without its newline."""
        return self._shaped([self._take_rest()]) if self._rest else []

    def _keep(self, piece: bytes) -> None:
        room = _MASKED_TOGETHER_BYTES - len(self._rest)
        self._rest += piece[:room]
        self._beyond += max(0, len(piece) - room)

    def _take_rest(self) -> tuple[bytes, int]:
        taken = bytes(self._rest), self._beyond
        self._rest.clear()
        self._beyond = 0
        return taken

    def _shaped(self, raw: Iterable[tuple[bytes, int]]) -> list[bytes]:
        lines = []
        for line, beyond in raw:
            stamp = _STAMP.match(line)
            second = line[:_WHOLE_SECONDS]
            if stamp is None or (second != self._second and not _is_a_time(stamp.group())):
                self._note_stray(line)
                continue
            self._second = second
            text = self._redactor.mask(line[stamp.end() :])
            lines.append(stamp.group() + _cut(text, beyond))
        return lines

    def _note_stray(self, line: bytes) -> None:
        if len(self.strays) < _STRAYS_REMEMBERED:
            said = self._redactor.mask(line)[:_STRAY_BYTES]
            self.strays.append(readable(said))


def text_of(line: bytes) -> bytes:
    """The line without its time."""
    return line[line.index(b" ") + 1 :]


def time_of(line: bytes) -> datetime:
    """When the node took the line; microseconds."""
    return datetime.fromisoformat(line[: line.index(b" ")].decode())


def bytes_cut_off(line: bytes) -> int:
    """How many bytes the line has lost to the limit.

    Only what stands behind a whole line of the longest kind is our word: before that, a container may
    have printed the same, with any number.
    """
    if len(line) <= LINE_LIMIT_BYTES:
        return 0
    mark = _CUT.fullmatch(line, line.index(b" ") + 1 + LINE_LIMIT_BYTES)
    return int(mark[1]) if mark is not None else 0


class Overlap:
    """Lines that are stored already, so that a second reading of the log adds only what is new.

    A multiset, because two lines may have the same time and text. `is_proven` once the last stored line
    came by: then the file that is read is still the one that holds it, and nothing lies between.
    `dropped` are the times, first to last, of lines that were stored once and made way for newer ones.
    """

    def __init__(
        self,
        stored: Iterable[bytes],
        last: bytes,
        dropped: Iterable[tuple[datetime, datetime]] = (),
    ) -> None:
        self._stored = Counter(stored)
        self._last = last
        self._dropped = tuple(dropped)
        self.is_proven = False

    def is_new(self, line: bytes) -> bool:
        """Whether the line was never stored; each of those that are counts once."""
        if not self._stored[line]:
            return not self._was_dropped(line)
        self._stored[line] -= 1
        self.is_proven = self.is_proven or line == self._last
        return False

    def _was_dropped(self, line: bytes) -> bool:
        if not self._dropped:
            return False
        at = time_of(line)
        return any(first <= at <= last for first, last in self._dropped)


def _has_a_time(line: bytes) -> bool:
    stamp = _STAMP.match(line)
    return stamp is not None and _is_a_time(stamp.group())


def _is_a_time(stamp: bytes) -> bool:
    """Whether it can be reckoned with: where a reading begins inside a line, that goes on with anything."""
    try:
        moment = time_of(stamp)
        _ = moment - _SOME_DAYS, moment + _SOME_DAYS
    except (ValueError, OverflowError):
        return False
    return True


def _cut(text: bytes, beyond: int) -> bytes:
    if len(text) + beyond <= LINE_LIMIT_BYTES:
        return text
    kept = text[:LINE_LIMIT_BYTES]
    return kept + b" [%d bytes cut]" % (len(text) - len(kept) + beyond)
