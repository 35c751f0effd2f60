"""The base of everything that is parsed: frozen, strict about unknown fields, camelCase outside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    JsonValue,
    PlainSerializer,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from proctor_operator.domain.errors import Unreadable

JsonObject = dict[str, Any]
"""Free JSON or a Kubernetes manifest: the two places where string keys are allowed."""


def format_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_a_place_in_utc(moment: datetime) -> datetime:
    """A zone may put the first and the last day of the calendar outside of it."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time in UTC is outside of the years 1 to 9999") from None
    return moment


Timestamp = Annotated[
    datetime, PlainSerializer(format_timestamp, return_type=str, when_used="json-unless-none")
]
"""A time as Kubernetes objects carry it."""
WritableTimestamp = Annotated[Timestamp, AfterValidator(_with_a_place_in_utc)]
"""One that anybody may have written, and that is written again."""

FreeT = TypeVar("FreeT", JsonObject, JsonValue)

MOST_LEVELS = 50
"""Far more than a pod template has, and no more than the record holds."""


def nests_too_deep(value: JsonValue) -> bool:
    """Whether lists and maps lie in one another more than `MOST_LEVELS` deep."""
    level: list[JsonValue] = [value]
    for _ in range(MOST_LEVELS):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _of_bounded_depth(value: FreeT) -> FreeT:
    if nests_too_deep(value):
        raise ValueError(f"nested deeper than {MOST_LEVELS} levels")
    return value


FreeJson = Annotated[JsonObject, AfterValidator(_of_bounded_depth)]
FreeValue = Annotated[JsonValue, AfterValidator(_of_bounded_depth)]
"""Free JSON in a field of ours."""

ModelT = TypeVar("ModelT", bound="Model")

_MOST_PROBLEMS_NAMED = 8


SHAPE: Final = ConfigDict(
    extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
)
"""Strict about unknown fields, camelCase outside.

Small values that an execution keeps for as long as it is there are dataclasses of this shape with slots, not
models: 80 bytes each instead of a kilobyte.
"""


class Model(BaseModel):
    """A frozen value read from a Kubernetes object."""

    model_config = ConfigDict(**SHAPE, frozen=True)


def parse(model: type[ModelT], value: object, *, where: str) -> ModelT:
    """Parse `value`, or raise `Unreadable` naming each bad field below `where`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Unreadable(describe_validation_error(error, where=where)) from None


def describe_validation_error(error: ValidationError, *, where: str) -> str:
    """One line per bad field, without the values: they may be secrets."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{'.'.join([where, *(str(part) for part in problem['loc'])])}: {_said_of(problem)}"
        for problem in problems[:_MOST_PROBLEMS_NAMED]
    ]
    if len(problems) > _MOST_PROBLEMS_NAMED:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS_NAMED} more")
    return "; ".join(lines)


def _said_of(problem: ErrorDetails) -> str:
    """Of an unknown field the same, whatever the value around it is made of."""
    is_unknown = problem["type"] == "unexpected_keyword_argument"
    return "Extra inputs are not permitted" if is_unknown else problem["msg"]
