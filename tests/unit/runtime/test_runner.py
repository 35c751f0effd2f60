"""Whole passes over objects, on a world in memory: what is written, how often, and what stands after."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from proctor_operator.domain.causes import Cause
from proctor_operator.domain.conditions import ConditionStatus, ConditionType
from proctor_operator.domain.errors import ClusterUnavailable, Conflict, Fault, Rejected
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import RunKey
from proctor_operator.reconcile.output import LOG_RETRY_SECONDS
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.runtime.cache import key_of
from unit.builders import (
    CREATED,
    EXECUTION_UID,
    KEY,
    NOW,
    STARTED,
    argument_from,
    cancelled_execution,
    deleted_execution,
    execution,
    execution_spec,
    finished_execution,
    job,
    parameter,
    proc,
    proc_spec,
    running_pod,
)
from unit.world import World

RUN = RunKey(CREATED, EXECUTION_UID)


def in_a_rush() -> World:
    """A world in which each start is told of five seconds late."""
    world = World(proc(), execution())
    world.policy = RunPolicy(starts_told_at_once=0, rush_patience_seconds=5.0)
    world.start()
    return world


def pass_time(world: World, seconds: float) -> None:
    world.clock.seconds += seconds
    world.clock.moment += timedelta(seconds=seconds)


def nothing() -> None:
    """Happens between two passes in which nothing happens."""


async def test_a_run_that_succeeds_takes_three_writes_and_one_to_let_go() -> None:
    world = World(proc(), execution())

    assert await world.pass_over() is not None, "the pending time-out is looked at again"
    world.start_container()
    assert await world.pass_over() is None
    world.end_container()
    assert await world.pass_over() is None

    assert world.cluster.writes == [
        "create_job",
        "write_status Running",
        "write_status Succeeded",
        "release_job",
    ]
    status = world.execution.status
    assert (status.phase, status.exit_code, status.number) == (Phase.SUCCEEDED, 0, 1)
    assert (status.log_tail, status.log_truncated) == ("growing\ndone\n", False)
    assert world.metrics.finished == [(Phase.SUCCEEDED, Cause.NONE)]
    recorded = world.records.runs[RUN]
    assert recorded.outcome is not None
    assert recorded.outcome.phase is Phase.SUCCEEDED


async def test_a_run_that_is_over_while_its_start_waits_to_be_told_takes_one_write_less() -> None:
    world = in_a_rush()
    await world.pass_over()
    world.start_container()
    assert await world.pass_over() == 5.0
    pass_time(world, 2)
    assert await world.pass_over() == 3.0, "the time that was set at first stays"
    world.end_container()
    await world.pass_over()

    assert world.cluster.writes == ["create_job", "write_status Succeeded", "release_job"]
    recorded = world.records.runs[RUN].outcome
    assert recorded is not None
    assert (recorded.started_at, world.execution.status.start_time) == (STARTED, STARTED)


async def test_a_run_that_lasts_is_told_of_when_its_time_has_come() -> None:
    world = in_a_rush()
    await world.pass_over()
    world.start_container()
    await world.pass_over()
    pass_time(world, 5)
    assert await world.pass_over() is None

    assert world.cluster.writes == ["create_job", "write_status Running"]
    assert world.records.runs[RUN].started_at == STARTED


async def test_the_time_to_tell_of_a_start_stays_where_nothing_else_is_done_about_it() -> None:
    world = in_a_rush()
    await world.pass_over()
    run = world.records.runs[RUN]
    assert run.request.pinned is not None
    unreadable = replace(run.request.pinned, spec={"of": "a later release"})
    world.records.runs[RUN] = replace(run, request=replace(run.request, pinned=unreadable))
    world.start()
    await world.pass_over()
    world.start_container()
    assert await world.pass_over() == 5.0
    pass_time(world, 2)

    assert await world.pass_over() == 3.0


async def test_an_operator_that_starts_anew_tells_of_a_start_at_once() -> None:
    world = in_a_rush()
    await world.pass_over()
    world.start_container()
    await world.pass_over()
    world.start()
    await world.pass_over()

    assert world.cluster.writes == ["create_job", "write_status Running"]


async def test_a_run_that_ends_before_it_was_seen_to_run_takes_one_write_less() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    world.end_container(3)

    await world.pass_over()

    assert world.cluster.writes == ["create_job", "write_status Failed", "release_job"]
    assert world.execution.status.exit_code == 3
    assert world.records.runs[RUN].outcome == replace(
        world.records.runs[RUN].outcome,  # type: ignore[type-var]
        started_at=world.execution.status.start_time,
    )


async def test_a_life_without_mishap_uses_the_record_three_times() -> None:
    world = World(proc(), execution())
    for step in (nothing, nothing, world.start_container, nothing, world.end_container, nothing):
        step()
        await world.pass_over()

    assert world.records.asked == ["record_run", "record_started", "record_outcome"]


async def test_the_record_is_asked_again_after_a_restart_and_after_any_fault() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start()
    await world.pass_over()
    assert world.records.asked == ["record_run", "fetch_run"]

    world.start_container()
    world.cluster.refuses["write_status"] = Conflict("somebody wrote")
    with pytest.raises(Conflict):
        await world.pass_over()
    world.cluster.refuses.clear()
    await world.pass_over()

    assert world.records.asked[2:] == ["record_started", "fetch_run"]


async def test_without_its_job_at_hand_a_run_is_never_taken_for_known() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    (made,) = world.cluster.jobs.values()
    world.cache.remove_job(made)
    world.cluster.jobs.clear()

    await world.pass_over()

    assert world.records.asked[:2] == ["record_run", "record_run"]


async def test_another_pass_without_news_writes_nothing() -> None:
    world = World(proc(), execution())
    for step in (nothing, world.start_container, world.end_container):
        step()
        await world.pass_over()
        before = list(world.cluster.writes)

        await world.pass_over()
        await world.pass_over()

        assert world.cluster.writes == before


@pytest.mark.parametrize("call", range(12))
async def test_a_restart_at_any_call_changes_nothing_about_the_end(call: int) -> None:
    world = World(proc(), execution())
    left = call

    def stop_once(_: str) -> None:
        nonlocal left
        left -= 1
        if left == -1:
            raise ClusterUnavailable("the operator was killed here")

    world.cluster.before = stop_once
    for step in (nothing, world.start_container, world.end_container, nothing):
        step()
        for _ in range(3):
            try:
                await world.pass_over()
            except ClusterUnavailable:
                world.start()

    assert world.execution.status.phase is Phase.SUCCEEDED
    assert world.cluster.writes.count("create_job") == 1
    assert world.cluster.writes.count("write_status Succeeded") == 1
    (made,) = world.cluster.jobs.values()
    assert not made.is_held


async def test_while_the_record_is_away_nothing_starts_and_it_is_said_once() -> None:
    world = World(proc(), execution())
    world.records.is_away = True

    assert await world.pass_over() == 5
    assert await world.pass_over() == 5
    assert world.cluster.writes == ["write_status Pending"]
    assert world.execution.status.reason == "RecordUnavailable"

    world.records.is_away = False
    await world.pass_over()
    assert world.cluster.writes[-1] == "create_job"


async def test_a_row_that_the_record_refuses_holds_up_its_run_and_is_said_once() -> None:
    world = World(proc(), execution())
    world.records.refuses["record_run grow-disk-x7"] = "PostgreSQL refuses the row: constraint odd"

    assert await world.pass_over() == 30
    assert await world.pass_over() == 30
    assert world.cluster.writes == ["write_status Pending"]
    status = world.execution.status
    assert (status.reason, status.message) == (
        "RecordRejected",
        "PostgreSQL refuses the row: constraint odd",
    )

    world.records.refuses.clear()
    await world.pass_over()
    assert world.cluster.writes[-1] == "create_job"


async def test_a_job_that_goes_before_anybody_noted_it_is_not_made_again() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    (made,) = world.cluster.jobs.values()

    del world.cluster.jobs[made.namespace, made.name]
    world.cache.remove_job(made)
    await world.pass_over()

    assert world.execution.status.reason == "JobMissing"
    assert world.cluster.writes.count("create_job") == 1


@pytest.mark.parametrize("call", ["record_started", "record_outcome"])
async def test_a_run_whose_start_or_end_is_refused_runs_on_and_ends_when_it_is_taken(
    call: str,
) -> None:
    world = World(proc(), execution())
    world.records.refuses[f"{call} grow-disk-x7"] = "PostgreSQL refuses the row"
    await world.pass_over()
    world.start_container()
    await world.pass_over()
    if call == "record_outcome":
        assert world.execution.status.phase is Phase.RUNNING
        world.end_container()
        assert await world.pass_over() == 30
        assert world.execution.status.phase is Phase.RUNNING

    assert world.execution.status.reason == "RecordRejected"
    assert "delete_job" not in world.cluster.writes

    world.records.refuses.clear()
    if call == "record_started":
        world.end_container()
    await world.pass_over()
    assert world.execution.status.phase is Phase.SUCCEEDED


async def test_a_refusal_is_recorded_and_shown_and_makes_no_job() -> None:
    world = World(proc(), execution(execution_spec(requested_by=None)))

    await world.pass_over()

    assert world.cluster.writes == ["write_status Refused"]
    assert world.execution.status.reason == "IdentityMissing"
    assert world.records.runs[RUN].outcome is not None


async def test_a_proc_that_is_nowhere_is_looked_for_live_before_it_is_missed() -> None:
    world = World(execution())
    world.look_around()
    world.cluster.own[key_of(proc())] = proc()

    await world.runner.run(KEY)

    assert world.cluster.writes == ["create_job"]


async def test_the_verb_and_the_secrets_are_asked_for_and_the_answers_count() -> None:
    spec = proc_spec(
        authorization={"rbac": "Required"},
        parameters=(parameter("TOKEN", sensitive=True),),
    )
    wanted = execution(execution_spec(arguments_from=(argument_from("TOKEN"),)))
    outcomes = {}
    for holds_verb in (True, False):
        for reads_secret in (True, False):
            world = World(proc(spec), wanted)
            world.access.executors = {"alice"} if holds_verb else set()
            world.access.readers = {("alice", "my-token")} if reads_secret else set()
            await world.pass_over()
            outcomes[holds_verb, reads_secret] = world.execution.status.reason or "started"

    assert outcomes == {
        (True, True): "started",
        (True, False): "NotPermitted",
        (False, True): "NotPermitted",
        (False, False): "NotPermitted",
    }


async def test_a_cancelled_run_loses_its_job_then_its_pod_and_is_recorded() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    await world.pass_over()
    running = world.execution
    cancelled = running.model_copy(
        update={
            "spec": cancelled_execution().spec,
            "resource_version": world.cluster.next_version(),
        }
    )
    world.cluster.own[KEY] = cancelled

    assert await world.pass_over() == 5
    assert world.cluster.writes[-2:] == ["delete_job", "delete_pod"]
    world.cluster.pods.clear()
    world.cache.mark_pod_gone(running_pod(owner_uid=next(iter(world.cluster.jobs.values())).uid))
    await world.pass_over()

    assert world.cluster.writes[-2:] == ["write_status Cancelled", "release_job"]
    assert world.execution.status.log_tail == "growing\ndone\n", "read before it was stopped"


async def test_a_job_name_that_a_stranger_has_is_refused_and_the_stranger_left_alone() -> None:
    world = World(proc(), execution())
    stranger = job(owner_uid=Uid("somebody"))
    world.cluster.put_job(stranger)

    await world.pass_over()

    assert world.execution.status.reason == "NameTaken"
    assert list(world.cluster.jobs.values()) == [stranger]


async def test_a_job_that_is_there_already_is_taken_over_by_a_live_look() -> None:
    world = World(proc(), execution())
    world.look_around()
    there = job(created_at=NOW)
    world.cluster.put_job(there)

    await world.runner.run(KEY)

    assert world.cluster.writes == []
    assert world.cache.job_of(execution()) == there


async def test_a_job_that_the_server_refuses_is_told_in_its_words() -> None:
    world = World(proc(), execution())
    world.cluster.refuses["create_job"] = Rejected("image: Required value", status=422)

    await world.pass_over()

    assert world.execution.status.reason == "JobRejected"
    assert "image: Required value" in world.execution.status.message


async def test_after_a_conflict_the_next_pass_sees_the_newest_state() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    world.look_around()
    world.cluster.own[KEY] = execution(resource_version="1600")

    with pytest.raises(Conflict):
        await world.runner.run(KEY)
    known = world.cache.get(KEY)
    assert known is not None
    assert known.resource_version == "1600"

    await world.runner.run(KEY)
    assert world.execution.status.phase is Phase.RUNNING


async def test_a_conflict_on_what_is_gone_ends_its_passes() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    world.look_around()
    world.cluster.own[KEY] = execution(resource_version="1600")

    def gone_by_then(call: str) -> None:
        if call == "fetch ProcExecution":
            world.cluster.own.pop(KEY, None)

    world.cluster.before = gone_by_then

    with pytest.raises(Conflict):
        await world.runner.run(KEY)

    assert await world.runner.run(KEY) is None


TAILS: dict[str, tuple[bytes, str, bool]] = {
    "short": (b"one\ntwo\n", "one\ntwo\n", False),
    "cut inside a line": (b"first line\n" + b"x" * 4093 + b"\nend\n", "end\n", True),
    "one long line": (b"y" * 5000, "y" * 4095 + "\n", True),
    "what a terminal would obey": (b"\x1b[2Jx\n", "\\x1b[2Jx\n", False),
}


@pytest.mark.parametrize(("data", "text", "is_cut"), TAILS.values(), ids=TAILS)
async def test_the_last_lines_reach_the_status_whole_and_readable(
    data: bytes, text: str, *, is_cut: bool
) -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    world.end_container()
    world.logs.data[running_pod().name] = data

    await world.pass_over()

    assert (world.execution.status.log_tail, world.execution.status.log_truncated) == (text, is_cut)


async def test_a_log_that_cannot_be_read_is_waited_for_and_given_up() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    world.end_container()
    world.logs.data.clear()

    assert await world.pass_over() == LOG_RETRY_SECONDS
    world.clock.seconds += 30
    await world.pass_over()

    status = world.execution.status
    assert status.phase is Phase.SUCCEEDED
    (said,) = [one for one in status.conditions if one.type is ConditionType.LOGS_CAPTURED]
    assert (said.status, said.reason) == (ConditionStatus.FALSE, "NodeUnreachable")


async def test_a_cancel_after_the_end_changes_nothing_but_the_generation_that_was_looked_at() -> (
    None
):
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    world.end_container()
    await world.pass_over()
    ended, finished = world.execution, len(world.metrics.finished)
    world.cluster.own[KEY] = ended.model_copy(
        update={
            "spec": cancelled_execution().spec,
            "generation": ended.generation + 1,
            "resource_version": world.cluster.next_version(),
        }
    )
    written = len(world.cluster.writes)

    await world.pass_over()
    await world.pass_over()

    assert world.cluster.writes[written:] == ["write_status Succeeded"]
    status = world.execution.status
    assert {one.observed_generation for one in status.conditions} == {ended.generation + 1}
    assert status.observed_generation == ended.generation + 1
    shown = ended.generation
    as_before = tuple(replace(one, observed_generation=shown) for one in status.conditions)
    told = {"observed_generation": shown, "conditions": as_before}
    assert status.model_copy(update=told) == ended.status
    assert len(world.metrics.finished) == finished, "it ended once"


async def test_what_is_deleted_after_its_end_is_let_go_of_and_gone() -> None:
    world = World(finished_execution(deletion_time=NOW))

    await world.pass_over()

    assert world.cluster.writes == ["release_execution"]
    assert KEY not in world.cluster.own


async def test_what_is_deleted_before_it_started_is_recorded_then_gone() -> None:
    world = World(proc(), deleted_execution())

    await world.pass_over()

    assert world.cluster.writes == ["write_status Cancelled", "release_execution"]
    recorded = world.records.runs[RUN].outcome
    assert recorded is not None
    assert recorded.reason == "Deleted"


async def test_a_fault_reaches_the_queue_and_writes_nothing_further() -> None:
    world = World(proc(), execution())
    world.cluster.refuses["create_job"] = ClusterUnavailable("busy", status=503)

    with pytest.raises(Fault):
        await world.pass_over()

    assert world.cluster.writes == []
    assert RUN in world.records.runs, "the record was first"


async def test_the_end_is_logged_without_arguments(
    logged: list[MutableMapping[str, Any]],
) -> None:
    spec = proc_spec(parameters=(parameter("SIZE_GB"),))
    world = World(proc(spec), execution(execution_spec(arguments={"SIZE_GB": "hunter2"})))
    await world.pass_over()
    world.start_container()
    world.end_container()

    await world.pass_over()

    (entry,) = [one for one in logged if one["event"] == "Execution finished"]
    assert (entry["execution"], entry["phase"]) == ("apps/grow-disk-x7", Phase.SUCCEEDED)
    assert "hunter2" not in str(logged)
