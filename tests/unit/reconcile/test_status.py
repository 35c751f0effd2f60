"""The status of an execution in each phase: conditions are the truth, the phase sums them up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proctor_operator.domain.conditions import ConditionStatus, ConditionType
from proctor_operator.domain.execution import Phase, PinnedProc, ProcExecutionStatus
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Unseen
from proctor_operator.reconcile.status import (
    final_status,
    held_up_status,
    is_finished,
    pending_status,
    running_status,
    shows_the_same,
)
from unit.builders import (
    ENDED,
    JOB_NAME,
    JOB_UID,
    NOW,
    STARTED,
    ago,
    complete_job,
    ended_pod,
    execution,
    job,
    log_summary,
    observed,
    outcome,
    pod,
    proc_spec,
    recorded,
    recorded_run,
    run_request,
    running,
    running_pod,
    says,
)

RUN = recorded_run(job_uid=JOB_UID, started_at=STARTED)


def told(status: ProcExecutionStatus) -> dict[str, str]:
    return {str(one.type): f"{one.status} {one.reason}" for one in status.conditions}


def end(phase: Phase, reason: str, **fields: Any) -> ProcExecutionStatus:
    recorded_end = outcome(phase, reason=reason, **fields)
    seen = running(job=complete_job(), pods=(ended_pod(),))
    return final_status(seen, RUN, recorded_end, NOW)


def test_pending_without_a_record_says_that_nothing_is_recorded() -> None:
    status = pending_status(observed(run=Unseen.UNAVAILABLE), "RecordUnavailable", "waits", NOW)

    assert told(status) == {
        "Reconciling": "True RecordUnavailable",
        "Recorded": "False RecordUnavailable",
    }
    assert (status.phase, status.reason, status.message) == (
        Phase.PENDING,
        "RecordUnavailable",
        "waits",
    )
    assert status.number is None


def test_a_run_that_the_record_refuses_says_that_nothing_is_recorded() -> None:
    status = held_up_status(observed(record_refusal="no"), "RecordRejected", "no", NOW)

    assert told(status) == {
        "Reconciling": "True RecordRejected",
        "Recorded": "False RecordRejected",
    }


def test_a_run_whose_end_is_refused_stays_recorded_and_started() -> None:
    before = running_status(running(job=job(), pods=(running_pod(),)), RUN, NOW, NOW)
    held_up = observed(execution(status=before), run=RUN, record_refusal="no")

    status = held_up_status(held_up, "RecordRejected", "no", NOW)

    assert told(status) == {
        **told(before),
        "Reconciling": "True RecordRejected",
    }
    assert (status.phase, status.start_time) == (Phase.RUNNING, NOW)


def test_pending_after_the_record_says_number_proc_job_and_pod() -> None:
    seen = recorded(job=job(), pods=(pod(),))

    status = pending_status(seen, "ErrImagePull", "not found", NOW)

    assert told(status) == {
        "Authorized": "True Allowed",
        "Recorded": "True Recorded",
        "Reconciling": "True ErrImagePull",
    }
    assert status.number == 7
    assert status.proc == PinnedProc(
        uid=Uid("proc-uid-1"), generation=3, image="registry.example.org/dba/grow-disk:1.4"
    )
    assert status.job_ref is not None
    assert (status.job_ref.name, status.job_ref.uid) == (JOB_NAME, JOB_UID)
    assert status.pod_name == pod().name


def test_running_says_since_when() -> None:
    status = running_status(running(), RUN, STARTED, NOW)

    assert told(status) == {
        "Authorized": "True Allowed",
        "Recorded": "True Recorded",
        "Started": "True Started",
        "Reconciling": "True Running",
    }
    assert (status.phase, status.start_time) == (Phase.RUNNING, STARTED)


def test_success_is_complete_and_nothing_is_reconciling_or_stalled() -> None:
    status = end(Phase.SUCCEEDED, "Completed", exit_code=0, attempts=1)

    assert told(status) == {
        "Authorized": "True Allowed",
        "Recorded": "True Recorded",
        "Started": "True Started",
        "LogsCaptured": "False Unavailable",
        "Complete": "True Completed",
    }
    assert (status.start_time, status.completion_time) == (STARTED, ENDED)
    assert (status.exit_code, status.attempts) == (0, 1)


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (Phase.FAILED, "OOMKilled"),
        (Phase.CANCELLED, "Cancelled"),
        (Phase.TIMED_OUT, "DeadlineExceeded"),
        (Phase.LOST, "JobMissing"),
    ],
)
def test_every_other_end_is_failed_and_stalled_with_its_reason(phase: Phase, reason: str) -> None:
    status = end(phase, reason)

    assert told(status)["Failed"] == told(status)["Stalled"] == f"True {reason}"
    assert not {"Complete", "Reconciling"} & told(status).keys()
    assert status.phase is phase
    assert is_finished(status)


def test_an_end_without_a_start_says_that_no_container_ever_ran() -> None:
    status = end(Phase.CANCELLED, "Cancelled", started_at=None)

    assert told(status)["Started"] == "False NotStarted"
    assert "LogsCaptured" not in told(status)


REFUSED: dict[str, dict[str, str]] = {
    "NotPermitted": {"Authorized": "False NotPermitted"},
    "IdentityMissing": {"Authorized": "False IdentityMissing"},
    "InvalidArguments": {},
    "ProcNotFound": {},
}


@pytest.mark.parametrize(("reason", "authorized"), REFUSED.items(), ids=REFUSED)
def test_a_refusal_says_whether_it_was_for_lack_of_permission(
    reason: str, authorized: dict[str, str]
) -> None:
    status = end(Phase.REFUSED, reason, started_at=None)

    assert told(status) == {
        **authorized,
        "Recorded": "True Recorded",
        "Failed": f"True {reason}",
        "Stalled": f"True {reason}",
    }


def test_a_run_recorded_without_a_grant_claims_none() -> None:
    run = recorded_run(run_request(grant=""))
    status = final_status(recorded(run=run), run, outcome(Phase.CANCELLED, reason="X"), NOW)

    assert "Authorized" not in told(status)


LOGS: dict[str, tuple[LogSummary | None, str, str | None, bool | None]] = {
    "kept whole": (log_summary(), "True Captured", "done\n", False),
    "longer than what a status shows": (
        log_summary(is_tail_cut=True),
        "True Captured",
        "done\n",
        True,
    ),
    "beyond the limits": (
        log_summary(reason="Truncated", dropped_lines=9),
        "True Truncated",
        "done\n",
        True,
    ),
    "not shown": (log_summary(tail=None), "True Captured", None, False),
    "gone with the pod": (
        log_summary(None, is_complete=False, reason="PodGone"),
        "False PodGone",
        None,
        False,
    ),
    "of an earlier release": (None, "False Unavailable", None, None),
}


@pytest.mark.parametrize("case", LOGS.values(), ids=LOGS)
def test_the_end_says_honestly_what_became_of_the_log(
    case: tuple[LogSummary | None, str, str | None, bool | None],
) -> None:
    log, said, text, is_cut = case

    status = final_status(running(), RUN, outcome(log=log), NOW)

    assert told(status)["LogsCaptured"] == said
    assert (status.log_tail, status.log_truncated) == (text, is_cut)
    sizes = (log.size, log.lines) if log is not None else (None, None)
    assert (status.log_bytes, status.log_lines) == sizes


def test_transition_times_stay_when_a_phase_says_again_what_held_before() -> None:
    early = pending_status(recorded(job=job()), "ErrImagePull", "m", ago(20))
    seen = running(execution(status=early))

    status = running_status(seen, RUN, STARTED, NOW)

    times = {one.type: one.last_transition_time for one in status.conditions}
    assert times[ConditionType.RECORDED] == times[ConditionType.RECONCILING] == ago(20)
    assert times[ConditionType.STARTED] == NOW


def test_the_generation_that_was_looked_at_is_said() -> None:
    status = running_status(running(execution(generation=4)), RUN, STARTED, NOW)

    assert status.observed_generation == 4
    assert {one.observed_generation for one in status.conditions} == {4}


def test_a_long_message_is_cut_in_the_status_and_its_conditions() -> None:
    status = pending_status(recorded(job=job()), "Unschedulable", "ü" * 4000, NOW)

    assert len(status.message.encode()) <= 1024
    assert all(len(one.message.encode()) <= 1024 for one in status.conditions)


def test_what_was_known_before_is_kept_when_a_look_brings_nothing() -> None:
    before = running_status(running(), RUN, STARTED, NOW)

    status = pending_status(
        observed(execution(status=before), run=Unseen.UNAVAILABLE), "RecordUnavailable", "m", NOW
    )

    assert (status.number, status.job_ref, status.pod_name) == (
        before.number,
        before.job_ref,
        before.pod_name,
    )


SAME = running_status(running(), RUN, STARTED, NOW)
CHANGES: dict[str, tuple[ProcExecutionStatus, bool]] = {
    "nothing": (SAME, True),
    "transition times only": (running_status(running(), RUN, STARTED, ago(-60)), True),
    "the message": (SAME.model_copy(update={"message": "x"}), False),
    "a condition more": (
        SAME.model_copy(update={"conditions": (*SAME.conditions, says(ConditionType.STALLED))}),
        False,
    ),
    "a condition less": (SAME.model_copy(update={"conditions": SAME.conditions[1:]}), False),
    "another condition": (
        SAME.model_copy(update={"conditions": (*SAME.conditions[1:], says(ConditionType.STALLED))}),
        False,
    ),
    "a status that flips": (
        SAME.model_copy(
            update={
                "conditions": (
                    replace(SAME.conditions[0], status=ConditionStatus.FALSE),
                    *SAME.conditions[1:],
                )
            }
        ),
        False,
    ),
}


@pytest.mark.parametrize(("other", "is_same"), CHANGES.values(), ids=CHANGES)
def test_a_status_is_written_only_for_more_than_transition_times(
    other: ProcExecutionStatus, *, is_same: bool
) -> None:
    assert shows_the_same(SAME, other) is is_same


FINISHED: dict[str, tuple[ProcExecutionStatus, bool]] = {
    "terminal and complete": (
        ProcExecutionStatus(phase=Phase.SUCCEEDED, conditions=(says(ConditionType.COMPLETE),)),
        True,
    ),
    "terminal and failed": (
        ProcExecutionStatus(phase=Phase.LOST, conditions=(says(ConditionType.FAILED),)),
        True,
    ),
    "terminal without a condition": (ProcExecutionStatus(phase=Phase.FAILED), False),
    "a condition without a terminal phase": (
        ProcExecutionStatus(phase=Phase.RUNNING, conditions=(says(ConditionType.FAILED),)),
        False,
    ),
    "a condition that says False": (
        ProcExecutionStatus(
            phase=Phase.FAILED, conditions=(says(ConditionType.FAILED, ConditionStatus.FALSE),)
        ),
        False,
    ),
}


@pytest.mark.parametrize(("status", "is_over"), FINISHED.values(), ids=FINISHED)
def test_finished_means_a_terminal_phase_and_its_condition_together(
    status: ProcExecutionStatus, *, is_over: bool
) -> None:
    assert is_finished(status) is is_over


def test_the_image_of_the_pinned_proc_is_shown_and_not_that_of_today() -> None:
    status = running_status(running(pinned=proc_spec(image="pinned:1")), RUN, STARTED, NOW)

    assert status.proc is not None
    assert status.proc.image == "pinned:1"
