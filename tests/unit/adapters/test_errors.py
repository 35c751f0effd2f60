"""Answers of the API server as the operator's own errors: what the work must do next."""

from __future__ import annotations

import json

import pytest

from proctor_operator.adapters.kube.errors import error_of
from proctor_operator.domain.errors import (
    AlreadyExists,
    ClusterError,
    ClusterUnavailable,
    Conflict,
    Denied,
    Expired,
    Fault,
    Forbidden,
    NamespaceTerminating,
    NotFound,
    Rejected,
)

TABLE: dict[str, tuple[int, str, type[ClusterError]]] = {
    "a bad request": (400, "BadRequest", Rejected),
    "no login": (401, "Unauthorized", Forbidden),
    "no right, or a quota": (403, "Forbidden", Forbidden),
    "not there": (404, "NotFound", NotFound),
    "the name is taken": (409, "AlreadyExists", AlreadyExists),
    "somebody wrote first": (409, "Conflict", Conflict),
    "a page token that is too old": (410, "Expired", Expired),
    "too large": (413, "RequestEntityTooLarge", Rejected),
    "a content type that is not spoken": (415, "UnsupportedMediaType", ClusterError),
    "invalid": (422, "Invalid", Rejected),
    "too many requests": (429, "TooManyRequests", ClusterUnavailable),
    "broken inside": (500, "InternalError", ClusterUnavailable),
    "a gateway without a server": (502, "", ClusterUnavailable),
    "not ready": (503, "ServiceUnavailable", ClusterUnavailable),
    "a gateway that waited too long": (504, "Timeout", ClusterUnavailable),
}


@pytest.mark.parametrize(("code", "reason", "kind"), TABLE.values(), ids=TABLE)
def test_an_answer_becomes_the_error_that_says_what_to_do(
    code: int, reason: str, kind: type[ClusterError]
) -> None:
    body = json.dumps({"reason": reason, "message": "words of the server"}).encode()

    error = error_of("GET", "/api", code, body, {})

    assert type(error) is kind
    assert isinstance(error, Fault)
    assert error.status == code
    assert "words of the server" in str(error)


def forbidden_because(details: object) -> bytes:
    return json.dumps({"reason": "Forbidden", "message": "m", "details": details}).encode()


def test_a_namespace_that_goes_away_is_told_apart_from_a_missing_right() -> None:
    cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace", "message": "m"}

    error = error_of("POST", "/x", 403, forbidden_because({"causes": [cause]}), {})

    assert type(error) is NamespaceTerminating


DENIALS: dict[str, tuple[str, type[ClusterError]]] = {
    "a webhook": (
        'admission webhook "validate.procexecutions.proctor.dev" denied the request: the proc is off',
        Denied,
    ),
    "a policy": (
        "x is forbidden: ValidatingAdmissionPolicy 'identity.proctor.dev' with binding 'b' denied request",
        Denied,
    ),
    "a missing right": (
        'procexecutions.proctor.dev is forbidden: User "u" cannot create resource "procexecutions"',
        Forbidden,
    ),
    "a quota": (
        'procexecutions.proctor.dev "x" is forbidden: exceeded quota: runs, requested: 1, used: 1',
        Forbidden,
    ),
    "a user who is called so": (
        'x is forbidden: User "admission webhook \\"a\\" denied the request" cannot create',
        Forbidden,
    ),
}


@pytest.mark.parametrize(("message", "kind"), DENIALS.values(), ids=DENIALS)
def test_what_admission_denies_is_told_apart_from_what_may_change(
    message: str, kind: type[ClusterError]
) -> None:
    body = json.dumps({"reason": "Forbidden", "message": message}).encode()

    assert type(error_of("POST", "/x", 403, body, {})) is kind


@pytest.mark.parametrize(
    "details", [None, [], {}, {"causes": None}, {"causes": []}, {"causes": ["x", {"reason": "Y"}]}]
)
def test_other_details_make_no_difference(details: object) -> None:
    assert type(error_of("POST", "/x", 403, forbidden_because(details), {})) is Forbidden


def test_an_invalid_object_is_told_in_the_servers_words_alone() -> None:
    body = b'{"reason": "Invalid", "message": "image: Required value"}'

    assert str(error_of("POST", "/apis/x", 422, body, {})) == "image: Required value"


BODIES = {
    "no body": (b"", "GET /api: status 500"),
    "a page of a proxy": (b"<html>" + b"x" * 999, "GET /api: <html>" + "x" * 194),
    "a list": (b"[1]", "GET /api: status 500"),
    "no message": (b"{}", "GET /api: status 500"),
    "bytes that are no UTF-8": (b"\xff", "GET /api: \ufffd"),
}


@pytest.mark.parametrize(("body", "text"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_status_still_gives_an_error(body: bytes, text: str) -> None:
    assert str(error_of("GET", "/api", 500, body, {})) == text


DELAYS = {"seconds": ("7", 7.0), "a date": ("Wed, 21 Oct 2026 07:28:00 GMT", None)}


@pytest.mark.parametrize(("header", "seconds"), DELAYS.values(), ids=DELAYS)
def test_retry_after_is_taken_in_seconds_only(header: str, seconds: float | None) -> None:
    error = error_of("GET", "/api", 429, b"{}", {"Retry-After": header})

    assert isinstance(error, ClusterUnavailable)
    assert error.retry_after == seconds
