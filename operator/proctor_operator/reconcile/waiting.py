"""A Job whose container has not started: what is said of it, what is noted, and when to look again."""

from __future__ import annotations

from datetime import datetime

from proctor_operator.domain.execution import Phase
from proctor_operator.domain.run import RecordedRun
from proctor_operator.domain.workload import JobFacts
from proctor_operator.reconcile.decision import Action, RecordJob, Rest, WriteStatus
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.pending import (
    STARTING,
    SUSPENDED,
    pending_problem,
    seconds_until_given_up,
)
from proctor_operator.reconcile.status import pending_status, shows_the_same

POD_SHOULD_BE_THERE_SECONDS = 30.0
SETTLES_AFTER_SECONDS = 3.0
"""A container that starts this soon after its Job makes a word about a trouble that is over needless."""
NOTE_JOB_AFTER_SECONDS = 10.0
"""From then on neither record nor status may be without the Job: it could be torn away unnoticed."""


def wait_for_a_start(
    observed: ObservedExecution, run: RecordedRun, job: JobFacts, now: datetime
) -> Action | Rest:
    """Say what keeps the newest pod from starting, as long as it does, and note the Job if it takes long."""
    age = (now - job.created_at).total_seconds()
    problem = _held_back(observed, job, now)
    problem = problem or pending_problem(observed) or _no_pod_yet(observed, job, now)
    if problem is None and age >= SETTLES_AFTER_SECONDS:
        problem = _no_trouble_any_more(observed)
    if problem is not None:
        status = pending_status(observed, *problem, now)
        if not shows_the_same(observed.execution.status, status):
            return WriteStatus(status)
    until_noted = until_job_is_noted(observed, run, job, now)
    if until_noted is not None and until_noted <= 0:
        return RecordJob(job.uid)
    return Rest(after_seconds=_until_there_is_news(observed, job, now, until_noted))


def until_job_is_noted(
    observed: ObservedExecution, run: RecordedRun, job: JobFacts, now: datetime
) -> float | None:
    """Seconds after which the record must know the Job by itself; None where record or status do."""
    if run.job_uid is not None or observed.execution.status.job_ref is not None:
        return None
    return NOTE_JOB_AFTER_SECONDS - (now - job.created_at).total_seconds()


def has_gone_back(observed: ObservedExecution, job: JobFacts) -> bool:
    """Whether it ran before its Job was suspended, and has no container again so far."""
    status = observed.execution.status
    shows_it = status.phase is Phase.PENDING and status.start_time is not None
    is_over = all(pod.has_ended for pod in observed.own_pods if pod.started_at is not None)
    return is_over and (job.is_suspended or shows_it)


def _held_back(observed: ObservedExecution, job: JobFacts, now: datetime) -> tuple[str, str] | None:
    """A queue that lets it through at once is worth no word."""
    is_new = (now - job.created_at).total_seconds() < SETTLES_AFTER_SECONDS
    if not job.is_suspended or is_new:
        return None
    queue = observed.pinned.queue_name if observed.pinned is not None else None
    if queue is not None:
        return SUSPENDED, f"the job waits until the queue {queue!r} of Kueue lets it start"
    return (
        SUSPENDED,
        f"somebody suspended the job {job.name!r}; it goes on when spec.suspend is false",
    )


def _until_there_is_news(
    observed: ObservedExecution, job: JobFacts, now: datetime, until_noted: float | None
) -> float | None:
    """When a rule of the start has something to say without any event."""
    age = (now - job.created_at).total_seconds()
    waits = [until_given_up(observed, job, now), until_noted]
    if observed.last_pod is None and not job.is_suspended:
        waited = (now - job.pending_since).total_seconds()
        waits.append(POD_SHOULD_BE_THERE_SECONDS - waited + 1.0)
    if observed.execution.status.reason or job.is_suspended:
        waits.append(SETTLES_AFTER_SECONDS - age)
    return min((one for one in waits if one is not None and one > 0), default=None)


def _no_trouble_any_more(observed: ObservedExecution) -> tuple[str, str] | None:
    """What was shown is over, but the container has not started: say that, and say nothing otherwise."""
    if not observed.execution.status.reason:
        return None
    return STARTING, "the job is there, and nothing keeps its container from starting"


def until_given_up(observed: ObservedExecution, job: JobFacts, now: datetime) -> float | None:
    """Seconds until waiting for the newest attempt has an end; None where it does not wait."""
    seconds = seconds_until_given_up(observed, job, now)
    return None if seconds is None else seconds + 1.0


def _no_pod_yet(
    observed: ObservedExecution, job: JobFacts, now: datetime
) -> tuple[str, str] | None:
    """Pod Security or a quota may refuse the pod; only the Job's events tell, which are not ours to read."""
    if observed.last_pod is not None or job.is_suspended:
        return None
    if (now - job.pending_since).total_seconds() < POD_SHOULD_BE_THERE_SECONDS:
        return None
    namespace = observed.execution.namespace
    return (
        "PodNotCreated",
        f"the job has no pod yet; `kubectl describe job {job.name} -n {namespace}` tells why",
    )
