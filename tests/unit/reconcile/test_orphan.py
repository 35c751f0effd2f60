"""A Job of ours whose execution is gone: stopped, recorded, let go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import RunKey
from proctor_operator.domain.workload import JobFacts, PodFacts, PodPhase
from proctor_operator.reconcile.decision import RecordOutcome
from proctor_operator.reconcile.orphan import (
    ObservedOrphan,
    decide_orphan,
    execution_uid,
    is_the_job_of,
    run_key,
)
from unit.builders import (
    CREATED,
    ENDED,
    EXECUTION_UID,
    JOB_UID,
    NOW,
    STARTED,
    ago,
    complete_job,
    ended_pod,
    failed_job,
    job,
    outcome,
    pod,
    recorded_run,
    run_request,
    running_pod,
)
from unit.telling import told

RUN = recorded_run()
ENDED_RUN = recorded_run(outcome=outcome())
DELETED = job(deletion_time=ago(3))
NOBODYS = job(owner_uid=None)

ROWS: dict[str, tuple[ObservedOrphan, str]] = {
    "a Job that we do not hold is left alone": (
        ObservedOrphan(job(finalizers=()), (), RUN),
        "Rest",
    ),
    "what runs is stopped": (ObservedOrphan(job(), (running_pod(),), RUN), "DeleteJob"),
    "then its pod": (ObservedOrphan(DELETED, (running_pod(),), RUN), "DeletePod pod-uid-1"),
    "then patience": (
        ObservedOrphan(DELETED, (running_pod(deletion_time=NOW),), RUN),
        "Rest 5 s",
    ),
    "when no pod runs any more, the end is recorded": (
        ObservedOrphan(DELETED, (running_pod(is_gone=True),), RUN),
        f"RecordOutcome {JOB_UID}: Cancelled ExecutionRemoved",
    ),
    "a Job that had ended well has succeeded": (
        ObservedOrphan(complete_job(), (), RUN),
        f"RecordOutcome {JOB_UID}: Succeeded Completed",
    ),
    "a Job that had failed by itself has failed": (
        ObservedOrphan(failed_job("BackoffLimitExceeded"), (ended_pod(1),), RUN),
        f"RecordOutcome {JOB_UID}: Failed NonZeroExitCode",
    ),
    "a Job that failed because it was stopped was cancelled": (
        ObservedOrphan(failed_job(deletion_time=ago(20)), (ended_pod(143),), RUN),
        f"RecordOutcome {JOB_UID}: Cancelled ExecutionRemoved",
    ),
    "a pod that succeeded before its Job was stopped has succeeded": (
        ObservedOrphan(DELETED, (pod(phase=PodPhase.SUCCEEDED),), RUN),
        f"RecordOutcome {JOB_UID}: Succeeded Completed",
    ),
    "an end that is in the record already is not recorded again": (
        ObservedOrphan(complete_job(), (), ENDED_RUN),
        "ReleaseJob",
    ),
    "a run that the record does not know cannot get an end": (
        ObservedOrphan(complete_job(), (), None),
        "ReleaseJob",
    ),
    "a Job of nobody that only bears our finalizer is not stopped": (
        ObservedOrphan(NOBODYS, (running_pod(),), None),
        "ReleaseJob",
    ),
    "a Job of nobody that the record proves ours is stopped": (
        ObservedOrphan(NOBODYS, (), RUN),
        "DeleteJob",
    ),
}


@pytest.mark.parametrize(("seen", "expected"), ROWS.values(), ids=ROWS)
def test_the_next_thing_to_do_about_an_orphan_when(seen: ObservedOrphan, expected: str) -> None:
    assert told(decide_orphan(seen, NOW)) == expected


TIMES: dict[str, tuple[JobFacts, tuple[PodFacts, ...], object, object]] = {
    "from job and pod": (complete_job(), (ended_pod(),), STARTED, ENDED),
    "without a pod or an end": (DELETED, (), None, NOW),
}


@pytest.mark.parametrize(("job_", "pods", "started", "ended"), TIMES.values(), ids=TIMES)
def test_an_orphan_ends_and_started_when_the_facts_say(
    job_: JobFacts, pods: tuple[PodFacts, ...], started: object, ended: object
) -> None:
    action = decide_orphan(ObservedOrphan(job_, pods, RUN), NOW)

    assert isinstance(action, RecordOutcome)
    assert (action.outcome.started_at, action.outcome.completed_at) == (started, ended)
    assert action.outcome.phase.is_terminal


def test_a_start_that_only_the_record_knows_is_kept() -> None:
    run = recorded_run(job_uid=JOB_UID, started_at=STARTED)

    action = decide_orphan(ObservedOrphan(DELETED, (), run), NOW)

    assert isinstance(action, RecordOutcome)
    assert action.outcome.started_at == STARTED
    assert action.outcome.phase is Phase.CANCELLED


KEYS: dict[str, tuple[JobFacts, RunKey | None]] = {
    "by its controller": (job(), RunKey(CREATED, EXECUTION_UID)),
    "by its label when the controller is gone": (NOBODYS, RunKey(CREATED, EXECUTION_UID)),
    "the controller counts more than the label": (
        job(execution_uid=Uid("forged")),
        RunKey(CREATED, EXECUTION_UID),
    ),
    "not without the time of creation": (job(execution_created_at=None), None),
    "not without anybody": (job(owner_uid=None, execution_uid=None), None),
}


@pytest.mark.parametrize(("job_", "key"), KEYS.values(), ids=KEYS)
def test_where_an_orphans_run_may_stand_in_the_record(job_: JobFacts, key: RunKey | None) -> None:
    assert run_key(job_) == key
    assert execution_uid(job_) == (key.uid if key else job_.owner_uid)


CLAIMS: dict[str, tuple[JobFacts, bool]] = {
    "name and namespace fit": (job(), True),
    "another name": (job(name="grow-disk-x7-0123456789"), False),
    "another namespace": (job(namespace=Namespace("other")), False),
}


@pytest.mark.parametrize(("job_", "holds"), CLAIMS.values(), ids=CLAIMS)
def test_a_claim_of_a_job_holds_when_the_record_and_its_name_agree(
    job_: JobFacts, *, holds: bool
) -> None:
    assert is_the_job_of(RUN, job_) is holds


def test_a_job_is_not_the_one_when_the_record_noted_another() -> None:
    assert is_the_job_of(recorded_run(job_uid=JOB_UID), job())
    assert not is_the_job_of(recorded_run(job_uid=Uid("another")), job())
    assert not is_the_job_of(recorded_run(run_request(name="other")), job())
    assert is_the_job_of(recorded_run(run_request()), replace(job(), uid=Uid("unnoted")))
