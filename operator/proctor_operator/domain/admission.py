"""An admission review as values: what the API server asks about, and what it is told.

The shape is that of `admission.k8s.io/v1` AdmissionReview, without what no rule of ours looks at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from proctor_operator.domain.identity import Requester
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.pod_security import PodSecurityLevel

ReviewUid = NewType("ReviewUid", str)
"""Of one request to the API server: on CREATE with generateName the only thing that identifies it."""


class Operation(StrEnum):
    """What is done to the object."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """One request to the API server, before anything is stored.

    `user` is `userInfo` whole, with all its groups. `name` is empty on CREATE with generateName.
    `pod_security` is the level that the namespace enforces, which the configuration of the webhooks
    tells by the path that is called.
    """

    uid: ReviewUid
    operation: Operation
    resource: str
    namespace: Namespace
    name: str
    user: Requester
    object: JsonObject | None
    old_object: JsonObject | None = None
    subresource: str = ""
    is_dry_run: bool = False
    pod_security: PodSecurityLevel = PodSecurityLevel.PRIVILEGED


@dataclass(frozen=True, slots=True)
class Admitted:
    """It may be stored; `patch` is a merge patch (RFC 7386) that a mutating webhook lays over it first."""

    patch: JsonObject = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """It may not: `reason` is one CamelCase word, `message` for the person who asked, `code` as in HTTP."""

    reason: str
    message: str
    code: int = 403
    warnings: tuple[str, ...] = ()


AdmissionAnswer = Admitted | TurnedAway
