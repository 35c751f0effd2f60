"""What the runtime asks of the Kubernetes API server, in domain values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.execution import ProcExecution, ProcExecutionStatus
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.proc import Proc, ProcActivity
from proctor_operator.domain.schedule import ProcSchedule, ProcScheduleStatus
from proctor_operator.domain.workload import JobFacts, PodFacts

OwnObject = Proc | ProcExecution | ProcSchedule | UnreadableObject


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an object of ours; `is_gone` when this was the last of it."""

    known: OwnObject
    is_gone: bool = False


class AdmissionObjects(Protocol):
    """What admission looks at: live, by name, with a deadline; a `ClusterError` when it fails."""

    async def fetch_proc(self, namespace: Namespace, name: str) -> Proc | UnreadableObject:
        """Read one Proc live; `NotFound` when it is not there."""
        ...

    async def fetch_execution(
        self, namespace: Namespace, name: str
    ) -> ProcExecution | UnreadableObject:
        """Read one execution live; `NotFound` when it is not there."""
        ...

    async def fetch_schedule(
        self, namespace: Namespace, name: str
    ) -> ProcSchedule | UnreadableObject:
        """Read one schedule live; `NotFound` when it is not there."""
        ...


class Cluster(Protocol):
    """Calls on objects. Every one has a deadline and raises a `ClusterError` when it fails.

    Writes return the object as the server stored it, so that the next decision need not wait for the
    watch to bring it back.
    """

    async def fetch_execution(
        self, namespace: Namespace, name: str
    ) -> ProcExecution | UnreadableObject:
        """Read one execution live; `NotFound` when it is not there."""
        ...

    async def fetch_proc(self, namespace: Namespace, name: str) -> Proc | UnreadableObject:
        """Read one Proc live; `NotFound` when it is not there."""
        ...

    async def fetch_schedule(
        self, namespace: Namespace, name: str
    ) -> ProcSchedule | UnreadableObject:
        """Read one schedule live; `NotFound` when it is not there."""
        ...

    async def fetch_job(self, namespace: Namespace, name: str) -> JobFacts:
        """Read one Job live; `NotFound` when it is not there."""
        ...

    async def fetch_pods(self, namespace: Namespace, execution_uid: Uid) -> tuple[PodFacts, ...]:
        """List the pods that carry the execution's label, live."""
        ...

    def list_own(self) -> AsyncIterator[OwnObject]:
        """List every object of our kinds in the watched namespaces, page by page.

        Raises `PartlyListed` at the end, when some of them refused or hold what nobody can read; so do the
        lists below.
        """
        ...

    def changed_own(self, knows: Callable[[Uid, str], bool]) -> AsyncIterator[Change]:
        """What became of objects of our kinds since `list_own` began, or since this was last read.

        States that `knows` knows, by UID and resourceVersion, are left out. Raises at the end, for what
        could not be read: `Expired` when the server has forgotten, so that only a list helps.
        """
        ...

    def list_jobs(self) -> AsyncIterator[JobFacts]:
        """List our Jobs in the watched namespaces, page by page."""
        ...

    def list_pods(self) -> AsyncIterator[PodFacts]:
        """List our pods in the watched namespaces, page by page."""
        ...

    async def create_job(self, namespace: Namespace, manifest: JsonObject) -> JobFacts:
        """Create; `AlreadyExists` when the name is taken, `Rejected` when the server refuses it."""
        ...

    async def create_execution(
        self, namespace: Namespace, manifest: JsonObject
    ) -> ProcExecution | UnreadableObject:
        """Create; errors as with `create_job`, and `Denied` when admission says no."""
        ...

    async def write_schedule_status(
        self, schedule: ProcSchedule, status: ProcScheduleStatus
    ) -> ProcSchedule | UnreadableObject:
        """Write the status; `Conflict` when the schedule is no longer the one given."""
        ...

    async def write_status(
        self, execution: ProcExecution, status: ProcExecutionStatus
    ) -> ProcExecution | UnreadableObject:
        """Write the status; `Conflict` when the execution is no longer the one given."""
        ...

    async def write_conditions(
        self, known: Proc | UnreadableObject, conditions: tuple[Condition, ...]
    ) -> None:
        """Write conditions as of this generation, and nothing else; `Conflict` as above."""
        ...

    async def write_activity(self, proc: Proc, activity: ProcActivity) -> Proc | UnreadableObject:
        """Write what a Proc's executions do, and nothing else; `Conflict` as above."""
        ...

    async def write_refusal(
        self, unreadable: UnreadableObject, conditions: tuple[Condition, ...], message: str
    ) -> None:
        """Mark an execution that cannot be parsed as Refused."""
        ...

    async def delete_execution(self, execution: ProcExecution) -> None:
        """Delete that very version of it; `Conflict` when it changed, gone already is fine."""
        ...

    async def delete_job(self, job: JobFacts) -> None:
        """Delete that very Job, its pods in the background; gone already is fine."""
        ...

    async def delete_pod(self, pod: PodFacts) -> None:
        """Delete that very pod with its grace period; gone already is fine."""
        ...

    async def release_job(self, job: JobFacts, *, ttl_seconds: int) -> JobFacts | None:
        """Take our finalizer off and set `ttlSecondsAfterFinished`, in one patch; None when it is gone."""
        ...

    async def release_execution(self, execution: ProcExecution | UnreadableObject) -> None:
        """Take our finalizer off; gone already is fine."""
        ...
