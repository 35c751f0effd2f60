"""What of a run's output stays in the record, and what can be said of it, from its spans alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from proctor_operator.domain.log import LogSource, LogSpan

HEAD_BYTES: Final = 1024 * 1024
TOTAL_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run printed as far as it was read, and what of it is no more in the record.

    `gaps` counts the places before which lines may be missing that were never read.
    """

    lines: int = 0
    size: int = 0
    dropped_lines: int = 0
    cut_bytes: int = 0
    gaps: int = 0


def in_order(spans: Iterable[LogSpan]) -> tuple[LogSpan, ...]:
    """Sources by their first time, then by sequence, as the record gives them."""
    spans = tuple(spans)
    began = {
        one: min(span.first_at for span in spans if span.source == one) for one in _sources(spans)
    }
    return tuple(
        sorted(spans, key=lambda span: (began[span.source], span.source.pod_uid, span.sequence))
    )


def spans_to_drop(spans: Sequence[LogSpan]) -> tuple[LogSpan, ...]:
    """Those for which the limit leaves no room: neither the head, nor the newest of the rest.

    `spans` in order. What begins within the first MiB is the head. The last span of each source stays,
    because it tells how much the source printed; so do marks of gaps, which are empty.
    """
    if sum(span.size for span in spans) <= TOTAL_BYTES:
        return ()
    last_of = {span.source: span for span in spans}
    room = TOTAL_BYTES
    kept, position = set[int](), 0
    for number, span in enumerate(spans):
        if position < HEAD_BYTES or not span.lines or last_of[span.source] is span:
            kept.add(number)
            room -= span.size
        position += span.size
    for number in range(len(spans) - 1, -1, -1):
        if number in kept:
            continue
        room -= spans[number].size
        if room < 0:
            break
        kept.add(number)
    return tuple(span for number, span in enumerate(spans) if number not in kept)


def tally(spans: Sequence[LogSpan]) -> Tally:
    """Count; `spans` in order."""
    last_of = {span.source: span for span in spans}
    lines = sum(span.first_line + span.lines for span in last_of.values())
    cut = 0
    for before, after in pairwise(spans):
        is_next = (
            before.source == after.source and before.first_line + before.lines == after.first_line
        )
        cut += after.first_byte - before.first_byte - before.size if is_next else 0
    return Tally(
        lines=lines,
        size=sum(span.first_byte + span.size for span in last_of.values()),
        dropped_lines=lines - sum(span.lines for span in spans),
        cut_bytes=cut,
        gaps=sum(not span.lines for span in spans),
    )


def holes(spans: Sequence[LogSpan]) -> tuple[tuple[datetime, datetime], ...]:
    """From when to when lines of a source were dropped; `spans` are those of the source, in order."""
    return tuple(
        (before.last_at, after.first_at)
        for before, after in pairwise(spans)
        if before.first_line + before.lines < after.first_line
    )


def _sources(spans: Sequence[LogSpan]) -> tuple[LogSource, ...]:
    return tuple(dict.fromkeys(span.source for span in spans))
