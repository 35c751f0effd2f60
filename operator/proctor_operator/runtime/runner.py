"""One pass over one object: gather what is known, decide, perform, until there is nothing left to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from proctor_operator.domain.conditions import Condition, ConditionStatus, ConditionType, condition
from proctor_operator.domain.conditions import merge as merge_conditions
from proctor_operator.domain.errors import ClusterError, Conflict, Fault, NotFound
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import RECORD_FINALIZER
from proctor_operator.domain.objects import Kind, ObjectKey, UnreadableObject, Unseen
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import RecordedRun
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.reconcile.decision import Rest, WriteStatus
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.reconcile.proc import ProcProblem, problem_conditions, proc_conditions
from proctor_operator.reconcile.trouble import find_news
from proctor_operator.runtime.activity import ActivityRunner
from proctor_operator.runtime.cache import KnownRun, ObjectCache
from proctor_operator.runtime.effects import ExecutionEffects
from proctor_operator.runtime.log_capture import LogCapture
from proctor_operator.runtime.orphans import OrphanRunner
from proctor_operator.runtime.reporter import Reporter
from proctor_operator.runtime.retention import RetentionRunner
from proctor_operator.runtime.rush import Rush
from proctor_operator.runtime.schedules import ScheduleRunner

STEPS_AT_MOST: Final = 24
"""A pass of a healthy execution takes fewer than ten; more means that two rules chase each other."""

log = structlog.get_logger(__name__)


class Runner:
    """Works on keys of every kind; holds nothing that a restart may not lose."""

    def __init__(
        self,
        *,
        cache: ObjectCache,
        cluster: Cluster,
        effects: ExecutionEffects,
        clock: Clock,
        reporter: Reporter,
        policy: RunPolicy,
        orphans: OrphanRunner,
        capture: LogCapture,
        retention: RetentionRunner,
        schedules: ScheduleRunner,
    ) -> None:
        self._cache = cache
        self._orphans = orphans
        self._capture = capture
        self._retention = retention
        self._activity = ActivityRunner(cache=cache, cluster=cluster)
        self._schedules = schedules
        self._cluster = cluster
        self._effects = effects
        self._clock = clock
        self._reporter = reporter
        self._policy = policy
        self._rush = Rush(policy, clock)

    async def run(self, key: ObjectKey) -> float | None:
        """Do one pass; returns the seconds after which to look again, or None."""
        if key.kind is Kind.ORPHANED_JOB:
            return await self._orphans.run(key)
        if key.kind is Kind.FINISHED_EXECUTIONS:
            return await self._retention.run(key)
        if key.kind is Kind.PROC_ACTIVITY:
            return await self._activity.run(key)
        known = self._cache.get(key)
        match known:
            case None:
                return None
            case UnreadableObject():
                await self._report_unreadable(key, known)
                return None
            case ProcExecution():
                return await self._run_execution(key, known)
            case Proc():
                self._effects.rules_changed(known)
                conditions = proc_conditions(known, self._clock.now())
                await self._report(known, conditions)
                return None
            case ProcSchedule():
                self._effects.rules_changed(known)
                await self._schedules.run(key, known)
                return None

    async def _run_execution(self, key: ObjectKey, execution: ProcExecution) -> float | None:
        observed = self._gather(execution)
        try:
            for _ in range(STEPS_AT_MOST):
                action = decide(observed, self._clock.now())
                if isinstance(action, Rest):
                    await self._tell_the_proc(observed.execution)
                    return action.after_seconds
                before = observed
                observed = await self._effects.perform(action, before)
                self._reporter.performed(action, before, observed)
                self._remember(observed)
                if isinstance(action, WriteStatus) and action.status.phase.is_terminal:
                    self._cache.forget_run(observed.execution.uid)
                    await self._capture.forget(observed.execution.uid)
        except Fault as fault:
            self._cache.doubt_run(execution.uid)
            if isinstance(fault, Conflict):
                await self._look_again(key)
            raise
        raise Fault(f"no rest after {STEPS_AT_MOST} steps; two rules chase each other")

    def _gather(self, execution: ProcExecution) -> ObservedExecution:
        proc = self._cache.proc(execution.namespace, execution.spec.proc_ref.name)
        pods = self._cache.pods_of(execution.uid)
        self._capture.learn(execution.uid, pods)
        observed = ObservedExecution(
            execution=execution,
            policy=self._policy,
            proc=proc or Unseen.NOT_READ,
            schedule=self._schedule_of(execution) or Unseen.NOT_READ,
            job=self._cache.job_of(execution) or Unseen.NOT_READ,
            has_seen_job=self._cache.has_lost_its_job(execution.uid),
            pods=pods,
            followed=self._capture.followed(execution.uid),
            attached=self._capture.attached(execution.uid),
        )
        known = self._cache.run_of(execution.uid)
        if known is None or observed.own_job is None:
            # Without the Job at hand only the record can tell whether there was one.
            return observed
        tell_start_at = self._tell_start_at(observed, known)
        return replace(observed, run=known.run, pinned=known.pinned, tell_start_at=tell_start_at)

    def _tell_start_at(self, observed: ObservedExecution, known: KnownRun) -> datetime | None:
        """When to tell of its start; decided when the start is seen first, and kept."""
        if known.tell_start_at is not None or observed.started_at is None:
            return known.tell_start_at
        tell_at = self._rush.tell_at()
        self._cache.keep_run(observed.execution.uid, replace(known, tell_start_at=tell_at))
        return tell_at

    def _schedule_of(self, execution: ProcExecution) -> ProcSchedule | None:
        ref = execution.spec.schedule_ref
        return self._cache.schedule(execution.namespace, ref.name) if ref is not None else None

    def _remember(self, observed: ObservedExecution) -> None:
        """Keep what a later pass would have to ask for again."""
        uid = observed.execution.uid
        run = observed.run
        if not isinstance(run, RecordedRun) or run.outcome or observed.record_refusal:
            self._cache.doubt_run(uid)
        else:
            self._cache.keep_run(uid, KnownRun(run, observed.pinned, observed.tell_start_at))

    async def _look_again(self, key: ObjectKey) -> None:
        """After a conflict: what the decision rested on is out of date."""
        try:
            fresh = await self._cluster.fetch_execution(key.namespace, key.name)
        except NotFound:
            self._cache.remove(key)
            return
        self._cache.put(fresh)
        known = self._cache.job_of(fresh) if isinstance(fresh, ProcExecution) else None
        if known is None:
            return
        job = await self._effects.fetch_job(known.namespace, known.name)
        if job is not None:
            self._cache.put_job(job)

    async def _tell_the_proc(self, execution: ProcExecution) -> None:
        """Say on the Proc what the run told of it; a later pass can say it too, so nothing fails by it."""
        proc = self._cache.proc(execution.namespace, execution.spec.proc_ref.name)
        if not isinstance(proc, Proc):
            return
        news = find_news(execution, proc, self._clock.now())
        if news is None:
            return
        try:
            await self._report(proc, (news,))
        except ClusterError as error:
            log.warning(
                "Proc could not be told", object=f"{proc.namespace}/{proc.name}", error=str(error)
            )

    async def _report(self, known: Proc, wanted: tuple[Condition, ...]) -> None:
        """Write conditions if they say anything new."""
        if _says_the_same(known.conditions, wanted):
            return
        await self._cluster.write_conditions(known, merge_conditions(known.conditions, wanted))
        self._reporter.reported(known, wanted)

    async def _report_unreadable(self, key: ObjectKey, known: UnreadableObject) -> None:
        """Say on the object that it cannot be parsed; hold nothing that is being deleted."""
        if known.deletion_time is not None:
            if key.kind is Kind.PROC_EXECUTION and RECORD_FINALIZER in known.finalizers:
                await self._cluster.release_execution(known)
            return
        if known.reported_problem == known.problem:
            return
        if known.has_begun:
            # Refusing it now would contradict what it has done; the release that began it ends it.
            log.warning("Execution cannot be read", object=f"{key.namespace}/{key.name}")
            return
        now = self._clock.now()
        problem = ProcProblem("Unreadable", known.problem)
        conditions = problem_conditions(problem, generation=known.generation, now=now)
        if key.kind is not Kind.PROC_EXECUTION:
            await self._cluster.write_conditions(known, conditions)
            self._reporter.unreadable(known)
            return
        failed = condition(
            ConditionType.FAILED,
            ConditionStatus.TRUE,
            problem.reason,
            problem.message,
            generation=known.generation,
            now=now,
        )
        await self._cluster.write_refusal(known, (failed, conditions[-1]), known.problem)
        self._reporter.unreadable(known)


def _says_the_same(before: tuple[Condition, ...], wanted: tuple[Condition, ...]) -> bool:
    known = {one.type: one for one in before}
    return all(one.type in known and known[one.type].says_the_same_as(one) for one in wanted)
