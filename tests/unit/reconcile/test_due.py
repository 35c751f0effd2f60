"""Which planned times are started and which are missed, for every policy and every absence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.execution import ProcRef
from proctor_operator.domain.occurrence import PassedOver
from proctor_operator.domain.occurrences import (
    Timing,
    occurrences_between,
    read_timing,
    starting_time,
)
from proctor_operator.domain.schedule import CatchUp, CatchUpPolicy, ProcScheduleSpec
from proctor_operator.reconcile.due import (
    LOOKED_AT_AT_MOST,
    NAMED_AT_MOST,
    Start,
    may_still_start,
    next_due,
    next_missed,
)

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def spec_of(**fields: Any) -> ProcScheduleSpec:
    return ProcScheduleSpec(**{"proc_ref": ProcRef(name="x"), "cron": "* * * * *", **fields})


def timing_of(spec: ProcScheduleSpec) -> Timing:
    timing = read_timing(spec, "uid-1")
    assert isinstance(timing, Timing)
    return timing


def handled(
    spec: ProcScheduleSpec, since: datetime, now: datetime
) -> tuple[list[datetime], int, int]:
    """What is started, how many are missed, and in how many steps, until nothing is due."""
    timing, started, missed, steps = timing_of(spec), [], 0, 0
    while (step := next_due(timing, spec, since, now)) is not None:
        steps += 1
        if isinstance(step, Start):
            started.append(step.instant)
            assert step.instant > since
            since = step.instant
        else:
            assert step.until > since
            missed += step.count
            since = step.until
    return started, missed, steps


def minutes_ago(*numbers: int) -> list[datetime]:
    return [NOON - timedelta(minutes=number) for number in numbers]


SECONDS = timedelta(seconds=1)
AWAY_FOR_90_MINUTES = NOON - timedelta(minutes=90)
POLICIES: dict[str, tuple[dict[str, Any], list[datetime], int]] = {
    "none: only what is late by up to a minute": ({}, minutes_ago(0), 89),
    "last: what is due now is the newest": (
        {"catch_up": CatchUp(policy="Last")},
        minutes_ago(0),
        89,
    ),
    "all: the newest ten, oldest first, and what is due now": (
        {"catch_up": CatchUp(policy="All")},
        minutes_ago(10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        79,
    ),
    "all, with a limit of two": (
        {"catch_up": CatchUp(policy="All", limit=2)},
        minutes_ago(2, 1, 0),
        87,
    ),
    "all, within three minutes": (
        {"catch_up": CatchUp(policy="All"), "starting_deadline_seconds": 200},
        minutes_ago(3, 2, 1, 0),
        86,
    ),
    "hourly, none: half an hour is too late": ({"cron": "30 * * * *"}, [], 1),
    "hourly, last": (
        {"cron": "30 * * * *", "catch_up": CatchUp(policy="Last")},
        minutes_ago(30),
        0,
    ),
    "hourly, last, but beyond its deadline": (
        {
            "cron": "30 * * * *",
            "catch_up": CatchUp(policy="Last"),
            "starting_deadline_seconds": 1799,
        },
        [],
        1,
    ),
    "a deadline below a minute is shorter than what is late": (
        {"starting_deadline_seconds": 4},
        [],
        90,
    ),
    "once, none": ({"cron": None, "at": NOON - timedelta(minutes=5)}, [], 1),
    "once, last": (
        {"cron": None, "at": NOON - timedelta(minutes=5), "catch_up": CatchUp(policy="Last")},
        minutes_ago(5),
        0,
    ),
}


@pytest.mark.parametrize(("fields", "started", "missed"), POLICIES.values(), ids=POLICIES)
def test_after_ninety_minutes(fields: dict[str, Any], started: list[datetime], missed: int) -> None:
    now = NOON + 5 * SECONDS

    assert handled(spec_of(**fields), AWAY_FOR_90_MINUTES, now)[:2] == (started, missed)


LATE: dict[str, tuple[int, bool]] = {
    "at its time": (0, True),
    "a minute late": (60, True),
    "more than a minute late": (61, False),
}


@pytest.mark.parametrize(("seconds", "is_started"), LATE.values(), ids=LATE)
def test_it_is_started(seconds: int, *, is_started: bool) -> None:
    spec = spec_of(cron="0 12 * * *")
    step = next_due(timing_of(spec), spec, NOON - SECONDS, NOON + seconds * SECONDS)

    assert isinstance(step, Start) == is_started


def test_nothing_is_due_before_its_time() -> None:
    spec = spec_of(cron="0 12 * * *")

    assert next_due(timing_of(spec), spec, NOON - timedelta(hours=5), NOON - SECONDS) is None


def test_what_jitter_delays_is_due_when_the_delay_is_over() -> None:
    spec = spec_of(cron="0 12 * * *", jitter_seconds=3600)
    timing = timing_of(spec)
    start = starting_time(timing, NOON)
    assert start > NOON + 60 * SECONDS

    assert next_due(timing, spec, NOON - SECONDS, start - SECONDS) is None
    assert next_due(timing, spec, NOON - SECONDS, start + 60 * SECONDS) == Start(NOON)
    assert isinstance(next_due(timing, spec, NOON - SECONDS, start + 61 * SECONDS), PassedOver)


def test_a_year_of_missed_minutes_is_counted_in_steps_of_a_bounded_size() -> None:
    spec = spec_of(catch_up=CatchUp(policy="All", limit=3))
    since = NOON - timedelta(days=7)

    first = next_due(timing_of(spec), spec, since, NOON)
    started, missed, steps = handled(spec, since, NOON)

    assert isinstance(first, PassedOver)
    assert (first.count, len(first.newest)) == (LOOKED_AT_AT_MOST - 101, NAMED_AT_MOST)
    assert started == minutes_ago(4, 3, 2, 1, 0)
    assert missed == 7 * 24 * 60 - 5
    assert steps < missed / 800 + 10


def test_what_a_suspended_schedule_missed_is_all_that_went_by() -> None:
    missed = next_missed(timing_of(spec_of()), NOON - timedelta(minutes=5), NOON)

    assert missed == PassedOver(NOON, 5, tuple(minutes_ago(4, 3, 2, 1, 0)))
    assert next_missed(timing_of(spec_of()), NOON, NOON) is None


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "H * * * *", "30 2 * * *"]),
    st.sampled_from(list(CatchUpPolicy)),
    st.integers(1, 20),
    st.none() | st.integers(1, 8_000),
    st.sampled_from([0, 30]),
    st.integers(0, 100_000),
    st.integers(0, 2 * 60 * 60),
)
def test_each_planned_time_is_started_or_counted_once(
    cron: str,
    policy: CatchUpPolicy,
    limit: int,
    deadline: int | None,
    jitter: int,
    shift: int,
    away: int,
) -> None:
    spec = spec_of(
        cron=cron,
        catch_up=CatchUp(policy=policy, limit=limit),
        starting_deadline_seconds=deadline,
        jitter_seconds=jitter,
    )
    timing, now = timing_of(spec), NOON + shift * SECONDS
    since = now - away * SECONDS
    planned = [
        one
        for one in occurrences_between(timing, since, now, 10_000)
        if starting_time(timing, one) <= now
    ]

    started, missed, _ = handled(spec, since, now)

    assert started == planned[len(planned) - len(started) :], "the newest, in order, once"
    assert len(started) + missed == len(planned)
    late = [now - starting_time(timing, one) for one in planned]
    fresh = sum(one <= min(60, deadline or 60) * SECONDS for one in late)
    in_time = sum(deadline is None or one <= deadline * SECONDS for one in late)
    wanted = {
        CatchUpPolicy.NONE: fresh,
        CatchUpPolicy.LAST: fresh or min(1, in_time),
        CatchUpPolicy.ALL: min(in_time, fresh + limit),
    }
    assert len(started) == wanted[policy]
    assert all(may_still_start(timing, spec, one, now) for one in started)
