"""Who works, and how soon somebody else does: the real elector on the simulated API server."""

from __future__ import annotations

import pytest

from simulation.plans import Plan, WriteFault, parse_plan
from simulation.playing import Played, check


def first_write_of(played: Played, actor: str) -> float:
    """When that process began its first durable write."""
    return moments(played, f": {actor} ")[0]


def moments(played: Played, words: str) -> list[float]:
    return [float(line.split()[0]) for line in played.trace if words in line]


@pytest.mark.parametrize("seed", range(6))
def test_a_clean_stop_hands_over_in_less_than_five_seconds(seed: int) -> None:
    played = check(parse_plan(f"cancel-while-running seed={seed} windows=hand-over:1.5-40"))

    (asked,) = moments(played, "operator-1 is asked to stop")
    assert first_write_of(played, "operator-standby-1.5") < asked + 5.0


@pytest.mark.parametrize("seed", range(6))
def test_after_a_kill_another_works_in_less_than_twenty_seconds(seed: int) -> None:
    """It is killed right after its Job was created: the container starts, and that is to be recorded."""
    crash = ((2, WriteFault.CRASH_AFTER),)
    windows = parse_plan("success windows=two-controllers:0-200").windows
    played = check(Plan("cancel-while-running", seed, writes=crash, windows=windows))

    (killed,) = moments(played, "operator-1 is killed")
    assert first_write_of(played, "operator-standby-0") < killed + 20.0


@pytest.mark.parametrize("seed", range(6))
def test_a_leader_that_is_cut_off_ends_itself_before_another_works(seed: int) -> None:
    played = check(parse_plan(f"cancel-while-running seed={seed} windows=partition:2-62"))

    (ended,) = moments(played, "operator-1 ends: leadership lost")
    assert ended < 2.0 + 10.1
    assert ended < first_write_of(played, "operator-standby-2") < 2.0 + 20.0


@pytest.mark.parametrize("write", range(6))
def test_a_leader_that_stood_still_in_the_middle_of_a_pass_writes_nothing_more(write: int) -> None:
    still = ((write, WriteFault.STANDS_STILL),)
    windows = parse_plan("success windows=two-controllers:0.9-300").windows
    played = check(Plan("success", writes=still, windows=windows))

    (went_on,) = moments(played, "operator-1 goes on")
    (ended,) = moments(played, "operator-1 ends: leadership lost")
    assert ended < went_on + 0.1
    assert not [moment for moment in moments(played, ": operator-1 ") if moment > went_on]
    assert first_write_of(played, "operator-standby-0.9") < went_on
