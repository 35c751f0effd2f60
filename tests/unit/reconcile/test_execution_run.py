"""The ladder for an execution, second half: pending, running, stopping, ending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from proctor_operator.domain.execution import JobRef, Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.workload import ContainerWaiting, PodFacts, PodPhase
from proctor_operator.reconcile.decision import RecordOutcome, RecordStarted, WriteStatus
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import ObservedExecution
from unit.builders import (
    JOB_NAME,
    JOB_UID,
    NOW,
    POLICY,
    STARTED,
    ago,
    cancelled_execution,
    complete_job,
    container_end,
    deleted_execution,
    ended_pod,
    execution,
    failed_job,
    final_execution_status,
    finished_execution,
    job,
    log_summary,
    observed,
    pod,
    proc_spec,
    recorded,
    recorded_run,
    running,
    running_pod,
)
from unit.telling import told

BACK_OFF = ContainerWaiting("ImagePullBackOff", 'Back-off pulling image "x"')
ATTACHED = frozenset({pod().uid})
LOG = log_summary()
OVERDUE = ago(901)
"""The default pending time-out is 900 seconds."""


INVALID_NAME = ContainerWaiting("InvalidImageName", "repository name must be lowercase")


def pending(execution_: ProcExecution | None = None, **fields: object) -> ObservedExecution:
    """Return one whose Job is noted, but whose container has not started."""
    live = {"is_execution_live": True, "is_job_live": True, "is_run_live": True}
    run = recorded_run(job_uid=JOB_UID)
    return recorded(execution_, **{"run": run, "job": job(), **live, "pods": (pod(),), **fields})


def shown(reason: str, **fields: object) -> ProcExecution:
    """Return an execution whose status says what it waits for."""
    return execution(status=ProcExecutionStatus(reason=reason, **fields))


def second_attempt(**fields: object) -> ObservedExecution:
    """An execution whose first attempt failed long ago; the fields are those of the second one's pod."""
    first = ended_pod(1, created_at=ago(2000))
    second = pod(**{"uid": Uid("second"), **fields})
    return running(
        job=job(created_at=ago(2000), failed_pods=1), pods=(first, second), are_pods_live=True
    )


PENDING: dict[str, tuple[ObservedExecution, str]] = {
    "a Job without a pod has a little time": (
        pending(job=job(created_at=ago(10)), pods=()),
        "Rest 21 s",
    ),
    "a Job that has no pod for long says where to look": (
        pending(pods=()),
        "WriteStatus Pending PodNotCreated",
    ),
    "a pod whose container is being made has time": (
        pending(pods=(pod(waiting=ContainerWaiting("ContainerCreating", "")),)),
        "Rest 851 s",
    ),
    "a pod that cannot pull its image says so": (
        pending(pods=(pod(waiting=BACK_OFF),)),
        "WriteStatus Pending ImagePullBackOff",
    ),
    "a pod without a node says so": (
        pending(pods=(pod(unschedulable="0/3 nodes are available"),)),
        "WriteStatus Pending Unschedulable",
    ),
    "a waiting reason that is no word does not break the status": (
        pending(pods=(pod(waiting=ContainerWaiting("not a word", "x")),)),
        "WriteStatus Pending ContainerWaiting",
    ),
    "a stranger's pod with our label says nothing": (
        pending(
            job=job(created_at=ago(10)), pods=(pod(waiting=BACK_OFF, owner_uid=Uid("somebody")),)
        ),
        "Rest 21 s",
    ),
    "the pending time-out of the proc counts": (
        pending(pinned=proc_spec(pending_timeout_seconds=60)),
        "Rest 11 s",
    ),
    "the ceiling counts": (
        pending(
            pinned=proc_spec(pending_timeout_seconds=3600),
            policy=replace(POLICY, pending_timeout_ceiling=120),
        ),
        "Rest 71 s",
    ),
    "the very second of the time-out: has a pod started unseen?": (
        pending(job=job(created_at=ago(900))),
        "ReadPods",
    ),
    "the very second of the time-out, and none has: the status says so first": (
        pending(job=job(created_at=ago(900)), are_pods_live=True),
        "WriteStatus Pending PendingTimeout",
    ),
    "before that, a live look at the Job": (
        pending(job=job(created_at=ago(900)), is_job_live=False),
        f"ReadJob {JOB_NAME}",
    ),
    "a second before the time-out": (pending(job=job(created_at=ago(899))), "Rest 2 s"),
    "a suspended Job is not pending, however long: it says so once": (
        pending(job=job(created_at=OVERDUE, is_suspended=True), pods=()),
        "WriteStatus Pending Suspended",
    ),
    "a queue that lets it through at once is worth no word": (
        pending(job=job(created_at=ago(1), is_suspended=True), pods=()),
        "Rest 2 s",
    ),
    "time spent suspended does not count": (
        pending(job=job(created_at=ago(9000), begun_at=ago(100))),
        "Rest 801 s",
    ),
    "a resumed Job can time out all the same": (
        pending(job=job(created_at=ago(9000), begun_at=ago(900)), are_pods_live=True),
        "WriteStatus Pending PendingTimeout",
    ),
    "what can never start is given up at once": (
        pending(pods=(pod(waiting=INVALID_NAME),), are_pods_live=True),
        "WriteStatus Pending InvalidImageName",
    ),
    "but not by a picture that may be old": (
        pending(pods=(pod(waiting=INVALID_NAME),)),
        "ReadPods",
    ),
}

NOT_NOTED = recorded_run()
NOTED_IN_THE_STATUS = JobRef(name=JOB_NAME, uid=JOB_UID)

ORPHANED = job(owner_uid=None, owner_name="")

NO_OWNER: dict[str, tuple[ObservedExecution, str]] = {
    "a Job that lost its owner is ours if the record names it: its execution is being deleted": (
        pending(deleted_execution(), job=ORPHANED),
        "DeleteJob",
    ),
    "or if the status does": (
        pending(
            deleted_execution(status=ProcExecutionStatus(job_ref=NOTED_IN_THE_STATUS)),
            job=ORPHANED,
            run=NOT_NOTED,
        ),
        "DeleteJob",
    ),
    "or if nothing is noted yet, and it is held and claims us": (
        pending(deleted_execution(), job=ORPHANED, run=NOT_NOTED),
        "DeleteJob",
    ),
    "but only then: a forged one is not taken for ours while nobody deletes": (
        pending(job=ORPHANED, run=NOT_NOTED),
        "RecordOutcome without a job: Refused NameTaken",
    ),
    "another Job of that name is not": (
        pending(deleted_execution(), job=replace(ORPHANED, uid=Uid("forged"))),
        "RecordOutcome without a job: Refused NameTaken",
    ),
    "nor is one that has another owner": (
        pending(deleted_execution(), job=job(owner_uid=Uid("somebody"))),
        "RecordOutcome without a job: Refused NameTaken",
    ),
    "in the end it is let go like any other": (
        observed(
            finished_execution().model_copy(
                update={
                    "status": final_execution_status().model_copy(
                        update={"job_ref": NOTED_IN_THE_STATUS}
                    )
                }
            ),
            job=complete_job(owner_uid=None),
        ),
        "ReleaseJob",
    ),
}

NOTES: dict[str, tuple[ObservedExecution, str]] = {
    "a start that comes soon needs no note of the Job": (
        pending(job=job(created_at=ago(9)), run=NOT_NOTED),
        "Rest 1 s",
    ),
    "one that takes long does": (
        pending(job=job(created_at=ago(10)), run=NOT_NOTED),
        f"RecordJob {JOB_UID}",
    ),
    "a Job that a queue holds is named by the status that says so": (
        pending(job=job(created_at=ago(10), is_suspended=True), run=NOT_NOTED),
        "WriteStatus Pending Suspended",
    ),
    "not where the status names it already": (
        pending(shown("", job_ref=NOTED_IN_THE_STATUS), job=job(created_at=ago(10)), run=NOT_NOTED),
        "Rest 891 s",
    ),
    "what is told to people goes first, and names it too": (
        pending(job=job(created_at=ago(10)), pods=(pod(waiting=BACK_OFF),), run=NOT_NOTED),
        "WriteStatus Pending ImagePullBackOff",
    ),
}

STALE: dict[str, tuple[ObservedExecution, str]] = {
    "a trouble that is over is not shown for long": (
        pending(shown("RecordUnavailable"), job=job(created_at=ago(3))),
        "WriteStatus Pending Starting",
    ),
    "but the start may come at once": (
        pending(shown("RecordUnavailable"), job=job(created_at=ago(2))),
        "Rest 1 s",
    ),
    "an image that came is not missed any more": (
        pending(
            shown("ImagePullBackOff"),
            pods=(pod(waiting=ContainerWaiting("ContainerCreating", "")),),
        ),
        "WriteStatus Pending Starting",
    ),
    "a pod that came is not missed any more": (
        pending(shown("PodNotCreated")),
        "WriteStatus Pending Starting",
    ),
    "where nothing was said, nothing is": (pending(), "Rest 851 s"),
}

NEXT_ATTEMPT: dict[str, tuple[ObservedExecution, str]] = {
    "a second attempt has a pending time-out of its own": (
        second_attempt(created_at=ago(5)),
        "WriteStatus Running Started",
    ),
    "a second attempt that waits says why": (
        second_attempt(created_at=ago(5), waiting=BACK_OFF),
        "WriteStatus Running ImagePullBackOff",
    ),
    "a second attempt that waits too long is given up": (
        second_attempt(created_at=OVERDUE),
        "WriteStatus Running PendingTimeout",
    ),
    "a second attempt that can never start is given up": (
        second_attempt(created_at=ago(5), waiting=INVALID_NAME),
        "WriteStatus Running InvalidImageName",
    ),
    "between two attempts nothing waits": (
        second_attempt(is_gone=True, phase=PodPhase.FAILED, created_at=OVERDUE),
        "WriteStatus Running Started",
    ),
    "a node that does not answer is told of": (
        second_attempt(
            phase=PodPhase.RUNNING,
            running_since=ago(60),
            deletion_time=ago(2),
            disruption="DeletionByTaintManager",
        ),
        "WriteStatus Running NodeLost",
    ),
    "another container that can never start is no reason to stop the proc's own": (
        second_attempt(
            phase=PodPhase.RUNNING,
            running_since=ago(60),
            waiting=replace(INVALID_NAME, container="helper"),
        ),
        "WriteStatus Running Started",
    ),
    "when the proc's own has ended, it is": (
        second_attempt(end=container_end(0), waiting=replace(INVALID_NAME, container="helper")),
        "WriteStatus Running InvalidImageName",
    ),
}

RUNNING: dict[str, tuple[ObservedExecution, str]] = {
    "a container that has started goes into the record first": (
        running(run=recorded_run()),
        f"RecordStarted {JOB_UID}",
    ),
    "then its output is read": (running(followed=frozenset()), "FollowLog pod-uid-1"),
    "then it goes into the status": (running(), "WriteStatus Running Started"),
    "the output of each attempt is read": (
        running(
            pods=(running_pod(uid=Uid("second")), ended_pod(1, created_at=ago(50))),
            followed=frozenset({Uid("second")}),
        ),
        "FollowLog pod-uid-1",
    ),
    "whoever deletes the pod does not take its last lines along": (
        running(pods=(running_pod(deletion_time=NOW),)),
        "AttachLog pod-uid-1",
    ),
    "what is wanted blanked is not known: nothing is read": (
        running(followed=frozenset(), pinned=None),
        "WriteStatus Running Started",
    ),
    "a container that started and ended between two looks has started": (
        running(run=recorded_run(), pods=(ended_pod(),)),
        f"RecordStarted {JOB_UID}",
    ),
    "what runs does not time out for having been pending long": (
        running(job=job(created_at=OVERDUE)),
        "WriteStatus Running Started",
    ),
}

STOPPING: dict[str, tuple[ObservedExecution, str]] = {
    "cancelled while pending: no log to read": (pending(cancelled_execution()), "DeleteJob"),
    "deleted while pending": (pending(deleted_execution()), "DeleteJob"),
    "cancelled while running: first somebody must be there for the last lines": (
        running(cancelled_execution()),
        "AttachLog pod-uid-1",
    ),
    "then a live look at the Job: it may have ended by itself": (
        running(cancelled_execution(), attached=ATTACHED, is_job_live=False),
        f"ReadJob {JOB_NAME}",
    ),
    "a Job that was there before that look is not made again": (
        running(
            cancelled_execution(),
            run=recorded_run(),
            job=Unseen.ABSENT,
            has_seen_job=True,
            pods=(),
        ),
        "RecordOutcome without a job: Lost JobMissing",
    ),
    "then no further pod": (running(cancelled_execution(), attached=ATTACHED), "DeleteJob"),
    "then the pod, with its grace period": (
        running(
            cancelled_execution(), attached=ATTACHED, job=job(deletion_time=NOW), are_pods_live=True
        ),
        "DeletePod pod-uid-1",
    ),
    "then patience": (
        running(
            cancelled_execution(),
            attached=ATTACHED,
            job=job(deletion_time=NOW),
            pods=(running_pod(deletion_time=NOW),),
            are_pods_live=True,
        ),
        "Rest 5 s",
    ),
    "a stranger's pod with our label is not deleted": (
        running(
            cancelled_execution(),
            job=job(deletion_time=NOW),
            pods=(running_pod(owner_uid=Uid("somebody")),),
        ),
        "ReadPods",
    ),
    "then a live look at the pods: one may not have been seen yet": (
        running(cancelled_execution(), attached=ATTACHED, job=job(deletion_time=NOW)),
        "ReadPods",
    ),
    "when no pod is left in the cache, a live look": (
        running(cancelled_execution(), job=job(deletion_time=NOW), pods=(), attached=ATTACHED),
        "ReadPods",
    ),
    "when none is left at all, a live look at the execution: who asked for the end?": (
        running(
            job=job(deletion_time=NOW),
            pods=(),
            are_pods_live=True,
            is_execution_live=False,
            log=LOG,
        ),
        "ReadExecution",
    ),
    "then the outcome": (
        running(
            cancelled_execution(),
            job=job(deletion_time=NOW),
            pods=(running_pod(is_gone=True),),
            are_pods_live=True,
            log=LOG,
        ),
        f"RecordOutcome {JOB_UID}: Cancelled Cancelled",
    ),
    "but not before the last lines": (
        running(
            cancelled_execution(),
            job=job(deletion_time=NOW),
            pods=(running_pod(is_gone=True),),
            are_pods_live=True,
        ),
        "FinishLog pod-uid-1",
    ),
    "cancelled when it had ended well already: it ended well": (
        running(cancelled_execution(), job=complete_job(), pods=(ended_pod(),), log=LOG),
        f"RecordOutcome {JOB_UID}: Succeeded Completed",
    ),
    "somebody deletes the Job: its pod goes too": (
        running(job=job(deletion_time=NOW), attached=ATTACHED, are_pods_live=True),
        "DeletePod pod-uid-1",
    ),
}

ENDING: dict[str, tuple[ObservedExecution, str]] = {
    "a Job that ended before its pod was seen to end: a live look": (
        running(job=complete_job()),
        "ReadPods",
    ),
    "a Job that ended and no pod is known: a live look": (
        running(job=complete_job(), pods=()),
        "ReadPods",
    ),
    "pods whose Job does not own them may have been orphaned by a deletion that nobody told of": (
        running(
            job=failed_job(failed_pods=1),
            is_job_live=False,
            pods=(ended_pod(1, owner_uid=None, job_uid=JOB_UID),),
            are_pods_live=True,
        ),
        f"ReadJob {JOB_NAME}",
    ),
    "then they are of the Job that is being deleted": (
        running(
            job=failed_job(failed_pods=1, deletion_time=NOW),
            pods=(ended_pod(1, owner_uid=None, job_uid=JOB_UID),),
            are_pods_live=True,
        ),
        "FinishLog pod-uid-1",
    ),
    "an ended pod needs no live look": (
        running(job=complete_job(), pods=(ended_pod(),)),
        "FinishLog pod-uid-1",
    ),
    "a log that takes its time is waited for": (
        running(job=complete_job(), pods=(ended_pod(),), log=Unseen.UNAVAILABLE),
        "Rest 5 s",
    ),
    "then the outcome": (
        running(job=complete_job(), pods=(ended_pod(),), log=LOG),
        f"RecordOutcome {JOB_UID}: Succeeded Completed",
    ),
    "what is wanted blanked is not known: nothing is read at the end": (
        running(job=complete_job(), pods=(ended_pod(),), pinned=None),
        f"RecordOutcome {JOB_UID}: Succeeded Completed",
    ),
    "a Job that is lost leaves what was read so far": (
        running(job=Unseen.ABSENT, pods=(ended_pod(is_gone=True),)),
        "FinishLog pod-uid-1",
    ),
    "a pod that never started has no log": (
        running(
            run=recorded_run(),
            job=failed_job(),
            pods=(pod(phase=PodPhase.FAILED, reason="Evicted"),),
        ),
        f"RecordOutcome {JOB_UID}: Failed Evicted",
    ),
    "a Job that ended without any pod left": (
        running(job=failed_job(), pods=(), are_pods_live=True, log=LOG),
        f"RecordOutcome {JOB_UID}: Failed BackoffLimitExceeded",
    ),
    "the output of every attempt belongs to the run": (
        running(
            job=failed_job(failed_pods=2),
            pods=(
                ended_pod(2, uid=Uid("second"), created_at=ago(20)),
                ended_pod(1, uid=Uid("first"), created_at=ago(40)),
            ),
        ),
        "FinishLog first second",
    ),
}

ROWS = PENDING | NO_OWNER | NOTES | STALE | NEXT_ATTEMPT | RUNNING | STOPPING | ENDING


@pytest.mark.parametrize(("seen", "expected"), ROWS.values(), ids=ROWS)
def test_the_next_thing_to_do_when(seen: ObservedExecution, expected: str) -> None:
    assert told(decide(seen, NOW)) == expected


def test_what_runs_and_says_so_is_left_alone() -> None:
    seen = running()
    action = decide(seen, NOW)
    assert isinstance(action, WriteStatus)

    assert told(decide(replace(seen, execution=execution(status=action.status)), NOW)) == "Rest"


def test_a_pending_problem_is_said_once_and_the_time_out_still_comes() -> None:
    seen = pending(pods=(pod(waiting=BACK_OFF),))
    action = decide(seen, NOW)
    assert isinstance(action, WriteStatus)
    assert action.status.message == BACK_OFF.message

    after = replace(seen, execution=execution(status=action.status))

    assert told(decide(after, NOW)) == "Rest 851 s"


def test_the_start_is_that_of_the_first_attempt() -> None:
    seen = running(
        run=recorded_run(),
        pods=(
            running_pod(uid=Uid("second"), created_at=ago(8), running_since=ago(5)),
            ended_pod(1, end=container_end(1, started_at=ago(40))),
        ),
    )

    assert decide(seen, NOW) == RecordStarted(JOB_UID, ago(40))


def attempts_of_a_run(count: int) -> Iterator[tuple[str, tuple[PodFacts, ...]]]:
    """The pods of a run that fails again and again, as one looks at them in each moment."""
    gone: tuple[PodFacts, ...] = ()
    for number in range(1, count + 1):
        uid, name = Uid(f"pod-{number}"), f"grow-disk-{number}"
        this = {"uid": uid, "name": name, "created_at": ago(200 - 10 * number)}
        yield f"{number} is there", (*gone, pod(**this))
        making = ContainerWaiting("ContainerCreating", "")
        yield f"{number} is made", (*gone, pod(**this, waiting=making))
        yield f"{number} runs", (*gone, running_pod(**this))
        failed = ended_pod(1, **this)
        yield f"{number} has failed", (*gone, failed)
        gone = (*gone, failed)
        yield f"{number} is behind it", gone


def test_nothing_is_written_between_two_attempts_but_the_name_of_the_next_pod() -> None:
    # The first attempt is under way.
    shown_ = execution()
    written: list[tuple[str, Phase, str, str | None]] = []
    for moment, pods in list(attempts_of_a_run(4))[2:]:
        seen = running(
            job=job(created_at=ago(300), failed_pods=sum(one.has_ended for one in pods)),
            pods=pods,
            followed=frozenset(one.uid for one in pods),
            execution_=shown_,
        )
        action = decide(seen, NOW)
        if isinstance(action, WriteStatus):
            status = action.status
            written.append((moment, status.phase, status.reason, status.pod_name))
            shown_ = execution(status=status)

    assert written == [
        ("1 runs", Phase.RUNNING, "Started", "grow-disk-1"),
        ("2 is there", Phase.RUNNING, "Started", "grow-disk-2"),
        ("3 is there", Phase.RUNNING, "Started", "grow-disk-3"),
        ("4 is there", Phase.RUNNING, "Started", "grow-disk-4"),
    ]


@pytest.mark.parametrize(
    ("who", "phase", "reason"),
    [
        (cancelled_execution(), Phase.CANCELLED, "Cancelled"),
        (deleted_execution(), Phase.CANCELLED, "Deleted"),
        (execution(), Phase.FAILED, "JobDeleted"),
    ],
    ids=["by cancel", "by deletion of the execution", "by somebody who deleted the job"],
)
@pytest.mark.parametrize("has_started", [True, False])
def test_a_stopped_job_ends_for_the_reason_it_was_stopped(
    who: ProcExecution, phase: Phase, reason: str, *, has_started: bool
) -> None:
    gone = running_pod(is_gone=True) if has_started else pod(is_gone=True)
    seen = running(
        who,
        job=job(deletion_time=NOW),
        pods=(gone,),
        are_pods_live=True,
        run=recorded_run(),
        log=LOG,
    )

    action = decide(seen, NOW)

    assert isinstance(action, RecordOutcome)
    assert (action.outcome.phase, action.outcome.reason) == (phase, reason)
    assert action.outcome.started_at == (STARTED if has_started else None)
    assert action.outcome.log == LOG


@pytest.mark.parametrize("waiting", [BACK_OFF, INVALID_NAME], ids=["too long", "for ever"])
def test_a_run_that_is_given_up_says_so_then_its_job_goes(waiting: ContainerWaiting) -> None:
    seen = pending(job=job(created_at=OVERDUE), pods=(pod(waiting=waiting),), are_pods_live=True)
    action = decide(seen, NOW)
    assert isinstance(action, WriteStatus)

    after = replace(seen, execution=execution(status=action.status))

    assert told(decide(after, NOW)) == "DeleteJob"


def test_what_was_given_up_is_carried_through_by_a_picture_that_is_older_than_its_end() -> None:
    noted = ProcExecutionStatus(reason="PendingTimeout", message="no container started")
    stale = pending(
        execution(status=noted),
        job=job(created_at=OVERDUE),
        pods=(pod(phase=PodPhase.FAILED, deletion_time=ago(2)),),
        is_job_live=False,
    )
    started = pending(execution(status=noted), job=job(created_at=OVERDUE), pods=(running_pod(),))

    assert told(decide(stale, NOW)) == f"ReadJob {JOB_NAME}"
    assert told(decide(started, NOW)) == f"RecordStarted {JOB_UID}"


def test_a_problem_is_not_told_again_for_a_number_that_changed() -> None:
    shown = pending(pods=(pod(unschedulable="0/3 nodes are available: 3 Insufficient cpu."),))
    action = decide(shown, NOW)
    assert isinstance(action, WriteStatus)

    after = replace(
        shown,
        execution=execution(status=action.status),
        pods=(pod(unschedulable="0/14 nodes are available: 14 Insufficient cpu."),),
    )

    assert told(decide(after, NOW)) == "Rest 851 s"


def test_an_orphaned_pod_of_a_deleted_job_is_stopped_all_the_same() -> None:
    orphan = running_pod(owner_uid=None, job_uid=JOB_UID)
    seen = running(
        job=job(deletion_time=NOW), pods=(orphan,), are_pods_live=True, attached=ATTACHED
    )

    assert told(decide(seen, NOW)) == "DeletePod pod-uid-1"


def test_a_pod_that_only_claims_to_be_of_a_job_is_not_its_own() -> None:
    forged = running_pod(owner_uid=None, job_uid=JOB_UID)

    assert recorded(job=job(), pods=(forged,)).own_pods == ()


PATIENT = replace(POLICY, release_after_seconds=60)
ENDED = finished_execution().model_copy(
    update={"status": final_execution_status().model_copy(update={"completion_time": ago(20)})}
)
ENDED_AHEAD = finished_execution().model_copy(
    update={"status": final_execution_status().model_copy(update={"completion_time": ago(-9999)})}
)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (observed(ENDED, policy=PATIENT, job=complete_job()), "Rest 40 s"),
        (observed(ENDED_AHEAD, policy=PATIENT, job=complete_job()), "Rest 60 s"),
        (
            observed(ENDED, policy=replace(POLICY, release_after_seconds=20), job=complete_job()),
            "ReleaseJob",
        ),
        (
            observed(ENDED, policy=PATIENT, job=complete_job(deletion_time=ago(1))),
            "ReleaseJob",
        ),
        (
            observed(
                ENDED.model_copy(update={"deletion_time": ago(1)}),
                policy=PATIENT,
                job=complete_job(),
            ),
            "ReleaseJob",
        ),
        (observed(finished_execution(), policy=PATIENT, job=complete_job()), "ReleaseJob"),
        (observed(ENDED, policy=PATIENT, job=job()), "DeleteJob"),
    ],
    ids=[
        "its end is not long ago: clean-up waits",
        "a node whose clock is ahead said when it ended: the Job is not held until then",
        "its time has come",
        "somebody waits for the Job to go",
        "somebody waits for the execution to go",
        "when it ended is not known",
        "it came after the end, and must not run",
    ],
)
def test_a_job_that_is_over_is_let_go_when(seen: ObservedExecution, expected: str) -> None:
    assert told(decide(seen, NOW)) == expected
