"""What is asked for in a simulated world, and what truly came of it.

The truth is written by the actors that make it so (the kubelet ends a container, a user cancels) and
read by the oracle alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from simulation.container_log import ContainerLog


class End(StrEnum):
    """How an attempt of a run ends when nobody interferes."""

    SUCCESS = "success"
    EXIT_CODE = "exit code"
    OUT_OF_MEMORY = "out of memory"
    IMAGE_MISSING = "image missing"
    UNSCHEDULABLE = "unschedulable"
    TOO_LONG = "too long"
    EVICTED = "evicted"
    NODE_LOST = "node lost"
    PREEMPTED = "preempted"
    WANTS_ROOT = "its image wants root"
    BAD_COMMAND = "the program cannot be started"
    INIT_FAILS = "an init container fails"


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """One pod; `exit_on_term` is the exit code with which it answers a SIGTERM."""

    end: End = End.SUCCESS
    seconds: float = 8.0
    exit_code: int = 1
    exit_on_term: int = 143
    turns_over_after: tuple[float, ...] = ()
    """When the kubelet begins a new file for its log, in seconds from its start."""


class Deed(StrEnum):
    """What people do to their executions, and to what is behind them."""

    CANCEL = "cancel"
    DELETE = "delete"
    DELETE_FOREGROUND = "delete in the foreground"
    DELETE_ORPHANING = "delete it, its dependents orphaned"
    DELETE_JOB = "delete the Job"
    ORPHAN_JOB = "delete the Job and orphan its pods"
    DELETE_POD = "delete the pod"
    FORCE_POD = "delete the pod by force"
    LOSE_NODE = "switch the node off and remove it"
    TEAR_JOB_AWAY = "take our finalizer off the Job and delete it"
    LOSE_THE_ROW = "restore the record from a backup that has not the row"
    GIVE_UP = "delete it, and say that its end need not be recorded"
    TEAR_EXECUTION_AWAY = "take our finalizer off the execution and delete it"


class Moment(StrEnum):
    """When they do it, counted from something that can be seen in the cluster."""

    CREATED = "created"
    JOB_CREATED = "Job created"
    RUNNING = "running"
    JOB_ENDED = "Job ended"


@dataclass(frozen=True, slots=True)
class UserAct:
    """A deed, `after` seconds from its moment."""

    deed: Deed
    moment: Moment
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class ExecutionPlan:
    """One execution and its Proc; the last attempt plan serves for all attempts after it."""

    name: str
    attempts: tuple[AttemptPlan, ...] = (AttemptPlan(),)
    retries: int = 0
    acts: tuple[UserAct, ...] = ()
    arrives_at: float = 1.0
    timeout_seconds: int = 600
    pending_timeout_seconds: int = 30
    username: str = "ann"
    has_proc: bool = True
    is_poison: bool = False
    is_name_taken: bool = False
    is_kept: bool = True
    """False: its Proc wants no finished execution kept."""
    is_tracked: bool = False
    """Whether a GitOps tool applied it."""
    comes_back: bool = False
    """Whether it is applied again, once, when it is gone."""
    group: str = ""
    """Executions of one group are of one Proc, which has this policy and limit."""
    policy: str = "Allow"
    limit: int = 1

    @property
    def proc_name(self) -> str:
        """The Proc that it is of."""
        return f"proc-{self.group or self.name}"

    @property
    def refusal(self) -> str | None:
        """Why it can never start, as the promises have it."""
        if self.is_poison:
            return "Unreadable"
        if not self.has_proc:
            return "ProcNotFound"
        if self.username != "ann":
            return "NotPermitted"
        return "NameTaken" if self.is_name_taken else None

    def attempt(self, number: int) -> AttemptPlan:
        """The plan of the attempt of that number, from 0."""
        return self.attempts[min(number, len(self.attempts) - 1)]


@dataclass(slots=True)
class Attempt:
    """What truly happened to one pod; `was_killed`: its own end was not what ended it."""

    pod_uid: str
    plan: AttemptPlan
    made_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    ended_by: End | None = None
    was_killed: bool = False
    log: ContainerLog | None = None

    @property
    def is_running(self) -> bool:
        """Whether its container runs at this moment."""
        return self.started_at is not None and self.ended_at is None


@dataclass(slots=True)
class Truth:
    """What truly happened around one execution."""

    plan: ExecutionPlan
    uid: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    cancelled_at: float | None = None
    deleted_at: float | None = None
    job_removed_at: float | None = None
    """When somebody deleted the Job, in whatever way."""
    job_torn_at: float | None = None
    """When somebody did so against our finalizer."""
    pod_deleted_at: float | None = None
    execution_torn_at: float | None = None
    given_up_at: float | None = None
    replaced_at: float | None = None
    """When the record told it that a newer one has its place."""
    first_job_maker: str = ""
    job_made_at: float | None = None
    job_deleted_at: float | None = None
    job_ended_at: float | None = None
    job_uids: list[str] = field(default_factory=list)
    before: Truth | None = None
    """What came of the same manifest when it was applied before."""

    @property
    def repeats_a_run(self) -> bool:
        """Whether the same has run before, so that it must not run again."""
        return self.plan.is_tracked and self.before is not None and bool(self.before.job_uids)
