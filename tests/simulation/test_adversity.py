"""Watches that fail, stale reads, outages, wrong clocks, people, rivals, meddlers, poison."""

from __future__ import annotations

import pytest

from simulation.plans import Plan, Trouble, Window, WriteFault, parse_plan
from simulation.playing import check, check_all, play
from simulation.workload import Deed

WORKLOADS = (
    "success",
    "retries",
    "never-starts",
    "cancel-while-running",
    "delete-while-running",
    "delete-in-foreground",
)

CHANGES_OF_LEADER = (
    Trouble.TWO_CONTROLLERS,
    Trouble.PARTITION,
    Trouble.PAUSE,
    Trouble.HAND_OVER,
)

INTERFERENCE = [deed for deed in Deed if deed not in (Deed.LOSE_THE_ROW, Deed.GIVE_UP)]
"""Those two are about the record, and have lives of their own."""


@pytest.mark.parametrize("life", WORKLOADS)
def test_any_one_event_may_get_lost(life: str) -> None:
    events = play(Plan(life)).events
    check_all(Plan(life, drop=(number,)) for number in range(events))


def test_what_watches_did_not_tell_of_is_counted() -> None:
    played = check(parse_plan("success windows=silence:0-170"))

    assert "ProcExecution" in played.findings


@pytest.mark.parametrize("life", WORKLOADS)
def test_all_events_of_a_minute_may_get_lost(life: str) -> None:
    check_all(parse_plan(f"{life} windows=silence:{start}-{start + 60}") for start in (0, 2, 5, 10))


@pytest.mark.parametrize("life", ["success", "cancel-while-running", "delete-while-running"])
def test_a_restart_may_begin_with_any_older_picture(life: str) -> None:
    base = play(Plan(life))
    check_all(
        Plan(life, writes=((write, WriteFault.CRASH_AFTER),), stale=stale)
        for write in range(base.writes)
        for stale in range(1, base.versions)
    )


@pytest.mark.parametrize("trouble", [Trouble.RECORD_DOWN, Trouble.API_DOWN])
@pytest.mark.parametrize("life", WORKLOADS)
def test_a_dependency_may_be_away_for_a_while(life: str, trouble: Trouble) -> None:
    check_all(
        parse_plan(f"{life} seed={seed} windows={trouble}:{start}-{end}")
        for seed, (start, end) in enumerate(((0, 8), (1.05, 30), (2.2, 12), (4, 120), (9, 70)))
    )


@pytest.mark.parametrize("trouble", [Trouble.RECORD_DOWN, Trouble.API_DOWN])
@pytest.mark.parametrize("life", WORKLOADS)
def test_a_dependency_may_go_away_at_any_write(life: str, trouble: Trouble) -> None:
    check_all(
        Plan(life, windows=(Window(trouble, round(at, 3), round(at + 25, 3)),))
        for at in play(Plan(life)).written_at
    )


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("life", WORKLOADS)
def test_the_reply_to_any_write_may_get_lost_again_and_again(life: str, times: int) -> None:
    check_all(
        Plan(life, writes=tuple((write + n, WriteFault.LOST_REPLY) for n in range(times)))
        for write in range(play(Plan(life)).writes)
    )


@pytest.mark.parametrize("deed", INTERFERENCE)
@pytest.mark.parametrize("life", ["success", "failure", "retries", "never-starts"])
def test_people_and_nodes_may_interfere_at_any_write(life: str, deed: Deed) -> None:
    check_all(Plan(life, deeds=((write, deed),)) for write in range(1, play(Plan(life)).writes))


@pytest.mark.parametrize("trouble", [Trouble.CLOCK_AHEAD, Trouble.CLOCK_BEHIND])
@pytest.mark.parametrize("life", [*WORKLOADS, "second-never-starts", "deadline", "not-kept"])
def test_the_clock_of_the_machine_may_be_wrong_or_jump(life: str, trouble: Trouble) -> None:
    check_all(
        parse_plan(f"{life} windows={trouble}:{start}-{end}")
        for start, end in ((0, 600), (0, 3), (1.05, 30), (2.2, 600), (9, 20))
    )


@pytest.mark.parametrize("trouble", CHANGES_OF_LEADER)
@pytest.mark.parametrize("life", WORKLOADS)
def test_leaders_change_without_harm(life: str, trouble: Trouble) -> None:
    check_all(
        parse_plan(f"{life} seed={seed} windows={trouble}:{start}-{start + 60}{weather}")
        for seed in range(3)
        for start in (0, 1.1, 4)
        for weather in ("", " weather=rough")
    )


@pytest.mark.parametrize("life", WORKLOADS)
def test_two_controllers_that_both_believe_to_lead_do_no_harm(life: str) -> None:
    check_all(
        parse_plan(f"{life} seed={seed} windows=usurper:{start}-{start + 60}{weather}")
        for seed in range(3)
        for start in (0, 1.1, 4)
        for weather in ("", " weather=rough")
    )


@pytest.mark.parametrize("life", WORKLOADS)
def test_another_writer_ten_times_a_second_holds_nothing_up(life: str) -> None:
    check(parse_plan(f"{life} windows=meddler:0-20"))


def test_an_admins_word_lets_go_what_cannot_be_recorded() -> None:
    played = check(parse_plan("given-up windows=record-down:4-60"))

    assert any(
        "DELETED procexecutions/run" in line and float(line[:9]) < 30 for line in played.trace
    )


def test_an_outage_brings_no_storm_of_calls() -> None:
    played = check(parse_plan("success windows=api-down:3-123"))

    # Lists every two seconds at the most, and one key that backs off: far below five a second.
    assert played.calls < 2 * 120


def test_poison_delays_no_other_object_by_more_than_a_second() -> None:
    alone, among_others = check(Plan("success")), check(Plan("poison-among-others"))

    assert among_others.finished_at["run"] - alone.finished_at["run"] < 1.0
