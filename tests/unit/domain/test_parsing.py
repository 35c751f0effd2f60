"""Models: the whole YAML of the design parses, and what does not is told by field, never by value."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.execution import Phase, ProcExecutionSpec, ProcExecutionStatus
from proctor_operator.domain.model import parse
from proctor_operator.domain.proc import ConcurrencyPolicy, GroupsMatch, ProcSpec, RbacRule
from proctor_operator.domain.schedule import CatchUpPolicy, ProcScheduleSpec
from unit.builders import parameter

PROC = yaml.safe_load("""
description: Grow the disk of a database replica
author: dba-team@example.org
contributors: [carol]
organization: Data
image: registry.example.org/dba/grow-disk:1.4
command: [/grow]
args: [--yes]
parameters:
- name: SIZE_GB
  description: New size
  required: true
  default: 100
  sensitive: false
  schema: {type: integer, minimum: 10, maximum: 2000}
- name: REGIONS
  schema: {type: array, items: {type: string, pattern: "^[a-z]+$"}, minItems: 1, maxItems: 3}
- {name: WHEN, schema: {type: string, format: date, minLength: 1, maxLength: 10, enum: [a, b]}}
secrets:
- {name: DB_PASSWORD, description: x, secretKeyRef: {name: replica-admin, key: password}}
authorization:
  groups: [dba, sre]
  groupsMatch: Any
  users: [bob]
  rbac: Required
  plugins: [gate]
  anyone: false
timeoutSeconds: 60
pendingTimeoutSeconds: 30
retries: 2
podFailurePolicy: {rules: []}
concurrency: {policy: Forbid, limit: 1, key: [DATABASE]}
history: {succeeded: 20, failed: 20, ttlSeconds: 86400}
logs: {tail: true, mask: ["tok_[a-z0-9]+"]}
resources: {requests: {cpu: 1}}
serviceAccountName: grower
imagePullSecrets: [{name: registry}]
nodeSelector: {disk: ssd}
tolerations: [{key: dedicated, operator: Exists}]
queueName: small
podTemplate: {spec: {hostUsers: false}}
suspend: false
""")

EXECUTION = yaml.safe_load("""
procRef: {name: grow-disk}
arguments: {SIZE_GB: 200, REGIONS: [eu, us], DEEP: {a: [1, {b: null}]}}
argumentsFrom: [{name: TOKEN, secretKeyRef: {name: my-token, key: t}}]
reason: INC-1234
cancel: false
requestedBy: {username: alice, uid: u1, groups: [dba], extra: {scopes: [a, b]}, via: API}
cancelledBy: {username: bob, uid: u2}
procUID: proc-uid-1
procGeneration: 3
scheduleRef: {name: nightly, uid: s1, scheduledTime: "2027-01-01T00:00:00Z"}
rerunOf: {name: grow-disk-x6, uid: e0}
""")

STATUS = yaml.safe_load("""
phase: Failed
reason: OOMKilled
message: the container used more memory than its limit
observedGeneration: 1
conditions:
- {type: Failed, status: "True", reason: OOMKilled, message: m, observedGeneration: 1,
   lastTransitionTime: "2026-11-20T09:30:00Z"}
proc: {uid: proc-uid-1, generation: 3, image: "a:1"}
jobRef: {name: j, uid: u}
podName: p
imageID: sha256:0
exitCode: 137
attempts: 1
number: 7
startTime: "2026-11-20T09:29:30Z"
completionTime: "2026-11-20T09:30:00Z"
result: r
logTail: t
logBytes: 1
logLines: 1
logTruncated: false
""")

SCHEDULE = yaml.safe_load("""
procRef: {name: grow-disk}
arguments: {SIZE_GB: 200}
argumentsFrom: [{name: TOKEN, secretKeyRef: {name: my-token, key: t}}]
cron: "*/15 6-20 * * mon-fri"
at: "2027-01-01T00:00:00Z"
timeZone: Europe/Berlin
suspend: false
concurrency: {policy: Forbid}
startingDeadlineSeconds: 60
catchUp: {policy: Last, limit: 10}
jitterSeconds: 5
history: {succeeded: 3, failed: 3}
tags: [nightly]
group: maintenance
requestedBy: {username: alice}
""")


def test_every_field_of_a_proc_is_read() -> None:
    spec = parse(ProcSpec, PROC, where="spec")

    assert spec.model_fields_set == set(ProcSpec.model_fields)
    assert spec.authorization.groups_match is GroupsMatch.ANY
    assert spec.authorization.rbac is RbacRule.REQUIRED
    assert spec.concurrency.policy is ConcurrencyPolicy.FORBID
    assert spec.parameters[1].schema_ is not None
    assert spec.parameters[1].schema_.items is not None
    assert spec.parameters[1].schema_.items.pattern == "^[a-z]+$"


def test_every_field_of_an_execution_is_read() -> None:
    spec = parse(ProcExecutionSpec, EXECUTION, where="spec")

    assert spec.model_fields_set == set(ProcExecutionSpec.model_fields)
    assert spec.arguments == EXECUTION["arguments"]
    assert spec.proc_uid == "proc-uid-1"
    assert spec.requested_by is not None
    assert spec.requested_by.extra == {"scopes": ("a", "b")}


def test_every_field_of_a_status_is_read_and_written_back_the_same() -> None:
    status = parse(ProcExecutionStatus, STATUS, where="status")

    assert status.model_fields_set == set(ProcExecutionStatus.model_fields)
    assert status.model_dump(mode="json", by_alias=True) == STATUS


def test_every_field_of_a_schedule_is_read() -> None:
    spec = parse(ProcScheduleSpec, SCHEDULE, where="spec")

    assert spec.model_fields_set == set(ProcScheduleSpec.model_fields)
    assert spec.catch_up.policy is CatchUpPolicy.LAST


def test_a_proc_with_the_required_fields_alone_takes_safe_defaults() -> None:
    spec = parse(ProcSpec, {"description": "d", "image": "i"}, where="spec")

    assert spec.authorization.rbac is RbacRule.SUFFICIENT
    assert not spec.authorization.anyone
    assert spec.concurrency.policy is ConcurrencyPolicy.ALLOW
    assert spec.logs.tail
    assert not spec.suspend


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for level in range(levels):
        value = {"a": [value] if level % 2 else value}
    return value


BAD: dict[str, tuple[type[Any], dict[str, Any], str]] = {
    "a missing field": (ProcExecutionSpec, {}, "spec.procRef: Field required"),
    "an unknown field": (
        ProcExecutionSpec,
        {"procRef": {"name": "a", "namespace": "other"}},
        "spec.procRef.namespace: Extra inputs are not permitted",
    ),
    "a wrong type deep inside": (
        ProcSpec,
        {"description": "d", "image": "i", "parameters": [{"name": "A", "sensitive": "hunter2"}]},
        "spec.parameters.0.sensitive: Input should be a valid boolean, unable to interpret input",
    ),
    "a word that is not in the list": (
        ProcSpec,
        {"description": "d", "image": "i", "authorization": {"rbac": "hunter2"}},
        "spec.authorization.rbac: Input should be 'Sufficient', 'Required' or 'Ignored'",
    ),
    "a time whose zone puts it before the beginning": (
        ProcExecutionSpec,
        {
            "procRef": {"name": "a"},
            "scheduleRef": {"name": "s", "scheduledTime": "0001-01-01T00:00:00+14:00"},
        },
        "spec.scheduleRef.scheduledTime: Value error, the time in UTC is outside of the years 1 to 9999",
    ),
    "free values that are nested without end": (
        ProcSpec,
        {"description": "d", "image": "i", "podTemplate": nested(50)},
        "spec.podTemplate: Value error, nested deeper than 50 levels",
    ),
    "a default that is nested without end": (
        ProcSpec,
        {"description": "d", "image": "i", "parameters": [{"name": "A", "default": nested(50)}]},
        "spec.parameters.0.default: Value error, nested deeper than 50 levels",
    ),
    "nothing at all": (
        ProcSpec,
        None,  # type: ignore[dict-item] # what a manifest without a spec gives
        "spec: Input should be a valid dictionary or instance of ProcSpec",
    ),
}


@pytest.mark.parametrize(("model", "value", "message"), BAD.values(), ids=BAD)
def test_what_does_not_parse_is_told_by_the_path_of_the_field(
    model: type[Any], value: Any, message: str
) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(model, value, where="spec")

    assert caught.value.message == message


def test_many_problems_are_counted_and_not_all_listed() -> None:
    with pytest.raises(Unreadable) as caught:
        parse(ProcSpec, {f"x{number}": 1 for number in range(20)}, where="spec")

    assert caught.value.message.count(";") == 8
    assert caught.value.message.endswith("and 14 more")


TEXT_IS_WRONG = [
    ("procRef",),
    ("argumentsFrom",),
    ("cancel",),
    ("requestedBy",),
    ("requestedBy", "groups"),
    ("requestedBy", "via"),
    ("procGeneration",),
    ("scheduleRef", "scheduledTime"),
    ("rerunOf",),
]
A_LIST_IS_WRONG = [("procRef", "name"), ("reason",), ("rerunOf", "uid"), ("arguments",)]


@given(
    place=st.sampled_from([*TEXT_IS_WRONG, *A_LIST_IS_WRONG]), canary=st.text("qwxzk", min_size=9)
)
def test_a_parse_problem_names_the_field_and_never_repeats_its_value(
    place: tuple[str, ...], canary: str
) -> None:
    bad: Any = canary if place in TEXT_IS_WRONG else [canary]
    for part in reversed(place):
        bad = {part: bad}

    with pytest.raises(Unreadable) as caught:
        parse(ProcExecutionSpec, {**EXECUTION, **bad}, where="spec")

    assert canary not in caught.value.message
    assert ".".join(["spec", *place]) in caught.value.message


@pytest.mark.parametrize(
    ("fields", "is_required"),
    [
        ({}, True),
        ({"default": "x"}, False),
        ({"default": None}, True),
        ({"default": False}, False),
        ({"default": 0}, False),
        ({"default": ""}, False),
        ({"required": False}, False),
        ({"default": "x", "required": True}, True),
    ],
)
def test_a_parameter_is_required_as_written_else_without_a_default(
    fields: dict[str, Any], *, is_required: bool
) -> None:
    assert parameter("A", **fields).is_required is is_required


def test_every_phase_but_pending_and_running_is_terminal() -> None:
    alive = {phase for phase in Phase if not phase.is_terminal}

    assert alive == {Phase.PENDING, Phase.RUNNING}
