"""One pass over a Job whose execution has not been seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proctor_operator.domain.errors import NotFound, RecordRejected, RecordUnavailable, Waiting
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.objects import ObjectKey
from proctor_operator.domain.run import Outcome, RecordedRun
from proctor_operator.domain.workload import JobFacts
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.ports.records import Records
from proctor_operator.reconcile.decision import (
    DeleteJob,
    DeletePod,
    RecordOutcome,
    ReleaseJob,
    Rest,
)
from proctor_operator.reconcile.jobspec import TTL_AFTER_RELEASE_SECONDS
from proctor_operator.reconcile.logs import count_unseen
from proctor_operator.reconcile.orphan import (
    ObservedOrphan,
    decide_orphan,
    execution_uid,
    is_the_job_of,
    run_key,
)
from proctor_operator.reconcile.outcome import with_output
from proctor_operator.reconcile.output import LOG_RETRY_SECONDS
from proctor_operator.runtime.log_capture import LogCapture, LogWishes
from proctor_operator.runtime.pins import pinned_spec
from proctor_operator.runtime.reporter import Reporter, job_as_told

STEPS_AT_MOST = 64


class OrphanRunner:
    """Rests when the execution turns out to be there: the watch had only not brought it yet.

    `ended` is called when the end of a run is recorded: somebody may wait for its slots.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        records: Records,
        capture: LogCapture,
        clock: Clock,
        reporter: Reporter,
        ended: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._ended = ended
        self._reporter = reporter
        self._records = records
        self._capture = capture
        self._clock = clock

    async def run(self, key: ObjectKey) -> float | None:
        """Do one pass; everything is read live, because absence in a cache proves nothing."""
        try:
            job = await self._cluster.fetch_job(key.namespace, key.name)
        except NotFound:
            return None
        try:
            return await self._bring_to_an_end(job)
        except (RecordUnavailable, RecordRejected):
            if not job.is_held or not job.give_up_reason:
                raise
            await self._cluster.release_job(job, ttl_seconds=TTL_AFTER_RELEASE_SECONDS)
            self._reporter.abandoned(job_as_told(job), job.give_up_reason)
            return None

    async def _bring_to_an_end(self, job: JobFacts) -> float | None:
        run = await self._run_of(job)
        if await self._has_its_execution(job, run):
            return None
        observed = await self._observe(job, run)
        for _ in range(STEPS_AT_MOST):
            action = decide_orphan(observed, self._clock.now())
            if isinstance(action, Rest):
                return action.after_seconds
            observed = await self._perform(action, observed)
        return None

    async def _run_of(self, job: JobFacts) -> RecordedRun | None:
        key = run_key(job)
        run = await self._records.fetch_run(key) if key is not None else None
        return run if run is not None and is_the_job_of(run, job) else None

    async def _has_its_execution(self, job: JobFacts, run: RecordedRun | None) -> bool:
        name = job.owner_name or (run.request.name if run is not None else "")
        if not name:
            return False
        try:
            execution = await self._cluster.fetch_execution(job.namespace, name)
        except NotFound:
            return False
        return execution.uid == execution_uid(job)

    async def _observe(self, job: JobFacts, run: RecordedRun | None) -> ObservedOrphan:
        uid = execution_uid(job)
        pods = await self._cluster.fetch_pods(job.namespace, uid) if uid is not None else ()
        return ObservedOrphan(job, tuple(pod for pod in pods if pod.is_of(job)), run)

    async def _perform(
        self, action: DeleteJob | DeletePod | RecordOutcome | ReleaseJob, observed: ObservedOrphan
    ) -> ObservedOrphan:
        match action:
            case DeleteJob(job):
                await self._attach_to_logs(observed)
                await self._cluster.delete_job(job)
                fresh = await self._cluster.fetch_job(job.namespace, job.name)
                return replace(observed, job=fresh)
            case DeletePod(pod):
                await self._attach_to_logs(observed)
                await self._cluster.delete_pod(pod)
                rest = tuple(one for one in observed.pods if one.uid != pod.uid)
                asked = replace(pod, deletion_time=self._clock.now())
                return replace(observed, pods=(*rest, asked))
            case RecordOutcome(job_uid, outcome):
                assert observed.run is not None, "nothing else is recorded"  # noqa: S101 - narrows the type
                wishes = _wishes(observed.run)
                log = await self._last_lines(observed, outcome)
                masks = wishes.masks if wishes is not None else None
                deciding = (pod for pod in observed.pods if pod.name == outcome.pod_name)
                outcome = with_output(outcome, masks, log, pod=next(deciding, None))
                key = observed.run.request.key
                stored = await self._records.record_outcome(key, job_uid, outcome)
                await self._capture.forget(key.uid)
                self._ended()
                return replace(observed, run=replace(observed.run, outcome=stored))
            case ReleaseJob(job):
                await self._cluster.release_job(job, ttl_seconds=TTL_AFTER_RELEASE_SECONDS)
                return replace(observed, job=replace(job, finalizers=()))

    async def _attach_to_logs(self, observed: ObservedOrphan) -> None:
        wishes = _wishes(observed.run)
        if observed.run is None or wishes is None:
            return
        for pod in observed.pods:
            if pod.is_running:
                await self._capture.attach(observed.run.request.key, wishes, pod)

    async def _last_lines(self, observed: ObservedOrphan, outcome: Outcome) -> LogSummary | None:
        wishes = _wishes(observed.run)
        if observed.run is None or wishes is None or outcome.started_at is None:
            return None
        pods = tuple(pod for pod in observed.pods if pod.started_at is not None)
        unseen = count_unseen(observed.job, observed.pods)
        summary = await self._capture.finish(observed.run.request.key, wishes, pods, unseen=unseen)
        if summary is None:
            message = "the last lines of its output are being read"
            raise Waiting("LogNotRead", message, after_seconds=LOG_RETRY_SECONDS)
        return summary


def _wishes(run: RecordedRun | None) -> LogWishes | None:
    spec = pinned_spec(run) if run is not None else None
    return LogWishes(spec.logs.mask, tail=spec.logs.tail) if spec is not None else None
