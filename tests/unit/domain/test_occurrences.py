"""When schedules run: against a walk over real minutes, at every change of five awkward clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.execution import ProcRef
from proctor_operator.domain.occurrences import (
    EARLIEST,
    HORIZON,
    LATEST,
    MOST_AT_ONCE,
    Timing,
    TimingProblem,
    next_occurrence,
    occurrences_between,
    read_timing,
    starting_time,
)
from proctor_operator.domain.schedule import ProcScheduleSpec
from unit.domain.minute_walk import (
    MINUTE,
    SAID,
    ZONES,
    Said,
    changes,
    due,
    load_zone,
    sampled_days,
    walls,
    years_of,
)

NEAR = timedelta(days=3)
MIDSUMMER = datetime(2026, 6, 20, tzinfo=UTC)


def timing_of(cron: str, time_zone: str = "Etc/UTC", uid: str = "uid-1", jitter: int = 0) -> Timing:
    spec = ProcScheduleSpec(
        proc_ref=ProcRef(name="p"), cron=cron, time_zone=time_zone, jitter_seconds=jitter
    )
    timing = read_timing(spec, uid)
    assert not isinstance(timing, TimingProblem), timing.message
    return timing


def told(timing: Timing, start: datetime, end: datetime) -> list[datetime]:
    """Those from `start` on, and before `end`."""
    return list(occurrences_between(timing, start - MINUTE, end - MINUTE, MOST_AT_ONCE))


# Against the walk


@pytest.mark.parametrize("name", ZONES)
def test_near_every_change_of_the_clock_they_are_those_of_the_walk(name: str) -> None:
    zone = load_zone(name)
    timings = [(said, timing_of(said.text, name)) for said in SAID]
    moments = list(changes(zone, *years_of(name)))
    for moment in moments:
        start, end = moment - NEAR, moment + NEAR
        minutes = walls(zone, start, end)
        for said, timing in timings:
            assert told(timing, start, end) == due(said, minutes), (said.text, moment)
    assert len(moments) >= (6 if name == "Pacific/Apia" else 15)


@pytest.mark.parametrize("name", ZONES)
def test_on_days_between_they_are_those_of_the_walk(name: str) -> None:
    zone = load_zone(name)
    first, last = years_of(name)
    moments = list(changes(zone, first, last))
    for start in sampled_days(first.date(), last.date(), every=97):
        end = start + timedelta(days=1)
        if any(abs(start - moment) < NEAR for moment in moments):
            continue
        minutes = walls(zone, start, end)
        for said in SAID:
            assert told(timing_of(said.text, name), start, end) == due(said, minutes)


def numbers(first: int, last: int, most: int = 4) -> st.SearchStrategy[frozenset[int]]:
    return st.frozensets(st.integers(first, last), min_size=1, max_size=most)


@st.composite
def expressions(draw: st.DrawFn) -> Said:
    minutes, is_wild = draw(numbers(0, 59)), draw(st.booleans())
    hours = frozenset(range(24)) if is_wild else draw(numbers(0, 23))
    months, weekdays = draw(numbers(1, 12, most=8)), draw(numbers(0, 6))
    texts = [",".join(map(str, sorted(one))) for one in (minutes, hours, months, weekdays)]
    hour = "*" if is_wild else texts[1]
    text = f"{texts[0]} {hour} * {texts[2]} {texts[3]}"
    return Said(text, minutes, hours, not is_wild, months=months, weekdays=weekdays)


CHANGES = [(name, moment) for name in ZONES for moment in changes(load_zone(name), *years_of(name))]


@given(said=expressions(), change=st.sampled_from(CHANGES), hours=st.integers(-40, 40))
def test_whatever_is_asked_for_and_whenever_it_agrees_with_the_walk(
    said: Said, change: tuple[str, datetime], hours: int
) -> None:
    name, moment = change
    timing, end = timing_of(said.text, name), moment + NEAR
    expected = due(said, walls(load_zone(name), moment - NEAR, end))
    since = moment + timedelta(hours=hours)

    assert told(timing, since, end) == [one for one in expected if one >= since]


@given(said=expressions(), start=st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001
def test_without_changes_of_the_clock_another_implementation_agrees(
    said: Said, start: datetime
) -> None:
    since = start.replace(tzinfo=UTC)
    other = CronSim(said.text, since)
    expected = [next(other) for _ in range(5)]

    assert list(occurrences_between(timing_of(said.text), since, LATEST, 5)) == expected


@given(said=expressions(), change=st.sampled_from(CHANGES), hours=st.integers(-100, 100))
def test_one_after_the_other_gives_the_same_as_all_at_once(
    said: Said, change: tuple[str, datetime], hours: int
) -> None:
    name, moment = change
    timing, here = timing_of(said.text, name), moment + timedelta(hours=hours)
    together = occurrences_between(timing, here, LATEST, 12)

    one_by_one = []
    for _ in together:
        following = next_occurrence(timing, here)
        assert following is not None
        one_by_one.append(following)
        here = following
    assert one_by_one == list(together)
    assert all(earlier < later for earlier, later in pairwise(together))


# Single rules


def test_either_day_matches_when_both_are_restricted_and_both_must_when_one_begins_with_a_star() -> (
    None
):
    either = told(timing_of("0 0 15 * mon"), *june())
    both = told(timing_of("0 0 */2 * mon"), *june())

    assert [one.day for one in either] == [1, 8, 15, 22, 29]
    assert [one.day for one in both] == [1, 15, 29]
    assert [one.day for one in told(timing_of("0 0 16 * mon"), *june())] == [1, 8, 15, 16, 22, 29]


def june() -> tuple[datetime, datetime]:
    return datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


def test_at_runs_once_and_only_in_its_own_window() -> None:
    moment = datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    timing = read_timing(ProcScheduleSpec(proc_ref=ProcRef(name="p"), at=moment), "u")
    assert isinstance(timing, Timing)

    assert occurrences_between(timing, MIDSUMMER, LATEST, 9) == (moment,)
    assert next_occurrence(timing, MIDSUMMER) == datetime(2027, 1, 1, tzinfo=UTC)
    assert next_occurrence(timing, moment) is None
    assert occurrences_between(timing, MIDSUMMER, moment - timedelta(seconds=1), 9) == ()
    assert starting_time(timing, moment) == moment


def test_seconds_of_the_question_matter() -> None:
    timing, noon = timing_of("0 12 * * *"), datetime(2026, 6, 20, 12, tzinfo=UTC)
    second = timedelta(seconds=1)

    assert next_occurrence(timing, noon - second) == noon
    assert next_occurrence(timing, noon) == noon + timedelta(days=1)
    assert occurrences_between(timing, noon - second, noon, 9) == (noon,)
    assert occurrences_between(timing, noon - second * 9, noon - second, 9) == ()


def test_all_hours_written_out_are_a_wildcard_too() -> None:
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    timings = [timing_of(f"0 {hours} * * *", "Europe/Berlin") for hours in ("*", "0-23", "*/1")]

    days = [told(timing, start, start + timedelta(hours=25)) for timing in timings]

    assert [len(day) for day in days] == [25, 25, 25]


# H and jitter


UIDS = [f"uid-{number}" for number in range(400)]


@pytest.mark.parametrize(
    ("cron", "possible"),
    {
        "H * * * *": range(60),
        "H(0-29) * * * *": range(30),
        "H(10-12) * * * *": range(10, 13),
    }.items(),
)
def test_h_is_one_minute_of_its_range_and_all_are_used(cron: str, possible: range) -> None:
    chosen = [timing_of(cron, uid=uid).cron for uid in UIDS]

    assert {minute for one in chosen if one for minute in one.minutes} == set(possible)
    assert {len(one.minutes) for one in chosen if one} == {1}
    assert timing_of(cron, uid="uid-7") == timing_of(cron, uid="uid-7")


@pytest.mark.parametrize("uid", UIDS[:50])
def test_h_with_a_step_begins_within_the_first_step(uid: str) -> None:
    cron = timing_of("H/15 H(0-7)/3 H H *", uid=uid).cron
    assert cron is not None
    minutes, hours = sorted(cron.minutes), sorted(cron.hours)

    assert minutes == list(range(minutes[0], 60, 15))
    assert minutes[0] < 15
    assert hours == list(range(hours[0], 8, 3))
    assert cron.days <= set(range(1, 29))
    assert cron.months <= set(range(1, 13))


@given(
    said=expressions(),
    change=st.sampled_from(CHANGES),
    jitter=st.integers(1, 59),
    uid=st.text(max_size=9),
)
def test_a_delay_is_the_same_each_time_and_ends_before_the_next_occurrence(
    said: Said, change: tuple[str, datetime], jitter: int, uid: str
) -> None:
    name, moment = change
    timing = timing_of(said.text, name, uid, jitter)
    here = occurrences_between(timing, moment - NEAR, LATEST, 4)
    starts = [starting_time(timing, one) for one in here]

    assert starts == [starting_time(timing, one) for one in here]
    for start, (occurrence, following) in zip(starts, pairwise(here), strict=False):
        assert timedelta(0) <= start - occurrence <= timedelta(seconds=jitter)
        assert start < following


def test_where_the_clock_brings_two_times_together_the_delay_is_cut() -> None:
    # 01:59 and, an hour of wall clock later, 02:59: the second comes at 03:00, a minute after the first.
    delays = set()
    for uid in UIDS:
        timing = timing_of("59 1,2 * * *", "Europe/Berlin", uid, 3599)
        first = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
        assert next_occurrence(timing, first) == first + MINUTE
        delays.add((starting_time(timing, first) - first).total_seconds())

    assert min(delays) == 0
    assert max(delays) == 59


# Bounds


class CountingZone(ZoneInfo):
    """Counts how often it is asked what time it is."""

    questions = 0

    def fromutc(self, dt: datetime) -> datetime:
        CountingZone.questions += 1
        return super().fromutc(dt)


@pytest.mark.parametrize("name", ["Etc/UTC", "Asia/Tokyo", "Europe/Berlin"])
def test_the_next_occurrence_is_found_without_a_look_at_the_years_after_it(name: str) -> None:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        zone = CountingZone.from_file(data, key=name)
    for cron, most in {"* * * * *": 30, "0 12 * * *": 30, "0 0 1 * *": 150}.items():
        CountingZone.questions = 0

        assert next_occurrence(replace(timing_of(cron), zone=zone), MIDSUMMER) is not None
        assert 0 < CountingZone.questions <= most


def test_whatever_the_window_the_answer_is_bounded() -> None:
    always = timing_of("* * * * *", "Europe/Berlin")
    rare = timing_of("0 0 29 2 */7")
    ends = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

    assert len(occurrences_between(always, *ends, 10**9)) == MOST_AT_ONCE
    assert occurrences_between(always, *ends, 1) == (EARLIEST,)
    assert occurrences_between(always, *ends, 0) == ()
    assert occurrences_between(always, ends[1], ends[0], 9) == ()
    assert next_occurrence(always, LATEST) is None
    assert next_occurrence(always, LATEST + HORIZON) is None
    assert next_occurrence(rare, datetime(2060, 3, 1, tzinfo=UTC)) == datetime(
        2088, 2, 29, tzinfo=UTC
    )
    far = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))
    assert next_occurrence(always, far) is None
