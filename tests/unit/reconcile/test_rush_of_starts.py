"""A start that comes in a rush: what is put off until when, and what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from proctor_operator.domain.execution import JobRef, ProcExecutionStatus
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import ObservedExecution
from unit.builders import (
    JOB_UID,
    NOW,
    ago,
    cancelled_execution,
    complete_job,
    ended_pod,
    execution,
    job,
    log_summary,
    pod,
    recorded_run,
    running,
    running_pod,
)
from unit.telling import told

YOUNG_JOB = job(created_at=ago(2))


def in_a_rush(seconds: float = 7.0, **fields: Any) -> ObservedExecution:
    """Return one that runs, of which neither record nor status tells yet, nor is to for so many seconds."""
    return running(
        **{
            "run": recorded_run(),
            "job": YOUNG_JOB,
            "tell_start_at": NOW + timedelta(seconds=seconds),
            **fields,
        }
    )


DECISIONS: dict[str, tuple[ObservedExecution, str]] = {
    "the start waits until it is to be told": (in_a_rush(), "Rest 7 s"),
    "then it goes into the record": (in_a_rush(0), f"RecordStarted {JOB_UID}"),
    "and into the status": (
        in_a_rush(0, run=recorded_run(job_uid=JOB_UID, started_at=ago(3))),
        "WriteStatus Running Started",
    ),
    "where nobody knows when, it is told at once": (
        in_a_rush(tell_start_at=None),
        f"RecordStarted {JOB_UID}",
    ),
    "what is in the record is shown at once": (
        in_a_rush(run=recorded_run(job_uid=JOB_UID, started_at=ago(3))),
        "WriteStatus Running Started",
    ),
    "a status that says something else is put right at once": (
        in_a_rush(execution_=execution(status=ProcExecutionStatus(reason="Unschedulable"))),
        f"RecordStarted {JOB_UID}",
    ),
    "a node in trouble is told of at once": (
        in_a_rush(pods=(running_pod(disruption="DeletionByTaintManager"),)),
        f"RecordStarted {JOB_UID}",
    ),
    "a suspension is told of at once": (
        in_a_rush(job=job(created_at=ago(4), is_suspended=True)),
        f"RecordStarted {JOB_UID}",
    ),
    "its output is read at once": (in_a_rush(followed=frozenset()), f"FollowLog {pod().uid}"),
    "the output of a pod that somebody stops is read at once": (
        in_a_rush(pods=(running_pod(deletion_time=NOW),)),
        f"AttachLog {pod().uid}",
    ),
    "a pod that has succeeded is not said to run, as long as a Job controller may take": (
        in_a_rush(-20, pods=(ended_pod(0),), run=recorded_run(job_uid=JOB_UID)),
        "Rest 40 s",
    ),
    "a Job controller that says nothing for a minute is not waited for": (
        in_a_rush(-60, pods=(ended_pod(0),)),
        f"RecordStarted {JOB_UID}",
    ),
    "an attempt that failed may not be the last": (
        in_a_rush(-1, pods=(ended_pod(1),)),
        f"RecordStarted {JOB_UID}",
    ),
    "the Job is noted ten seconds after its creation": (
        in_a_rush(job=job(created_at=ago(4)), tell_start_at=NOW + timedelta(seconds=9)),
        "Rest 6 s",
    ),
    "which is a use of the record of its own": (
        in_a_rush(job=job(created_at=ago(10))),
        f"RecordJob {JOB_UID}",
    ),
    "and needs no second one": (
        in_a_rush(job=job(created_at=ago(10)), run=recorded_run(job_uid=JOB_UID)),
        "Rest 7 s",
    ),
    "nor where the status names it": (
        in_a_rush(
            job=job(created_at=ago(10)),
            execution_=execution(status=ProcExecutionStatus(job_ref=JobRef(name="x", uid=JOB_UID))),
        ),
        "Rest 7 s",
    ),
    "the end is told at once, and the start with it": (
        in_a_rush(job=complete_job(), pods=(ended_pod(0),), log=log_summary()),
        f"RecordOutcome {JOB_UID}: Succeeded Completed",
    ),
    "a cancellation waits for nothing": (
        in_a_rush(execution_=cancelled_execution(), is_job_live=False, attached={pod().uid}),
        f"ReadJob {YOUNG_JOB.name}",
    ),
}


@pytest.mark.parametrize(("seen", "expected"), DECISIONS.values(), ids=DECISIONS)
def test_in_a_rush(seen: ObservedExecution, expected: str) -> None:
    assert told(decide(seen, NOW)) == expected


def test_the_outcome_of_a_run_that_was_never_said_to_run_names_its_start() -> None:
    action = decide(in_a_rush(job=complete_job(), pods=(ended_pod(0),), log=log_summary()), NOW)
    assert action.outcome.started_at is not None  # type: ignore[union-attr]
