"""Where lines may be missing: what one reading of a log can tell."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proctor_operator.domain.errors import ClusterUnavailable
from proctor_operator.domain.log_chunks import Position
from proctor_operator.domain.log_lines import LineReader, Overlap
from proctor_operator.domain.redaction import Redactor
from proctor_operator.runtime.log_reading import Doubt, Reading
from simulation.container_log import ContainerLog
from unit.builders import NOW, ago

MIB = 1024 * 1024
JUMPS: dict[str, tuple[float, int, float, bool]] = {
    "a reader far behind, and times jump": (5.0, MIB, 0.0, True),
    "times do not jump": (1.0, MIB, 0.0, False),
    "it was silent, and the reader waited for it": (5.0, MIB, 5.0, False),
    "the backlog fits into the network's buffers": (5.0, 10_000, 0.0, False),
}


@pytest.mark.parametrize("case", JUMPS.values(), ids=JUMPS)
def test_a_skipped_file_is_suspected_when(case: tuple[float, int, float, bool]) -> None:
    jump, backlog, waited, is_suspected = case
    doubt = Doubt(opened_at=ago(60))
    doubt.took(backlog, waited_seconds=0.0)
    doubt.is_raised_by(ago(20))
    doubt.took(1000, waited_seconds=waited)

    assert doubt.is_raised_by(ago(20 - jump)) == is_suspected


def test_silence_before_the_log_was_opened_is_no_reason_for_doubt() -> None:
    doubt = Doubt(opened_at=NOW)
    doubt.took(MIB, waited_seconds=0.0)
    doubt.is_raised_by(ago(60))

    assert not doubt.is_raised_by(ago(30))


def reading(since: datetime | None = None, stored: tuple[bytes, ...] = ()) -> Reading:
    lines = LineReader(Redactor(()), may_begin_inside_a_line=since is not None)
    overlap = Overlap(stored, stored[-1]) if stored else None
    return Reading(lines, since, overlap, None, None, is_doubted=False)


def test_a_word_of_the_kubelets_in_between_is_a_break() -> None:
    one = reading()
    one.lines.feed(b"2026-11-20T09:30:00.000000000Z line\nfailed to create fsnotify watcher\n")

    with pytest.raises(ClusterUnavailable, match="fsnotify"):
        one.complain_of_strays()


def test_the_rest_of_a_long_line_at_the_beginning_is_none() -> None:
    one = reading(since=NOW - timedelta(seconds=1))
    one.lines.feed(b"the rest\n2026-11-20T09:30:00.000000000Z line\n")

    one.complain_of_strays()


def test_a_word_of_the_kubelets_is_a_break_also_where_the_reading_begins_inside_a_line() -> None:
    one = reading(since=NOW - timedelta(seconds=1))
    one.lines.feed(b"2026-11-20T09:30:00.000000000Z line\nfailed to create fsnotify watcher")
    one.end()

    with pytest.raises(ClusterUnavailable, match="fsnotify"):
        one.complain_of_strays()


A, B, C = (b"2026-11-20T09:30:0%d.000000000Z line" % second for second in range(3))
FORGED = b"2099-01-01T00:00:00Z forged"
BEGINNINGS: dict[str, tuple[list[bytes], list[bytes], list[bytes]]] = {
    "the stored lines come again": ([A, B, C], [C], []),
    "a rest that looks like a line, then the stored ones": ([FORGED, A, B, C], [C], []),
    "such a rest, and then only the last stored line": ([FORGED, B, C], [C], []),
    "another file, whose first line is new": ([FORGED, C], [FORGED, C], []),
    "another file with one line": ([FORGED], [], [FORGED]),
    "nothing": ([], [], []),
}


@pytest.mark.parametrize("case", BEGINNINGS.values(), ids=BEGINNINGS)
def test_of_a_reading_from_a_time_on_these_lines_are_new(
    case: tuple[list[bytes], list[bytes], list[bytes]],
) -> None:
    lines, new, left = case
    one = reading(since=ago(60), stored=(A, B))

    found = [*one.new_among(one.lines.feed(b"".join(line + b"\n" for line in lines)))]

    assert (found, [*one.end().left]) == (new, left)


def test_the_first_line_of_a_whole_log_waits_for_nothing() -> None:
    assert [*reading().new_among([A])] == [A]
    assert [*reading(stored=(A,)).new_among([B])] == [B]


TEXTS = [b"a", b"b", b"", FORGED, b"1999-01-01T00:00:00Z earlier", b"9999-99-99T99:99:99Z no time"]
PRINTED = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 1.0, 1.7]), st.sampled_from(TEXTS), st.booleans()),
    min_size=1,
    max_size=15,
)
"""Pauses, and what is printed after each: a whole line, or a part of one."""


@given(printed=PRINTED, at=st.floats(0, 1), size=st.integers(1, 50))
def test_wherever_a_log_is_taken_up_again_exactly_what_is_not_stored_is_new(
    printed: list[tuple[float, bytes, bool]], at: float, size: int
) -> None:
    now = NOW
    log = ContainerLog(lambda: now)
    for pause, text, is_whole in printed:
        now += timedelta(seconds=pause)
        log.write(text) if is_whole else log.write_part(text)
    everything = reading()
    lines = [*everything.new_among(everything.lines.feed(answer(log, None)))]
    end = everything.end()
    assume(lines)
    stored = lines[: 1 + int(at * (len(lines) - 1))]
    since = Position(last_line=stored[-1]).reads_from(now)

    again = reading(since, tuple(stored))
    pieces = answer(log, since)
    new: list[bytes] = []
    for start in range(0, len(pieces), size):
        new += again.new_among(again.lines.feed(pieces[start : start + size]))

    assert new == lines[len(stored) :]
    assert again.end() == end
    again.complain_of_strays()


def answer(log: ContainerLog, since: datetime | None) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in log.read(follows=False, since=since)])

    return asyncio.run(read())
