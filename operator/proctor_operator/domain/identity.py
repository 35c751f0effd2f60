"""Who asked: the identity that the API server vouched for when the object was admitted."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from proctor_operator.domain.model import Model


class Via(StrEnum):
    """The way a request came."""

    API = "API"
    SCHEDULE = "Schedule"
    GATEWAY = "Gateway"


class Requester(Model):
    """A user as `userInfo` of an admission review names it."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    via: Via = Via.API


class Canceller(Model):
    """Who set `spec.cancel`."""

    username: str
    uid: str = ""
