"""What spreads load keeps the rules: `H` and jitter at every change of five awkward clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from proctor_operator.domain.cron import read_cron
from proctor_operator.domain.occurrences import Timing, starting_time
from unit.domain.minute_walk import (
    HASHED,
    ZONES,
    Said,
    changes,
    due,
    load_zone,
    walls,
    years_of,
)
from unit.domain.test_occurrences import NEAR, timing_of, told

UIDS = ("5f0c2a7e-9b1d-4c55-8a3e-000000000001", "uid-2", "")

DELAYED = (
    ("* * * * *", 59, timedelta(hours=2)),
    ("0 * * * *", 3599, NEAR),
    ("59 1,2 * * *", 3599, NEAR),
    ("30 2 * * *", 86_399, NEAR),
    ("H 0,3 * * mon-sun", 10_000, NEAR),
)
"""Each with the longest delay that it takes, or nearly so, and how far from a change it is looked at."""


def of_a_quiet_day(timing: Timing, zone: ZoneInfo) -> tuple[int, int]:
    """Minute and hour that it chose, seen on a day of July, which no change is near."""
    first = told(timing, datetime(2012, 7, 10, tzinfo=UTC), datetime(2012, 7, 12, tzinfo=UTC))[0]
    wall = first.astimezone(zone)
    return wall.minute, wall.hour


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize(("text", "meaning"), HASHED, ids=[text for text, _ in HASHED])
def test_what_h_chose_once_holds_near_every_change_of_the_clock(
    text: str, meaning: Callable[[int, int], Said], name: str
) -> None:
    zone = load_zone(name)
    for moment in changes(zone, *years_of(name)):
        start, end = moment - NEAR, moment + NEAR
        minutes = walls(zone, start, end)
        for uid in UIDS:
            timing = timing_of(text, name, uid)
            minute, hour = of_a_quiet_day(timing, zone)
            said = meaning(minute % 20 if "/20" in text else minute, hour)
            assert told(timing, start, end) == due(said, minutes), (uid, moment)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize(("text", "jitter", "near"), DELAYED, ids=[one[0] for one in DELAYED])
def test_no_delay_reaches_the_next_occurrence_near_any_change_of_the_clock(
    text: str, jitter: int, near: timedelta, name: str
) -> None:
    timing = timing_of(text, name, "uid-1", jitter)
    for moment in changes(load_zone(name), *years_of(name)):
        occurrences = told(timing, moment - near, moment + near)
        assert len(occurrences) > 1
        for occurrence, following in pairwise(occurrences):
            start = starting_time(timing, occurrence)
            assert occurrence <= start < following
            assert start - occurrence <= timedelta(seconds=jitter)


def test_a_schedule_keeps_its_times_from_release_to_release() -> None:
    # Were this to change, an upgrade would move the runs of everybody who wrote an H or a jitter.
    cron = read_cron("H H H H H", UIDS[0])
    timing = timing_of("@daily", uid=UIDS[0], jitter=3600)
    midnight = datetime(2026, 11, 30, tzinfo=UTC)

    chosen = [min(one) for one in (cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays)]
    assert chosen == [12, 18, 11, 9, 5]
    assert starting_time(timing, midnight) == midnight + timedelta(seconds=168)
