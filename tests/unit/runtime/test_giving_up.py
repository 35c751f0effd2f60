"""The admin's last word: what is being deleted is let go although its end cannot be recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from proctor_operator.domain.errors import RecordUnavailable
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.objects import Kind, ObjectKey
from unit.builders import JOB_NAME, KEY, NAMESPACE, NOW, ago, execution, job, proc
from unit.world import World

WORD = {"proctor.dev/give-up": "the database is lost, INC-7"}
ORPHAN = ObjectKey(Kind.ORPHANED_JOB, NAMESPACE, JOB_NAME)


async def a_run_without_a_record(**fields: Any) -> World:
    """Return a world in which a container runs, the record is away, and the operator has just begun."""
    world = World(proc(), execution())
    await world.pass_over()
    world.start_container()
    await world.pass_over()
    change(world, **fields)
    world.start()
    world.records.is_away = True
    world.cluster.writes.clear()
    return world


def change(world: World, **fields: Any) -> None:
    version = world.cluster.next_version()
    world.cluster.own[KEY] = world.execution.model_copy(
        update={**fields, "resource_version": version}
    )


async def test_a_deleted_execution_and_its_job_are_let_go_at_an_admins_word() -> None:
    world = await a_run_without_a_record(deletion_time=ago(1), annotations=WORD)

    with capture_logs() as logs:
        assert await world.pass_over() is None

    assert world.cluster.writes == ["delete_job", "release_job", "release_execution"]
    assert KEY not in world.cluster.own
    assert world.metrics.gave_up == 2
    assert [one.reason for one in world.events.told] == ["GivenUp"] * 2
    assert [one.regarding.kind for one in world.events.told] == ["Job", "ProcExecution"]
    told = [one for one in logs if one["event"] == "Let go without its end in the record"]
    assert [one["because"] for one in told] == ["the database is lost, INC-7"] * 2
    assert {one["log_level"] for one in told} == {"warning"}


SILENT: dict[str, dict[str, Any]] = {
    "nobody deletes it": {"annotations": WORD},
    "nobody says so": {"deletion_time": ago(1)},
    "no reason is given": {
        "deletion_time": ago(1),
        "annotations": {"proctor.dev/give-up": "  "},
    },
}


@pytest.mark.parametrize("fields", SILENT.values(), ids=SILENT)
async def test_nothing_is_let_go_when(fields: dict[str, Any]) -> None:
    world = await a_run_without_a_record(**fields)

    assert await world.pass_over() == 5

    assert world.cluster.writes == []
    assert world.metrics.gave_up == 0


async def test_an_end_that_can_be_recorded_is_recorded_whatever_the_word() -> None:
    world = await a_run_without_a_record(deletion_time=ago(1), annotations=WORD)
    world.records.is_away = False

    await world.pass_over()
    world.end_container(0)
    await world.pass_over()

    (row,) = world.records.runs.values()
    assert row.outcome is not None
    assert world.metrics.gave_up == 0
    assert KEY not in world.cluster.own


async def test_a_row_that_the_record_refuses_can_be_given_up_too() -> None:
    world = await a_run_without_a_record(deletion_time=ago(1), annotations=WORD)
    world.records.is_away = False
    world.records.refuses[f"record_outcome {execution().name}"] = "constraint odd"
    world.end_container(0)

    await world.pass_over()

    assert world.cluster.writes == ["release_job", "release_execution"]
    assert world.metrics.gave_up == 2


async def test_one_that_never_began_is_let_go_too() -> None:
    asked = execution(deletion_time=ago(1), annotations=WORD)
    world = World(proc(), asked)
    world.records.is_away = True

    await world.pass_over()

    assert world.cluster.writes == ["release_execution"]
    assert world.metrics.gave_up == 1


async def test_a_job_alone_may_be_given_up() -> None:
    world = await a_run_without_a_record()
    (made,) = world.cluster.jobs.values()
    given_up = replace(
        made,
        deletion_time=ago(1),
        give_up_note="stuck",
        resource_version=world.cluster.next_version(),
    )
    world.cluster.put_job(given_up)

    await world.pass_over()

    assert world.cluster.writes == ["release_job"]
    assert world.metrics.gave_up == 1
    assert isinstance(world.execution, ProcExecution), "the execution itself stays"


def an_orphan_without_a_record(**fields: Any) -> World:
    world = World()
    world.cluster.put_job(job(**fields))
    world.records.is_away = True
    return world


async def test_an_orphaned_job_may_be_given_up() -> None:
    world = an_orphan_without_a_record(deletion_time=NOW, give_up_note="stuck")

    await world.pass_over(ORPHAN)

    assert world.cluster.writes == ["release_job"]
    assert world.metrics.gave_up == 1
    assert [one.regarding.kind for one in world.events.told] == ["Job"]


@pytest.mark.parametrize(
    "fields",
    [
        {"deletion_time": NOW},
        {"give_up_note": "stuck"},
        {"deletion_time": NOW, "give_up_note": "stuck", "finalizers": ()},
    ],
    ids=["without a word", "without a deletion", "not held"],
)
async def test_an_orphaned_job_waits_for_the_record_otherwise(fields: dict[str, Any]) -> None:
    world = an_orphan_without_a_record(**fields)

    with pytest.raises(RecordUnavailable):
        await world.pass_over(ORPHAN)

    assert world.cluster.writes == []
    assert world.metrics.gave_up == 0


async def test_what_an_admin_writes_cannot_break_a_log() -> None:
    word = {"proctor.dev/give-up": "red \x1b[31m" + "x" * 5000}
    world = await a_run_without_a_record(deletion_time=ago(1), annotations=word)

    with capture_logs() as logs:
        await world.pass_over()

    (said, _) = [one["because"] for one in logs if "because" in one]
    assert said.startswith("red \\x1b[31mxxx")
    assert len(said.encode()) <= 512
