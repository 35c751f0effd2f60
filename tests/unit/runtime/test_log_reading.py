"""Where lines may be missing: what one reading of a log can tell."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from proctor_operator.domain.errors import ClusterUnavailable
from proctor_operator.domain.log_lines import LineReader
from proctor_operator.domain.redaction import Redactor
from proctor_operator.runtime.log_reading import Doubt, Reading
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


def reading(since: datetime | None = None) -> Reading:
    return Reading(LineReader(Redactor(())), since, None, None, None, is_doubted=False)


def test_a_word_of_the_kubelets_in_between_is_a_break() -> None:
    one = reading()
    one.lines.feed(b"2026-11-20T09:30:00.000000000Z line\nfailed to create fsnotify watcher\n")

    with pytest.raises(ClusterUnavailable, match="fsnotify"):
        one.complain_of_strays()


def test_the_rest_of_a_long_line_at_the_beginning_is_none() -> None:
    one = reading(since=NOW - timedelta(seconds=1))
    one.lines.feed(b"the rest\n2026-11-20T09:30:00.000000000Z line\n")

    one.complain_of_strays()
