"""A Job of ours whose execution is gone: its end is recorded all the same, then it is let go.

That happens when somebody takes our finalizer off an execution, when an execution never had it, or when
one is deleted with its dependents orphaned.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import Uid, job_name
from proctor_operator.domain.run import Outcome, RecordedRun, RunKey
from proctor_operator.domain.workload import JobFacts, PodFacts, PodPhase
from proctor_operator.reconcile.decision import (
    DeleteJob,
    DeletePod,
    RecordOutcome,
    ReleaseJob,
    Rest,
)
from proctor_operator.reconcile.failure import Words, why_it_failed
from proctor_operator.reconcile.outcome import assemble

PODS_GONE_RETRY_SECONDS = 5.0
_GONE = "the ProcExecution object was removed before its end was seen"


@dataclass(frozen=True, slots=True)
class ObservedOrphan:
    """The Job and its pods, both read live, and the run in the record that is proven to be theirs."""

    job: JobFacts
    pods: tuple[PodFacts, ...]
    run: RecordedRun | None


def decide_orphan(
    observed: ObservedOrphan, now: datetime
) -> DeleteJob | DeletePod | RecordOutcome | ReleaseJob | Rest:
    """Stop what still runs, record, release. What only bears our finalizer is released and no more."""
    job = observed.job
    if not job.is_held:
        return Rest()
    if observed.run is None and job.owner_uid is None:
        return ReleaseJob(job)
    if job.end is None and not job.is_being_deleted:
        return DeleteJob(job)
    alive = [pod for pod in observed.pods if not pod.has_ended]
    for pod in alive:
        if pod.deletion_time is None:
            return DeletePod(pod)
    if alive:
        return Rest(after_seconds=PODS_GONE_RETRY_SECONDS)
    if observed.run is not None and observed.run.outcome is None:
        return RecordOutcome(job.uid, _outcome(observed, now))
    return ReleaseJob(job)


def run_key(job: JobFacts) -> RunKey | None:
    """Where the run may stand in the record, by what the Job itself says."""
    uid = execution_uid(job)
    if job.execution_created_at is None or uid is None:
        return None
    return RunKey(job.execution_created_at, uid)


def execution_uid(job: JobFacts) -> Uid | None:
    """UID of the execution that the Job is of: its controller, or, orphaned, what its label claims."""
    return job.owner_uid or job.execution_uid


def is_the_job_of(run: RecordedRun, job: JobFacts) -> bool:
    """Whether the claim of a Job holds: a label can be forged, the record and the name cannot."""
    request = run.request
    has_our_name = job.name == job_name(request.name, request.key.uid)
    is_the_one_noted = run.job_uid is None or run.job_uid == job.uid
    return job.namespace == request.namespace and has_our_name and is_the_one_noted


def _outcome(observed: ObservedOrphan, now: datetime) -> Outcome:
    job = observed.job
    started = [pod.started_at for pod in observed.pods if pod.started_at is not None]
    if observed.run is not None and observed.run.started_at is not None:
        started.append(observed.run.started_at)
    pods = sorted(observed.pods, key=lambda pod: (pod.created_at, pod.name))
    ended_well = [pod for pod in pods if pod.phase is PodPhase.SUCCEEDED]
    pod = next(reversed(ended_well or pods), None)
    phase, reason, message = _how_it_ended(job, pod, has_succeeded=bool(ended_well))
    return assemble(
        (phase, reason, f"{message}; {_GONE}" if message else _GONE),
        pod=pod,
        started_at=min(started) if started else None,
        ended_at=job.end.at if job.end else now,
        attempts=max(job.failed_pods, len(pods)),
    )


def _how_it_ended(job: JobFacts, pod: PodFacts | None, *, has_succeeded: bool) -> Words:
    if has_succeeded or (job.end is not None and job.end.succeeded):
        return Phase.SUCCEEDED, "Completed", ""
    if job.end is not None and not job.is_being_deleted:
        return why_it_failed(job.end, pod)
    return Phase.CANCELLED, "ExecutionRemoved", ""
