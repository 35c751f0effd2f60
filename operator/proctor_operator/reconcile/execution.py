"""The ladder for one execution: from what is known to the one next thing to do.

Read it from the top: what is over, what is recorded as ended, what may not start, what runs. The steps
are those of the design's section 6; each durable write is asked for only when the one before it is
known to be done.
"""

from __future__ import annotations

from datetime import datetime

from proctor_operator.domain.naming import job_name
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.plugin import Defer
from proctor_operator.domain.run import Outcome, RecordedRun
from proctor_operator.domain.workload import JobFacts
from proctor_operator.reconcile.abandon import find_abandonment
from proctor_operator.reconcile.checks import find_refusal
from proctor_operator.reconcile.decision import (
    Action,
    AttachLog,
    CreateJob,
    DeleteJob,
    DeletePod,
    ReadExecution,
    ReadJob,
    ReadPods,
    ReadProc,
    ReadRun,
    RecordOutcome,
    RecordRefusal,
    RecordRun,
    ReleaseExecution,
    ReleaseJob,
    Rest,
    WriteStatus,
)
from proctor_operator.reconcile.jobspec import build_job
from proctor_operator.reconcile.observed import Hindrance, ObservedExecution
from proctor_operator.reconcile.outcome import (
    classify_ended_job,
    classify_lost_job,
    classify_never_started,
    classify_stopped_job,
    refused,
)
from proctor_operator.reconcile.output import last_lines, pod_to_attach_to
from proctor_operator.reconcile.pending import (
    GivenUp,
    noted_before,
    why_to_give_up,
)
from proctor_operator.reconcile.refusal import Refusal
from proctor_operator.reconcile.repeated import find_repetition
from proctor_operator.reconcile.request import reconstructed_request, run_request
from proctor_operator.reconcile.running import watch_the_run
from proctor_operator.reconcile.slots import (
    shows_that_it_waits,
    take_its_slots,
    wait_for_a_gate,
    wait_in_line,
)
from proctor_operator.reconcile.status import (
    final_status,
    given_up_status,
    has_been_asked_since,
    held_up_status,
    is_finished,
    looked_at_again,
    over_since,
    pending_status,
    shows_the_same,
)

RECORD_RETRY_SECONDS = 5.0
RECORD_REJECTED_RETRY_SECONDS = 30.0
PODS_GONE_RETRY_SECONDS = 5.0
JOB_FORBIDDEN_RETRY_SECONDS = 20.0


def decide(observed: ObservedExecution, now: datetime) -> Action | Rest:
    """The next thing to do about an execution, or `Rest`."""
    if is_finished(observed.execution.status):
        return _release(observed, now)
    has_no_record = observed.run is Unseen.UNAVAILABLE or observed.record_refusal is not None
    abandonment = find_abandonment(observed) if has_no_record else None
    if abandonment is not None:
        return abandonment
    if observed.record_refusal is not None:
        return _tell_of_the_refused_row(observed, observed.record_refusal, now)
    if observed.run is Unseen.UNAVAILABLE:
        return _wait_for_the_record(observed, now)
    if isinstance(observed.run, RecordedRun):
        if observed.run.outcome is not None:
            return _show_the_end(observed, observed.run, observed.run.outcome, now)
        if observed.run.is_waiting and not observed.wants_to_stop:
            return wait_in_line(observed, now)
        return _carry_on(observed, observed.run, now)
    if observed.own_job is not None or observed.execution.status.job_ref is not None:
        return _find_the_run(observed)
    return _begin(observed, now)


def _find_the_run(observed: ObservedExecution) -> Action:
    """It has begun, so there is a row; unless the record was restored from before that."""
    if observed.run is Unseen.NOT_READ:
        return ReadRun()
    if observed.proc is Unseen.NOT_READ and not observed.is_proc_live:
        return ReadProc(observed.execution.spec.proc_ref.name)
    return RecordRun(reconstructed_request(observed))


def _release(observed: ObservedExecution, now: datetime) -> Action | Rest:
    """Step 9: nothing of ours holds what is over; starts and ends of others come before clean-up."""
    execution = observed.execution
    if has_been_asked_since(execution) and not execution.is_being_deleted:
        return WriteStatus(looked_at_again(execution))
    job = observed.own_job
    if job is not None and job.is_held:
        if job.end is None and not job.is_being_deleted:
            # It came after the end: a create that was slow, or another controller's. It must not run.
            return DeleteJob(job)
        seconds = _seconds_until_release(observed, job, now)
        return Rest(after_seconds=seconds) if seconds > 0 else ReleaseJob(job)
    if execution.is_being_deleted and execution.is_held:
        return ReleaseExecution()
    return Rest()


def _seconds_until_release(observed: ObservedExecution, job: JobFacts, now: datetime) -> float:
    """Nobody waits for the release of a Job that stays; for one that is to go, somebody does."""
    ended_at = over_since(observed.execution.status)
    if ended_at is None or job.is_being_deleted or observed.execution.is_being_deleted:
        return 0.0
    return observed.policy.release_after_seconds - (now - ended_at).total_seconds()


def _wait_for_the_record(observed: ObservedExecution, now: datetime) -> Action | Rest:
    """No run without a record: what has not started waits, what runs is left alone."""
    if observed.own_job is None and observed.execution.status.job_ref is None:
        status = pending_status(
            observed, "RecordUnavailable", "waiting for the record (PostgreSQL) to be back", now
        )
        if not shows_the_same(observed.execution.status, status):
            return WriteStatus(status)
    return Rest(after_seconds=RECORD_RETRY_SECONDS)


def _tell_of_the_refused_row(
    observed: ObservedExecution, refusal: str, now: datetime
) -> Action | Rest:
    """Only a person can help: this run waits with the database's word, and no other waits for it."""
    status = held_up_status(observed, "RecordRejected", refusal, now)
    if shows_the_same(observed.execution.status, status):
        return Rest(after_seconds=RECORD_REJECTED_RETRY_SECONDS)
    return WriteStatus(status)


def _show_the_end(
    observed: ObservedExecution, run: RecordedRun, outcome: Outcome, now: datetime
) -> Action | Rest:
    """Step 8: the final status, derived from the record."""
    return WriteStatus(final_status(observed, run, outcome, now))


def _begin(observed: ObservedExecution, now: datetime) -> Action | Rest:
    """Steps 1 to 3: may it start, and if so, the record first."""
    if shows_that_it_waits(observed) and observed.run is Unseen.NOT_READ:
        return ReadRun()
    if observed.wants_to_stop:
        return RecordRefusal(run_request(observed), classify_never_started(observed, now))
    repetition = find_repetition(observed)
    if repetition is not None:
        return repetition
    answer = find_refusal(observed)
    if isinstance(answer, Refusal):
        return RecordRefusal(run_request(observed), refused(answer.reason, answer.message, now))
    if isinstance(answer, Defer):
        return wait_for_a_gate(observed, answer, now)
    return answer or take_its_slots(observed, now)


def _carry_on(observed: ObservedExecution, run: RecordedRun, now: datetime) -> Action | Rest:
    """Steps 4 to 7: from the record to the end."""
    if observed.job_refusal is not None:
        return RecordOutcome(None, refused("JobRejected", observed.job_refusal, now))
    job = observed.job
    if isinstance(job, Unseen):
        return _without_a_job(observed, run, now)
    if observed.own_job is None:
        message = f"a job named {job.name!r} exists and belongs to somebody else"
        return RecordOutcome(None, refused("NameTaken", message, now))
    if job.end is not None:
        return _finish(observed, job)
    if job.is_being_deleted or observed.wants_to_stop:
        return _stop(observed, job, now)
    if noted_before(observed) is not None and not observed.is_job_live:
        # It may be on its way out, though nobody has told us yet.
        return ReadJob(job.name)
    given_up = why_to_give_up(observed, job, now)
    if given_up is not None:
        return _give_up(observed, run, job, given_up, now)
    return watch_the_run(observed, run, job, now)


def _without_a_job(observed: ObservedExecution, run: RecordedRun, now: datetime) -> Action | Rest:
    """Step 4, unless the Job was there before or is not wanted any more."""
    is_noted = run.job_uid is not None or observed.execution.status.job_ref is not None
    has_run = is_noted or observed.has_seen_job
    is_wanted = not observed.wants_to_stop and not has_run
    if observed.job is Unseen.NOT_READ and not is_wanted:
        return ReadJob(job_name(observed.execution.name, observed.execution.uid))
    if has_run:
        pods = tuple(pod for pod in observed.pods if pod.owner_uid == run.job_uid)
        outcome = RecordOutcome(run.job_uid, classify_lost_job(observed, now))
        return last_lines(observed, pods) or outcome
    if observed.wants_to_stop:
        return RecordOutcome(None, classify_never_started(observed, now))
    if observed.job_hindrance is not None:
        return _wait_to_be_let_in(observed, observed.job_hindrance, now)
    if observed.pinned is None:
        message = "the record holds no readable proc for this run"
        return RecordOutcome(None, refused("ProcNotReady", message, now))
    return CreateJob(build_job(observed.execution, run, observed.pinned, observed.policy))


def _wait_to_be_let_in(
    observed: ObservedExecution, hindrance: Hindrance, now: datetime
) -> Action | Rest:
    """A quota or a missing right keeps the Job out: say so, and try again."""
    status = pending_status(observed, hindrance.reason, hindrance.message, now)
    if shows_the_same(observed.execution.status, status):
        return Rest(after_seconds=JOB_FORBIDDEN_RETRY_SECONDS)
    return WriteStatus(status)


def _finish(observed: ObservedExecution, job: JobFacts) -> Action | Rest:
    """Steps 6 and 7: the last lines, then the outcome."""
    assert job.end is not None, "the caller looked"  # noqa: S101 - narrows the type
    if not _all_ends_are_known(observed, job):
        if not observed.are_pods_live:
            return ReadPods()
        if not observed.is_job_live:
            # A Job that is deleted may have orphaned its pods, and whose they are only the Job tells.
            return ReadJob(job.name)
    if (action := last_lines(observed, observed.own_pods)) is not None:
        return action
    if job.is_being_deleted and (action := _ask_who_stopped_it(observed)) is not None:
        return action
    return RecordOutcome(job.uid, classify_ended_job(observed, job, job.end))


def _all_ends_are_known(observed: ObservedExecution, job: JobFacts) -> bool:
    """Whether the pods at hand are those that the Job counted; it may be seen to end before they are."""
    ended = sum(pod.has_ended for pod in observed.attempt_pods)
    is_last_known = observed.last_pod is not None and observed.last_pod.has_ended
    return is_last_known and ended >= job.failed_pods + job.succeeded_pods


def _stop(observed: ObservedExecution, job: JobFacts, now: datetime) -> Action | Rest:
    """Cancelled, deleted, given up: no new pod, then the old one ends, then the outcome."""
    if (pod := pod_to_attach_to(observed, observed.own_pods)) is not None:
        return AttachLog(pod)
    if not job.is_being_deleted:
        # It may have ended by itself.
        return DeleteJob(job) if observed.is_job_live else ReadJob(job.name)
    if not observed.are_pods_live:
        return ReadPods()
    alive = [pod for pod in observed.own_pods if not pod.has_ended]
    for pod in alive:
        if pod.deletion_time is None:
            return DeletePod(pod)
    if alive:
        return Rest(after_seconds=PODS_GONE_RETRY_SECONDS)
    if not observed.is_job_live:
        # A pod goes when its Job has counted it, so the Job is asked after the pods.
        return ReadJob(job.name)
    if (action := last_lines(observed, observed.own_pods)) is not None:
        return action
    if (action := _ask_who_stopped_it(observed)) is not None:
        return action
    return RecordOutcome(job.uid, classify_stopped_job(observed, job, now))


def _ask_who_stopped_it(observed: ObservedExecution) -> Action | None:
    """Its object tells who cancelled it, the record which run has its place; both may be news here."""
    if not observed.is_execution_live:
        return ReadExecution()
    return None if observed.wants_to_stop or observed.is_run_live else ReadRun()


def _give_up(
    observed: ObservedExecution, run: RecordedRun, job: JobFacts, why: GivenUp, now: datetime
) -> Action:
    """What cannot get any further: the status says so first, so that a restart knows who deleted the Job."""
    if not observed.is_job_live:
        return ReadJob(job.name)
    if not observed.are_pods_live:
        # A container may have started that nobody told us of.
        return ReadPods()
    status = given_up_status(observed, run, why.reason, why.message, now)
    if not shows_the_same(observed.execution.status, status):
        return WriteStatus(status)
    return DeleteJob(job)
