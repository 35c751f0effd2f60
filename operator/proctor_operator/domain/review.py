"""AdmissionReview of `admission.k8s.io/v1`: read from what came in, and answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from proctor_operator.domain.admission import AdmissionRequest, Operation, ReviewUid, TurnedAway
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.model import JsonObject, describe_validation_error
from proctor_operator.domain.naming import Namespace

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
LEVELS_AT_MOST: Final = 100
"""Of values within values: rules, and Kopf, go down by recursion. No honest object comes near."""
_OPERATIONS: Final = tuple(one.value for one in Operation)


class Verdict(StrEnum):
    """What became of a review; all but the first keep the object out."""

    ADMITTED = "admitted"
    DENIED = "denied"
    FAILED = "failed"
    """An error of ours."""
    TIMED_OUT = "timed-out"
    OVERLOADED = "overloaded"
    """Too many at once."""


@dataclass(frozen=True, slots=True)
class Review:
    """One review: the request in it, the kind that it is about, and all of it as it came."""

    request: AdmissionRequest
    group: str
    version: str
    kind: str
    raw: JsonObject


@dataclass(frozen=True, slots=True)
class Reply:
    """The AdmissionReview to send back, and what to count."""

    body: JsonObject
    verdict: Verdict
    cause: Cause


class _Part(BaseModel):
    """Read strictly, but for fields that no rule looks at."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, alias_generator=to_camel, validate_by_name=True
    )


class _Kind(_Part):
    group: str
    version: str
    kind: str


class _Resource(_Part):
    group: str
    version: str
    resource: str


class _User(_Part):
    username: str = Field(min_length=1)
    uid: str = ""
    groups: list[str] | None = None
    extra: dict[str, list[str]] | None = None


class _Request(_Part):
    uid: str
    kind: _Kind
    resource: _Resource
    sub_resource: str | None = None
    name: str | None = None
    namespace: str | None = None
    operation: str
    user_info: _User
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None
    dry_run: bool | None = None


def read_uid(raw: object) -> ReviewUid:
    """Read what an answer must name; raises `Unreadable` when this is no review."""
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise Unreadable(f"not of kind {KIND}")
    if raw.get("apiVersion") != API_VERSION:
        raise Unreadable(f"apiVersion is not {API_VERSION}")
    request = raw.get("request")
    if not isinstance(request, dict):
        raise Unreadable("request is missing")
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise Unreadable("request.uid is missing")
    return ReviewUid(uid)


def read_review(raw: JsonObject) -> Review:
    """Read all of it; raises `Unreadable` naming the fields that are wrong."""
    try:
        request = _Request.model_validate(raw["request"])
    except ValidationError as error:
        raise Unreadable(describe_validation_error(error, where="request")) from None
    if _is_deeper_than(LEVELS_AT_MOST, request.object):
        raise Unreadable(
            f"request.object has more than {LEVELS_AT_MOST} levels of values within values"
        )
    if request.operation not in _OPERATIONS:
        raise Unreadable(f"request.operation is none of {', '.join(_OPERATIONS)}")
    return Review(
        AdmissionRequest(
            uid=ReviewUid(request.uid),
            operation=Operation(request.operation),
            resource=request.resource.resource,
            namespace=Namespace(request.namespace or ""),
            name=request.name or "",
            user=_requester(request.user_info),
            object=request.object,
            old_object=request.old_object,
            subresource=request.sub_resource or "",
            is_dry_run=bool(request.dry_run),
        ),
        group=request.resource.group,
        version=request.resource.version,
        kind=request.kind.kind,
        raw=raw,
    )


def refusal(uid: ReviewUid, answer: TurnedAway, *, retry_after_seconds: int = 0) -> JsonObject:
    """Build the AdmissionReview that keeps the object out.

    `retry_after_seconds` makes clients such as client-go try again, when the code is 429.
    """
    status: JsonObject = {
        "status": "Failure",
        "reason": answer.reason,
        "message": answer.message,
        "code": answer.code,
    }
    if retry_after_seconds:
        status["details"] = {"retryAfterSeconds": retry_after_seconds}
    response: JsonObject = {"uid": uid, "allowed": False, "status": status}
    if answer.warnings:
        response["warnings"] = list(answer.warnings)
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}


def our_error(uid: ReviewUid) -> TurnedAway:
    """What is said when something of ours broke; what it was stands in the log only."""
    return TurnedAway(
        "InternalError",
        f"Proctor could not judge this because of an error of its own; its log has it under review {uid}",
        code=500,
    )


def _is_deeper_than(levels: int, value: object) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(one, dict | list) for one in layer)


def _requester(user: _User) -> Requester:
    return Requester(
        username=user.username,
        uid=user.uid,
        groups=tuple(user.groups or ()),
        extra={key: tuple(values) for key, values in (user.extra or {}).items()},
    )
