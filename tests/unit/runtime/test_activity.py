"""What a Proc says of its executions, and how seldom it is written."""

from __future__ import annotations

from itertools import pairwise

import pytest

from proctor_operator.domain.errors import Conflict
from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus, ProcRef
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.domain.proc import LastExecution, Proc, ProcActivity
from proctor_operator.reconcile.activity import activity_of
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.indexes import activity_index
from unit.builders import CREATED, ENDED, NAMESPACE, STARTED, ago, execution, execution_spec, proc
from unit.world import World

KEY = ObjectKey(Kind.PROC_ACTIVITY, NAMESPACE, "grow-disk")
QUEUED = ProcExecutionStatus(reason="Queued")
RUNNING = ProcExecutionStatus(phase=Phase.RUNNING, start_time=STARTED)
DONE = ProcExecutionStatus(phase=Phase.FAILED, start_time=STARTED, completion_time=ENDED)


def one(name: str, status: ProcExecutionStatus, age: float = 60) -> ProcExecution:
    return execution(name=name, uid=name, status=status, creation_time=ago(age))


TOLD: dict[str, tuple[tuple[ProcExecution, ...], ProcActivity]] = {
    "nothing": ((), ProcActivity()),
    "one that has just come": (
        (one("a", ProcExecutionStatus()),),
        ProcActivity(
            last_execution=LastExecution(name="a", phase="Pending", time=CREATED), active=1
        ),
    ),
    "one that runs, and two that wait": (
        (one("a", RUNNING, 70), one("b", QUEUED, 65), one("c", QUEUED)),
        ProcActivity(
            last_execution=LastExecution(name="c", phase="Pending", time=CREATED),
            active=1,
            queued=2,
        ),
    ),
    "the newest has ended, an older one runs": (
        (one("a", RUNNING, 70), one("b", DONE)),
        ProcActivity(last_execution=LastExecution(name="b", phase="Failed", time=ENDED), active=1),
    ),
}


@pytest.mark.parametrize(("executions", "expected"), TOLD.values(), ids=TOLD)
def test_a_proc_tells_of(executions: tuple[ProcExecution, ...], expected: ProcActivity) -> None:
    assert activity_of(executions, ProcActivity()) == expected


def test_the_newest_stays_named_when_all_are_gone() -> None:
    last = LastExecution(name="a", phase="Succeeded", time=ENDED)

    told = activity_of((), ProcActivity(last_execution=last, active=1))

    assert told == ProcActivity(last_execution=last)


async def test_what_changed_is_written_once() -> None:
    world = World(proc(), one("a", RUNNING))

    await world.pass_over(KEY)
    await world.pass_over(KEY)

    assert world.cluster.writes == ["write_activity"]
    written = world.cluster.own[ObjectKey(Kind.PROC, NAMESPACE, "grow-disk")]
    assert isinstance(written, Proc)
    assert written.activity.active == 1


async def test_a_proc_that_changed_meanwhile_is_told_later() -> None:
    world = World(proc(), one("a", RUNNING))
    world.cluster.refuses["write_activity"] = Conflict("it changed", status=409)

    assert await world.pass_over(KEY) == 30.0


@pytest.mark.parametrize("own", [(), (one("a", RUNNING),)], ids=["nothing", "an execution"])
async def test_without_its_proc_nothing_is_written(own: tuple[ProcExecution, ...]) -> None:
    world = World(*own)

    assert await world.pass_over(KEY) is None
    assert world.cluster.writes == []


def test_only_what_a_proc_would_say_otherwise_is_told() -> None:
    index, told = activity_index(), list[ObjectKey]()
    index.listen(told.append)

    lives = (ProcExecutionStatus(), QUEUED, QUEUED, RUNNING, RUNNING, DONE, DONE)
    states = [None, *(one("a", status) for status in lives), None]
    for old, new in pairwise(states):
        index.change(old, new)

    assert told == [KEY] * 4
    assert not index.of(KEY)


def test_one_that_goes_before_its_end_is_told() -> None:
    index, told = activity_index(), list[ObjectKey]()
    index.change(None, one("a", RUNNING))
    index.listen(told.append)

    index.change(one("a", RUNNING), None)

    assert told == [KEY]


def test_a_namesake_for_another_proc_is_told_to_both() -> None:
    cache, told = ObjectCache(), list[ObjectKey]()
    cache.put(one("a", RUNNING))
    cache.activity.listen(told.append)
    spec = execution_spec(proc_ref=ProcRef(name="other"))

    cache.put(execution(spec, name="a", uid=Uid("successor"), resource_version="300"))

    assert told == [KEY, KEY._replace(name="other")]
    assert not cache.activity.of(KEY)
