"""Events are told beside everything: they cost little, and change nothing, stored or not."""

from __future__ import annotations

import pytest

from simulation.plans import Plan, parse_plan
from simulation.playing import check, play
from simulation.scenarios import LIVES

TOLD = {
    "success": [],
    "retries": [],
    "cancel-while-running": [],
    "delete-while-running": [],
    "failure": ["run NonZeroExitCode"],
    "out-of-memory": ["run OOMKilled"],
    "never-starts": ["run ImagePullBackOff", "run PendingTimeout"],
    "unschedulable": ["run PendingTimeout", "run Unschedulable"],
    "not-permitted": ["run NotPermitted"],
    "poison": ["run Unreadable"],
}


@pytest.mark.parametrize("life", TOLD)
def test_a_life_is_told_as_far_as_somebody_must_act(life: str) -> None:
    assert list(check(Plan(life)).told) == TOLD[life]


@pytest.mark.parametrize("life", LIVES)
def test_a_life_takes_the_same_course_whether_events_are_stored_or_refused(life: str) -> None:
    assert play(Plan(life)).trace == play(Plan(life), are_events_stored=False).trace


def test_a_record_that_is_away_is_told_once_for_the_namespace() -> None:
    played = check(parse_plan("success windows=record-down:0-90"))

    assert list(played.told) == ["team RecordUnavailable"]


@pytest.mark.parametrize("seed", range(12))
def test_no_random_life_tells_more_than_it_is_worth(seed: int) -> None:
    played = play(parse_plan(f"random seed={seed} weather=rough"))

    assert [one for one in played.violations if "Events about" in one] == []
