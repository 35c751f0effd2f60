"""Schedules whose operator crashes, is away, is two, or has a wrong clock: no time starts twice or is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from simulation.plans import Plan, WriteFault, parse_plan
from simulation.schedule_bugs import BUGS, ScheduleBug, machine_believed
from simulation.schedule_plans import LIVES, ScheduleLife, SchedulePlan
from simulation.schedule_playing import check_all_schedules, check_schedules, play_schedules

pytestmark = pytest.mark.timeout(600)

HOURS = 3600.0


OF_AN_OCCURRENCE = re.compile(
    r"write (\d+): \S+ (?:begin|claim|create procexecutions|mark|skip|miss|pass over|patch procschedules)"
)
"""What becomes of the executions themselves is tried in `test_lives`."""


def one_fault(life: str) -> Iterator[Plan]:
    lines = map(OF_AN_OCCURRENCE.search, play_schedules(Plan(life)).trace)
    numbers = [int(found[1]) for found in lines if found]
    assert len(numbers) >= 7
    for number in numbers:
        for fault in WriteFault:
            if fault is not WriteFault.MEDDLED:
                yield Plan(life, writes=((number, fault),))


@pytest.mark.parametrize("life", LIVES)
def test_a_life_without_faults_starts_every_planned_time_once(life: str) -> None:
    check_schedules(Plan(life))
    check_schedules(Plan(life, seed=1))


@pytest.mark.parametrize("life", ["once", "refused", "names-taken", "runs-deleted"])
def test_a_fault_at_any_write_starts_nothing_twice_and_loses_nothing(life: str) -> None:
    check_all_schedules(one_fault(life))


@pytest.mark.parametrize("second", [WriteFault.CRASH_BEFORE, WriteFault.CRASH_AFTER])
@pytest.mark.parametrize("first", [WriteFault.CRASH_BEFORE, WriteFault.CRASH_AFTER])
def test_two_crashes_between_claim_and_mark_start_nothing_twice(
    first: WriteFault, second: WriteFault
) -> None:
    check_all_schedules(
        Plan("once", writes=((one, first), (other, second)))
        for one in range(3, 8)
        for other in range(one + 1, 11)
    )


@pytest.mark.parametrize("trouble", ["downtime", "record-down", "api-down"])
@pytest.mark.parametrize("until", [110, 140, 255, 375])
def test_after_a_pause_exactly_what_the_policy_says_is_started(trouble: str, until: int) -> None:
    check_schedules(parse_plan(f"policies windows={trouble}:70-{until}"))


@pytest.mark.parametrize(
    "plan",
    [
        "suspended-and-resumed windows=downtime:70-315",
        "suspended-and-resumed windows=downtime:130-435",
        "suspended-and-resumed windows=downtime:70-435",
        "suspended-and-resumed windows=record-down:130-435",
        "suspended-and-resumed windows=record-down:70-435",
        "edited windows=downtime:130-255",
        "edited windows=record-down:130-255",
    ],
)
def test_who_comes_back_to_another_rule_starts_nothing_that_is_past(plan: str) -> None:
    check_schedules(parse_plan(plan))


@pytest.mark.parametrize("life", ["once", "minutes", "runs-deleted", "names-taken", "edited"])
def test_two_controllers_that_both_believe_to_lead_start_nothing_twice(life: str) -> None:
    check_all_schedules(
        parse_plan(f"{life} seed={seed} windows=usurper:{start}-{start + 150}")
        for seed in range(2)
        for start in (0, 55, 59.9)
    )


def test_events_that_are_late_lost_and_doubled_change_nothing() -> None:
    check_all_schedules(
        parse_plan(f"every-other-minute seed={seed} weather=rough{window}")
        for seed in range(3)
        for window in ("", " windows=usurper:0-200", " windows=two-controllers:0-200")
    )


@pytest.mark.parametrize("trouble", ["clock-ahead", "clock-behind"])
def test_a_wrong_clock_of_the_machine_starts_nothing_early_late_or_twice(trouble: str) -> None:
    check_all_schedules(
        parse_plan(f"{life} windows={trouble}:70-{until}")
        for life in ("minutes", "policies", "once")
        for until in (95, 150)
    )


def test_a_clock_that_steps_back_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the wrong clock is believed: what ran too early does not run again in its time."""
    machine_believed(monkeypatch)
    played = play_schedules(parse_plan("minutes windows=clock-ahead:70-150"))

    assert any("starts early" in one for one in played.violations), played.explain()
    assert not [one for one in played.violations if "twice" in one], played.explain()


def test_ninety_minutes_without_an_operator_are_made_up_for_as_each_policy_says() -> None:
    mixed = [
        {"catch_up": "None"},
        {"catch_up": "None", "deadline_seconds": 600},
        {"catch_up": "Last"},
        {"catch_up": "Last", "deadline_seconds": 1200},
        {"catch_up": "All"},
        {"catch_up": "All", "limit": 3},
        {"catch_up": "All", "limit": 100, "deadline_seconds": 600},
        {"catch_up": "All", "limit": 40},
    ]
    schedules = tuple(
        SchedulePlan(f"tick-{number}", **mixed[number % len(mixed)])  # type: ignore[arg-type]
        for number in range(200)
    )
    life = ScheduleLife(schedules, lasts=130.0 + 1.5 * HOURS + 200.0, has_proc=False)

    played = check_schedules(parse_plan(f"policies windows=downtime:130-{130 + 1.5 * HOURS}"), life)

    # Two before and three afterwards, or four, beside what is caught up.
    caught_up = {number: played.started[f"tick-{number}"] - 6 for number in range(len(mixed))}
    assert caught_up == {0: 0, 1: 0, 2: 0, 3: 0, 4: 10, 5: 3, 6: 9, 7: 40}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_planted_bug_is_caught(bug: ScheduleBug, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = parse_plan(bug.plan)
    check_schedules(plan)

    bug.plant(monkeypatch)
    played = play_schedules(plan)

    assert [one for one in played.violations if bug.words in one], played.explain()


def test_the_same_plan_plays_out_the_same_way() -> None:
    plan = parse_plan("two seed=5 writes=4:crash-after windows=usurper:3-100 weather=rough")

    assert play_schedules(plan).trace == play_schedules(plan).trace
