"""Actions on a schedule as frozen data: see `decision` for how they are used."""

from __future__ import annotations

from dataclasses import dataclass

from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.occurrence import Claim, PassedOver, Progress, Skip
from proctor_operator.domain.schedule import ProcScheduleStatus


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """Ask the record how far the schedule has come."""


@dataclass(frozen=True, slots=True)
class BeginSchedule:
    """Note in the record where it goes on from: it is new, or was edited."""

    progress: Progress


@dataclass(frozen=True, slots=True)
class PassOver:
    """Note that planned times went by without a run."""

    missed: PassedOver


@dataclass(frozen=True, slots=True)
class ClaimOccurrence:
    """Take a planned instant in the record, so that nobody else starts it."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class SkipOccurrence:
    """Note that an instant is not started."""

    claim: Claim
    why: Skip


@dataclass(frozen=True, slots=True)
class ReadHolder:
    """Look live at who has the name of a claimed execution."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class FindRecorded:
    """Look in the record for the run of a claim: its object may be gone."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class CreateExecution:
    """POST the execution; when the name is taken, look at who has it."""

    claim: Claim
    manifest: JsonObject


@dataclass(frozen=True, slots=True)
class MarkStarted:
    """Note in the record which execution a claim has."""

    claim: Claim
    execution: Uid


@dataclass(frozen=True, slots=True)
class MarkMissed:
    """Note that a claim came to nothing in time."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class WriteScheduleStatus:
    """Write the status, if the object is still the one that was looked at."""

    status: ProcScheduleStatus


ScheduleAction = (
    ReadProgress
    | BeginSchedule
    | PassOver
    | ClaimOccurrence
    | SkipOccurrence
    | ReadHolder
    | FindRecorded
    | CreateExecution
    | MarkStarted
    | MarkMissed
    | WriteScheduleStatus
)
