"""Retention at work: what it asks of the API server, how fast, and what it does when it is too late."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from proctor_operator.domain.conditions import ConditionType
from proctor_operator.domain.errors import ClusterUnavailable
from proctor_operator.domain.execution import (
    ProcExecution,
    ProcExecutionStatus,
    ProcRef,
    ScheduleRef,
)
from proctor_operator.domain.naming import Namespace, Uid, job_name
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.domain.proc import ProcHistory
from proctor_operator.domain.schedule import ScheduleHistory
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.retention import HistoryLimits, RetentionPolicy
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.retention import A_SECOND, RetentionRunner
from unit.builders import (
    NAMESPACE,
    NOW,
    ago,
    execution,
    execution_spec,
    final_execution_status,
    job,
    proc,
    proc_spec,
    says,
    schedule,
    unreadable,
)
from unit.fakes import FakeCluster, FakeMetrics

GROUP = ObjectKey(Kind.FINISHED_EXECUTIONS, NAMESPACE, "grow-disk")
KEEPS_NONE = HistoryLimits(succeeded=0, failed=0, ttl_seconds=None)
KEEPS_ONE = proc(proc_spec(history=ProcHistory(succeeded=1)))


@dataclass
class TickingClock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def ended(name: str, seconds_ago: float = 1000, **fields: Any) -> ProcExecution:
    status = ProcExecutionStatus.model_copy(
        final_execution_status(),
        update={
            "number": 1,
            "completion_time": ago(seconds_ago),
            "conditions": (
                says(ConditionType.RECORDED),
                says(ConditionType.COMPLETE, now=ago(seconds_ago)),
            ),
        },
    )
    return execution(**{"name": name, "uid": Uid(f"uid-{name}"), "status": status, **fields})


@dataclass
class Housekeeping:
    """A cluster, a cache that may lag behind it, and retention between them."""

    cluster: FakeCluster
    deletes_per_second: int = 100
    limits: HistoryLimits = KEEPS_NONE
    clock: TickingClock = field(default_factory=TickingClock)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)

    def __post_init__(self) -> None:
        self.cache = ObjectCache()
        self.retention = RetentionRunner(
            cache=self.cache,
            cluster=self.cluster,
            clock=self.clock,
            metrics=self.metrics,
            policy=RetentionPolicy(self.limits, deletes_per_second=self.deletes_per_second),
        )
        self.look_around()

    def look_around(self) -> None:
        for one in self.cluster.own.values():
            self.cache.put(one)

    async def run(self) -> float | None:
        return await self.retention.run(GROUP)


def housekeeping(*own: OwnObject, **fields: Any) -> Housekeeping:
    return Housekeeping(FakeCluster(*own), **fields)


async def test_the_surplus_is_deleted_once_oldest_first_and_counted() -> None:
    home = housekeeping(KEEPS_ONE, ended("new", 400), ended("old", 3000), ended("older", 4000))

    for _ in range(3):
        await home.run()
    home.look_around()
    await home.run()

    assert home.cluster.writes == ["delete_execution older", "delete_execution old"]
    assert home.metrics.retired == 2


async def test_no_more_are_deleted_in_any_second_than_the_setting_allows() -> None:
    home = housekeeping(proc(), *(ended(f"x{n}") for n in range(5)), deletes_per_second=2)

    assert await home.run() == A_SECOND
    home.clock.seconds = 0.9
    assert await home.run() == A_SECOND
    assert home.metrics.retired == 2
    home.clock.seconds = 1.0
    await home.run()
    assert home.metrics.retired == 4
    home.clock.seconds = 2.0
    assert await home.run() is None
    assert home.metrics.retired == 5


async def test_it_looks_again_when_the_next_one_is_due() -> None:
    home = housekeeping(proc(), ended("young", 100))

    assert await home.run() == 200
    home.clock.seconds = 200
    await home.run()

    assert home.cluster.writes == ["delete_execution young"]


async def test_those_that_are_due_within_a_second_go_together() -> None:
    home = housekeeping(proc(), ended("first", 299.9), ended("second", 299.5))

    assert await home.run() == A_SECOND
    home.clock.seconds = A_SECOND
    await home.run()

    assert home.cluster.writes == ["delete_execution first", "delete_execution second"]


async def test_a_schedule_of_that_uid_elsewhere_has_no_say() -> None:
    spec = schedule().spec.model_copy(update={"history": ScheduleHistory(succeeded=5)})
    elsewhere = schedule(namespace=Namespace("theirs"), spec=spec)
    reference = ScheduleRef(name="nightly", uid=elsewhere.uid)
    home = housekeeping(proc(), elsewhere, ended("x", spec=execution_spec(schedule_ref=reference)))

    await home.run()

    assert home.cluster.writes == ["delete_execution x"]


async def test_what_changed_since_it_was_seen_is_left_alone() -> None:
    home = housekeeping(proc(), ended("x"))
    changed = ended("x", labels={"app.kubernetes.io/instance": "app"}, resource_version="999")
    home.cluster.own[ObjectKey(Kind.PROC_EXECUTION, NAMESPACE, "x")] = changed

    await home.run()
    home.look_around()
    await home.run()

    assert home.cluster.writes == []
    assert home.metrics.retired == 0


async def test_one_that_failed_to_be_deleted_is_tried_again() -> None:
    home = housekeeping(proc(), ended("x"))
    home.cluster.refuses["delete_execution"] = ClusterUnavailable("away")
    with pytest.raises(ClusterUnavailable):
        await home.run()

    del home.cluster.refuses["delete_execution"]
    await home.run()

    assert home.cluster.writes == ["delete_execution x"]


async def test_a_successor_of_the_same_name_is_another_matter() -> None:
    home = housekeeping(proc(), ended("x", finalizers=()))
    await home.run()
    successor = ended("x", uid=Uid("successor"), finalizers=(), resource_version="30000")
    home.cluster.own[ObjectKey(Kind.PROC_EXECUTION, NAMESPACE, "x")] = successor
    home.look_around()

    await home.run()

    assert home.cluster.writes == ["delete_execution x"] * 2


async def test_a_proc_that_only_the_cache_misses_still_has_its_say() -> None:
    home = housekeeping(KEEPS_ONE, ended("x"))
    home.cache.remove(ObjectKey(Kind.PROC, NAMESPACE, "grow-disk"))

    await home.run()

    assert home.cluster.writes == []


async def test_executions_of_a_proc_that_is_gone_fall_under_the_operators_limits() -> None:
    home = housekeeping(ended("x"))

    await home.run()

    assert home.cluster.writes == ["delete_execution x"]


async def test_nothing_is_deleted_while_the_proc_cannot_be_read() -> None:
    home = housekeeping(unreadable(Kind.PROC, name="grow-disk"), ended("x"))

    assert await home.run() is None

    assert home.cluster.writes == []


async def test_executions_of_other_procs_are_not_counted() -> None:
    other = execution_spec(proc_ref=ProcRef(name="other"))
    home = housekeeping(KEEPS_ONE, ended("mine"), ended("theirs", 9000, spec=other))

    await home.run()

    assert home.cluster.writes == []


async def test_one_whose_job_we_still_hold_stays() -> None:
    home = housekeeping(proc(), ended("x"))
    name = job_name("x", Uid("uid-x"))
    home.cache.put_job(job(name=name, owner_uid=Uid("uid-x")))

    await home.run()
    assert home.cluster.writes == []
    home.cache.put_job(
        job(name=name, owner_uid=Uid("uid-x"), finalizers=(), resource_version="401")
    )
    await home.run()

    assert home.cluster.writes == ["delete_execution x"]
