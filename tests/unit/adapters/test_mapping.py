"""Objects of ours as manifests, and what a status patch must say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.adapters.kube.mapping import (
    dump_conditions,
    read_conditions,
    read_execution,
    read_proc,
    read_schedule,
    status_patch,
)
from proctor_operator.domain.conditions import ConditionType, merge
from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.objects import Kind, UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule
from unit.builders import CREATED, NOW, final_execution_status, says

METADATA = yaml.safe_load("""
name: grow-disk-x7
namespace: apps
uid: u1
generation: 2
resourceVersion: "200"
creationTimestamp: "2026-11-20T09:29:00Z"
""")


def manifest(spec: Any, status: Any = None, **metadata: Any) -> JsonObject:
    return {"metadata": {**METADATA, **metadata}, "spec": spec, "status": status}


EXECUTION = {"procRef": {"name": "grow-disk"}}
PROC = {"description": "d", "image": "i"}
SCHEDULE = {"procRef": {"name": "grow-disk"}, "cron": "* * * * *"}


def test_an_execution_is_read_with_its_metadata() -> None:
    found = read_execution(
        manifest(
            EXECUTION,
            deletionTimestamp="2026-11-20T09:30:00Z",
            finalizers=["proctor.dev/record"],
            labels={"a": "b"},
        )
    )

    assert isinstance(found, ProcExecution)
    assert (found.namespace, found.name, found.uid, found.generation) == (
        "apps",
        "grow-disk-x7",
        "u1",
        2,
    )
    assert (found.creation_time, found.deletion_time) == (CREATED, NOW)
    assert found.is_held
    assert found.labels == {"a": "b"}
    assert found.status == ProcExecutionStatus()


def test_procs_and_schedules_are_read_with_their_conditions() -> None:
    status = {"conditions": dump_conditions((says(ConditionType.READY),)), "active": 3}

    found = read_proc(manifest(PROC, status))
    planned = read_schedule(manifest(SCHEDULE, status))

    assert isinstance(found, Proc)
    assert isinstance(planned, ProcSchedule)
    assert found.conditions == planned.conditions == (says(ConditionType.READY),)


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (read_proc, Kind.PROC),
        (read_execution, Kind.PROC_EXECUTION),
        (read_schedule, Kind.PROC_SCHEDULE),
    ],
)
def test_what_cannot_be_parsed_comes_back_with_what_can_be_said_about_it(
    read: Any, kind: Kind
) -> None:
    found = read(manifest({"procRef": 5}, finalizers=["proctor.dev/record"]))

    assert isinstance(found, UnreadableObject)
    assert found.kind is kind
    assert found.finalizers == ("proctor.dev/record",)
    assert (found.name, found.uid, found.resource_version) == ("grow-disk-x7", "u1", "200")
    assert "spec" in found.problem
    assert found.reported_problem == ""


def test_a_problem_that_is_reported_already_is_known() -> None:
    first = read_execution(manifest(None))
    assert isinstance(first, UnreadableObject)
    said = replace(says(ConditionType.FAILED, reason="Unreadable"), message=first.problem)

    again = read_execution(manifest(None, {"conditions": dump_conditions((said,))}))

    assert isinstance(again, UnreadableObject)
    assert again.reported_problem == again.problem


def test_a_problem_of_any_length_can_be_reported_and_recognised() -> None:
    found = read_execution(manifest({"procRef": {"name": "a"}, "x" * 5000: 1}))

    assert isinstance(found, UnreadableObject)
    assert len(found.problem.encode()) <= 1024


STATUSES: dict[str, tuple[Any, ProcExecutionStatus]] = {
    "none": (None, ProcExecutionStatus()),
    "empty": ({}, ProcExecutionStatus()),
    "no sense": ({"phase": "Dancing"}, ProcExecutionStatus()),
    "fields of a newer release": (
        {"phase": "Running", "shinyNewField": 1},
        ProcExecutionStatus(phase=Phase.RUNNING),
    ),
    "a condition that makes no sense": (
        {
            "phase": "Running",
            "conditions": [{"type": "Brandnew"}, *dump_conditions((says(ConditionType.STARTED),))],
        },
        ProcExecutionStatus(phase=Phase.RUNNING, conditions=(says(ConditionType.STARTED),)),
    ),
}


@pytest.mark.parametrize(("status", "expected"), STATUSES.values(), ids=STATUSES)
def test_a_status_is_read_as_far_as_it_makes_sense(
    status: Any, expected: ProcExecutionStatus
) -> None:
    found = read_execution(manifest(EXECUTION, status))

    assert isinstance(found, ProcExecution)
    assert found.status == expected


def test_conditions_that_make_no_sense_are_left_out() -> None:
    good = dump_conditions((says(ConditionType.READY),))
    bad = [{"type": "Ready"}, {"type": 5}]

    assert read_conditions(manifest({}, {"conditions": [*bad, *good]})) == (
        says(ConditionType.READY),
    )
    assert read_conditions(manifest({}, {"conditions": None})) == ()


def test_conditions_of_others_are_written_back_as_they_are() -> None:
    """A patch replaces the list as a whole: what is left out would be lost."""
    foreign = {
        "type": "Reviewed",
        "status": "True",
        "reason": "Counted",
        "message": "7",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    found = read_execution(manifest(EXECUTION, {"phase": "Pending", "conditions": [foreign]}))
    assert isinstance(found, ProcExecution)
    after = found.status.model_copy(
        update={"conditions": merge(found.status.conditions, (says(ConditionType.STARTED),))}
    )

    written = status_patch(found.status, after)["conditions"]

    assert written == [foreign, *dump_conditions((says(ConditionType.STARTED),))]
    (read_back, _) = read_conditions({"status": {"conditions": written}})
    assert read_back.type == "Reviewed"


PATCHES: dict[str, tuple[ProcExecutionStatus, ProcExecutionStatus, JsonObject]] = {
    "nothing": (ProcExecutionStatus(), ProcExecutionStatus(), {}),
    "a field that is new": (
        ProcExecutionStatus(),
        ProcExecutionStatus(exit_code=0),
        {"exitCode": 0},
    ),
    "a field that changes": (
        ProcExecutionStatus(phase=Phase.RUNNING),
        ProcExecutionStatus(phase=Phase.FAILED),
        {"phase": "Failed"},
    ),
    "a field that goes": (
        ProcExecutionStatus(pod_name="p", number=7),
        ProcExecutionStatus(number=7),
        {"podName": None},
    ),
    "a text that becomes empty stays a field": (
        ProcExecutionStatus(message="m"),
        ProcExecutionStatus(message=""),
        {"message": ""},
    ),
    "conditions are replaced whole": (
        ProcExecutionStatus(conditions=(says(ConditionType.STARTED),)),
        ProcExecutionStatus(conditions=(says(ConditionType.FAILED),)),
        {"conditions": dump_conditions((says(ConditionType.FAILED),))},
    ),
}


@pytest.mark.parametrize(("before", "after", "patch"), PATCHES.values(), ids=PATCHES)
def test_a_status_patch_says_what_changes_and_what_goes(
    before: ProcExecutionStatus, after: ProcExecutionStatus, patch: JsonObject
) -> None:
    assert status_patch(before, after) == patch


SOME = st.builds(
    ProcExecutionStatus,
    phase=st.sampled_from(list(Phase)),
    message=st.sampled_from(["", "a", "b"]),
    pod_name=st.sampled_from([None, "p"]),
    exit_code=st.sampled_from([None, 0, 1]),
    start_time=st.sampled_from([None, CREATED, NOW]),
    log_truncated=st.sampled_from([None, False, True]),
    conditions=st.sampled_from([(), final_execution_status().conditions]),
)


@given(before=SOME, after=SOME)
def test_a_patched_status_is_the_new_one(
    before: ProcExecutionStatus, after: ProcExecutionStatus
) -> None:
    stored = before.model_dump(mode="json", by_alias=True, exclude_none=True)
    for key, value in status_patch(before, after).items():
        if value is None:
            del stored[key]
        else:
            stored[key] = value

    assert ProcExecutionStatus.model_validate(stored) == after
