"""Whole passes over a schedule, on a cluster and a record in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from proctor_operator.domain.errors import Denied, Fault, Forbidden
from proctor_operator.domain.execution import ProcExecution, ProcRef
from proctor_operator.domain.identity import Via
from proctor_operator.domain.naming import Uid, occurrence_name
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.domain.occurrence import OccurrenceState
from proctor_operator.domain.schedule import (
    CatchUp,
    CatchUpPolicy,
    ProcSchedule,
    ProcScheduleSpec,
)
from proctor_operator.runtime.cache import key_of
from unit.builders import (
    NAMESPACE,
    NOW,
    ago,
    execution,
    final_execution_status,
    proc,
    requester,
    schedule,
)
from unit.world import World

UID = Uid("schedule-uid-1")
KEY = ObjectKey(Kind.PROC_SCHEDULE, NAMESPACE, "nightly")
NAME = occurrence_name("nightly", UID, NOW)


def every_minute(**fields: Any) -> ProcSchedule:
    defaults: dict[str, Any] = {
        "proc_ref": ProcRef(name="grow-disk"),
        "cron": "* * * * *",
        "requested_by": requester(),
    }
    return schedule(
        spec=ProcScheduleSpec(**{**defaults, **fields}),
        creation_time=NOW - timedelta(seconds=30),
    )


def made(world: World) -> list[ProcExecution]:
    return [one for one in world.cluster.own.values() if isinstance(one, ProcExecution)]


def states(world: World) -> list[OccurrenceState]:
    return [row.state for _, row in sorted(world.occurrences.table.rows.items())]


def shown(world: World) -> ProcSchedule:
    found = world.cluster.own[KEY]
    assert isinstance(found, ProcSchedule)
    return found


async def start_and_tell(world: World) -> None:
    """The pass that starts what is due, and the one that then shows it."""
    await world.pass_over(KEY)
    world.clock.moment += timedelta(seconds=2)
    await world.pass_over(KEY)


async def test_an_occurrence_is_claimed_made_marked_and_shown() -> None:
    world = World(proc(), every_minute(arguments={"SIZE_GB": 2}))

    await world.pass_over(KEY)
    assert world.cluster.writes == ["create_execution"], "starting comes before telling"
    assert world.wakes[-1] == (KEY, 2.0)
    world.clock.moment = NOW + timedelta(seconds=2)
    await world.pass_over(KEY)

    (run,) = made(world)
    reference, asked = run.spec.schedule_ref, run.spec.requested_by
    assert reference is not None
    assert (run.name, reference.name, reference.uid) == (NAME, "nightly", UID)
    assert (reference.scheduled_time, run.spec.arguments) == (NOW, {"SIZE_GB": 2})
    assert asked == requester(via=Via.SCHEDULE)
    assert (run.spec.proc_uid, run.spec.proc_generation) == (proc().uid, proc().generation)
    assert run.is_held
    assert world.cluster.writes == ["create_execution", "write_schedule_status"]
    assert world.occurrences.asked == ["fetch_progress", "begin", "claim", "mark_started"]
    (row,) = world.occurrences.table.rows.values()
    assert (row.state, row.execution) == (OccurrenceState.STARTED, run.uid)
    status = shown(world).status
    assert (status.last_occurrence, status.missed) == (NOW, 0)
    assert status.next_occurrence == NOW + timedelta(minutes=1)
    assert [one.name for one in status.active] == [NAME]
    assert world.wakes[-1] == (KEY, 58.0)


async def test_the_next_occurrence_costs_three_writes_and_no_question() -> None:
    world = World(proc(), every_minute())
    await start_and_tell(world)
    world.occurrences.asked.clear()
    world.cluster.writes.clear()
    world.clock.moment = NOW + timedelta(minutes=1)

    await start_and_tell(world)

    assert world.occurrences.asked == ["claim", "mark_started"]
    assert world.cluster.writes == ["create_execution", "write_schedule_status"]


async def test_of_a_long_row_a_pass_starts_one_so_that_others_come_in_between() -> None:
    world = World(proc(), every_minute(catch_up=CatchUp(policy=CatchUpPolicy.ALL)))
    world.clock.moment = NOW + timedelta(minutes=2)

    for count in (1, 2):
        await world.pass_over(KEY)
        assert len(made(world)) == count
        assert world.wakes[-1] == (KEY, 0.0)
    await world.pass_over(KEY)

    assert states(world) == [OccurrenceState.STARTED] * 3


async def test_a_pass_before_its_time_does_nothing() -> None:
    world = World(proc(), every_minute())
    await start_and_tell(world)
    world.cluster.writes.clear()
    world.clock.moment = NOW + timedelta(seconds=59)

    await world.pass_over(KEY)

    assert (world.cluster.writes, world.wakes[-1]) == ([], (KEY, 1.0))


async def test_what_ends_is_shown_at_once_or_with_the_next_that_starts_within_seconds() -> None:
    for seconds, writes in ((10, 2), (55, 1)):
        world = World(proc(), every_minute())
        await start_and_tell(world)
        (run,) = made(world)
        assert [one.uid for one in shown(world).status.active] == [run.uid]
        world.cluster.own[key_of(run)] = run.model_copy(
            update={
                "status": final_execution_status(),
                "resource_version": world.cluster.next_version(),
            }
        )
        world.clock.moment = NOW + timedelta(seconds=seconds)

        await world.pass_over(KEY)

        assert world.cluster.writes.count("write_schedule_status") == writes, seconds
        world.clock.moment = NOW + timedelta(minutes=1)
        await start_and_tell(world)
        names = [one.name for one in shown(world).status.active]
        assert run.name not in names


async def test_a_far_time_is_looked_at_every_minute_and_nothing_is_decided_anew() -> None:
    world = World(proc(), every_minute(cron="0 12 * * *"))
    await world.pass_over(KEY)
    world.look_around()
    world.occurrences.before = world.cluster.before = _fails_at("anything")

    for minutes in (0, 1, 149):
        world.clock.moment = NOW + timedelta(minutes=minutes)
        await world.runner.run(KEY)

    assert [seconds for _, seconds in world.wakes] == [60.0] * 4
    world.clock.moment = NOW + timedelta(minutes=149, seconds=58)
    await world.runner.run(KEY)
    assert world.wakes[-1] == (KEY, 2.0)
    world.clock.moment = NOW + timedelta(minutes=150)
    await world.runner.run(KEY)
    assert states(world) == [OccurrenceState.STARTED]


async def test_a_clock_that_is_set_is_noticed_at_the_next_look() -> None:
    world = World(proc(), every_minute(cron="0 12 * * *"))
    await world.pass_over(KEY)
    world.look_around()

    world.clock.moment = NOW - timedelta(hours=1)
    await world.runner.run(KEY)
    world.clock.moment = NOW + timedelta(minutes=150, seconds=30)
    await world.runner.run(KEY)

    assert states(world) == [OccurrenceState.STARTED]


async def test_an_execution_that_is_deleted_is_not_started_again() -> None:
    world = World(proc(), every_minute())
    await world.pass_over(KEY)
    (run,) = made(world)
    del world.cluster.own[key_of(run)]
    world.start()

    await world.pass_over(KEY)

    assert made(world) == []


CRASHES = ["claim", "create_execution", "mark_started", "write_schedule_status"]


@pytest.mark.parametrize("call", CRASHES)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_anywhere_starts_it_once_all_the_same(call: str, when: str) -> None:
    world = World(proc(), every_minute())

    # The answer of a call is lost: what it did is done when the next one begins.
    wanted = {"before": call, "after": _next_call(call)}[when]

    def crash(asked: str) -> None:
        if asked == wanted:
            raise Fault("crashed")

    world.occurrences.before = world.cluster.before = crash
    if wanted:
        with pytest.raises(Fault, match="crashed"):
            await start_and_tell(world)
    else:
        await start_and_tell(world)
    world.occurrences.before = world.cluster.before = lambda _: None
    world.start()
    await world.pass_over(KEY)

    assert [one.name for one in made(world)] == [NAME]
    assert states(world) == [OccurrenceState.STARTED]


def _next_call(call: str) -> str:
    after = CRASHES.index(call) + 1
    return CRASHES[after] if after < len(CRASHES) else ""


async def test_a_run_that_was_made_and_is_gone_since_is_found_in_the_record() -> None:
    world = World(proc(), every_minute())
    world.cluster.before = _fails_at("create_execution")
    with pytest.raises(Fault):
        await world.pass_over(KEY)
    world.cluster.before = lambda _: None
    world.occurrences.recorded[NAME] = Uid("gone")
    world.start()

    await world.pass_over(KEY)

    assert made(world) == []
    (row,) = world.occurrences.table.rows.values()
    assert (row.state, row.execution) == (OccurrenceState.STARTED, "gone")


async def test_a_claim_that_nobody_could_finish_in_time_is_missed() -> None:
    world = World(proc(), every_minute(cron="30 9 * * *"))
    world.cluster.before = _fails_at("create_execution")
    with pytest.raises(Fault):
        await world.pass_over(KEY)
    world.cluster.before = lambda _: None
    world.start()
    world.clock.moment = NOW + timedelta(minutes=5)

    await world.pass_over(KEY)

    assert made(world) == []
    assert states(world) == [OccurrenceState.MISSED]
    assert shown(world).status.missed == 1
    assert [one.reason for one in world.events.told] == ["OccurrenceMissed"]


def _fails_at(wanted: str) -> Any:
    def fail(call: str) -> None:
        if call == wanted:
            raise Fault("cut off")

    return fail


async def test_a_strangers_execution_of_that_name_is_left_alone_and_said() -> None:
    stranger = execution(name=NAME)
    world = World(proc(), every_minute(), stranger)

    await world.pass_over(KEY)

    assert made(world) == [stranger]
    (row,) = world.occurrences.table.rows.values()
    assert row.why is not None
    assert (row.state, row.why.reason) == (OccurrenceState.SKIPPED, "NameTaken")
    assert [one.reason for one in world.events.told] == ["NameTaken"]
    assert world.metrics.occurrences == [(OccurrenceState.SKIPPED, 1)]


async def test_what_admission_denies_is_skipped_with_its_words() -> None:
    world = World(proc(), every_minute())
    world.cluster.refuses["create_execution"] = Denied("the gate says no")

    await world.pass_over(KEY)

    (row,) = world.occurrences.table.rows.values()
    assert row.why is not None
    assert (row.why.reason, row.why.message) == ("ExecutionRejected", "the gate says no")


async def test_a_missing_right_is_said_and_waited_for() -> None:
    world = World(proc(), every_minute())
    world.cluster.refuses["create_execution"] = Forbidden("may not create")

    await world.pass_over(KEY)

    assert states(world) == [OccurrenceState.CLAIMED]
    assert shown(world).conditions[0].reason == "ExecutionForbidden"
    assert world.wakes[-1] == (KEY, 20.0)
    del world.cluster.refuses["create_execution"]
    await world.pass_over(KEY)
    assert states(world) == [OccurrenceState.STARTED]
    world.clock.moment = NOW + timedelta(seconds=2)
    await world.pass_over(KEY)
    assert shown(world).conditions[0].reason == "Scheduled"


async def test_without_a_record_nothing_starts_and_its_return_is_late_not_lost() -> None:
    world = World(proc(), every_minute())
    world.occurrences.is_away = True
    await world.pass_over(KEY)
    assert made(world) == []
    assert shown(world).conditions[0].reason == "RecordUnavailable"
    assert world.wakes[-1] == (KEY, 5.0)
    world.occurrences.is_away = False
    world.clock.moment = NOW + timedelta(seconds=40)

    await world.pass_over(KEY)

    assert states(world) == [OccurrenceState.STARTED]
    assert world.metrics.lateness == [40.0]


async def test_a_suspended_schedule_starts_nothing_and_costs_nothing() -> None:
    world = World(proc(), every_minute(suspend=True))

    for minute in range(3):
        world.clock.moment = NOW + timedelta(minutes=minute)
        await world.pass_over(KEY)

    assert made(world) == []
    assert world.cluster.writes == ["write_schedule_status"]
    assert world.wakes == []


async def test_what_passed_while_it_was_suspended_is_counted_and_not_started() -> None:
    world = World(proc(), every_minute(suspend=True, catch_up={"policy": "All"}))
    await world.pass_over(KEY)
    on = shown(world)
    spec = on.spec.model_copy(update={"suspend": False})
    world.cluster.own[KEY] = on.model_copy(
        update={"spec": spec, "generation": 2, "resource_version": world.cluster.next_version()}
    )
    world.clock.moment = NOW + timedelta(minutes=10, seconds=5)

    await world.pass_over(KEY)

    assert made(world) == []
    assert shown(world).status.missed == 11
    assert shown(world).status.next_occurrence == NOW + timedelta(minutes=11)
    assert world.events.told == []


async def test_two_controllers_start_it_once() -> None:
    world = World(proc(), every_minute())
    await world.pass_over(KEY)
    rival = World(proc(), every_minute())
    rival.cluster, rival.occurrences = world.cluster, world.occurrences
    rival.start()
    world.clock.moment = rival.clock.moment = NOW + timedelta(minutes=1)

    await rival.pass_over(KEY)
    await world.pass_over(KEY)

    assert len(made(world)) == 2
    assert states(world) == [OccurrenceState.STARTED] * 2


async def test_whoever_asked_too_long_ago_starts_nothing() -> None:
    world = World(
        proc(),
        every_minute().model_copy(update={"creation_time": ago(31 * 86400)}),
    )
    world.schedule_policy = type(world.schedule_policy)(requester_max_age_days=30)
    world.start()

    await world.pass_over(KEY)

    assert made(world) == []
    assert [one.reason for one in world.events.told][-1] == "RequesterTooOld"
