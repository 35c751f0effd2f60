"""Head, newest and a count of the rest: pure arithmetic on spans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.log import LogSource, LogSpan
from proctor_operator.domain.log_limits import (
    HEAD_BYTES,
    TOTAL_BYTES,
    in_order,
    spans_to_drop,
    tally,
)
from proctor_operator.domain.naming import Uid

BEGAN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
KIB = 1024


def spans_of(pod: str, sizes: list[int], *, from_second: int = 0) -> list[LogSpan]:
    """Chunks of one source one after another; one of no size is the mark of a gap."""
    spans, line, byte = [], 0, 0
    for sequence, size in enumerate(sizes):
        at = BEGAN + timedelta(seconds=from_second + sequence)
        lines = 10 if size else 0
        source = LogSource(Uid(pod), "proc")
        spans.append(LogSpan(source, sequence, line, byte, lines, size, at, at))
        line, byte = line + lines, byte + size
    return spans


SIZES = st.lists(
    st.sampled_from([0, 10, 200 * KIB, 256 * KIB, 1024 * KIB]), min_size=1, max_size=120
)


@given(sizes=st.lists(SIZES, min_size=1, max_size=3))
def test_what_stays_fits_and_holds_the_beginning_and_the_end(sizes: list[list[int]]) -> None:
    spans = in_order(
        span
        for number, one in enumerate(sizes)
        for span in spans_of(f"pod-{number}", one, from_second=1000 * number)
    )
    dropped = spans_to_drop(spans)
    kept = [span for span in spans if span not in dropped]
    total = sum(span.size for span in spans)

    assert not dropped or total > TOTAL_BYTES
    assert sum(span.size for span in kept) <= TOTAL_BYTES + 3 * 1024 * KIB
    assert kept[-1] is spans[-1]
    assert [span for span in spans if not span.lines] == [span for span in kept if not span.lines]
    position = 0
    for span in spans:
        assert position >= HEAD_BYTES or span in kept
        position += span.size


@given(sizes=SIZES)
def test_dropping_again_drops_nothing_more(sizes: list[int]) -> None:
    spans = spans_of("pod", sizes)
    once = spans_to_drop(spans)

    assert spans_to_drop([span for span in spans if span not in once]) == ()


@given(sizes=st.lists(SIZES, min_size=1, max_size=3))
def test_what_was_printed_is_still_known_after_dropping(sizes: list[list[int]]) -> None:
    spans = in_order(
        span
        for number, one in enumerate(sizes)
        for span in spans_of(f"pod-{number}", one, from_second=1000 * number)
    )
    before = tally(spans)
    dropped = spans_to_drop(spans)
    after = tally([span for span in spans if span not in dropped])

    assert (after.lines, after.size, after.gaps) == (before.lines, before.size, before.gaps)
    assert before.dropped_lines == 0
    assert after.dropped_lines == sum(span.lines for span in dropped)


def test_what_lines_lost_to_the_limit_is_counted() -> None:
    first, second = spans_of("pod", [100, 100])
    cut = LogSpan(
        second.source, 1, second.first_line, 150, second.lines, 100, second.first_at, second.last_at
    )

    assert tally([first, cut]).cut_bytes == 50
    assert tally([first, cut]).size == 250


def test_the_newest_lines_push_out_the_middle() -> None:
    spans = spans_of("pod", [256 * KIB] * 80)

    dropped = spans_to_drop(spans)

    assert [span.sequence for span in dropped] == list(range(4, 20))
