"""What is said of a run's output."""

from __future__ import annotations

import pytest

from proctor_operator.domain.log_limits import Tally
from proctor_operator.reconcile.logs import LogProblem, summarize_log
from unit.fakes import stamped

GONE = LogProblem("PodGone", "gone")
SLOW = LogProblem("MayBeIncomplete", "too slow")
IN_DOUBT = (
    "MayBeIncomplete: lines may be missing at one place: the node turned the log over before it was read, "
    "as far as can be told"
)
SAID: dict[str, tuple[Tally, list[LogProblem], bool, str]] = {
    "all of it": (Tally(lines=2, size=9), [], True, "Captured: 2 lines, 9 bytes"),
    "nothing was printed": (Tally(), [], True, "NoOutput: the container printed nothing"),
    "too much": (
        Tally(lines=10, size=99, dropped_lines=4),
        [],
        True,
        "Truncated: beyond the limits, 4 of 10 lines were dropped",
    ),
    "too long a line": (
        Tally(lines=10, size=99, cut_bytes=7),
        [],
        True,
        "Truncated: beyond the limits, 7 bytes of lines longer than 1 MiB were cut off",
    ),
    "a doubt": (
        Tally(lines=10, size=99, dropped_lines=4, gaps=1),
        [],
        False,
        IN_DOUBT,
    ),
    "the gravest of several": (Tally(lines=1, size=9), [SLOW, GONE], False, "PodGone: gone"),
}


@pytest.mark.parametrize("case", SAID.values(), ids=SAID)
def test_the_summary_says(case: tuple[Tally, list[LogProblem], bool, str]) -> None:
    counted, problems, is_complete, said = case

    summary = summarize_log(counted, problems, None)

    assert f"{summary.reason}: {summary.message}" == said
    assert summary.is_complete == is_complete
    assert (summary.lines, summary.size) == (counted.lines, counted.size)
    assert summary.dropped_lines == counted.dropped_lines


TAILS: dict[str, tuple[list[bytes], int, str, bool]] = {
    "short": ([b"one", b"two"], 8, "one\ntwo\n", False),
    "the end of more": ([b"one"], 99, "one\n", True),
    "cut at a line": ([b"x" * 4093, b"end"], 4098, "end\n", True),
    "unfit for a terminal": ([b"\x1b[2J\0\xff\r"], 8, "\\x1b[2J\\x00\ufffd\n", False),
}


@pytest.mark.parametrize("case", TAILS.values(), ids=TAILS)
def test_the_tail_fits_into_a_status(case: tuple[list[bytes], int, str, bool]) -> None:
    texts, size, shown, is_cut = case

    summary = summarize_log(Tally(lines=9, size=size), [], [stamped(text) for text in texts])

    assert (summary.tail, summary.is_tail_cut) == (shown, is_cut)
