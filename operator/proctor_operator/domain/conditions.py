"""Conditions: the truth about an object, one statement each, with the time it last changed.

Shape and rules follow the Kubernetes API conventions: `reason` is one CamelCase word, `message` a
sentence for people, `lastTransitionTime` moves only when `status` does. `Reconciling` and `Stalled`
are kstatus': Flux and Argo CD read them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from proctor_operator.domain.model import SHAPE, JsonObject, Timestamp

MESSAGE_LIMIT_BYTES = 1024

_REASON: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}")


class ConditionType(StrEnum):
    """Everything an object of ours can say about itself."""

    AUTHORIZED = "Authorized"
    RECORDED = "Recorded"
    STARTED = "Started"
    LOGS_CAPTURED = "LogsCaptured"
    COMPLETE = "Complete"
    FAILED = "Failed"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    READY = "Ready"
    COMPLIANT = "Compliant"
    DEGRADED = "Degraded"


class ConditionStatus(StrEnum):
    """Whether the statement holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class Condition:
    """One statement about an object.

    A type that is none of ours is another writer's: the list is written as a whole, so it must pass
    through unchanged.
    """

    type: Annotated[ConditionType | str, Field(union_mode="left_to_right")]
    status: ConditionStatus
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: Timestamp

    def says_the_same_as(self, other: Condition) -> bool:
        """Whether only the transition time differs."""
        return replace(self, last_transition_time=other.last_transition_time) == other


_ADAPTER: Final = TypeAdapter(Condition)


def read_condition(value: object) -> Condition | None:
    """A condition as a status carries it; None for what makes no sense."""
    try:
        return _ADAPTER.validate_python(value)
    except ValidationError:
        return None


def dump_condition(one: Condition) -> JsonObject:
    """A condition as a status carries it."""
    dumped: JsonObject = _ADAPTER.dump_python(one, mode="json", by_alias=True)
    return dumped


def condition(
    type_: ConditionType,
    status: ConditionStatus,
    reason: str,
    message: str,
    *,
    generation: int,
    now: datetime,
) -> Condition:
    """Build a condition whose message fits into the API's limits."""
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=shorten(message, MESSAGE_LIMIT_BYTES),
        observed_generation=generation,
        last_transition_time=now,
    )


def merge(before: Iterable[Condition], after: Iterable[Condition]) -> tuple[Condition, ...]:
    """Lay `after` over `before`: order kept, transition times kept where the status is the same."""
    merged = {one.type: one for one in before}
    for new in after:
        old = merged.get(new.type)
        if old is not None and old.status is new.status:
            merged[new.type] = replace(new, last_transition_time=old.last_transition_time)
        else:
            merged[new.type] = new
    return tuple(merged.values())


def without(conditions: Iterable[Condition], *types: ConditionType) -> tuple[Condition, ...]:
    """Leave out the conditions of these types."""
    return tuple(one for one in conditions if one.type not in types)


def is_true(conditions: Iterable[Condition], type_: ConditionType) -> bool:
    """Whether the condition is there and says True."""
    return any(one.type is type_ and one.status is ConditionStatus.TRUE for one in conditions)


def as_reason(text: str, *, otherwise: str) -> str:
    """Return the kubelet's or a controller's word where the API server takes it as a reason."""
    return text if _REASON.fullmatch(text) else otherwise


def shorten(text: str, limit_bytes: int) -> str:
    """Cut `text` to `limit_bytes` of UTF-8, never inside a character, with `…` where it was cut."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit_bytes:
        return text
    mark = "…"
    kept = encoded[: limit_bytes - len(mark.encode())].decode(errors="ignore")
    return kept + mark
