"""A newer release's kinds under this operator: what it cannot read gets a condition and stops nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from chart.installation import CHART
from harness.pods import job_of
from harness.running import RunningOperator, condition, execution, proc

_CRDS = CHART.parents[1] / "crds"


@pytest.fixture(scope="module")
def newer_kinds(operator: RunningOperator) -> Iterator[None]:
    """Procs and executions have a field that this release has never heard of."""
    operator.stop()
    for file in ("procs.yaml", "procexecutions.yaml"):
        crd = yaml.safe_load((_CRDS / file).read_text())
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"]["properties"]["mood"] = {"type": "string"}
        _apply(operator, crd)
    operator.start()
    yield
    for file in ("procs.yaml", "procexecutions.yaml"):
        _apply(operator, yaml.safe_load((_CRDS / file).read_text()))


@pytest.mark.usefixtures("newer_kinds")
def test_an_unreadable_object_says_which_field_and_delays_no_other(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("moody", mood="sour"), proc("plain"))
    operator.apply(
        execution("of-moody", of="moody"),
        execution("moody-itself", of="plain", mood="sour"),
        execution("unmoved", of="plain"),
    )

    assert job_of(operator, "unmoved")
    moody = operator.wait_for(
        "proc", "moody", '{.status.conditions[?(@.type=="Ready")].reason}', "Unreadable"
    )
    itself = operator.wait_for_phase("moody-itself", "Refused")
    of_moody = operator.wait_for_phase("of-moody", "Refused")

    assert condition(moody, "Ready")["message"] == "spec.mood: Extra inputs are not permitted"
    assert condition(moody, "Stalled")["status"] == "True"
    assert itself["status"]["reason"] == "Unreadable"
    assert itself["status"]["message"] == "spec.mood: Extra inputs are not permitted"
    assert condition(itself, "Failed")["status"] == "True"
    assert of_moody["status"]["reason"] == "ProcNotReady"
    assert "spec.mood" in of_moody["status"]["message"]


@pytest.mark.usefixtures("newer_kinds")
def test_an_unreadable_execution_can_be_deleted(operator: RunningOperator) -> None:
    operator.apply(execution("unloved", of="plain", mood="sour"))
    operator.wait_for_phase("unloved", "Refused")

    operator.kubectl("delete", "pexec/unloved", "--wait=false")

    operator.wait_until_gone("procexecution", "unloved")


def _apply(operator: RunningOperator, crd: dict[str, object]) -> None:
    operator.cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(crd)
    )
