"""The instants at which a schedule runs: from its timing to UTC, by stated rules at changes of the clock.

A time zone is a row of stretches of constant offset, within which wall clock and real time advance together.
Where the next stretch begins with a later wall time, the clock skipped some; with an earlier one, it repeats some.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final
from zoneinfo import ZoneInfo

from proctor_operator.domain.cron import Cron, Mistake, read_cron
from proctor_operator.domain.model import format_timestamp
from proctor_operator.domain.schedule import ProcScheduleSpec
from proctor_operator.domain.zones import NAME_LIMIT, find_zone, suggest_zones

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2500, 1, 1, tzinfo=UTC)
"""Nothing is planned outside these: offsets of whole minutes only, and no overflow of dates."""

HORIZON: Final = timedelta(days=50 * 366)
"""How far one question looks ahead; 29 February on a given weekday comes at least every 40 years."""

MOST_AT_ONCE: Final = 10_000
"""Of one answer, whatever was asked for."""

MOST_JITTER: Final = 86_400

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_LOOK_BACK: Final = timedelta(days=3)
"""Longer than any change of a clock, so that what was repeated or skipped just now is known."""

_LOOKS_AHEAD: Final = (2 * _DAY, 35 * _DAY, 400 * _DAY, HORIZON)
"""Most times come soon; a walk of all the years costs a hundred times as much."""

_DAYS_SAMPLED: Final = 8 * 366


@dataclass(frozen=True, slots=True)
class Timing:
    """When one schedule runs: either `cron` in `zone`, or once `at`."""

    uid: str
    cron: Cron | None
    at: datetime | None
    zone: ZoneInfo
    jitter_seconds: int


@dataclass(frozen=True, slots=True)
class TimingProblem:
    """Why a schedule has no timing, with the field, its value and what would be right."""

    message: str


def find_timing_problem(spec: ProcScheduleSpec) -> str | None:
    """What is wrong with when it runs; None when nothing is, whatever UID it gets."""
    timing = read_timing(spec, "")
    return timing.message if isinstance(timing, TimingProblem) else None


def read_timing(spec: ProcScheduleSpec, uid: str) -> Timing | TimingProblem:
    """The timing of the schedule with this UID, or everything that is wrong with it."""
    zone = find_zone(spec.time_zone)
    cron = _read_cron(spec, uid)
    problems = [
        *([cron.message] if isinstance(cron, TimingProblem) else []),
        *_at_problems(spec),
        *([] if zone else [_no_such_zone(spec.time_zone)]),
        *_jitter_problems(spec, cron if isinstance(cron, Cron) else None),
    ]
    if problems or zone is None or isinstance(cron, TimingProblem):
        return TimingProblem("; ".join(problems))
    at = spec.at.astimezone(UTC) if spec.at else None
    return Timing(uid, cron, at, zone, spec.jitter_seconds)


def occurrences_between(
    timing: Timing, after: datetime, until: datetime, limit: int
) -> tuple[datetime, ...]:
    """The first `limit` planned instants later than `after` and not later than `until`, ascending."""
    first, last = max(after, EARLIEST - _MINUTE), min(until, LATEST)
    if first >= last or limit < 1:
        return ()
    first, last = first.astimezone(UTC), last.astimezone(UTC)
    found = _occurrences(timing, first, min(last, first + HORIZON))
    return tuple(islice(found, min(limit, MOST_AT_ONCE)))


def next_occurrence(timing: Timing, after: datetime) -> datetime | None:
    """The first planned instant later than `after`; None when there is none any more."""
    first = max(after, EARLIEST - _MINUTE)
    for ahead in _LOOKS_AHEAD:
        until = min(first, LATEST - ahead) + ahead
        for found in occurrences_between(timing, first, until, 1):
            return found
    return None


def starting_time(timing: Timing, occurrence: datetime) -> datetime:
    """When the run of this occurrence starts: with its own delay, and before the next occurrence."""
    longest = timing.jitter_seconds
    following = next_occurrence(timing, occurrence) if longest else None
    if following is not None:
        longest = min(longest, int((following - occurrence).total_seconds()) - 1)
    key = f"{timing.uid}/{format_timestamp(occurrence)}"
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return occurrence + timedelta(seconds=share % (longest + 1))


def is_moved(timing: Timing, occurrence: datetime) -> bool:
    """Whether the clock skips the time that the expression names, so that it runs at the next there is."""
    cron, wall = timing.cron, occurrence.astimezone(timing.zone)
    if cron is None or cron.follows_real_time:
        return False
    minutes = wall.hour * 60 + wall.minute
    is_named = wall.month in cron.months and cron.falls_on(wall.date())
    return not (is_named and minutes in cron.times_of_day())


def _read_cron(spec: ProcScheduleSpec, uid: str) -> Cron | TimingProblem | None:
    if spec.cron is None:
        return None
    try:
        return read_cron(spec.cron, uid)
    except Mistake as mistake:
        return TimingProblem(f"spec.cron {spec.cron[:100]!r}: {mistake}")


def _at_problems(spec: ProcScheduleSpec) -> Iterator[str]:
    if (spec.cron is None) == (spec.at is None):
        given = "neither is given" if spec.at is None else "both are given"
        yield f"spec.cron, spec.at: {given}; cron is for recurring runs, at for a single one"
    if spec.at is None:
        return
    if spec.at.tzinfo is None:
        yield f"spec.at {spec.at.isoformat()!r}: it needs an offset, as in 2027-01-01T00:00:00Z"
    elif not EARLIEST.year < spec.at.year < LATEST.year:
        yield f"spec.at {spec.at.isoformat()!r}: the year must be {EARLIEST.year + 1} to {LATEST.year - 1}"


def _no_such_zone(name: str) -> str:
    names = suggest_zones(name)
    hint = (
        f"did you mean {' or '.join(names)}?"
        if names
        else "names look like Europe/Berlin or Etc/UTC"
    )
    return f"spec.timeZone {name[:NAME_LIMIT]!r}: there is no such time zone; {hint}"


def _jitter_problems(spec: ProcScheduleSpec, cron: Cron | None) -> Iterator[str]:
    jitter = spec.jitter_seconds
    if not 0 <= jitter <= MOST_JITTER:
        yield f"spec.jitterSeconds {jitter}: it takes 0 to {MOST_JITTER}"
    elif cron is not None and jitter and jitter >= (gap := _shortest_gap_seconds(cron)):
        yield (
            f"spec.jitterSeconds {jitter}: it must be less than the {gap} seconds that lie between "
            "two times of spec.cron"
        )


@lru_cache(maxsize=256)
def _shortest_gap_seconds(cron: Cron) -> int:
    """By the wall clock, as the author thinks of it; `starting_time` heeds its changes.

    Eight years have every kind of neighbouring days but those around a rare 29 February on a given weekday.
    """
    times = cron.times_of_day()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    start = date(2024, 1, 1)
    runs_on = [cron.falls_on(start + timedelta(days=number)) for number in range(_DAYS_SAMPLED)]
    if any(today and tomorrow for today, tomorrow in pairwise(runs_on)):
        gaps.append(24 * 60 - times[-1] + times[0])
    return min(gaps, default=2 * 24 * 60) * 60


def _occurrences(timing: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    if timing.cron is None:
        if timing.at is not None and after < timing.at <= until:
            yield timing.at
        return
    reached: datetime | None = None
    for stretch in _stretches(timing.zone, max(after - _LOOK_BACK, EARLIEST - _LOOK_BACK), until):
        yield from _within(timing.cron, stretch, after, reached)
        reached = max(stretch.wall_end, reached or stretch.wall_end)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Real minutes `start` (included) to `end` (not), all at one offset from UTC."""

    start: datetime
    end: datetime
    offset: timedelta

    @property
    def wall_start(self) -> datetime:
        return self.on_the_wall(self.start)

    @property
    def wall_end(self) -> datetime:
        return self.on_the_wall(self.end)

    def on_the_wall(self, instant: datetime) -> datetime:
        return instant.replace(tzinfo=None) + self.offset

    def instant(self, wall: datetime) -> datetime:
        return (wall - self.offset).replace(tzinfo=UTC)


def _stretches(zone: ZoneInfo, start: datetime, until: datetime) -> Iterator[_Stretch]:
    """From the minute of `start` on, until `until` is within the last."""
    begin = here = start.replace(second=0, microsecond=0)
    end = until.replace(second=0, microsecond=0) + _MINUTE
    offset = _offset(zone, begin)
    while here < end:
        ahead = min(here + _DAY, end)
        if _offset(zone, ahead) != offset:
            ahead = _change(zone, here, ahead)
            yield _Stretch(begin, ahead, offset)
            begin, offset = ahead, _offset(zone, ahead)
        here = ahead
    if begin < end:
        yield _Stretch(begin, end, offset)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first minute of the new offset: not later than `after`, later than `before`."""
    old, low, high = _offset(zone, before), 0, int((after - before) / _MINUTE)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, before + middle * _MINUTE) == old:
            low = middle
        else:
            high = middle
    return before + high * _MINUTE


def _within(
    cron: Cron, stretch: _Stretch, after: datetime, reached: datetime | None
) -> Iterator[datetime]:
    """Occurrences of one stretch, later than `after`; `reached` is the latest wall time before it."""
    floor = after.replace(second=0, microsecond=0) + _MINUTE
    wall_floor = stretch.on_the_wall(max(floor, stretch.start))
    if cron.follows_real_time or reached is None:
        first = wall_floor
    else:
        # What the clock repeats has had its turn.
        first = max(wall_floor, reached)
        if stretch.start >= floor and _falls_between(cron, reached, stretch.wall_start):
            # All that the clock skipped comes now, once, together with what this minute has of its own.
            yield stretch.start
            first = max(first, stretch.wall_start + _MINUTE)
    for wall in _wall_times(cron, first, stretch.wall_end):
        yield stretch.instant(wall)


def _falls_between(cron: Cron, start: datetime, end: datetime) -> bool:
    return next(_wall_times(cron, start, end), None) is not None


def _wall_times(cron: Cron, start: datetime, end: datetime) -> Iterator[datetime]:
    """Wall times from `start` (included) to `end` (not) that the expression names."""
    times, day, last = cron.times_of_day(), start.date(), end.date()
    while day <= last:
        if day.month not in cron.months:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            continue
        if cron.falls_on(day):
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the wall has no zone
            for minutes in islice(times, bisect_left(times, (start - midnight) / _MINUTE), None):
                wall = midnight + timedelta(minutes=minutes)
                if wall >= end:
                    return
                yield wall
        day += _DAY
