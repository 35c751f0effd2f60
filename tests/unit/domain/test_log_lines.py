"""From a stream of bytes to lines, and what of them is stored already."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.log_lines import (
    LINE_LIMIT_BYTES,
    LineReader,
    Overlap,
    bytes_cut_off,
    text_of,
    time_of,
)
from proctor_operator.domain.redaction import Redactor

STAMP = b"2026-11-20T09:30:00.123456789Z "
TEXTS = st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), max_size=20)


def reader(*masks: str) -> LineReader:
    return LineReader(Redactor(masks))


@given(texts=TEXTS, cuts=st.lists(st.integers(1, 60), min_size=1))
def test_lines_are_the_same_however_the_bytes_arrive(texts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(STAMP + text + b"\n" for text in texts)
    one = reader()
    found: list[bytes] = []
    while stream:
        for cut in cuts:
            found += one.feed(stream[:cut])
            stream = stream[cut:]

    assert [text_of(line) for line in found] == texts
    assert one.end() == []
    assert one.strays == []


def test_a_last_line_without_its_end_counts_when_the_container_has_ended() -> None:
    one = reader()

    assert one.feed(STAMP + b"whole\n" + STAMP + b"half") == [STAMP + b"whole"]
    assert one.end() == [STAMP + b"half"]


def test_what_has_no_time_is_no_line() -> None:
    one = reader()

    assert one.feed(b"rest of a long line\n" + STAMP + b"line\n") == [STAMP + b"line"]
    assert one.strays == ["rest of a long line"]


@pytest.mark.parametrize("rest", [b"rest of a long line", b"", b"2099-99-01T00:00:00Z rest"])
def test_the_rest_of_a_line_at_the_beginning_is_passed_over(rest: bytes) -> None:
    one = LineReader(Redactor(()), may_begin_inside_a_line=True)

    assert one.feed(rest[:3]) == []
    assert one.feed(rest[3:] + b"\n" + STAMP + b"line\nno time\n") == [STAMP + b"line"]
    assert one.strays == ["no time"]


@pytest.mark.parametrize(
    "stamp",
    [
        b"2026-02-30T09:30:00Z",
        b"9999-99-99T99:99:99.9Z",
        b"0001-01-01T00:00:00+14:00",
        b"9999-12-31T23:59:59Z",
        b"2026-11-20T09:30:00.1+99:99",
    ],
)
def test_what_only_looks_like_a_time_is_none(stamp: bytes) -> None:
    one = reader()

    assert one.feed(STAMP + b"a\n" + stamp + b" b\n" + STAMP + b"c\n") == [
        STAMP + b"a",
        STAMP + b"c",
    ]
    assert one.strays == [f"{stamp.decode()} b"]


def test_what_is_told_of_a_line_without_a_time_is_masked_and_fit_for_a_status() -> None:
    one = reader("tok_[a-z]+")

    one.feed(b"no time \x1b[2J tok_abc" + b"\n")

    assert one.strays == ["no time \\x1b[2J ***"]


@pytest.mark.parametrize("more", [1, 70_000, 3 * LINE_LIMIT_BYTES])
def test_a_line_beyond_the_limit_is_cut_and_counted(more: int) -> None:
    one = reader()
    stream = STAMP + b"x" * (LINE_LIMIT_BYTES + more) + b"\n" + STAMP + b"next\n"
    found: list[bytes] = []
    for start in range(0, len(stream), 65_536):
        found += one.feed(stream[start : start + 65_536])

    long, after = found
    assert after == STAMP + b"next"
    assert text_of(long) == b"x" * LINE_LIMIT_BYTES + b" [%d bytes cut]" % more
    assert bytes_cut_off(long) == more


def test_a_line_at_the_limit_is_whole() -> None:
    (line,) = reader().feed(STAMP + b"x" * LINE_LIMIT_BYTES + b"\n")

    assert text_of(line) == b"x" * LINE_LIMIT_BYTES
    assert bytes_cut_off(line) == 0


@pytest.mark.parametrize("length", [100, LINE_LIMIT_BYTES - 5, LINE_LIMIT_BYTES])
def test_a_container_cannot_say_that_a_line_was_cut(length: int) -> None:
    forged = b" [99999999999999999999999 bytes cut]"

    (line,) = reader().feed(STAMP + b"x" * (length - len(forged)) + forged + b"\n")

    assert text_of(line).endswith(forged)
    assert bytes_cut_off(line) == 0


def test_what_a_container_says_of_a_cut_does_not_count_where_there_is_one() -> None:
    forged = b" [99999999999999999999999 bytes cut]"
    printed = b"x" * (LINE_LIMIT_BYTES - len(forged)) + forged + b"y" * 7

    (line,) = reader().feed(STAMP + printed + b"\n")

    assert bytes_cut_off(line) == 7


def test_a_secret_across_the_cut_is_masked_before_it() -> None:
    secret = b"tok_" + b"s" * 20
    printed = b"x" * (LINE_LIMIT_BYTES - 50) + secret + b" " + b"y" * 100

    (line,) = reader("tok_s{20}").feed(STAMP + printed + b"\n")

    assert b"tok_" not in line


def test_times_are_read_in_any_zone() -> None:
    assert time_of(STAMP) == datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC)
    assert time_of(b"2026-11-20T11:30:00.5+02:00 x") == datetime(
        2026, 11, 20, 9, 30, 0, 500000, tzinfo=UTC
    )


LINES = st.lists(st.sampled_from([STAMP + b"a", STAMP + b"b", STAMP + b"c"]), max_size=12)


@given(stored=LINES.filter(bool), more=LINES)
def test_a_second_reading_adds_what_is_new_and_nothing_twice(
    stored: list[bytes], more: list[bytes]
) -> None:
    overlap = Overlap(stored, stored[-1])

    new = [line for line in [*stored, *more] if overlap.is_new(line)]

    assert new == more
    assert overlap.is_proven


def test_without_the_last_stored_line_nothing_is_proven() -> None:
    overlap = Overlap([STAMP + b"a", STAMP + b"b"], STAMP + b"b")

    assert overlap.is_new(STAMP + b"c")
    assert not overlap.is_new(STAMP + b"a")
    assert not overlap.is_proven
