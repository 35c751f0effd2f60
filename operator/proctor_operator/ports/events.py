"""Events for people: told without waiting, stored when there is time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from proctor_operator.domain.event import Event


class Events(Protocol):
    """What decisions use."""

    def tell(self, event: Event) -> None:
        """Hand an Event over; never waits, never fails, and may be dropped."""
        ...


@dataclass(frozen=True, slots=True)
class EventSeries:
    """An Event, how often it was told and when; `is_stored` once the cluster has had it."""

    event: Event
    count: int
    first_told: datetime
    last_told: datetime
    is_stored: bool


class EventStore(Protocol):
    """Where Events go."""

    async def store(self, series: EventSeries) -> int:
        """Write it, or bring the stored one up to date; returns the count that is stored now.

        Raises `ClusterError`.
        """
        ...
