"""Passes over everything that is no execution: procs, schedules, what cannot be read, orphaned jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import RECORD_FINALIZER
from proctor_operator.domain.objects import Kind, ObjectKey, UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import RunKey
from proctor_operator.domain.workload import ContainerWaiting, PodFacts
from proctor_operator.runtime.cache import key_of
from unit.builders import (
    CREATED,
    EXECUTION_UID,
    JOB_NAME,
    KEY,
    NAMESPACE,
    NOW,
    container_end,
    ended_pod,
    execution,
    failed_job,
    job,
    pod,
    proc,
    proc_spec,
    recorded_run,
    run_request,
    unreadable,
)
from unit.world import World

ORPHAN = ObjectKey(Kind.ORPHANED_JOB, NAMESPACE, JOB_NAME)
RUN = RunKey(CREATED, EXECUTION_UID)


async def test_conditions_are_reported_once() -> None:
    world = World(proc())

    for _ in range(3):
        await world.pass_over(key_of(proc()))

    assert world.cluster.writes == ["write_conditions Proc"]


async def test_conditions_that_change_are_reported_again_with_their_transition_times() -> None:
    world = World(proc())
    key = key_of(proc())
    await world.pass_over(key)
    before = world.cluster.own[key]
    assert isinstance(before, Proc)
    suspended = proc(proc_spec(suspend=True), generation=4, conditions=before.conditions)
    world.cluster.own[key] = suspended.model_copy(
        update={"resource_version": world.cluster.next_version()}
    )

    await world.pass_over(key)

    after = world.cluster.own[key]
    assert isinstance(after, Proc)
    assert [one.reason for one in after.conditions] == ["Suspended", "NothingWrong"]
    assert after.conditions[1].last_transition_time == before.conditions[1].last_transition_time


def waits_for(secret: str) -> PodFacts:
    waiting = ContainerWaiting("CreateContainerConfigError", f'secret "{secret}" not found')
    return pod(waiting=waiting)


async def test_a_secret_that_went_missing_is_said_on_the_proc_once() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    (made,) = world.cluster.jobs.values()
    world.cluster.put_pod(replace(waits_for("admin"), owner_uid=made.uid))

    for _ in range(3):
        await world.pass_over()
        await world.pass_over(key_of(proc()))

    after = world.cluster.own[key_of(proc())]
    assert isinstance(after, Proc)
    assert [(one.type, one.status, one.reason) for one in after.conditions] == [
        ("Stalled", "True", "SecretNotFound"),
        ("Ready", "True", "Runnable"),
    ]
    assert world.cluster.writes.count("write_conditions Proc") == 2


ODD: dict[str, tuple[UnreadableObject, list[str]]] = {
    "an execution is refused": (unreadable(), ["write_refusal"]),
    "one that a newer release has begun is left to it": (unreadable(has_begun=True), []),
    "a proc says so": (unreadable(Kind.PROC), ["write_conditions Proc"]),
    "a schedule says so": (unreadable(Kind.PROC_SCHEDULE), ["write_conditions ProcSchedule"]),
    "what has said so already is left alone": (
        unreadable(reported_problem=unreadable().problem),
        [],
    ),
    "an execution that is being deleted is let go of": (
        unreadable(deletion_time=NOW, finalizers=(RECORD_FINALIZER,)),
        ["release_execution"],
    ),
    "an execution that is being deleted and not held by us is left alone": (
        unreadable(deletion_time=NOW, finalizers=("other/finalizer",)),
        [],
    ),
    "a proc that is being deleted is none of our holding": (
        unreadable(Kind.PROC, deletion_time=NOW, finalizers=("other/finalizer",)),
        [],
    ),
}


@pytest.mark.parametrize(("odd", "writes"), ODD.values(), ids=ODD)
async def test_what_cannot_be_read_is_reported_once(
    odd: UnreadableObject, writes: list[str]
) -> None:
    bystander = execution() if odd.kind is not Kind.PROC_EXECUTION else proc()
    world = World(odd, bystander)

    for _ in range(3):
        await world.pass_over(key_of(odd))

    assert world.cluster.writes == writes


async def test_an_orphan_is_stopped_recorded_and_let_go() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    del world.cluster.own[KEY]
    world.start()

    (made,) = world.cluster.jobs.values()
    world.cluster.put_job(replace(made, execution_created_at=CREATED))
    assert await world.pass_over(ORPHAN) == 5
    world.cluster.pods.clear()
    await world.pass_over(ORPHAN)

    assert world.cluster.writes[1:] == ["delete_job", "delete_pod", "release_job"]
    recorded = world.records.runs[RUN].outcome
    assert recorded is not None
    assert (recorded.phase, recorded.reason) == (Phase.CANCELLED, "ExecutionRemoved")


async def test_of_an_orphan_whose_proc_nobody_knows_nothing_printed_is_kept() -> None:
    world = World()
    world.records.runs[RUN] = recorded_run(replace(run_request(), pinned=None))
    world.cluster.put_job(failed_job(execution_created_at=CREATED))
    world.cluster.put_pod(ended_pod(1, end=container_end(1, message="password=hunter2")))

    await world.pass_over(ORPHAN)

    recorded = world.records.runs[RUN].outcome
    assert recorded is not None
    assert (recorded.exit_code, recorded.result, recorded.log) == (1, None, None)


async def test_a_job_whose_execution_the_watch_has_not_brought_is_no_orphan() -> None:
    world = World(execution())
    world.cluster.put_job(job())

    assert await world.runner.run(ORPHAN) is None

    assert world.cluster.writes == []


async def test_what_is_not_there_needs_nothing() -> None:
    world = World()

    assert await world.pass_over() is None
    assert await world.pass_over(ORPHAN) is None
