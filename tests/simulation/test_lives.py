"""Every life of an execution, alone and with a fault at each of its durable writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulation.plans import Plan, WriteFault, parse_plan
from simulation.playing import check, check_all, play
from simulation.scenarios import LIVES

CRASHES = (WriteFault.CRASH_BEFORE, WriteFault.CRASH_AFTER)
LOSSES = tuple(fault for fault in WriteFault if fault not in CRASHES)
MOST_WRITES = 24
SEED_OF_A_RUSH = 2
"""Of the lives of every third seed each start comes in a rush (`operator_process.py`)."""


def one_fault(life: str, faults: tuple[WriteFault, ...], seed: int = 0) -> Iterator[Plan]:
    writes = play(Plan(life, seed)).writes
    assert 0 < writes <= MOST_WRITES
    for number in range(writes):
        for fault in faults:
            yield Plan(life, seed, writes=((number, fault),))


@pytest.mark.parametrize("life", LIVES)
def test_a_life_without_faults_keeps_every_promise(life: str) -> None:
    check(Plan(life))
    check(Plan(life, seed=1))
    check(Plan(life, seed=SEED_OF_A_RUSH))


@pytest.mark.parametrize("life", [life for life in LIVES if life != "poison-among-others"])
def test_a_crash_at_any_write_breaks_no_promise(life: str) -> None:
    check_all(one_fault(life, CRASHES))


@pytest.mark.parametrize("life", [life for life in LIVES if life != "poison-among-others"])
def test_a_write_that_is_lost_late_or_overtaken_breaks_no_promise(life: str) -> None:
    check_all(one_fault(life, LOSSES))


@pytest.mark.parametrize("life", ["success", "failure", "cancel-while-running"])
def test_no_fault_breaks_a_promise_while_starts_are_told_late(life: str) -> None:
    check_all(one_fault(life, tuple(WriteFault), SEED_OF_A_RUSH))


@pytest.mark.parametrize("second", CRASHES)
@pytest.mark.parametrize("first", CRASHES)
def test_two_crashes_at_any_writes_of_a_success_break_no_promise(
    first: WriteFault, second: WriteFault
) -> None:
    # After a crash the writes begin anew: three more numbers reach to the end of the second life.
    writes = play(Plan("success")).writes
    check_all(
        Plan("success", writes=((one, first), (other, second)))
        for one in range(writes)
        for other in range(one + 1, writes + 3)
    )


def test_the_same_plan_plays_out_the_same_way() -> None:
    plan = parse_plan(
        "random seed=5 writes=4:crash-after windows=two-controllers:3-20 weather=rough"
    )

    assert play(plan).trace == play(plan).trace


def test_a_plan_reads_back_as_it_was_written() -> None:
    plan = parse_plan(
        "success seed=3 writes=4:crash-after,9:lost-reply windows=record-down:5-65 weather=rough "
        "drop=7,8 stale=5 deeds=3:lose_node"
    )

    assert parse_plan(str(plan)) == plan
