"""The ladder for an execution, first half: what is over, what waits, what may start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor_operator.domain.execution import (
    JobRef,
    Phase,
    PinnedProc,
    ProcExecutionStatus,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.run import RunKey
from proctor_operator.reconcile.decision import (
    CreateJob,
    RecordOutcome,
    RecordRefusal,
    RecordRun,
    WriteStatus,
)
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import Hindrance, ObservedExecution
from proctor_operator.reconcile.request import RECONSTRUCTED
from unit.builders import (
    CREATED,
    EXECUTION_UID,
    JOB_NAME,
    JOB_UID,
    NOW,
    argument_from,
    cancelled_execution,
    complete_job,
    deleted_execution,
    execution,
    execution_spec,
    finished_execution,
    job,
    observed,
    outcome,
    parameter,
    proc,
    proc_spec,
    recorded,
    recorded_run,
)
from unit.telling import told

WAITS = ProcExecutionStatus(
    phase=Phase.PENDING,
    reason="RecordUnavailable",
    job_ref=JobRef(name=JOB_NAME, uid=JOB_UID),
)
FINISHED_AND_DELETED = finished_execution(deletion_time=NOW)

OVER: dict[str, tuple[ObservedExecution, str]] = {
    "what has finished rests": (observed(finished_execution()), "Rest"),
    "what was refused rests": (observed(finished_execution(Phase.REFUSED)), "Rest"),
    "a Job that we still hold is let go": (
        observed(finished_execution(), job=complete_job()),
        "ReleaseJob",
    ),
    "a Job that came after the end is stopped": (
        observed(finished_execution(), job=job()),
        "DeleteJob",
    ),
    "a Job that came after the end and is stopped already is let go": (
        observed(finished_execution(), job=job(deletion_time=NOW)),
        "ReleaseJob",
    ),
    "a Job that we hold no longer is left alone": (
        observed(finished_execution(), job=complete_job(finalizers=("other/finalizer",))),
        "Rest",
    ),
    "a stranger's Job of the same name is left alone": (
        observed(finished_execution(), job=complete_job(owner_uid=Uid("somebody"))),
        "Rest",
    ),
    "when it is being deleted, the Job goes first": (
        observed(FINISHED_AND_DELETED, job=complete_job()),
        "ReleaseJob",
    ),
    "when it is being deleted and has no Job any more, it is let go": (
        observed(FINISHED_AND_DELETED, job=complete_job(finalizers=())),
        "ReleaseExecution",
    ),
    "another's finalizer is not ours to take off": (
        observed(finished_execution(deletion_time=NOW, finalizers=("other/finalizer",))),
        "Rest",
    ),
    "what has finished asks the record for nothing, not even while it is away": (
        observed(finished_execution(), run=Unseen.UNAVAILABLE),
        "Rest",
    ),
    "a terminal phase without its condition is not the end: the record tells": (
        observed(
            execution(status=ProcExecutionStatus(phase=Phase.SUCCEEDED)),
            run=recorded_run(outcome=outcome(Phase.FAILED, reason="OOMKilled")),
        ),
        "WriteStatus Failed OOMKilled",
    ),
}

WAITING_FOR_THE_RECORD: dict[str, tuple[ObservedExecution, str]] = {
    "without a record nothing starts, and the status says so": (
        observed(run=Unseen.UNAVAILABLE),
        "WriteStatus Pending RecordUnavailable",
    ),
    "a cancelled one waits for the record too": (
        observed(cancelled_execution(), run=Unseen.UNAVAILABLE),
        "WriteStatus Pending RecordUnavailable",
    ),
    "what runs is left alone": (observed(run=Unseen.UNAVAILABLE, job=job()), "Rest 5 s"),
    "what has ended waits for the record too": (
        observed(run=Unseen.UNAVAILABLE, job=complete_job()),
        "Rest 5 s",
    ),
    "what the status says to have started is left alone": (
        observed(execution(status=WAITS), run=Unseen.UNAVAILABLE),
        "Rest 5 s",
    ),
}

REFUSED = "PostgreSQL refuses the row: CheckViolationError"
REFUSED_BY_THE_RECORD: dict[str, tuple[ObservedExecution, str]] = {
    "a run that the record refuses does not start, and the status says so": (
        observed(record_refusal=REFUSED),
        "WriteStatus Pending RecordRejected",
    ),
    "a cancelled one that the record refuses cannot end": (
        observed(cancelled_execution(), record_refusal=REFUSED),
        "WriteStatus Pending RecordRejected",
    ),
    "one whose start is refused goes on, and says so": (
        observed(run=recorded_run(), job=job(), record_refusal=REFUSED),
        "WriteStatus Pending RecordRejected",
    ),
    "one that was seen to run keeps its phase": (
        observed(
            execution(status=ProcExecutionStatus(phase=Phase.RUNNING)),
            run=recorded_run(),
            job=complete_job(),
            record_refusal=REFUSED,
        ),
        "WriteStatus Running RecordRejected",
    ),
    "what has finished is not touched": (
        observed(finished_execution(), record_refusal=REFUSED),
        "Rest",
    ),
}

STARTING: dict[str, tuple[ObservedExecution, str]] = {
    "what may start is recorded first": (observed(), "RecordRun"),
    "a Job that is there says that the record has been there": (observed(job=job()), "ReadRun"),
    "a status that names a Job says so, too": (observed(execution(status=WAITS)), "ReadRun"),
    "a Job of which the record knows nothing was there before the record was restored": (
        observed(job=job(), run=Unseen.ABSENT),
        "RecordRun",
    ),
    "then nothing is checked again: it runs": (
        observed(job=job(), run=Unseen.ABSENT, proc=Unseen.ABSENT, is_proc_live=True),
        "RecordRun",
    ),
    "and a cancelled one is stopped as one that ran": (
        observed(cancelled_execution(), job=job(), run=Unseen.ABSENT),
        "RecordRun",
    ),
    "but its proc is looked for": (
        observed(job=job(), run=Unseen.ABSENT, proc=Unseen.NOT_READ),
        "ReadProc grow-disk",
    ),
    "a stranger's Job says nothing about the record": (
        observed(job=job(owner_uid=Uid("somebody"))),
        "RecordRun",
    ),
    "cancelled before it started": (
        observed(cancelled_execution()),
        "RecordRefusal Cancelled Cancelled",
    ),
    "deleted before it started": (
        observed(deleted_execution()),
        "RecordRefusal Cancelled Deleted",
    ),
    "cancelled and deleted: the word of the person counts": (
        observed(cancelled_execution(deletion_time=NOW)),
        "RecordRefusal Cancelled Cancelled",
    ),
    "cancelled, and its proc does not exist: nobody asks any more": (
        observed(cancelled_execution(), proc=Unseen.NOT_READ),
        "RecordRefusal Cancelled Cancelled",
    ),
}

RECORDED: dict[str, tuple[ObservedExecution, str]] = {
    "recorded, and no Job known: create it, the name collides if it is there": (
        recorded(),
        "CreateJob",
    ),
    "recorded, and no Job by a live read": (recorded(job=Unseen.ABSENT), "CreateJob"),
    "cancelled between record and Job: look first": (
        recorded(cancelled_execution()),
        f"ReadJob {JOB_NAME}",
    ),
    "cancelled, and there is no Job": (
        recorded(cancelled_execution(), job=Unseen.ABSENT),
        "RecordOutcome without a job: Cancelled Cancelled",
    ),
    "deleted, and there is no Job": (
        recorded(deleted_execution(), job=Unseen.ABSENT),
        "RecordOutcome without a job: Cancelled Deleted",
    ),
    "the record knows of a Job that the cache has not: look first": (
        recorded(run=recorded_run(job_uid=JOB_UID)),
        f"ReadJob {JOB_NAME}",
    ),
    "the Job of the record is gone: lost, and never made again": (
        recorded(run=recorded_run(job_uid=JOB_UID), job=Unseen.ABSENT),
        f"RecordOutcome {JOB_UID}: Lost JobMissing",
    ),
    "a Job was seen to go: look whether it is true": (
        recorded(has_seen_job=True),
        f"ReadJob {JOB_NAME}",
    ),
    "it has gone: lost, though neither record nor status had noted it": (
        recorded(has_seen_job=True, job=Unseen.ABSENT),
        "RecordOutcome without a job: Lost JobMissing",
    ),
    "a quota keeps the Job out": (
        recorded(job_hindrance=Hindrance.forbidden("exceeded quota")),
        "WriteStatus Pending JobForbidden",
    ),
    "its namespace is being deleted, which is another matter": (
        recorded(job_hindrance=Hindrance.namespace_goes_away()),
        "WriteStatus Pending NamespaceTerminating",
    ),
    "the Job of the status is gone: lost as well": (
        recorded(execution(status=WAITS), job=Unseen.ABSENT),
        "RecordOutcome without a job: Lost JobMissing",
    ),
    "the Job is gone and the execution cancelled: it was lost, not cancelled": (
        recorded(cancelled_execution(), run=recorded_run(job_uid=JOB_UID), job=Unseen.ABSENT),
        f"RecordOutcome {JOB_UID}: Lost JobMissing",
    ),
    "the API server refuses the Job": (
        recorded(job_refusal="spec.template.spec.containers[0].image: Required value"),
        "RecordOutcome without a job: Refused JobRejected",
    ),
    "a stranger has a Job of that name": (
        recorded(job=job(owner_uid=Uid("somebody"))),
        "RecordOutcome without a job: Refused NameTaken",
    ),
    "a Job of that name belongs to nobody": (
        recorded(job=job(owner_uid=None)),
        "RecordOutcome without a job: Refused NameTaken",
    ),
    "the recorded proc cannot be read": (
        recorded(pinned=None),
        "RecordOutcome without a job: Refused ProcNotReady",
    ),
    "an outcome in the record is shown": (
        recorded(run=recorded_run(outcome=outcome(started_at=None))),
        "WriteStatus Succeeded Completed",
    ),
    "a refusal in the record is shown": (
        recorded(
            run=recorded_run(outcome=outcome(Phase.REFUSED, reason="X", started_at=None)),
        ),
        "WriteStatus Refused X",
    ),
    "an outcome in the record is shown though somebody cancels now": (
        recorded(cancelled_execution(), run=recorded_run(outcome=outcome(started_at=None))),
        "WriteStatus Succeeded Completed",
    ),
}

ROWS = OVER | WAITING_FOR_THE_RECORD | REFUSED_BY_THE_RECORD | STARTING | RECORDED


@pytest.mark.parametrize(("seen", "expected"), ROWS.values(), ids=ROWS)
def test_the_next_thing_to_do_when(seen: ObservedExecution, expected: str) -> None:
    assert told(decide(seen, NOW)) == expected


def test_what_waits_for_the_record_says_so_once() -> None:
    seen = observed(run=Unseen.UNAVAILABLE)
    action = decide(seen, NOW)
    assert isinstance(action, WriteStatus)

    after = replace(seen, execution=execution(status=action.status))

    assert told(decide(after, NOW)) == "Rest 5 s"


def test_the_request_names_who_asked_what_with_which_proc_and_why_it_was_granted() -> None:
    spec = execution_spec(
        arguments={"SIZE_GB": 200},
        arguments_from=(argument_from("TOKEN"),),
        reason="INC-1",
    )
    parameters = (parameter("SIZE_GB"), parameter("TOKEN", sensitive=True))
    published = proc(proc_spec(parameters=parameters))
    action = decide(
        observed(execution(spec), proc=published, reads_secrets={"my-token": True}), NOW
    )

    assert isinstance(action, RecordRun)
    request = action.request
    assert request.key == RunKey(CREATED, EXECUTION_UID)
    assert request.requester == spec.requested_by
    assert request.reason == "INC-1"
    assert request.arguments == {"SIZE_GB": 200, "TOKEN": "*** (secret my-token, key t)"}
    assert request.grant == "group dba"
    assert request.pinned is not None
    assert (request.pinned.uid, request.pinned.generation) == (published.uid, 3)
    assert type(published.spec).model_validate(request.pinned.spec) == published.spec


ANOTHER_PROC = PinnedProc(uid=Uid("proc-uid-1"), generation=2, image="older")


@pytest.mark.parametrize(("shown", "is_pinned"), [(None, True), (ANOTHER_PROC, False)])
def test_a_row_that_the_record_has_lost_is_written_anew_and_claims_no_more_than_is_known(
    shown: PinnedProc | None, *, is_pinned: bool
) -> None:
    before = ProcExecutionStatus(phase=Phase.RUNNING, proc=shown)

    action = decide(observed(execution(status=before), job=job(), run=Unseen.ABSENT), NOW)

    assert isinstance(action, RecordRun)
    assert action.request.grant == RECONSTRUCTED
    assert (action.request.pinned is not None) is is_pinned
    assert action.request.fingerprint


def test_a_refusal_keeps_arguments_of_an_unknown_proc_to_itself() -> None:
    spec = execution_spec(arguments={"TOKEN": "hunter2"})

    action = decide(observed(execution(spec), proc=Unseen.ABSENT, is_proc_live=True), NOW)

    assert isinstance(action, RecordRefusal)
    assert action.request.arguments == {"TOKEN": "***"}
    assert action.request.pinned is None
    assert action.request.grant == ""


def test_a_refused_requester_has_no_grant_in_the_record() -> None:
    published = proc(proc_spec(authorization={"users": ["bob"], "rbac": "Ignored"}))

    action = decide(observed(proc=published), NOW)

    assert isinstance(action, RecordRefusal)
    assert action.request.grant == ""


def test_the_job_is_built_from_the_recorded_proc_and_not_from_the_one_of_today() -> None:
    seen = recorded(
        pinned=proc_spec(image="example.org/pinned:1"),
        proc=proc(proc_spec(image="example.org/today:2")),
    )

    action = decide(seen, NOW)

    assert isinstance(action, CreateJob)
    (container,) = action.manifest["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "example.org/pinned:1"


def test_a_long_answer_of_the_api_server_fits_into_the_outcome() -> None:
    action = decide(recorded(job_refusal="x" * 9999), NOW)

    assert isinstance(action, RecordOutcome)
    assert len(action.outcome.message.encode()) <= 1024
