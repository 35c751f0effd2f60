"""Jobs and pods, reduced to the facts that decisions need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from proctor_operator.domain.naming import CONTAINER_NAME, RECORD_FINALIZER, Namespace, Uid

_BEING_MADE: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True)
class JobEnd:
    """The terminal condition of a Job: Complete, or Failed with the Job controller's reason."""

    succeeded: bool
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A Job as the API server has it.

    `owner_uid` is the UID of its controller; labels prove nothing, anybody may write them.
    `execution_uid` is what the label says: it only tells which execution to look at. `begun_at` is
    when the Job controller took it up: at its creation, or when a suspension ended.
    """

    namespace: Namespace
    name: str
    uid: Uid
    resource_version: str
    created_at: datetime
    owner_uid: Uid | None = None
    owner_name: str = ""
    execution_uid: Uid | None = None
    execution_created_at: datetime | None = None
    deletion_time: datetime | None = None
    finalizers: tuple[str, ...] = ()
    is_suspended: bool = False
    begun_at: datetime | None = None
    has_ttl: bool = False
    give_up_note: str = ""
    failed_pods: int = 0
    succeeded_pods: int = 0
    end: JobEnd | None = None

    @property
    def is_held(self) -> bool:
        """Whether our finalizer still holds it."""
        return RECORD_FINALIZER in self.finalizers

    @property
    def is_being_deleted(self) -> bool:
        """Whether somebody asked for its deletion."""
        return self.deletion_time is not None

    @property
    def give_up_reason(self) -> str:
        """Why an admin lets it go without its end in the record; empty, or not being deleted: nobody does."""
        return self.give_up_note.strip() if self.is_being_deleted else ""

    def seen_after(self, earlier: JobFacts | None) -> JobFacts:
        """These facts with the owner that this very Job was seen to have.

        A deletion that orphans dependents (`--cascade=orphan`) takes it off while the Job runs.
        """
        if earlier is None or earlier.uid != self.uid or self.owner_uid is not None:
            return self
        return replace(self, owner_uid=earlier.owner_uid, owner_name=earlier.owner_name)

    @property
    def pending_since(self) -> datetime:
        """When its pods could first have started; time spent suspended does not count."""
        return max(self.created_at, self.begun_at or self.created_at)


class PodPhase(StrEnum):
    """`status.phase` of a pod."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class ContainerWaiting:
    """Why a container has not started; the reason is the kubelet's word."""

    reason: str
    message: str
    container: str = CONTAINER_NAME

    @property
    def says_why(self) -> bool:
        """Whether it is more than a container that is being made."""
        return self.reason not in _BEING_MADE


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How a container ended; `message` is its termination message.

    Of a long one the node keeps the end, and of many in a pod the beginning: then its first or its last
    line may be half a line. Without `started_at` nothing of it ever ran, or nothing is known of it: the
    exit code is then one that the kubelet made up.
    """

    exit_code: int
    reason: str
    message: str
    started_at: datetime | None
    finished_at: datetime | None
    container: str = CONTAINER_NAME
    lacks_its_beginning: bool = False
    lacks_its_end: bool = False


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod of a Job; `image_id`, `running_since` and `end` are of the container that runs the proc.

    `waiting` is what holds the pod up, be it that container or another one. `failed_init` and
    `failed_other` are the first containers of their kind that failed; one that restarts beside the
    others (a sidecar) is neither, because its exit code has no say. `job_uid` is what the label of the
    Job controller says, which stays when the Job is deleted and its pods are orphaned. `is_gone`: the
    API server has it no more; the other facts are the last that were seen.
    """

    namespace: Namespace
    name: str
    uid: Uid
    resource_version: str
    created_at: datetime
    owner_uid: Uid | None = None
    execution_uid: Uid | None = None
    phase: PodPhase = PodPhase.PENDING
    reason: str = ""
    message: str = ""
    node_name: str | None = None
    deletion_time: datetime | None = None
    unschedulable: str | None = None
    disruption: str | None = None
    image_id: str | None = None
    waiting: ContainerWaiting | None = None
    running_since: datetime | None = None
    end: ContainerEnd | None = None
    failed_init: ContainerEnd | None = None
    failed_other: ContainerEnd | None = None
    job_uid: Uid | None = None
    is_gone: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether no container of it runs any more or ever will."""
        return self.is_gone or self.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED)

    @property
    def started_at(self) -> datetime | None:
        """When the proc's container started, if it ever did."""
        if self.running_since is not None:
            return self.running_since
        return self.end.started_at if self.end is not None else None

    @property
    def may_have_run_unseen(self) -> bool:
        """Whether it was last seen waiting on a node, and is gone: what came in between nobody knows."""
        is_waiting = self.phase is PodPhase.PENDING and self.started_at is None
        return self.is_gone and is_waiting and self.node_name is not None

    @property
    def is_driven_off(self) -> bool:
        """Whether a taint of its node ended it; a node that does not answer gets one."""
        return self.disruption == "DeletionByTaintManager"

    def is_of(self, job: JobFacts) -> bool:
        """Whether the Job is its controller, or was until it was deleted with its pods orphaned.

        A label can be forged; but whoever may write it on a pod could as well have done to the pod what
        is done because of it.
        """
        if self.owner_uid is None and job.is_being_deleted:
            return self.job_uid == job.uid
        return self.owner_uid == job.uid

    def went_by_a_suspension_of(self, job: JobFacts) -> bool:
        """Whether the Job controller deleted it to suspend the Job, which then begins anew with another."""
        is_of_before = job.begun_at is not None and self.created_at < job.begun_at
        was_deleted = self.is_gone or self.deletion_time is not None
        return was_deleted and (job.is_suspended or is_of_before)

    @property
    def is_running(self) -> bool:
        """Whether the proc's container runs, as far as is known."""
        return self.started_at is not None and self.end is None and not self.has_ended

    def seen_after(self, earlier: PodFacts | None) -> PodFacts:
        """These facts with the time at which the deletion was *first* asked for.

        The kubelet's last, forced delete sets a pod's deletionTimestamp anew, after its containers ended.
        """
        if earlier is None or earlier.deletion_time is None or self.deletion_time is None:
            return self
        return replace(self, deletion_time=min(self.deletion_time, earlier.deletion_time))
