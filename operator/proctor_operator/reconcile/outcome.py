"""Job and Pod facts in, outcome out. The log stream is never asked (promise I5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.concurrency import Occupant
from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, shorten
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.redaction import BLANK, Redactor
from proctor_operator.domain.run import Outcome, RecordedRun
from proctor_operator.domain.workload import (
    ContainerEnd,
    JobEnd,
    JobFacts,
    PodFacts,
    PodPhase,
)
from proctor_operator.reconcile.failure import (
    OUT_OF_MEMORY,
    Words,
    out_of_memory_message,
    why_it_failed,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.pending import noted_before

RESULT_LIMIT_BYTES: Final = 4096
REPLACED: Final = "Replaced"
"""Reason of a run whose place a newer one took."""
_PAUSE_BETWEEN_ATTEMPTS: Final = timedelta(seconds=10)
"""The shortest back-off of the Job controller."""


def classify_ended_job(observed: ObservedExecution, job: JobFacts, end: JobEnd) -> Outcome:
    """Outcome of a Job that carries its terminal condition."""
    pod = _pod_that_succeeded(observed) if end.succeeded else _pod_that_failed(observed, job, end)
    if end.succeeded:
        said = (Phase.SUCCEEDED, "Completed", _what_it_survived(pod))
        return _outcome(observed, *said, pod=pod, at=end.at)
    was_stopped = _was_stopped_before(end, observed, job, pod) and not _went_by_its_ttl(
        observed, job, end
    )
    said = _why_it_was_stopped(observed, job) if was_stopped else why_it_failed(end, pod)
    return _outcome(observed, *said, pod=pod, at=end.at, attempts=job.failed_pods)


def classify_stopped_job(observed: ObservedExecution, job: JobFacts, now: datetime) -> Outcome:
    """Outcome of a Job that was deleted before it ended, once none of its pods runs any more."""
    done = _pod_that_succeeded(observed)
    if job.succeeded_pods or done is not None:
        said = (Phase.SUCCEEDED, "Completed", _what_it_survived(done))
        return _outcome(observed, *said, pod=done, at=now)
    said = _why_it_was_stopped(observed, job)
    return _outcome(observed, *said, pod=observed.last_pod, at=now, attempts=job.failed_pods)


def classify_lost_job(observed: ObservedExecution, now: datetime) -> Outcome:
    """Outcome of a Job that ran, and that a live read no longer finds."""
    message = "the job disappeared before its end was seen; its finalizer must have been taken off"
    return _outcome(observed, Phase.LOST, "JobMissing", message, pod=None, at=now)


def classify_never_started(observed: ObservedExecution, now: datetime) -> Outcome:
    """Outcome of an execution that was stopped before it had a Job."""
    if observed.execution.spec.cancel:
        said = ("Cancelled", _cancelled_message(observed))
    elif observed.execution.is_being_deleted:
        said = ("Deleted", "the execution was deleted before it started")
    else:
        said = (REPLACED, _replaced_message(observed))
    return Outcome(Phase.CANCELLED, *said, completed_at=now)


def classify_vanished(occupant: Occupant, now: datetime) -> Outcome:
    """Outcome of a run whose execution and Job are gone, though nobody recorded its end."""
    if occupant.is_waiting:
        message = "the ProcExecution object was removed while it waited for a slot"
        return Outcome(Phase.CANCELLED, "ExecutionRemoved", message, completed_at=now)
    message = "the ProcExecution object and its job are gone, and nobody recorded how it ended"
    return Outcome(Phase.LOST, "ExecutionRemoved", message, completed_at=now)


def refused(reason: str, message: str, now: datetime) -> Outcome:
    """Outcome of an execution that may not start."""
    return Outcome(Phase.REFUSED, reason, shorten(message, MESSAGE_LIMIT_BYTES), completed_at=now)


def _pod_that_succeeded(observed: ObservedExecution) -> PodFacts | None:
    """The one whose success counts; that of another attempt says nothing about it."""
    ended_well = (pod for pod in observed.own_pods if pod.phase is PodPhase.SUCCEEDED)
    return next(ended_well, None)


def _pod_that_failed(observed: ObservedExecution, job: JobFacts, end: JobEnd) -> PodFacts | None:
    """The last attempt's, unless it may be one of those that the Job counted and that are gone.

    Between two attempts the Job controller pauses, so one that failed just before the Job was the last.
    """
    last = observed.last_pod
    known = sum(pod.has_ended for pod in observed.attempt_pods)
    if last is None or known >= job.failed_pods:
        return last
    finished_at = last.end.finished_at if last.end else None
    is_just_before = finished_at is not None and end.at - finished_at < _PAUSE_BETWEEN_ATTEMPTS
    return last if is_just_before else None


def _what_it_survived(pod: PodFacts | None) -> str:
    if pod is None or pod.end is None or pod.end.reason != OUT_OF_MEMORY:
        return ""
    return out_of_memory_message(pod.end)


def _was_stopped_before(
    end: JobEnd, observed: ObservedExecution, job: JobFacts, pod: PodFacts | None
) -> bool:
    """Whether what failed is a pod that was stopped.

    The Job controller may see it fail before we see it gone; and after a restart there may be no pod
    left to look at, only a deletion that came before the end. A namespace that is deleted takes its
    objects in any order: then the execution's deletion may be the only one in time.
    """
    asked_at = (job.deletion_time, observed.execution.deletion_time)
    if not any(at is not None and at <= end.at for at in asked_at):
        return False
    if pod is None or pod.deletion_time is not None:
        return True
    return pod.end is None and not pod.reason


def _went_by_its_ttl(observed: ObservedExecution, job: JobFacts, end: JobEnd) -> bool:
    """Whether Kubernetes deleted it after its end, within the same second.

    Before the release only somebody else can have given it a time to live.
    """
    is_after = job.deletion_time is not None and job.deletion_time >= end.at
    return job.has_ttl and is_after and not observed.wants_to_stop


def _why_it_was_stopped(observed: ObservedExecution, job: JobFacts) -> Words:
    """Who deleted the Job."""
    given_up = noted_before(observed)
    if given_up is not None:
        return given_up.phase, given_up.reason, given_up.message
    if observed.execution.spec.cancel:
        return Phase.CANCELLED, "Cancelled", _cancelled_message(observed)
    if observed.execution.is_being_deleted:
        return Phase.CANCELLED, "Deleted", "the execution was deleted while it ran"
    if isinstance(observed.run, RecordedRun) and observed.run.replaced_by:
        return Phase.CANCELLED, REPLACED, _replaced_message(observed)
    return Phase.FAILED, "JobDeleted", f"somebody deleted the job {job.name!r}"


def _cancelled_message(observed: ObservedExecution) -> str:
    by = observed.execution.spec.cancelled_by
    return f"cancelled by {by.username}" if by else "spec.cancel was set"


def _replaced_message(observed: ObservedExecution) -> str:
    by = observed.run.replaced_by if isinstance(observed.run, RecordedRun) else ""
    return f"replaced by the newer execution {by!r}"


def _outcome(
    observed: ObservedExecution,
    phase: Phase,
    reason: str,
    message: str,
    *,
    pod: PodFacts | None,
    at: datetime,
    attempts: int | None = None,
) -> Outcome:
    outcome = assemble(
        (phase, reason, message),
        pod=pod,
        started_at=observed.started_at,
        ended_at=at,
        attempts=max(attempts or 0, len(observed.attempt_pods)),
    )
    masks = observed.pinned.logs.mask if observed.pinned else None
    log = observed.log if isinstance(observed.log, LogSummary) else None
    return with_output(outcome, masks, log, pod=pod)


def with_output(
    outcome: Outcome, masks: tuple[str, ...] | None, log: LogSummary | None, *, pod: PodFacts | None
) -> Outcome:
    """Add what became of the output; the termination message may be the end of it, and is masked like it.

    Masks are None where nobody knows what the proc wanted blanked: then it is left out, as the output is.
    """
    result = outcome.result if masks is not None else None
    if result is not None and masks:
        result = _masked(result, masks, pod.end if pod is not None else None)
    return replace(outcome, result=result, log=log)


def _masked(result: str, masks: tuple[str, ...], end: ContainerEnd | None) -> str:
    """Without what the masks name; half a line may hold half a secret, which none of them knows."""
    redactor = Redactor(masks)
    lines = [redactor.mask(line) for line in result.encode(errors="replace").split(b"\n")]
    if end is not None and end.lacks_its_beginning:
        lines[0] = BLANK
    if end is not None and end.lacks_its_end:
        lines[-1] = BLANK
    return shorten(b"\n".join(lines).decode(errors="replace"), RESULT_LIMIT_BYTES)


def assemble(
    words: Words,
    *,
    pod: PodFacts | None,
    started_at: datetime | None,
    ended_at: datetime,
    attempts: int,
) -> Outcome:
    """An outcome with all that the deciding pod tells; `ended_at` serves where it does not tell when."""
    # Of a container that never ran the kubelet makes up code and message.
    end = pod.end if pod and pod.end and pod.end.started_at else None
    completed_at = (end.finished_at if end else None) or ended_at
    phase, reason, message = words
    return Outcome(
        phase=phase,
        reason=reason,
        message=shorten(message, MESSAGE_LIMIT_BYTES),
        # The node's clock says when it started, the API server's when its Job ended.
        completed_at=max(completed_at, started_at or completed_at),
        started_at=started_at,
        exit_code=end.exit_code if end else None,
        attempts=attempts or None,
        pod_name=pod.name if pod else None,
        image_id=pod.image_id if pod else None,
        result=shorten(end.message, RESULT_LIMIT_BYTES) if end and end.message else None,
    )
