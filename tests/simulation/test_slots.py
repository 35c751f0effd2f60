"""Limits under faults: a crash at every write, a second controller, and everything at random."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from simulation.plans import Plan, WriteFault, parse_plan
from simulation.playing import check, check_all, play
from simulation.scenarios import LINES

CRASHES = (WriteFault.CRASH_BEFORE, WriteFault.CRASH_AFTER)
OTHERS = tuple(fault for fault in WriteFault if fault not in CRASHES)


def one_fault(life: str, faults: tuple[WriteFault, ...]) -> Iterator[Plan]:
    return (
        Plan(life, writes=((number, fault),))
        for number in range(play(Plan(life)).writes)
        for fault in faults
    )


@pytest.mark.parametrize("life", LINES)
def test_limits_hold_without_faults(life: str) -> None:
    check_all(Plan(life, seed) for seed in range(4))


@pytest.mark.parametrize("life", LINES)
def test_a_crash_at_any_write_exceeds_no_limit_and_leaves_nobody_waiting(life: str) -> None:
    check_all(one_fault(life, CRASHES))


@pytest.mark.parametrize("life", LINES)
def test_a_write_that_is_lost_late_or_overtaken_exceeds_no_limit(life: str) -> None:
    check_all(one_fault(life, OTHERS))


@pytest.mark.parametrize("life", LINES)
def test_two_controllers_at_once_exceed_no_limit(life: str) -> None:
    check_all(
        parse_plan(f"{life} seed={seed} windows=usurper:{start}-{start + 60}{weather}")
        for seed, start in enumerate((0, 0.5, 1.1, 4))
        for weather in ("", " weather=rough")
    )


@pytest.mark.parametrize("trouble", ["record-down", "api-down", "silence"])
@pytest.mark.parametrize("life", LINES)
def test_an_outage_exceeds_no_limit(life: str, trouble: str) -> None:
    check_all(
        parse_plan(f"{life} seed={seed} windows={trouble}:{start}-{start + 25}")
        for seed, start in enumerate((0.5, 1.3, 3, 6))
    )


def test_who_waits_starts_as_soon_as_the_one_before_has_ended() -> None:
    played = check(Plan("queued"))

    (ended,) = (
        at(line) for line in played.trace if " record outcome " in line and "-uid-3" in line
    )
    (claimed,) = [at(line) for line in played.trace if "claim run-1" in line][1:]
    assert claimed - ended < 1.0


def test_who_waits_for_one_that_was_torn_away_starts_as_soon_as_its_job_has_ended() -> None:
    played = check(Plan("the-first-is-torn-away"))

    ended = next(at(line) for line in played.trace if " record outcome " in line)
    claimed = [at(line) for line in played.trace if "claim run-1" in line][-1]
    assert claimed - ended < 1.0


def test_who_is_replaced_is_stopped_at_once() -> None:
    played = check(Plan("replaced"))

    asked = next(at(line) for line in played.trace if "claim run-9" in line)
    (stopped,) = (at(line) for line in played.trace if "outcome" in line and "Replaced" in line)
    assert stopped - asked < 10.0


def test_a_proc_is_told_of_its_runs_at_most_every_thirty_seconds() -> None:
    played = check(Plan("queued-two-at-a-time"))

    told = [at(line) for line in played.trace if "patch procs/team/proc-limited status" in line]
    assert 2 <= len(told) <= 4
    assert all(later - earlier >= 29.9 for earlier, later in pairwise(told[1:]))


def at(line: str) -> float:
    return float(line.split(maxsplit=1)[0])
