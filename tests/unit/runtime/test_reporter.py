"""What whole passes tell those who look on."""

from __future__ import annotations

from structlog.testing import capture_logs

from proctor_operator.domain.causes import Cause
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.objects import Kind, ObjectKey
from unit.builders import (
    CREATED,
    ENDED,
    EXECUTION_UID,
    KEY,
    NOW,
    execution,
    parameter,
    proc,
    proc_spec,
    unreadable,
)
from unit.world import World


async def end_of_a_run(exit_code: int) -> World:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    await world.pass_over()
    world.end_container(exit_code)
    await world.pass_over()
    return world


async def test_the_delays_of_a_run_are_measured_from_its_creation_and_its_end() -> None:
    world = await end_of_a_run(0)

    assert world.metrics.delays == {
        "job": [(NOW - CREATED).total_seconds()],
        "record": [(NOW - ENDED).total_seconds()],
        "status": [(NOW - ENDED).total_seconds()],
    }
    assert world.metrics.finished == [(Phase.SUCCEEDED, Cause.NONE)]
    assert world.events.told == []


async def test_an_outcome_that_another_life_recorded_is_not_measured_twice() -> None:
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    world.end_container(0)
    world.cluster.before = fail_status_writes
    try:
        await world.pass_over()
    except RuntimeError:
        world.cluster.before = lambda _: None
    world.start()
    await world.pass_over()

    assert len(world.metrics.delays["record"]) == 1
    assert len(world.metrics.delays["status"]) == 1
    assert len(world.metrics.finished) == 1


def fail_status_writes(call: str) -> None:
    if call == "write_status":
        raise RuntimeError("the process ends here")


async def test_the_end_is_one_line_with_the_figures() -> None:
    with capture_logs() as lines:
        await end_of_a_run(3)

    (line,) = [one for one in lines if one["event"] == "Execution finished"]
    assert line["execution"] == f"{KEY.namespace}/{KEY.name}"
    assert (line["phase"], line["reason"]) == (Phase.FAILED, "NonZeroExitCode")
    assert (line["exit_code"], line["attempts"], line["number"]) == (3, 1, 1)
    assert line["waited_seconds"] >= 0
    assert line["ran_seconds"] > 0


async def test_a_failure_is_told_once() -> None:
    world = await end_of_a_run(3)
    await world.pass_over()

    assert [(one.reason, one.regarding.uid) for one in world.events.told] == [
        ("NonZeroExitCode", EXECUTION_UID)
    ]


async def test_a_record_that_is_away_is_told_of_once() -> None:
    world = World(proc(), execution())
    world.records.is_away = True
    await world.pass_over()
    await world.pass_over()

    assert [(one.regarding.kind, one.reason) for one in world.events.told] == [
        ("Namespace", "RecordUnavailable")
    ]


async def test_a_proc_with_a_mistake_and_an_object_that_does_not_parse_are_told_of() -> None:
    mistaken = proc(proc_spec(parameters=(parameter("PATH"),)))
    world = World(mistaken, unreadable(problem="spec.procRef: required"))
    await world.pass_over(ObjectKey(Kind.PROC, mistaken.namespace, mistaken.name))
    await world.pass_over()

    assert [(one.regarding.kind, one.reason) for one in world.events.told] == [
        ("Proc", "InvalidSpec"),
        ("ProcExecution", "Unreadable"),
    ]
