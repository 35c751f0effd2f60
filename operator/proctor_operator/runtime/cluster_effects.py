"""Looking at the cluster, and changing it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Literal, TypeVar, assert_never

from proctor_operator.domain.errors import (
    AlreadyExists,
    Conflict,
    Fault,
    Forbidden,
    NamespaceTerminating,
    NotFound,
    Rejected,
)
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import RECORD_FINALIZER, Namespace
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.reconcile.decision import (
    AbandonExecution,
    AbandonJob,
    CreateJob,
    DeleteJob,
    DeletePod,
    ReadExecution,
    ReadJob,
    ReadPods,
    ReadProc,
    ReadSchedule,
    ReleaseExecution,
    ReleaseJob,
    WriteStatus,
)
from proctor_operator.reconcile.jobspec import TTL_AFTER_RELEASE_SECONDS
from proctor_operator.reconcile.observed import Hindrance, ObservedExecution
from proctor_operator.runtime.cache import ObjectCache, key_of

LookAction = ReadExecution | ReadProc | ReadSchedule | ReadJob | ReadPods
WriteAction = (
    CreateJob
    | DeleteJob
    | DeletePod
    | WriteStatus
    | ReleaseJob
    | ReleaseExecution
    | AbandonJob
    | AbandonExecution
)

Found = TypeVar("Found")


class ClusterEffects:
    """One call to the API server for each action, two where the first leaves open who has a name."""

    def __init__(self, *, cache: ObjectCache, cluster: Cluster, clock: Clock) -> None:
        self._cache = cache
        self._cluster = cluster
        self._clock = clock

    async def perform(
        self, action: LookAction | WriteAction, observed: ObservedExecution
    ) -> ObservedExecution:
        """Do it; what is known now."""
        if isinstance(action, LookAction):
            return await self._look(action, observed)
        return await self._write(action, observed)

    async def fetch_job(self, namespace: Namespace, name: str) -> JobFacts | None:
        """Read a Job live; None when it is not there."""
        try:
            return await self._cluster.fetch_job(namespace, name)
        except NotFound:
            return None

    async def _look(
        self,
        action: LookAction,
        observed: ObservedExecution,
    ) -> ObservedExecution:
        namespace = observed.execution.namespace
        match action:
            case ReadExecution():
                return await self._look_at_the_execution(observed)
            case ReadProc(name):
                # Not into the cache: the watch would bring nothing new, and nobody would look at it.
                proc = await _unless_absent(self._cluster.fetch_proc(namespace, name))
                return replace(observed, proc=proc, is_proc_live=True)
            case ReadSchedule(name):
                schedule = await _unless_absent(self._cluster.fetch_schedule(namespace, name))
                return replace(observed, schedule=schedule, is_schedule_live=True)
            case ReadJob(name):
                job = await self.fetch_job(namespace, name)
                return replace(
                    observed,
                    job=job.seen_after(observed.own_job) if job else Unseen.ABSENT,
                    is_job_live=True,
                    has_seen_job=observed.has_seen_job or observed.own_job is not None,
                )
            case ReadPods():
                pods = await self._cluster.fetch_pods(namespace, observed.execution.uid)
                return replace(observed, pods=_with_gone(observed.pods, pods), are_pods_live=True)
            case _:
                assert_never(action)

    async def _look_at_the_execution(self, observed: ObservedExecution) -> ObservedExecution:
        known = observed.execution
        try:
            fresh = await self._cluster.fetch_execution(known.namespace, known.name)
        except NotFound as gone:
            raise Conflict(f"execution {known.name} is gone", status=409) from gone
        if not isinstance(fresh, ProcExecution) or fresh.uid != known.uid:
            raise Conflict(f"execution {known.name} is not the one it was", status=409)
        return replace(observed, execution=fresh, is_execution_live=True)

    async def _write(
        self,
        action: WriteAction,
        observed: ObservedExecution,
    ) -> ObservedExecution:
        match action:
            case CreateJob():
                return await self._create_job(action, observed)
            case DeleteJob(job):
                await self._cluster.delete_job(job)
                asked_to_go = replace(job, deletion_time=self._clock.now())
                return replace(observed, job=asked_to_go, is_job_live=False, are_pods_live=False)
            case DeletePod(pod):
                await self._cluster.delete_pod(pod)
                asked = replace(pod, deletion_time=self._clock.now())
                rest = tuple(one for one in observed.pods if one.uid != pod.uid)
                return replace(observed, pods=(*rest, asked))
            case WriteStatus(status):
                stored = await self._cluster.write_status(observed.execution, status)
                self._cache.refresh(stored)
                if not isinstance(stored, ProcExecution):
                    raise Fault(f"the status that came back cannot be read: {stored.problem}")
                return replace(observed, execution=stored)
            case ReleaseJob(job) | AbandonJob(job):
                released_job = await self._cluster.release_job(
                    job, ttl_seconds=TTL_AFTER_RELEASE_SECONDS
                )
                if released_job is not None:
                    self._cache.refresh_job(released_job)
                return replace(observed, job=replace(job, finalizers=()))
            case ReleaseExecution() | AbandonExecution():
                await self._cluster.release_execution(observed.execution)
                if observed.execution.finalizers == (RECORD_FINALIZER,):
                    # Nothing else holds it, so it is gone: no later pass must let it go once more.
                    self._cache.remove(key_of(observed.execution), observed.execution.uid)
                released = observed.execution.model_copy(update={"finalizers": ()})
                return replace(observed, execution=released)
            case _:
                assert_never(action)

    async def _create_job(
        self, action: CreateJob, observed: ObservedExecution
    ) -> ObservedExecution:
        """Create; when the name is taken or the answer is lost, look live at who has it."""
        namespace = observed.execution.namespace
        try:
            job = await self._cluster.create_job(namespace, action.manifest)
        except AlreadyExists:
            job = await self._cluster.fetch_job(namespace, action.manifest["metadata"]["name"])
        except Rejected as rejected:
            return replace(observed, job_refusal=str(rejected))
        except NamespaceTerminating:
            return replace(observed, job_hindrance=Hindrance.namespace_goes_away())
        except Forbidden as forbidden:
            return replace(observed, job_hindrance=Hindrance.forbidden(str(forbidden)))
        self._cache.put_job(job)
        return replace(observed, job=job)


async def _unless_absent(looking: Awaitable[Found]) -> Found | Literal[Unseen.ABSENT]:
    try:
        return await looking
    except NotFound:
        return Unseen.ABSENT


def _with_gone(known: tuple[PodFacts, ...], live: tuple[PodFacts, ...]) -> tuple[PodFacts, ...]:
    """Live pods with what was known of them before, and those known before that are no more."""
    before = {pod.uid: pod for pod in known}
    there = {pod.uid for pod in live}
    return (
        *(pod.seen_after(before.get(pod.uid)) for pod in live),
        *(replace(pod, is_gone=True) for pod in known if pod.uid not in there),
    )
