"""What runs for a schedule, kept beside the cache and told to whoever listens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from proctor_operator.domain.execution import ProcExecution, ScheduleRef
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.reconcile.schedule_status import SHOWN_AT_MOST, active_runs
from proctor_operator.runtime.cache import ObjectCache, key_of
from unit.builders import CREATED, NAMESPACE, execution, execution_spec, final_execution_status

NIGHTLY = Uid("schedule-uid-1")
KEY = ObjectKey(Kind.PROC_SCHEDULE, NAMESPACE, "nightly")


def run(number: int, *, schedule: Uid | None = NIGHTLY, **fields: Any) -> ProcExecution:
    reference = ScheduleRef(name="nightly", uid=schedule)
    return execution(
        execution_spec(schedule_ref=reference),
        **{
            "name": f"run-{number}",
            "uid": Uid(f"uid-{number}"),
            "creation_time": CREATED + timedelta(seconds=number),
            **fields,
        },
    )


def cache_of(*runs: ProcExecution) -> tuple[ObjectCache, list[ObjectKey]]:
    cache, told = ObjectCache(), list[ObjectKey]()
    cache.scheduled.listen(told.append)
    for one in runs:
        cache.put(one)
    return cache, told


def names(cache: ObjectCache) -> list[str]:
    return [one.name for one in active_runs(cache.scheduled.of(KEY), NIGHTLY)]


def test_what_runs_is_listed_oldest_first_without_that_of_others() -> None:
    cache, told = cache_of(run(2), run(1), run(3, schedule=Uid("other")), run(4, schedule=None))

    assert names(cache) == ["run-1", "run-2"]
    assert told == [KEY] * 3


def test_what_ended_or_is_gone_is_listed_no_more_and_told_once() -> None:
    cache, told = cache_of(run(1), run(2), run(3))
    told.clear()

    cache.put(run(1, status=final_execution_status(), resource_version="300"))
    cache.put(run(1, status=final_execution_status(), resource_version="301"))
    cache.put(run(2, resource_version="302"))
    cache.remove(key_of(run(3)))

    assert names(cache) == ["run-2"]
    assert told == [KEY] * 2


def test_a_namesake_takes_the_place_of_what_is_gone() -> None:
    cache, _ = cache_of(run(1))

    cache.put(run(1, uid=Uid("uid-new"), resource_version="300"))

    active = active_runs(cache.scheduled.of(KEY), NIGHTLY)
    assert [one.uid for one in active] == ["uid-new"]


def test_no_more_are_shown_than_the_kind_takes() -> None:
    cache, _ = cache_of(*(run(number) for number in range(SHOWN_AT_MOST + 5)))

    assert names(cache) == [f"run-{number}" for number in range(SHOWN_AT_MOST)]
