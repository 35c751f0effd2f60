"""What Flux, Argo CD and `kubectl wait` make of every status that the operator writes.

The rules are those that kstatus publishes for any custom resource (sigs.k8s.io/cli-utils, pkg/kstatus):
a deletion, then a generation that was not looked at, then the conditions Reconciling, Stalled and Ready.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from proctor_operator.adapters.kube.mapping import dump_conditions
from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.objects import Unseen
from proctor_operator.reconcile.decision import WriteStatus
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import Hindrance, ObservedExecution
from proctor_operator.reconcile.proc import proc_conditions
from unit.builders import (
    JOB_UID,
    NOW,
    ago,
    deleted_execution,
    execution,
    job,
    observed,
    outcome,
    parameter,
    pod,
    proc,
    proc_spec,
    recorded,
    recorded_run,
    running,
)

CRD = Path(__file__).parents[3] / "crds" / "procexecutions.yaml"


def kstatus(generation: int, status: dict[str, Any], *, is_being_deleted: bool = False) -> str:
    """InProgress, Failed, Current or Terminating."""
    if is_being_deleted:
        return "Terminating"
    if status.get("observedGeneration", generation) != generation:
        return "InProgress"
    conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"


def of(shown: ProcExecution, status: ProcExecutionStatus) -> str:
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return kstatus(shown.generation, written, is_being_deleted=shown.is_being_deleted)


def waits(status: ProcExecutionStatus) -> set[str]:
    """Which of the two `kubectl wait --for=condition=...` of the guide would return."""
    conditions = {str(one.type) for one in status.conditions if one.status == "True"}
    return conditions & {"Complete", "Failed"}


def written(seen: ObservedExecution) -> ProcExecutionStatus:
    action = decide(seen, NOW)
    assert isinstance(action, WriteStatus)
    return action.status


NOT_OVER: dict[str, ObservedExecution] = {
    "the record is away": observed(run=Unseen.UNAVAILABLE),
    "the record refuses the row": observed(record_refusal="no"),
    "a quota keeps the Job out": recorded(job_hindrance=Hindrance.forbidden("quota")),
    "the namespace goes away": recorded(job_hindrance=Hindrance.namespace_goes_away()),
    "it has no pod": recorded(job=job(created_at=ago(40)), is_job_live=True),
    "a trouble is over": recorded(
        execution(status=ProcExecutionStatus(reason="ImagePullBackOff")),
        run=recorded_run(job_uid=JOB_UID),
        job=job(),
        pods=(pod(),),
    ),
    "it runs": running(),
}


@pytest.mark.parametrize("seen", NOT_OVER.values(), ids=NOT_OVER)
def test_what_is_not_over_is_in_progress(seen: ObservedExecution) -> None:
    status = written(seen)

    assert of(seen.execution, status) == "InProgress"
    assert waits(status) == set()


def ended(phase: Phase, reason: str, shown: ProcExecution | None = None) -> ObservedExecution:
    end = outcome(phase, reason=reason, started_at=None)
    return recorded(shown, run=recorded_run(outcome=end))


@pytest.mark.parametrize("reason", ["Completed", "AlreadyRun", "NonZeroExitCode"])
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.is_terminal])
def test_only_a_success_is_current_and_every_other_end_has_failed(
    phase: Phase, reason: str
) -> None:
    running_before = ProcExecutionStatus(
        phase=Phase.RUNNING, conditions=written(running()).conditions
    )
    for before in (ProcExecutionStatus(), running_before):
        shown = execution(status=before)
        status = written(ended(phase, reason, shown))

        is_good = phase is Phase.SUCCEEDED
        assert of(shown, status) == ("Current" if is_good else "Failed")
        assert waits(status) == ({"Complete"} if is_good else {"Failed"})


def test_one_that_was_cancelled_after_its_end_is_as_it_was_before() -> None:
    over = written(ended(Phase.SUCCEEDED, "Completed"))
    cancelled = execution(status=over, generation=2)
    assert of(cancelled, over) == "InProgress", "until somebody has looked at it"

    status = written(observed(cancelled))

    assert of(cancelled, status) == "Current"
    assert waits(status) == {"Complete"}
    assert {one.observed_generation for one in status.conditions} == {2}, "as kubectl wait wants it"


def test_a_new_execution_that_nobody_has_looked_at_is_in_progress() -> None:
    definition = yaml.safe_load(CRD.read_text())
    (version,) = definition["spec"]["versions"]
    first = version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"]

    assert kstatus(1, first) == "InProgress"


def test_one_that_is_being_deleted_is_terminating() -> None:
    seen = ended(Phase.CANCELLED, "Deleted", deleted_execution())

    assert of(seen.execution, written(seen)) == "Terminating"


def test_a_proc_is_current_when_it_can_run_and_failed_when_only_its_author_can_help() -> None:
    def status(conditions: Any) -> dict[str, Any]:
        return {"observedGeneration": 3, "conditions": dump_conditions(conditions)}

    broken = proc(proc_spec(parameters=(parameter("PATH"),)))
    assert kstatus(3, status(proc_conditions(proc(), NOW))) == "Current"
    assert kstatus(3, status(proc_conditions(broken, NOW))) == "Failed"
