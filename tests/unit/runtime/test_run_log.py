"""What one run's log in the record lets a reader add."""

from __future__ import annotations

from datetime import timedelta

from proctor_operator.domain.log import LogSource
from proctor_operator.domain.log_limits import TOTAL_BYTES
from proctor_operator.domain.log_lines import time_of
from proctor_operator.domain.naming import CONTAINER_NAME, Uid
from proctor_operator.domain.run import RunKey
from proctor_operator.runtime.run_log import RunLog
from simulation.virtual_time import TIME_ZERO
from unit.builders import EXECUTION_UID
from unit.fakes import FakeLogStore, FakeMetrics

KEY = RunKey(TIME_ZERO, EXECUTION_UID)
FIRST = LogSource(Uid("pod-1"), CONTAINER_NAME)
SECOND = LogSource(Uid("pod-2"), CONTAINER_NAME)
LINE = b"2026-01-01T00:00:00.000000000Z hello"


async def test_a_reader_that_began_before_the_stored_chunks_were_known_adds_nothing() -> None:
    store = FakeLogStore()
    before = RunLog(KEY, store, FakeMetrics(), is_new=True)
    await before.append(FIRST, [LINE], sequence=0)
    await before.append(SECOND, [LINE], sequence=0)
    log = RunLog(KEY, store, FakeMetrics(), is_new=True)
    first = await log.position(FIRST)
    second = await log.position(SECOND)

    # The collision of the first source makes known what there is of the second.
    assert not await log.append(FIRST, [LINE, LINE], sequence=first.sequence)
    assert not await log.append(SECOND, [LINE], sequence=second.sequence)
    assert not await log.mark_gap(SECOND, TIME_ZERO, sequence=second.sequence)

    assert [span.sequence for span in await store.log_spans(KEY)] == [0, 0]


async def test_lines_that_the_limit_has_dropped_are_not_new_when_they_are_read_again() -> None:
    store = FakeLogStore()
    log = RunLog(KEY, store, FakeMetrics(), is_new=True)
    # More than is kept, in half a second.
    lines = [numbered(number) for number in range(TOTAL_BYTES // 1000 + 4000)]
    for sequence, first in enumerate(range(0, len(lines), 300)):
        await log.append(FIRST, lines[first : first + 300], sequence=sequence)
    dropped = (await log.tally()).dropped_lines
    assert dropped >= 3000, "there is something to be taken for new"

    for again in (log, RunLog(KEY, store, FakeMetrics(), is_new=False)):
        overlap = await again.overlap(FIRST, time_of(lines[-1]) - timedelta(seconds=1))
        later = numbered(len(lines))

        assert [line for line in [*lines, later] if overlap.is_new(line)] == [later]
        assert overlap.is_proven


async def test_lines_are_known_again_where_the_clock_of_the_node_was_put_back_between_them() -> (
    None
):
    store = FakeLogStore()
    log = RunLog(KEY, store, FakeMetrics(), is_new=True)
    summer = b"2026-10-25T02:59:59.000000000+02:00 in summer"
    winter = b"2026-10-25T02:00:20.000000000+01:00 in winter"
    await log.append(FIRST, [summer, winter], sequence=0)
    (span,) = await store.log_spans(KEY)
    assert (span.first_at, span.last_at) == (time_of(summer), time_of(winter))

    overlap = await log.overlap(FIRST, time_of(winter) - timedelta(seconds=1))

    assert not overlap.is_new(winter)
    assert overlap.is_proven


def numbered(number: int) -> bytes:
    return b"2026-01-01T00:00:05.%09dZ %06d %s" % (number * 20_000, number, b"x" * 962)
