"""The execution of a planned instant: how it looks, and how it is known again."""

from __future__ import annotations

from datetime import datetime

from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.identity import Via
from proctor_operator.domain.model import JsonObject, Model, format_timestamp
from proctor_operator.domain.naming import (
    API_VERSION,
    RECORD_FINALIZER,
    SHARD_LABEL,
    occurrence_name,
    shard_of,
)
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.occurrence import Claim
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule


def claim_of(schedule: ProcSchedule, instant: datetime) -> Claim:
    """The claim of a planned instant: its name is the same on every try."""
    return Claim(instant, occurrence_name(schedule.name, schedule.uid, instant))


def build_scheduled_execution(
    schedule: ProcSchedule, proc: Proc | None, claim: Claim
) -> JsonObject:
    """What is created for a claim, with the stamps that admission gives to others.

    It has no owner: a schedule that is deleted takes none of its runs along.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "ProcExecution",
        "metadata": {
            "name": claim.execution_name,
            "namespace": schedule.namespace,
            "labels": {SHARD_LABEL: shard_of(schedule.namespace)},
            "finalizers": [RECORD_FINALIZER],
        },
        "spec": _spec(schedule, proc, claim),
    }


def is_run_of(
    schedule: ProcSchedule, claim: Claim, found: ProcExecution | UnreadableObject
) -> bool:
    """Whether the execution that has the name is the claim's own."""
    reference = found.spec.schedule_ref if isinstance(found, ProcExecution) else None
    if reference is None or reference.scheduled_time is None:
        return False
    return (reference.uid, format_timestamp(reference.scheduled_time)) == (
        schedule.uid,
        format_timestamp(claim.instant),
    )


def _spec(schedule: ProcSchedule, proc: Proc | None, claim: Claim) -> JsonObject:
    asked = schedule.spec
    spec: JsonObject = {
        "procRef": {"name": asked.proc_ref.name},
        "scheduleRef": {
            "name": schedule.name,
            "uid": schedule.uid,
            "scheduledTime": format_timestamp(claim.instant),
        },
    }
    if asked.arguments:
        spec["arguments"] = dict(asked.arguments)
    if asked.arguments_from:
        spec["argumentsFrom"] = [_dump(one) for one in asked.arguments_from]
    if asked.requested_by is not None:
        spec["requestedBy"] = _dump(asked.requested_by.model_copy(update={"via": Via.SCHEDULE}))
    if proc is not None:
        spec |= {"procUID": proc.uid, "procGeneration": proc.generation}
    return spec


def _dump(model: Model) -> JsonObject:
    dumped = model.model_dump(mode="json", by_alias=True)
    return {key: value for key, value in dumped.items() if value}
