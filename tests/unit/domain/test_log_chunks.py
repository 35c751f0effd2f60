"""Where the reading of a log is taken up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proctor_operator.domain.log_chunks import Position

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)
MARKS: dict[str, tuple[bytes, datetime | None]] = {
    "nothing is stored": (b"", None),
    "a moment ago": (b"2026-11-20T09:29:59.5Z a", NOW - timedelta(seconds=1.5)),
    "long ago": (b"2026-01-01T00:00:00Z a", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "the node's clock is ahead by what is usual": (b"2026-11-20T09:30:04Z a", NOW + 3 * A_SECOND),
    "the node's clock is far ahead": (b"2026-11-20T09:30:06Z a", None),
    "no clock says so": (b"2099-01-01T00:00:00Z a", None),
}


@pytest.mark.parametrize("case", MARKS.values(), ids=MARKS)
def test_a_log_is_taken_up_a_second_before_its_last_line_or_read_as_a_whole(
    case: tuple[bytes, datetime | None],
) -> None:
    last_line, since = case

    assert Position(last_line=last_line).reads_from(NOW) == since
