"""The `Cluster` port on the real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, TypeVar

from proctor_operator.adapters.kube.changes import Changes
from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.adapters.kube.mapping import (
    UNREADABLE,
    dump_activity,
    dump_conditions,
    read_execution,
    read_proc,
    read_schedule,
    status_patch,
)
from proctor_operator.adapters.kube.workloads import read_job, read_pod
from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, Condition, shorten
from proctor_operator.domain.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
    PartlyListed,
    Rejected,
)
from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import (
    EXECUTION_UID_LABEL,
    GROUP,
    MANAGED_LABEL,
    PROC_EXECUTIONS,
    PROC_SCHEDULES,
    PROCS,
    RECORD_FINALIZER,
    VERSION,
    Namespace,
    Uid,
)
from proctor_operator.domain.objects import Kind, UnreadableObject
from proctor_operator.domain.proc import Proc, ProcActivity
from proctor_operator.domain.schedule import ProcSchedule, ProcScheduleStatus
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.cluster import Change, OwnObject

PROC_RESOURCE: Final = Resource(GROUP, VERSION, PROCS)
EXECUTION_RESOURCE: Final = Resource(GROUP, VERSION, PROC_EXECUTIONS)
SCHEDULE_RESOURCE: Final = Resource(GROUP, VERSION, PROC_SCHEDULES)
JOB_RESOURCE: Final = Resource("batch", "v1", "jobs")
POD_RESOURCE: Final = Resource("", "v1", "pods")

_RESOURCE_OF: Final = {
    Kind.PROC: PROC_RESOURCE,
    Kind.PROC_EXECUTION: EXECUTION_RESOURCE,
    Kind.PROC_SCHEDULE: SCHEDULE_RESOURCE,
}
Listed = TypeVar("Listed")

_OWN_READERS: Final[dict[Resource, Callable[[JsonObject], OwnObject]]] = {
    PROC_RESOURCE: read_proc,
    EXECUTION_RESOURCE: read_execution,
    SCHEDULE_RESOURCE: read_schedule,
}
_MANAGED: Final = f"{MANAGED_LABEL}=true"


class KubeCluster:
    """`namespaces` are those to list; none means the whole cluster."""

    def __init__(self, client: KubeClient, namespaces: tuple[Namespace, ...]) -> None:
        self._client = client
        self._namespaces: tuple[Namespace | None, ...] = namespaces or (None,)
        self._changes = Changes(client, self._namespaces, _OWN_READERS)

    async def fetch_execution(
        self, namespace: Namespace, name: str
    ) -> ProcExecution | UnreadableObject:
        """See the port."""
        return read_execution(await self._client.get(EXECUTION_RESOURCE, namespace, name))

    async def fetch_proc(self, namespace: Namespace, name: str) -> Proc | UnreadableObject:
        """See the port."""
        return read_proc(await self._client.get(PROC_RESOURCE, namespace, name))

    async def fetch_schedule(
        self, namespace: Namespace, name: str
    ) -> ProcSchedule | UnreadableObject:
        """See the port `AdmissionObjects`."""
        return read_schedule(await self._client.get(SCHEDULE_RESOURCE, namespace, name))

    async def fetch_job(self, namespace: Namespace, name: str) -> JobFacts:
        """See the port."""
        return read_job(await self._client.get(JOB_RESOURCE, namespace, name))

    async def fetch_pods(self, namespace: Namespace, execution_uid: Uid) -> tuple[PodFacts, ...]:
        """See the port."""
        selector = f"{EXECUTION_UID_LABEL}={execution_uid}"
        answer = await self._client.get(POD_RESOURCE, namespace, labelSelector=selector)
        return tuple(read_pod(item) for item in answer["items"])

    async def list_own(self) -> AsyncIterator[OwnObject]:
        """See the port."""
        await self._changes.begin_anew()
        async for one in self._list(_OWN_READERS):
            yield one

    def changed_own(self, knows: Callable[[Uid, str], bool]) -> AsyncIterator[Change]:
        """See the port."""
        return self._changes.read(knows)

    async def list_jobs(self) -> AsyncIterator[JobFacts]:
        """See the port."""
        async for one in self._list({JOB_RESOURCE: read_job}, labelSelector=_MANAGED):
            yield one

    async def list_pods(self) -> AsyncIterator[PodFacts]:
        """See the port."""
        async for one in self._list({POD_RESOURCE: read_pod}, labelSelector=_MANAGED):
            yield one

    async def _list(
        self, readers: Mapping[Resource, Callable[[JsonObject], Listed]], **query: str
    ) -> AsyncIterator[Listed]:
        """Everything there is; a namespace that refuses holds up no other (I11), nor what nobody can read."""
        refused: dict[Namespace | None, ClusterError] = {}
        for namespace in self._namespaces:
            for resource, read in readers.items():
                try:
                    async for item in self._client.pages(resource, namespace, **query):
                        try:
                            found = read(item)
                        except UNREADABLE as error:
                            refused[Namespace(item["metadata"]["namespace"])] = _odd(
                                resource, item, error
                            )
                            continue
                        yield found
                except Forbidden as error:
                    refused[namespace] = error
        if refused:
            raise PartlyListed(refused)

    async def create_job(self, namespace: Namespace, manifest: JsonObject) -> JobFacts:
        """See the port."""
        return read_job(await self._client.create(JOB_RESOURCE, namespace, manifest))

    async def create_execution(
        self, namespace: Namespace, manifest: JsonObject
    ) -> ProcExecution | UnreadableObject:
        """See the port."""
        return read_execution(await self._client.create(EXECUTION_RESOURCE, namespace, manifest))

    async def write_schedule_status(
        self, schedule: ProcSchedule, status: ProcScheduleStatus
    ) -> ProcSchedule | UnreadableObject:
        """See the port."""
        patch = status_patch(schedule.status, status)
        return read_schedule(await self._patch_status(SCHEDULE_RESOURCE, schedule, patch))

    async def write_status(
        self, execution: ProcExecution, status: ProcExecutionStatus
    ) -> ProcExecution | UnreadableObject:
        """See the port."""
        patch = status_patch(execution.status, status)
        return read_execution(await self._patch_status(EXECUTION_RESOURCE, execution, patch))

    async def write_conditions(
        self, known: Proc | UnreadableObject, conditions: tuple[Condition, ...]
    ) -> None:
        """See the port."""
        kind = Kind.PROC if isinstance(known, Proc) else known.kind
        status = {
            "conditions": dump_conditions(conditions),
            "observedGeneration": known.generation,
        }
        await self._patch_status(_RESOURCE_OF[kind], known, status)

    async def write_activity(self, proc: Proc, activity: ProcActivity) -> Proc | UnreadableObject:
        """See the port."""
        return read_proc(await self._patch_status(PROC_RESOURCE, proc, dump_activity(activity)))

    async def write_refusal(
        self, unreadable: UnreadableObject, conditions: tuple[Condition, ...], message: str
    ) -> None:
        """See the port."""
        status = {
            "phase": Phase.REFUSED.value,
            "reason": "Unreadable",
            "message": shorten(message, MESSAGE_LIMIT_BYTES),
            "observedGeneration": unreadable.generation,
            "conditions": dump_conditions(conditions),
        }
        await self._patch_status(EXECUTION_RESOURCE, unreadable, status)

    async def _patch_status(
        self, resource: Resource, known: OwnObject, status: JsonObject
    ) -> JsonObject:
        """Lay `status` over what stands there, if the object is still as it was read."""
        patch = {"metadata": {"resourceVersion": known.resource_version}, "status": status}
        return await self._client.patch(resource, known.namespace, known.name, patch, sub="status")

    async def delete_execution(self, execution: ProcExecution) -> None:
        """See the port."""
        try:
            await self._client.delete(
                EXECUTION_RESOURCE,
                execution.namespace,
                execution.name,
                uid=execution.uid,
                resource_version=execution.resource_version,
                propagation="Background",
            )
        except NotFound:
            return

    async def delete_job(self, job: JobFacts) -> None:
        """See the port. Without a word on propagation, batch/v1 would orphan the pods."""
        try:
            await self._client.delete(
                JOB_RESOURCE, job.namespace, job.name, uid=job.uid, propagation="Background"
            )
        except NotFound:
            return

    async def delete_pod(self, pod: PodFacts) -> None:
        """See the port."""
        try:
            await self._client.delete(
                POD_RESOURCE, pod.namespace, pod.name, uid=pod.uid, propagation=None
            )
        except NotFound:
            return

    async def release_job(self, job: JobFacts, *, ttl_seconds: int) -> JobFacts | None:
        """See the port."""
        operations = _take_off_our_finalizer(job.uid, job.finalizers)
        if not job.is_being_deleted:
            path = "/spec/ttlSecondsAfterFinished"
            operations.append({"op": "add", "path": path, "value": ttl_seconds})
        stored = await self._release(JOB_RESOURCE, job.namespace, job.name, operations)
        return read_job(stored) if stored is not None else None

    async def release_execution(self, execution: ProcExecution | UnreadableObject) -> None:
        """See the port."""
        operations = _take_off_our_finalizer(execution.uid, execution.finalizers)
        await self._release(EXECUTION_RESOURCE, execution.namespace, execution.name, operations)

    async def _release(
        self, resource: Resource, namespace: Namespace, name: str, operations: list[JsonObject]
    ) -> JsonObject | None:
        """Only UID and finalizers must be what they were; a status that moved on is no conflict."""
        try:
            return await self._client.apply_operations(resource, namespace, name, operations)
        except NotFound:
            return None
        except Rejected as error:
            message = f"{name} is another one, or its finalizers changed: {error}"
            raise Conflict(message, status=409) from error


def _odd(resource: Resource, item: JsonObject, error: Exception) -> ClusterError:
    """Without the words of the error, which may quote what stands there."""
    metadata = item["metadata"]
    where = f"{resource.plural} {metadata['namespace']}/{metadata['name']}"
    return ClusterError(f"{where} cannot be read: {type(error).__name__}")


def _take_off_our_finalizer(uid: Uid, finalizers: tuple[str, ...]) -> list[JsonObject]:
    """Operations that remove ours and no other, though lists can only be changed by position.

    Never a successor's: the same name may have been applied again while the request was on its way.
    """
    path = f"/metadata/finalizers/{finalizers.index(RECORD_FINALIZER)}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": path, "value": RECORD_FINALIZER},
        {"op": "remove", "path": path},
    ]
