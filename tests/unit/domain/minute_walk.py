"""The oracle of occurrences: it walks real minutes, and asks the zone what the clock on the wall says at each.

It shares no code with the operator, and knows expressions as sets that a test wrote beside their text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
EVERY_DAY = (frozenset(range(1, 32)), frozenset(range(1, 13)), frozenset(range(7)))


@dataclass(frozen=True, slots=True)
class Said:
    """An expression, and what it means by its author's own words."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    is_fixed: bool
    days: frozenset[int] = EVERY_DAY[0]
    months: frozenset[int] = EVERY_DAY[1]
    weekdays: frozenset[int] = EVERY_DAY[2]
    either_day: bool = False

    def means(self, wall: datetime) -> bool:
        """Whether this time on the wall is one of those."""
        if wall.minute not in self.minutes or wall.hour not in self.hours:
            return False
        if wall.month not in self.months:
            return False
        by_month, by_week = wall.day in self.days, (wall.weekday() + 1) % 7 in self.weekdays
        return by_month or by_week if self.either_day else by_month and by_week


def some(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


ALL_MINUTES, ALL_HOURS = frozenset(range(60)), frozenset(range(24))

SAID = (
    Said("* * * * *", ALL_MINUTES, ALL_HOURS, is_fixed=False),
    Said("17 * * * *", some(17), ALL_HOURS, is_fixed=False),
    Said("*/20 */2 * * *", some(0, 20, 40), frozenset(range(0, 24, 2)), is_fixed=False),
    Said("30 2 * * *", some(30), some(2), is_fixed=True),
    Said("*/10 1-3 * * *", frozenset(range(0, 60, 10)), some(1, 2, 3), is_fixed=True),
    Said("0,45 0,23 * * *", some(0, 45), some(0, 23), is_fixed=True),
    Said("15 1,12 * * sun", some(15), some(1, 12), is_fixed=True, weekdays=some(0)),
    Said(
        "5 0,2 1-7,30 * 6-7",
        some(5),
        some(0, 2),
        is_fixed=True,
        days=frozenset({*range(1, 8), 30}),
        weekdays=some(6, 0),
        either_day=True,
    ),
    Said("@hourly", some(0), ALL_HOURS, is_fixed=False),
    Said("@daily", some(0), some(0), is_fixed=True),
    Said("@weekly", some(0), some(0), is_fixed=True, weekdays=some(0)),
    Said("@monthly", some(0), some(0), is_fixed=True, days=some(1)),
    Said("30 0-23 * * 0", some(30), ALL_HOURS, is_fixed=False, weekdays=some(0)),
    Said("40 1-3 * * 7", some(40), some(1, 2, 3), is_fixed=True, weekdays=some(0)),
    Said(
        "59 23,1 * MAR-apr,sep-Dec Fri-Sun",
        some(59),
        some(23, 1),
        is_fixed=True,
        months=some(3, 4, 9, 10, 11, 12),
        weekdays=some(5, 6, 0),
    ),
)

HASHED = (
    ("H * * * *", lambda minute, _: Said("", some(minute), ALL_HOURS, is_fixed=False)),
    (
        "H/20 * * * *",
        lambda minute, _: Said("", frozenset(range(minute, 60, 20)), ALL_HOURS, is_fixed=False),
    ),
    ("H H * * *", lambda minute, hour: Said("", some(minute), some(hour), is_fixed=True)),
    ("H H(1-3) * * *", lambda minute, hour: Said("", some(minute), some(hour), is_fixed=True)),
)
"""Expressions with `H`, and what they mean once their minute and hour are known."""

ZONES = {
    "Europe/Berlin": (2020, 2027),
    "America/New_York": (2020, 2027),
    "America/Santiago": (2020, 2027),
    "Australia/Lord_Howe": (2020, 2027),
    "Pacific/Apia": (2009, 2013),
}


def load_zone(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def years_of(name: str) -> tuple[datetime, datetime]:
    first, last = ZONES[name]
    return datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)


def changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The first quarter of an hour of each new offset."""
    step, before = timedelta(minutes=15), start.astimezone(zone).utcoffset()
    while start < end:
        start += step
        now = start.astimezone(zone).utcoffset()
        if now != before:
            yield start
        before = now


Wall = tuple[datetime, datetime]
"""A real minute in UTC, and what the wall says then."""


def walls(zone: ZoneInfo, start: datetime, end: datetime) -> list[Wall]:
    """Every real minute from `start` to before `end`."""
    count = int((end - start) / MINUTE)
    instants = (start + number * MINUTE for number in range(count))
    return [(one, one.astimezone(zone).replace(tzinfo=None)) for one in instants]


def due(said: Said, minutes: list[Wall]) -> list[datetime]:
    """The real minutes at which it runs; the walk must begin with minutes that no change of the clock is near."""
    if not said.is_fixed:
        return [instant for instant, wall in minutes if said.means(wall)]
    found, furthest = [], minutes[0][1] - MINUTE
    for instant, wall in minutes:
        # What the wall shows for the first time at this minute: one time, none, or all that it skipped.
        fresh, is_due = furthest + MINUTE, False
        while fresh <= wall:
            is_due = is_due or said.means(fresh)
            fresh += MINUTE
        if is_due:
            found.append(instant)
        furthest = max(furthest, wall)
    return found


def sampled_days(first: date, last: date, every: int) -> Iterator[datetime]:
    day = first
    while day < last:
        yield datetime(day.year, day.month, day.day, tzinfo=UTC)
        day += timedelta(days=every)
