"""Objects of ours that could not be parsed, reduced to what is needed to say so on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import NamedTuple

from proctor_operator.domain.naming import Namespace, Uid


class Kind(StrEnum):
    """Kinds that the controller reconciles."""

    PROC = "Proc"
    PROC_EXECUTION = "ProcExecution"
    PROC_SCHEDULE = "ProcSchedule"
    ORPHANED_JOB = "Job"
    """A Job of ours whose execution has not been seen."""
    FINISHED_EXECUTIONS = "FinishedExecutions"
    """All finished executions of one Proc; the key's name is the Proc's."""
    PROC_ACTIVITY = "ProcActivity"
    """What the status of one Proc says of its executions."""


class ObjectKey(NamedTuple):
    """What a piece of work is about: one object by kind, namespace and name."""

    kind: Kind
    namespace: Namespace
    name: str


@dataclass(frozen=True, slots=True)
class UnreadableObject:
    """An object whose metadata is sound and whose spec is not; `problem` names the fields."""

    kind: Kind
    namespace: Namespace
    name: str
    uid: Uid
    generation: int
    resource_version: str
    created_at: datetime
    problem: str
    reported_problem: str = ""
    deletion_time: datetime | None = None
    finalizers: tuple[str, ...] = ()
    has_begun: bool = False
    """An execution that runs or has ended: written by a newer release that could read it."""


@dataclass(frozen=True, slots=True)
class Illegible:
    """An object that is there and that its reader fails on, which nobody foresaw; `why` is for a log."""

    resource: str
    name: str
    uid: Uid
    why: str


class Unseen(Enum):
    """What is known of a thing that is not at hand."""

    NOT_READ = "not read"
    ABSENT = "absent"
    UNAVAILABLE = "unavailable"
