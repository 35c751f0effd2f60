"""A ProcExecution: one run, its spec as asked for and its status as observed."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict, Field, JsonValue
from pydantic.dataclasses import dataclass

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.identity import Canceller, Requester
from proctor_operator.domain.model import SHAPE, Model, Timestamp, WritableTimestamp
from proctor_operator.domain.naming import (
    GIVE_UP_ANNOTATION,
    RECORD_FINALIZER,
    Namespace,
    Uid,
    is_gitops_tracked,
)
from proctor_operator.domain.proc import SecretKeyRef


class Phase(StrEnum):
    """A summary for people; the conditions are the truth."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    TIMED_OUT = "TimedOut"
    REFUSED = "Refused"
    LOST = "Lost"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing comes after it."""
        return self not in (Phase.PENDING, Phase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ProcRef:
    """A proc in the same namespace."""

    name: str


class ArgumentFrom(Model):
    """The value of a sensitive parameter, by reference."""

    name: str
    secret_key_ref: SecretKeyRef


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class ScheduleRef:
    """The schedule and the planned instant this run stands for."""

    name: str
    uid: Uid | None = None
    scheduled_time: WritableTimestamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class RerunOf:
    """The execution this one repeats."""

    name: str
    uid: Uid | None = None


class ProcExecutionSpec(Model):
    """What was asked for; it never changes but for `cancel` from false to true."""

    proc_ref: ProcRef
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    arguments_from: tuple[ArgumentFrom, ...] = ()
    reason: str = ""
    cancel: bool = False
    requested_by: Requester | None = None
    cancelled_by: Canceller | None = None
    proc_uid: Uid | None = Field(default=None, alias="procUID")
    proc_generation: int | None = None
    schedule_ref: ScheduleRef | None = None
    rerun_of: RerunOf | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class PinnedProc:
    """The proc that this run really used."""

    uid: Uid
    generation: int
    image: str


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class JobRef:
    """The one Job of an execution."""

    name: str
    uid: Uid


class ProcExecutionStatus(Model):
    """What is known of a run; the operator is its only writer.

    Fields that a newer release wrote are passed over, so that going back to this one stays possible.
    """

    model_config = ConfigDict(extra="ignore")

    phase: Phase = Phase.PENDING
    reason: str = ""
    message: str = ""
    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()
    proc: PinnedProc | None = None
    job_ref: JobRef | None = None
    pod_name: str | None = None
    image_id: str | None = Field(default=None, alias="imageID")
    exit_code: int | None = None
    attempts: int | None = None
    number: int | None = None
    start_time: Timestamp | None = None
    completion_time: Timestamp | None = None
    result: str | None = None
    log_tail: str | None = None
    log_bytes: int | None = None
    log_lines: int | None = None
    log_truncated: bool | None = None


class ProcExecution(Model):
    """A ProcExecution as it stands in the cluster."""

    namespace: Namespace
    name: str
    uid: Uid
    generation: int
    resource_version: str
    creation_time: Timestamp
    deletion_time: Timestamp | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    """Only those of `naming.READ_ANNOTATIONS`."""
    spec: ProcExecutionSpec
    status: ProcExecutionStatus = ProcExecutionStatus()

    @property
    def is_being_deleted(self) -> bool:
        """Whether somebody asked for its deletion."""
        return self.deletion_time is not None

    @property
    def is_held(self) -> bool:
        """Whether our finalizer still holds it."""
        return RECORD_FINALIZER in self.finalizers

    @property
    def give_up_reason(self) -> str:
        """Why an admin lets it go without its end in the record; empty, or not being deleted: nobody does."""
        return self.annotations.get(GIVE_UP_ANNOTATION, "").strip() if self.is_being_deleted else ""

    @property
    def is_gitops_tracked(self) -> bool:
        """Whether a GitOps tool would put it back if it were gone."""
        return is_gitops_tracked(self.labels, self.annotations)

    @property
    def wants_to_stop(self) -> bool:
        """Whether the run should not start, or should end: cancelled, or deleted while unfinished."""
        return self.spec.cancel or self.is_being_deleted
