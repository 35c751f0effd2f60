"""The Job that an execution of a Proc would get, made up to be judged, and the verdict in the author's words."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from proctor_operator.domain.execution import (
    ArgumentFrom,
    ProcExecution,
    ProcExecutionSpec,
    ProcRef,
)
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import CONTAINER_NAME, Namespace, Uid
from proctor_operator.domain.pod_security import PodSecurityLevel, find_pod_security_violations
from proctor_operator.domain.proc import ProcSpec, SecretKeyRef
from proctor_operator.domain.run import RecordedRun, RunKey, RunRequest
from proctor_operator.reconcile.jobspec import build_job
from proctor_operator.reconcile.policy import RunPolicy

_SAMPLE: Final = "sample"
_SAMPLE_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_POD_FIELDS_OF_A_PROC: Final = frozenset(
    {"serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations"}
)
_CONTAINER_FIELDS_OF_A_PROC: Final = frozenset({"image", "command", "args", "resources"})
_STEP: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*|\[[^\]]*\]")
_PATH: Final = re.compile(r"spec\.template((?:\.[A-Za-z][A-Za-z0-9]*|\[[^\]]*\])*)")
_WRONG_TYPE: Final = re.compile(
    r"json: cannot unmarshal (\S+) into Go struct field \w+\.(\S+) of type (\S+)"
)
_PREAMBLE: Final = re.compile(
    r'^(?:Job(?:\.batch)? "[^"]*" is invalid: |jobs\.batch "[^"]*" is forbidden: '
    r'|Job in version "v1" cannot be handled as a Job: (?:strict decoding error: )?)'
)


def build_trial_job(
    namespace: Namespace, proc_name: str, spec: ProcSpec, policy: RunPolicy, *, uid: Uid
) -> JsonObject:
    """Build the Job of an execution that never was, with a value for every parameter.

    `uid` makes its name one that no other Job has.
    """
    name = proc_name or _SAMPLE
    valueless = [one for one in spec.parameters if one.sensitive or not one.has_default]
    secret = SecretKeyRef(name=_SAMPLE, key=_SAMPLE)
    requester = Requester(username=_SAMPLE)
    execution = ProcExecution(
        namespace=namespace,
        name=name,
        uid=uid,
        generation=1,
        resource_version="",
        creation_time=_SAMPLE_TIME,
        spec=ProcExecutionSpec(
            proc_ref=ProcRef(name=name),
            arguments={one.name: _SAMPLE for one in valueless if not one.sensitive},
            arguments_from=tuple(
                ArgumentFrom(name=one.name, secret_key_ref=secret)
                for one in valueless
                if one.sensitive
            ),
            requested_by=requester,
        ),
    )
    request = RunRequest(
        key=RunKey(_SAMPLE_TIME, uid),
        namespace=namespace,
        name=name,
        proc_name=name,
        requester=requester,
        reason="",
        arguments={},
        pinned=None,
    )
    run = RecordedRun(request, number=0, recorded_at=_SAMPLE_TIME)
    return build_job(execution, run, spec, policy)


def find_pod_problems(job: JsonObject, level: PodSecurityLevel) -> tuple[str, ...]:
    """What the level forbids in the pods of this Job, by the fields in which the Proc's author wrote it."""
    template = job["spec"]["template"]
    return tuple(
        str(replace(violation, path=f"spec.podTemplate.{violation.path}"))
        for violation in find_pod_security_violations(template, level)
    )


def in_the_words_of_the_proc(message: str, job: JsonObject, spec: ProcSpec) -> str:
    """The API server's words about a Job, with the fields of the Proc that it was built from."""
    plain = _PREAMBLE.sub("", message)
    plain = _WRONG_TYPE.sub(r"\2: is a \1, must be of type \3", plain)
    return _PATH.sub(lambda match: _origin(match[1], job, spec), plain)


def _origin(path: str, job: JsonObject, spec: ProcSpec) -> str:
    """Where in the Proc a field of the Job's template comes from."""
    steps = _with_names(_STEP.findall(path), job["spec"]["template"])
    match steps:
        case ["spec", field, *_] if field in _POD_FIELDS_OF_A_PROC and _is_given(spec, field):
            return _joined(["spec", *steps[1:]])
        case ["spec", "containers", container, field, *rest] if container == f"[{CONTAINER_NAME}]":
            return _origin_in_the_container([field, *rest], spec)
        case _:
            return _joined(["spec", "podTemplate", *steps])


def _origin_in_the_container(steps: list[str], spec: ProcSpec) -> str:
    secrets = {f"[{secret.name}]" for secret in spec.secrets}
    match steps:
        case [field, *_] if field in _CONTAINER_FIELDS_OF_A_PROC and _is_given(spec, field):
            return _joined(["spec", *steps])
        case ["env", variable, "valueFrom", *rest] if variable in secrets:
            return _joined(["spec", "secrets", variable, *rest])
        case _:
            container = f"[{CONTAINER_NAME}]"
            return _joined(["spec", "podTemplate", "spec", "containers", container, *steps])


def _is_given(spec: ProcSpec, field: str) -> bool:
    """Whether the Proc's own field of that name says something; else the podTemplate does."""
    return bool(spec.model_dump(by_alias=True, include={_attribute(field)}).get(field))


def _attribute(field: str) -> str:
    names = ProcSpec.model_fields.items()
    return next(name for name, info in names if (info.alias or name) == field)


def _with_names(steps: list[str], template: Any) -> list[str]:
    """The same steps with names for numbers: a container's place is not where its author wrote it."""
    found: list[str] = []
    here = template
    for step in steps:
        if step.startswith("["):
            number = int(step[1:-1]) if step[1:-1].isdecimal() else None
            here = here[number] if _has(here, number) else None
            name = here.get("name") if isinstance(here, dict) else None
            found.append(f"[{name}]" if isinstance(name, str) else step)
        else:
            here = here.get(step) if isinstance(here, dict) else None
            found.append(step)
    return found


def _has(listed: Any, number: int | None) -> bool:
    return isinstance(listed, list) and number is not None and number < len(listed)


def _joined(steps: list[str]) -> str:
    return "".join(step if step.startswith("[") else f".{step}" for step in steps)[1:]
