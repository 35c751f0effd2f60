"""Answers of the API server, turned into the operator's own errors: the only place that reads codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import orjson

from proctor_operator.domain.errors import (
    AlreadyExists,
    ClusterError,
    ClusterUnavailable,
    Conflict,
    Denied,
    Expired,
    Forbidden,
    NamespaceTerminating,
    NotFound,
    Rejected,
)
from proctor_operator.domain.model import JsonObject

_IS_DENIAL: Final = re.compile(
    r"admission webhook \"[^\"]*\" denied the request|ValidatingAdmissionPolicy '[^']*' "
)


def error_of(
    verb: str, path: str, code: int, body: bytes, headers: Mapping[str, str]
) -> ClusterError:
    """Build the error for an answer of 400 or above; the message is the server's own."""
    status = _status(body)
    reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    text = f"{verb} {path}: {message or f'status {code}'}"
    if code == 404:
        return NotFound(text, status=code)
    if code == 409:
        kind = AlreadyExists if reason == "AlreadyExists" else Conflict
        return kind(text, status=code)
    if code == 403 and _has_cause(status, "NamespaceTerminating"):
        return NamespaceTerminating(text, status=code)
    if code == 403 and _IS_DENIAL.match(_without_the_object(message)):
        return Denied(text, status=code)
    if code == 410:
        return Expired(text, status=code)
    if code in (401, 403):
        return Forbidden(text, status=code)
    if code == 429 or code >= 500:
        return ClusterUnavailable(text, status=code, retry_after=_retry_after(headers))
    if code in (400, 413, 422):
        return Rejected(message or text, status=code)
    return ClusterError(text, status=code)


def _without_the_object(message: str) -> str:
    """What the API server says before the cause: `procexecutions.proctor.dev "x" is forbidden: `."""
    return message.partition(" is forbidden: ")[2] or message


def _status(body: bytes) -> JsonObject:
    """The metav1.Status of the answer; what came instead of one is its message."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {"message": body[:200].decode(errors="replace")}
    return status if isinstance(status, dict) else {}


def _has_cause(status: JsonObject, cause: str) -> bool:
    """Whether the details name the cause (the type of a StatusCause is its `reason` in JSON)."""
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return any(isinstance(one, dict) and one.get("reason") == cause for one in causes or ())


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
