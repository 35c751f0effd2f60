"""A Job whose container has started: what is said of it, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from proctor_operator.domain.run import RecordedRun
from proctor_operator.domain.workload import JobFacts, PodPhase
from proctor_operator.reconcile.decision import Action, RecordJob, RecordStarted, Rest, WriteStatus
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.output import log_to_read
from proctor_operator.reconcile.pending import pending_problem
from proctor_operator.reconcile.status import running_status, shows_the_same
from proctor_operator.reconcile.waiting import (
    has_gone_back,
    until_given_up,
    until_job_is_noted,
    wait_for_a_start,
)

JOB_FOLLOWS_ITS_POD_SECONDS: Final = 60.0
"""Far longer than a Job controller that is there takes to say that the only pod has succeeded."""


def watch_the_run(
    observed: ObservedExecution, run: RecordedRun, job: JobFacts, now: datetime
) -> Action | Rest:
    """Step 5, and otherwise patience."""
    started_at = observed.started_at
    if started_at is None:
        return wait_for_a_start(observed, run, job, now)
    if (seconds := _until_told(observed, run, job, now)) > 0:
        return log_to_read(observed) or _keep_quiet(observed, run, job, now, seconds)
    if run.started_at is None:
        return RecordStarted(job.uid, started_at)
    if (action := log_to_read(observed)) is not None:
        return action
    if has_gone_back(observed, job):
        return wait_for_a_start(observed, run, job, now)
    status = running_status(observed, run, started_at, now, problem=_trouble(observed))
    if shows_the_same(observed.execution.status, status):
        return Rest(after_seconds=until_given_up(observed, job, now))
    return WriteStatus(status)


def _until_told(
    observed: ObservedExecution, run: RecordedRun, job: JobFacts, now: datetime
) -> float:
    """Seconds until record and status tell of the start. A run that is over by then is told of as a whole.

    Nothing is held back where the status says anything yet: that is out of date now.
    """
    tell_at = observed.tell_start_at
    if tell_at is None or run.started_at is not None or observed.execution.status.reason:
        return 0.0
    if job.is_suspended or _trouble(observed) is not None:
        return 0.0
    seconds = (tell_at - now).total_seconds()
    pod = observed.last_pod
    if pod is not None and pod.phase is PodPhase.SUCCEEDED:
        # Its end was seen first: "Running" would be wrong by now, and the Job is about to say so.
        return seconds + JOB_FOLLOWS_ITS_POD_SECONDS
    return seconds


def _keep_quiet(
    observed: ObservedExecution, run: RecordedRun, job: JobFacts, now: datetime, seconds: float
) -> Action | Rest:
    until_noted = until_job_is_noted(observed, run, job, now)
    if until_noted is None:
        return Rest(after_seconds=seconds)
    return Rest(after_seconds=min(seconds, until_noted)) if until_noted > 0 else RecordJob(job.uid)


def _trouble(observed: ObservedExecution) -> tuple[str, str] | None:
    """What a person should know of a run that has started: its node, or its next attempt, is in trouble."""
    pod = observed.last_pod
    if pod is not None and pod.is_driven_off and not pod.has_ended:
        node = f"the node {pod.node_name} is lost, or a taint drives its pods off"
        return "NodeLost", f"{node}; how it ended is known when the node answers or is removed"
    return pending_problem(observed)
