"""Every real minute of years in five awkward time zones: schedules run at those that the walk finds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from unit.domain.minute_walk import SAID, ZONES, due, load_zone, walls, years_of
from unit.domain.test_occurrences import timing_of, told

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

PIECE = timedelta(days=6)
"""Within what one answer holds, of the schedule of every minute."""

RUN_UP = timedelta(days=1)
"""Walked before each piece, so that the walk knows what the wall has shown already."""


def pieces(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + PIECE, end)
        start += PIECE


@pytest.mark.parametrize("name", ZONES)
def test_no_minute_of_all_the_years_is_wrong(name: str) -> None:
    zone, latest = load_zone(name), dict[str, list[datetime]]()
    timings = [(said, timing_of(said.text, name)) for said in SAID]
    for start, end in pieces(*years_of(name)):
        minutes = walls(zone, start - RUN_UP, end)
        for said, timing in timings:
            found = told(timing, start, end)
            assert found == [one for one in due(said, minutes) if one >= start], (said.text, start)
            # No occurrence twice, not even on the seam of two questions.
            assert found[:1] > latest.get(said.text, [])[-1:] or not found
            latest[said.text] = found or latest.get(said.text, [])
