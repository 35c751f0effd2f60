"""A Kubernetes Event: one sentence to a person about an object. Not a notice, and never the only word."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from proctor_operator.domain.naming import API_VERSION, Namespace, Uid


class EventType(StrEnum):
    """The two that Kubernetes knows."""

    NORMAL = "Normal"
    WARNING = "Warning"


class EventAction(StrEnum):
    """What was being done when there was something to tell."""

    READ = "Read"
    CHECK = "Check"
    START = "Start"
    RUN = "Run"
    RELEASE = "Release"


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an Event is about; `namespace` is also where the Event lives."""

    kind: str
    namespace: Namespace
    name: str
    uid: Uid | None = None
    api_version: str = API_VERSION

    @classmethod
    def whole(cls, namespace: Namespace) -> Regarding:
        """A namespace itself."""
        return cls("Namespace", namespace, namespace, api_version="v1")


@dataclass(frozen=True, slots=True)
class Event:
    """`reason` is one CamelCase word, `message` at most 1 KiB."""

    regarding: Regarding
    type: EventType
    reason: str
    message: str
    action: EventAction

    @property
    def series(self) -> str:
        """The same for Events that say the same: they are counted instead of repeated."""
        about = self.regarding
        parts = (about.kind, about.namespace, about.name, about.uid or "", self.type, self.reason)
        return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]
