"""What came of the planned instants of a schedule, as the record knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from proctor_operator.domain.naming import Namespace, Uid


class OccurrenceState(StrEnum):
    """What came of one planned instant."""

    CLAIMED = "Claimed"
    """It is to be started; whether its execution is there is not known yet."""
    STARTED = "Started"
    SKIPPED = "Skipped"
    """It could have been started, and was not, for a reason that is given."""
    MISSED = "Missed"
    """Its time passed while nothing could start it."""


@dataclass(frozen=True, slots=True)
class ScheduleKey:
    """One ProcSchedule object; the UID keeps it apart from a namesake that was there before."""

    uid: Uid
    namespace: Namespace
    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One instant that was claimed, and the name that its execution gets."""

    instant: datetime
    execution_name: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a schedule has come. Whatever is planned up to `handled_until` has had its turn.

    `timing` and `asked` are fingerprints: of when it runs, and of what runs for whom; the latter stands
    unchanged since `asked_since`.
    """

    timing: str
    is_suspended: bool
    handled_until: datetime
    asked: str
    asked_since: datetime
    last_occurrence: datetime | None = None
    missed: int = 0
    open_claims: tuple[Claim, ...] = ()
    """Claimed and not marked yet, oldest first."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Planned instants that were missed: `count` of them, the newest by name."""

    until: datetime
    """The newest of all; the schedule goes on after it."""
    count: int
    newest: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Skip:
    """Why an occurrence is not started: one CamelCase word and a sentence for people."""

    reason: str
    message: str
