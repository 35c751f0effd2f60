"""A ProcSchedule: recurring runs of one proc, as its author wrote it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field, JsonValue

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.execution import ArgumentFrom, ProcRef
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.model import Model, Timestamp
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.proc import ConcurrencyPolicy


class CatchUpPolicy(StrEnum):
    """Which of the missed occurrences are started after a pause."""

    NONE = "None"
    LAST = "Last"
    ALL = "All"


class CatchUp(Model):
    """The policy, and the most occurrences it may start."""

    policy: CatchUpPolicy = CatchUpPolicy.NONE
    limit: int = 10


class ScheduleConcurrency(Model):
    """What happens when a run of this schedule is still active."""

    policy: ConcurrencyPolicy = ConcurrencyPolicy.ALLOW


class ScheduleHistory(Model):
    """How many finished ProcExecution objects of this schedule stay."""

    succeeded: int | None = None
    failed: int | None = None


class ProcScheduleSpec(Model):
    """When which proc runs with which arguments; either `cron` or `at`."""

    proc_ref: ProcRef
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    arguments_from: tuple[ArgumentFrom, ...] = ()
    cron: str | None = None
    at: Timestamp | None = None
    time_zone: str = "Etc/UTC"
    suspend: bool = False
    concurrency: ScheduleConcurrency = ScheduleConcurrency()
    starting_deadline_seconds: int | None = None
    catch_up: CatchUp = CatchUp()
    jitter_seconds: int = 0
    history: ScheduleHistory | None = None
    tags: tuple[str, ...] = ()
    group: str = ""
    requested_by: Requester | None = None


class ActiveRun(Model):
    """An execution of a schedule that has not ended."""

    name: str
    uid: Uid


class ProcScheduleStatus(Model):
    """What is known of a schedule; the operator is its only writer.

    Fields that a newer release wrote are passed over, so that going back to this one stays possible.
    """

    model_config = ConfigDict(extra="ignore")

    conditions: tuple[Condition, ...] = ()
    observed_generation: int | None = None
    last_occurrence: Timestamp | None = None
    next_occurrence: Timestamp | None = None
    active: tuple[ActiveRun, ...] = ()
    missed: int | None = None


class ProcSchedule(Model):
    """A ProcSchedule as it stands in the cluster."""

    namespace: Namespace
    name: str
    uid: Uid
    generation: int
    resource_version: str
    creation_time: Timestamp
    deletion_time: Timestamp | None = None
    spec: ProcScheduleSpec
    status: ProcScheduleStatus = ProcScheduleStatus()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it says about itself."""
        return self.status.conditions
