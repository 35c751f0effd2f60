"""What a GitOps tool applies again: shown as it ended, not run; and what runs all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proctor_operator.domain.conditions import ConditionStatus, ConditionType
from proctor_operator.domain.execution import Phase, ProcExecution
from proctor_operator.domain.fingerprint import fingerprint_of
from proctor_operator.domain.model import format_timestamp
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.proc import ProcSpec
from proctor_operator.domain.run import RecordedRun, RunKey
from proctor_operator.reconcile.decision import (
    FetchEarlierRun,
    RecordRefusal,
    RecordRun,
    WriteStatus,
)
from proctor_operator.reconcile.execution import decide
from unit.builders import (
    CREATED,
    ENDED,
    NOW,
    STARTED,
    ago,
    execution,
    execution_spec,
    observed,
    outcome,
    proc,
    proc_spec,
    recorded_run,
    run_request,
    running,
)
from unit.telling import told

BY_FLUX = {"kustomize.toolkit.fluxcd.io/name": "apps"}


def tracked(**fields: Any) -> ProcExecution:
    return execution(**{"labels": BY_FLUX, **fields})


def earlier_run(**fields: Any) -> RecordedRun:
    request = run_request(
        key=RunKey(ago(9000), Uid("uid-of-then")),
        arguments={"SIZE_GB": 200},
        fingerprint=fingerprint_of(execution_spec()),
    )
    return recorded_run(request, **{"number": 12, "outcome": outcome(), **fields})


def test_the_record_is_asked_before_anything_else_and_with_the_fingerprint() -> None:
    seen = observed(tracked(), proc=Unseen.NOT_READ)

    action = decide(seen, NOW)

    assert isinstance(action, FetchEarlierRun)
    assert action.request.fingerprint == fingerprint_of(seen.execution.spec)
    assert action.request.key == RunKey(CREATED, seen.execution.uid)


@pytest.mark.parametrize("labels", [{}, {"app": "shop"}])
def test_of_others_the_record_is_not_asked(labels: dict[str, str]) -> None:
    assert isinstance(decide(observed(execution(labels=labels)), NOW), RecordRun)


def test_what_has_run_before_gets_a_row_of_its_own_with_the_outcome_of_then() -> None:
    failed = outcome(
        Phase.FAILED,
        reason="NonZeroExitCode",
        message="the container exited with code 3",
        exit_code=3,
        result="no backup",
        pod_name="pod-of-then",
    )

    action = decide(observed(tracked(), earlier=earlier_run(outcome=failed)), NOW)

    assert isinstance(action, RecordRefusal)
    assert action.outcome == replace(
        failed,
        reason="AlreadyRun",
        message=f"run number 12 did the same and ended at {format_timestamp(ENDED)} (NonZeroExitCode: the "
        "container exited with code 3); a GitOps tool applied it again, and nothing was started",
        pod_name=None,
    )
    request = action.request
    assert request.key == RunKey(CREATED, tracked().uid)
    assert request.grant == "", "nobody was asked whether it may run"
    assert (request.arguments, request.pinned) == (
        earlier_run().request.arguments,
        earlier_run().request.pinned,
    )
    assert request.fingerprint == earlier_run().request.fingerprint


GONE_WRONG: dict[str, dict[str, Any]] = {
    "the proc is gone": {"proc": Unseen.ABSENT, "is_proc_live": True},
    "the proc is suspended": {"proc": proc(proc_spec(suspend=True))},
    "the requester is no longer permitted": {
        "proc": proc(ProcSpec(description="x", image="y")),
        "holds_execute": False,
    },
}


@pytest.mark.parametrize("since", GONE_WRONG.values(), ids=GONE_WRONG)
def test_what_has_changed_since_takes_nothing_back(since: dict[str, Any]) -> None:
    seen = observed(tracked(), earlier=earlier_run(), **since)

    action = decide(seen, NOW)

    assert isinstance(action, RecordRefusal)
    assert (action.outcome.phase, action.outcome.reason) == (Phase.SUCCEEDED, "AlreadyRun")


def test_it_is_shown_to_nobody_whom_nobody_vouches_for() -> None:
    unknown = observed(tracked(spec=execution_spec(requested_by=None)), earlier=earlier_run())

    assert told(decide(unknown, NOW)) == "RecordRefusal Refused IdentityMissing"


def test_what_has_not_run_before_runs_and_can_be_recognised_later() -> None:
    action = decide(observed(tracked(), earlier=Unseen.ABSENT), NOW)

    assert isinstance(action, RecordRun)
    assert action.request.fingerprint == fingerprint_of(execution_spec())


def test_what_is_not_tracked_can_be_recognised_too_once_it_is() -> None:
    action = decide(observed(), NOW)

    assert isinstance(action, RecordRun)
    assert action.request.fingerprint == fingerprint_of(execution_spec())


def test_a_refusal_has_no_fingerprint_for_its_arguments_may_hold_anything() -> None:
    secret = execution_spec(arguments={"PASSWORD": "hunter2"})

    action = decide(observed(execution(secret)), NOW)

    assert isinstance(action, RecordRefusal)
    assert action.request.fingerprint == ""


def test_one_that_has_begun_goes_on_whatever_ran_before() -> None:
    seen = running(tracked(), earlier=earlier_run())

    assert told(decide(seen, NOW)) == "WriteStatus Running Started"


def test_the_status_shows_the_earlier_end_and_where_its_output_is() -> None:
    asked = observed(tracked(), earlier=earlier_run())
    ending = decide(asked, NOW)
    assert isinstance(ending, RecordRefusal)
    row = recorded_run(ending.request, number=13, outcome=ending.outcome)

    action = decide(replace(asked, run=row, pinned=proc_spec()), NOW)

    assert isinstance(action, WriteStatus)
    status = action.status
    assert (status.phase, status.reason, status.number) == (Phase.SUCCEEDED, "AlreadyRun", 13)
    assert (status.start_time, status.completion_time, status.exit_code) == (STARTED, ENDED, 0)
    assert (status.job_ref, status.pod_name) == (None, None)
    assert "run number 12" in status.message
    said = {one.type: (one.status, one.reason) for one in status.conditions}
    assert said[ConditionType.COMPLETE] == (ConditionStatus.TRUE, "AlreadyRun")
    assert said[ConditionType.LOGS_CAPTURED] == (ConditionStatus.FALSE, "AlreadyRun")
    assert ConditionType.AUTHORIZED not in said
