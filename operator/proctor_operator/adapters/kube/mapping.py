"""Kubernetes manifests in, domain values out, and back: the one edge where string keys end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from proctor_operator.domain.conditions import (
    MESSAGE_LIMIT_BYTES,
    Condition,
    dump_condition,
    read_condition,
    shorten,
)
from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.execution import (
    Phase,
    ProcExecution,
    ProcExecutionSpec,
    ProcExecutionStatus,
)
from proctor_operator.domain.model import JsonObject, Model, parse
from proctor_operator.domain.naming import READ_ANNOTATIONS, Namespace, Uid
from proctor_operator.domain.objects import Kind, UnreadableObject
from proctor_operator.domain.proc import Proc, ProcActivity, ProcSpec
from proctor_operator.domain.schedule import (
    ProcSchedule,
    ProcScheduleSpec,
    ProcScheduleStatus,
)

Manifest = Mapping[str, Any]
ValueT = TypeVar("ValueT")
StatusT = TypeVar("StatusT", ProcExecutionStatus, ProcScheduleStatus)


def read_proc(manifest: Manifest) -> Proc | UnreadableObject:
    """Read a Proc; what does not parse comes back as what can be said about it."""
    return _readable(Kind.PROC, manifest, _proc)


ACTIVITY_FIELDS: Final = ("lastExecution", "active", "queued")


def read_execution(manifest: Manifest) -> ProcExecution | UnreadableObject:
    """Read a ProcExecution; a status that makes no sense counts as none, it is rebuilt from the record."""
    return _readable(Kind.PROC_EXECUTION, manifest, _execution)


def read_schedule(manifest: Manifest) -> ProcSchedule | UnreadableObject:
    """Read a ProcSchedule."""
    return _readable(Kind.PROC_SCHEDULE, manifest, _schedule)


def read_conditions(manifest: Manifest) -> tuple[Condition, ...]:
    """Conditions of any object of ours; those that make no sense are left out."""
    shown = (manifest.get("status") or {}).get("conditions") or []
    found = (read_condition(one) for one in shown)
    return tuple(one for one in found if one is not None)


def status_patch(before: StatusT, after: StatusT) -> JsonObject:
    """What a merge patch must say to turn one status into the other; None removes a field."""
    old = _dump(before)
    new = _dump(after)
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    removed = {key: None for key in old if key not in new}
    return {**changed, **removed}


def dump_activity(activity: ProcActivity) -> JsonObject:
    """Activity as the status of a Proc carries it."""
    return _dump(activity)


def dump_conditions(conditions: tuple[Condition, ...]) -> list[JsonObject]:
    """Conditions as a status carries them."""
    return [dump_condition(one) for one in conditions]


def moment(text: str | None) -> datetime | None:
    """An RFC 3339 time, aware."""
    return datetime.fromisoformat(text) if text else None


def moment_of(text: str | None) -> datetime:
    """Like `moment`, where the API server always writes one."""
    found = moment(text)
    if found is None:
        raise Unreadable("a time is missing that the API server always writes")
    return found


def _dump(model: Model) -> JsonObject:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _readable(
    kind: Kind, manifest: Manifest, read: Callable[[Manifest], ValueT]
) -> ValueT | UnreadableObject:
    try:
        return read(manifest)
    except Unreadable as error:
        return _unreadable(kind, manifest, error.message)


def _unreadable(kind: Kind, manifest: Manifest, problem: str) -> UnreadableObject:
    metadata = manifest["metadata"]
    said = [one.message for one in read_conditions(manifest) if one.reason == "Unreadable"]
    return UnreadableObject(
        kind=kind,
        namespace=Namespace(metadata["namespace"]),
        name=metadata["name"],
        uid=Uid(metadata["uid"]),
        generation=metadata.get("generation", 0),
        resource_version=metadata["resourceVersion"],
        created_at=moment_of(metadata["creationTimestamp"]),
        problem=shorten(problem, MESSAGE_LIMIT_BYTES),
        reported_problem=said[0] if said else "",
        deletion_time=moment(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        has_begun=_has_begun(manifest.get("status") or {}),
    )


def _has_begun(status: Manifest) -> bool:
    return "jobRef" in status or status.get("phase", Phase.PENDING) != Phase.PENDING


def _proc(manifest: Manifest) -> Proc:
    return Proc(
        **_identity(manifest),
        labels=dict(manifest["metadata"].get("labels") or {}),
        spec=parse(ProcSpec, manifest.get("spec"), where="spec"),
        conditions=read_conditions(manifest),
        activity=_activity(manifest),
    )


def _activity(manifest: Manifest) -> ProcActivity:
    """What makes no sense counts as nothing: it is written anew."""
    status = manifest.get("status") or {}
    told = {name: status[name] for name in ACTIVITY_FIELDS if name in status}
    try:
        return parse(ProcActivity, told, where="status")
    except Unreadable:
        return ProcActivity()


def _schedule(manifest: Manifest) -> ProcSchedule:
    metadata = manifest["metadata"]
    return ProcSchedule(
        **_identity(manifest),
        creation_time=moment_of(metadata["creationTimestamp"]),
        deletion_time=moment(metadata.get("deletionTimestamp")),
        spec=parse(ProcScheduleSpec, manifest.get("spec"), where="spec"),
        status=_schedule_status(manifest),
    )


def _schedule_status(manifest: Manifest) -> ProcScheduleStatus:
    status = {**(manifest.get("status") or {}), "conditions": read_conditions(manifest)}
    try:
        return parse(ProcScheduleStatus, status, where="status")
    except Unreadable:
        return ProcScheduleStatus(conditions=read_conditions(manifest))


def _execution(manifest: Manifest) -> ProcExecution:
    metadata = manifest["metadata"]
    return ProcExecution(
        **_identity(manifest),
        creation_time=moment_of(metadata["creationTimestamp"]),
        deletion_time=moment(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        labels=dict(metadata.get("labels") or {}),
        annotations=_read_annotations(metadata),
        spec=parse(ProcExecutionSpec, manifest.get("spec"), where="spec"),
        status=_execution_status(manifest),
    )


def _read_annotations(metadata: Manifest) -> dict[str, str]:
    """Without those of others: kubectl keeps a copy of the whole object there."""
    annotations = metadata.get("annotations") or {}
    return {name: annotations[name] for name in READ_ANNOTATIONS if name in annotations}


def _execution_status(manifest: Manifest) -> ProcExecutionStatus:
    status = {**(manifest.get("status") or {}), "conditions": read_conditions(manifest)}
    try:
        return parse(ProcExecutionStatus, status, where="status")
    except Unreadable:
        return ProcExecutionStatus()


def _identity(manifest: Manifest) -> dict[str, Any]:
    metadata = manifest["metadata"]
    return {
        "namespace": Namespace(metadata["namespace"]),
        "name": metadata["name"],
        "uid": Uid(metadata["uid"]),
        "generation": metadata.get("generation", 0),
        "resource_version": metadata["resourceVersion"],
    }
