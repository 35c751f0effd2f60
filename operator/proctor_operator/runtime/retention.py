"""One pass over the finished executions of one Proc: delete what need not stay, and not too fast."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from proctor_operator.domain.errors import Conflict, NotFound
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import ObjectKey, UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.ports.metrics import ExecutionMetrics
from proctor_operator.reconcile.retention import (
    RetentionPlan,
    RetentionPolicy,
    Shelf,
    plan_retention,
)
from proctor_operator.runtime.allowance import Allowance
from proctor_operator.runtime.cache import ObjectCache

A_SECOND: Final = 1.0

log = structlog.get_logger(__name__)


class RetentionRunner:
    """Deletes; the finalizer of what it deleted is let go by the execution's own pass."""

    def __init__(
        self,
        *,
        cache: ObjectCache,
        cluster: Cluster,
        clock: Clock,
        metrics: ExecutionMetrics,
        policy: RetentionPolicy,
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._deletes = Allowance(policy.deletes_per_second, clock, within_seconds=A_SECOND)

    async def run(self, key: ObjectKey) -> float | None:
        """Do one pass; returns the seconds after which to look again, or None."""
        proc = self._cache.proc(key.namespace, key.name)
        plan = self._plan(key, proc)
        if plan.delete and proc is None:
            # Its author may want other limits than the operator's: a cache proves no absence.
            proc = await self._look_for_the_proc(key)
            plan = self._plan(key, proc)
        for execution in plan.delete:
            if not self._deletes.takes_one_more():
                return A_SECOND
            await self._delete(execution)
        after = plan.look_again_after
        return max(after, A_SECOND) if after is not None else None

    def _plan(self, key: ObjectKey, proc: Proc | UnreadableObject | None) -> RetentionPlan:
        if isinstance(proc, UnreadableObject):
            # What its author wants kept cannot be read, so everything stays.
            return RetentionPlan()
        limits = self._policy.limits.with_wishes(proc.spec.history if proc else None)
        shelves = self._cache.finished.of(key).shelves()
        plan = plan_retention(
            shelves,
            limits,
            keep_seconds=self._policy.keep_seconds,
            now=self._clock.now(),
            schedules=self._schedules_of(key.namespace, shelves),
        )
        return plan.but_for({one.uid for one in plan.delete if self._has_held_job(one)})

    def _schedules_of(
        self, namespace: Namespace, shelves: Iterable[Shelf]
    ) -> dict[Uid, ProcSchedule | UnreadableObject]:
        """The schedules that they ran for, those that are there."""
        keys = {self._cache.key_of_uid(one.schedule) for one in shelves}
        found = (self._cache.get(one) for one in keys if one and one.namespace == namespace)
        return {one.uid: one for one in found if isinstance(one, ProcSchedule | UnreadableObject)}

    def _has_held_job(self, execution: ProcExecution) -> bool:
        job = self._cache.job_of(execution)
        return job is not None and job.owner_uid == execution.uid and job.is_held

    async def _look_for_the_proc(self, key: ObjectKey) -> Proc | UnreadableObject | None:
        try:
            return await self._cluster.fetch_proc(key.namespace, key.name)
        except NotFound:
            return None

    async def _delete(self, execution: ProcExecution) -> None:
        try:
            await self._cluster.delete_execution(execution)
        except Conflict:
            # It changed since: the watch brings it, and then it is looked at again.
            return
        # That state was the last without the wish to delete it: nothing brings it back into the index.
        self._cache.finished.change(execution, None)
        self._metrics.retention_deleted(1)
        log.info(
            "Finished execution deleted by retention",
            execution=f"{execution.namespace}/{execution.name}",
            number=execution.status.number,
            phase=execution.status.phase,
        )
