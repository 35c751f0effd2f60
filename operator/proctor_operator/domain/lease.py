"""The Lease (coordination.k8s.io/v1) by which controllers agree on the one that works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

_NOTHING_KEPT: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Lease:
    """As it stands on the API server; times are the wall clock of whoever wrote them."""

    resource_version: str
    holder: str
    """Empty when nobody holds it: its last holder let it go."""
    duration_seconds: int
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    transitions: int = 0
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING_KEPT, compare=False)
    """Labels and the like, which are other people's; given back as they were."""

    @property
    def claim(self) -> tuple[str, datetime | None, int]:
        """What its holder changes at each renewal, and nobody else's edit of the object does."""
        return (self.holder, self.renew_time, self.transitions)

    def held_by(self, identity: str, *, now: datetime, duration_seconds: int) -> Lease:
        """Return it taken or renewed by `identity`; the time is for people, no rule reads it."""
        is_new = self.holder != identity
        return replace(
            self,
            holder=identity,
            duration_seconds=duration_seconds,
            acquire_time=now if is_new or self.acquire_time is None else self.acquire_time,
            renew_time=now,
            transitions=self.transitions + (1 if is_new else 0),
        )

    def let_go(self, *, now: datetime) -> Lease:
        """Return it held by nobody."""
        return replace(self, holder="", renew_time=now)


def new_lease(identity: str, *, now: datetime, duration_seconds: int) -> Lease:
    """Return the first Lease of a name, held by `identity`."""
    return Lease(
        resource_version="",
        holder=identity,
        duration_seconds=duration_seconds,
        acquire_time=now,
        renew_time=now,
    )
