"""Performing actions: each one call to the outside, its result laid into the snapshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import structlog

from proctor_operator.domain.errors import (
    AlreadyExists,
    Conflict,
    Fault,
    Forbidden,
    NamespaceTerminating,
    NotFound,
    RecordRejected,
    RecordUnavailable,
    Rejected,
)
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import RECORD_FINALIZER, Namespace, Uid
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import RecordedRun, RunKey
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.access import Access
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.ports.plugins import Plugins
from proctor_operator.ports.records import Records
from proctor_operator.reconcile.decision import (
    AbandonExecution,
    AbandonJob,
    Action,
    AskMayExecute,
    AskMayReadSecret,
    AskPlugins,
    AskPreLaunch,
    AttachLog,
    ClaimSlots,
    CreateJob,
    DeleteJob,
    DeletePod,
    EndTheVanished,
    FetchEarlierRun,
    FinishLog,
    FollowLog,
    ReadExecution,
    ReadJob,
    ReadPlace,
    ReadPods,
    ReadProc,
    ReadRun,
    ReadSchedule,
    RecordJob,
    RecordOutcome,
    RecordRefusal,
    RecordRun,
    RecordStarted,
    ReleaseExecution,
    ReleaseJob,
    WriteStatus,
)
from proctor_operator.reconcile.jobspec import TTL_AFTER_RELEASE_SECONDS
from proctor_operator.reconcile.observed import Hindrance, ObservedExecution
from proctor_operator.reconcile.question import question_of
from proctor_operator.reconcile.slots import groups_of
from proctor_operator.runtime.cache import ObjectCache, key_of
from proctor_operator.runtime.launch_gates import LaunchGates
from proctor_operator.runtime.log_capture import LogCapture, LogWishes
from proctor_operator.runtime.pins import Pins
from proctor_operator.runtime.slot_effects import SlotEffects

RecordAction = (
    ReadRun
    | FetchEarlierRun
    | RecordRun
    | ClaimSlots
    | ReadPlace
    | EndTheVanished
    | RecordRefusal
    | RecordJob
    | RecordStarted
    | RecordOutcome
)

log = structlog.get_logger(__name__)


class ExecutionEffects:
    """Knows how to do each action, and nothing of when."""

    def __init__(
        self,
        *,
        cache: ObjectCache,
        cluster: Cluster,
        records: Records,
        capture: LogCapture,
        access: Access,
        plugins: Plugins,
        clock: Clock,
        wake: Callable[[Uid], None],
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._records = records
        self._capture = capture
        self._access = access
        self._plugins = plugins
        self._gates = LaunchGates(plugins, clock)
        self._clock = clock
        self._record_is_away = False
        self._pins = Pins()
        self._slots = SlotEffects(
            cache=cache, cluster=cluster, records=records, clock=clock, wake=wake
        )

    async def perform(self, action: Action, observed: ObservedExecution) -> ObservedExecution:
        """Do it, and return the snapshot with what is known now.

        A record that is away becomes `run=UNAVAILABLE`, one that refuses a row `record_refusal`: the
        rules know what to do with both. Other faults are raised for the queue.
        """
        match action:
            case ReadExecution():
                return await self._look_at_the_execution(observed)
            case ReadProc() | ReadSchedule() | ReadJob() | ReadPods():
                return await self._look(action, observed)
            case AskMayExecute() | AskPlugins() | AskMayReadSecret():
                return await self._ask(action, observed)
            case AskPreLaunch():
                question = question_of(observed.execution, _proc(observed))
                return replace(observed, pre_launch=await self._gates.ask(question))
            case (
                ReadRun()
                | FetchEarlierRun()
                | RecordRun()
                | ClaimSlots()
                | ReadPlace()
                | EndTheVanished()
                | RecordRefusal()
                | RecordJob()
                | RecordStarted()
                | RecordOutcome()
            ):
                return await self._record_if_it_is_there(action, observed)
            case FollowLog() | AttachLog() | FinishLog():
                return await self._read_log(action, observed)
            case _:
                return await self._write(action, observed)

    def rules_changed(self, known: Proc | ProcSchedule) -> None:
        """A Proc or schedule was changed, perhaps its limit."""
        self._slots.lines.rules_changed(known.uid, known.generation)

    async def fetch_job(self, namespace: Namespace, name: str) -> JobFacts | None:
        """Read a Job live; None when it is not there."""
        try:
            return await self._cluster.fetch_job(namespace, name)
        except NotFound:
            return None

    async def _look_at_the_execution(self, observed: ObservedExecution) -> ObservedExecution:
        known = observed.execution
        try:
            fresh = await self._cluster.fetch_execution(known.namespace, known.name)
        except NotFound as gone:
            raise Conflict(f"execution {known.name} is gone", status=409) from gone
        if not isinstance(fresh, ProcExecution) or fresh.uid != known.uid:
            raise Conflict(f"execution {known.name} is not the one it was", status=409)
        return replace(observed, execution=fresh, is_execution_live=True)

    async def _look(
        self,
        action: ReadProc | ReadSchedule | ReadJob | ReadPods,
        observed: ObservedExecution,
    ) -> ObservedExecution:
        namespace = observed.execution.namespace
        match action:
            case ReadProc(name):
                try:
                    proc = await self._cluster.fetch_proc(namespace, name)
                except NotFound:
                    return replace(observed, proc=Unseen.ABSENT, is_proc_live=True)
                # Not into the cache: the watch would bring nothing new, and nobody would look at it.
                return replace(observed, proc=proc, is_proc_live=True)
            case ReadSchedule(name):
                try:
                    schedule = await self._cluster.fetch_schedule(namespace, name)
                except NotFound:
                    return replace(observed, schedule=Unseen.ABSENT, is_schedule_live=True)
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

    async def _ask(
        self, action: AskMayExecute | AskPlugins | AskMayReadSecret, observed: ObservedExecution
    ) -> ObservedExecution:
        execution = observed.execution
        requester = _requester(observed)
        match action:
            case AskMayExecute():
                allowed = await self._access.may_execute(
                    requester, execution.namespace, execution.spec.proc_ref.name
                )
                return replace(observed, holds_execute=allowed)
            case AskPlugins():
                votes = await self._plugins.authorize(question_of(execution, _proc(observed)))
                return replace(observed, votes=votes)
            case AskMayReadSecret(name):
                allowed = await self._access.may_read_secret(requester, execution.namespace, name)
                return replace(observed, reads_secrets={**observed.reads_secrets, name: allowed})
            case _:
                assert_never(action)

    async def _record_if_it_is_there(
        self,
        action: RecordAction,
        observed: ObservedExecution,
    ) -> ObservedExecution:
        try:
            known = await self._record(action, observed)
        except RecordUnavailable as error:
            if not self._record_is_away:
                log.warning("Record went away", error=str(error))
            self._record_is_away = True
            return replace(observed, run=Unseen.UNAVAILABLE)
        except RecordRejected as error:
            execution = f"{observed.execution.namespace}/{observed.execution.name}"
            log.warning("Record refuses a row", execution=execution, error=str(error))
            return replace(observed, record_refusal=str(error))
        if self._record_is_away:
            log.info("Record came back")
        self._record_is_away = False
        return known

    async def _record(
        self,
        action: RecordAction,
        observed: ObservedExecution,
    ) -> ObservedExecution:
        key = RunKey(observed.execution.creation_time, observed.execution.uid)
        match action:
            case ReadRun():
                run = await self._records.fetch_run(key)
                return (
                    self._with_run(observed, run) if run else replace(observed, run=Unseen.ABSENT)
                )
            case FetchEarlierRun(request):
                earlier = await self._records.fetch_earlier(request)
                return replace(observed, earlier=earlier or Unseen.ABSENT)
            case RecordRun(request):
                return self._with_run(observed, await self._records.record_run(request))
            case ClaimSlots() | ReadPlace() | EndTheVanished():
                known, run = await self._slots.perform(action, observed)
                return self._with_run(known, run) if run is not None else known
            case RecordRefusal(request, outcome):
                run = await self._records.record_refusal(request, outcome)
                return self._with_run(observed, run)
            case RecordJob(job_uid):
                await self._records.record_job(key, job_uid)
                return replace(observed, run=replace(_run(observed), job_uid=job_uid))
            case RecordStarted(job_uid, started_at):
                await self._records.record_started(key, job_uid, started_at)
                run = replace(_run(observed), job_uid=job_uid, started_at=started_at)
                return replace(observed, run=run)
            case RecordOutcome(job_uid, outcome):
                stored = await self._records.record_outcome(key, job_uid, outcome)
                self._slots.ended(key, groups_of(observed))
                return replace(observed, run=replace(_run(observed), outcome=stored))
            case _:
                assert_never(action)

    def _with_run(self, observed: ObservedExecution, run: RecordedRun) -> ObservedExecution:
        shared, pinned = self._pins.share(run)
        if not run.is_waiting or run.outcome:
            self._slots.lines.leave(run.request.key.uid)
        return replace(observed, run=shared, pinned=pinned, is_run_live=True)

    async def _write(
        self,
        action: CreateJob
        | DeleteJob
        | DeletePod
        | WriteStatus
        | ReleaseJob
        | ReleaseExecution
        | AbandonJob
        | AbandonExecution,
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

    async def _read_log(
        self, action: FollowLog | AttachLog | FinishLog, observed: ObservedExecution
    ) -> ObservedExecution:
        key = RunKey(observed.execution.creation_time, observed.execution.uid)
        wishes = _wishes(observed)
        match action:
            case FollowLog(pod):
                self._capture.follow(key, wishes, pod)
                return replace(observed, followed=observed.followed | {pod.uid})
            case AttachLog(pod):
                await self._capture.attach(key, wishes, pod)
                # Also where it did not come to that: a stop waits for no log.
                return replace(
                    observed,
                    followed=observed.followed | {pod.uid},
                    attached=observed.attached | {pod.uid},
                )
            case FinishLog(pods, unseen):
                try:
                    summary = await self._capture.finish(key, wishes, pods, unseen=unseen)
                except RecordUnavailable:
                    return replace(observed, run=Unseen.UNAVAILABLE)
                return replace(observed, log=summary or Unseen.UNAVAILABLE)
            case _:
                assert_never(action)


def _wishes(observed: ObservedExecution) -> LogWishes:
    if observed.pinned is None:
        raise Fault("what the proc wants of its output is not known")
    return LogWishes(observed.pinned.logs.mask, tail=observed.pinned.logs.tail)


def _with_gone(known: tuple[PodFacts, ...], live: tuple[PodFacts, ...]) -> tuple[PodFacts, ...]:
    """Live pods with what was known of them before, and those known before that are no more."""
    before = {pod.uid: pod for pod in known}
    there = {pod.uid for pod in live}
    return (
        *(pod.seen_after(before.get(pod.uid)) for pod in live),
        *(replace(pod, is_gone=True) for pod in known if pod.uid not in there),
    )


def _run(observed: ObservedExecution) -> RecordedRun:
    if isinstance(observed.run, Unseen):
        raise Fault("the run has not been read from the record")
    return observed.run


def _proc(observed: ObservedExecution) -> Proc:
    if not isinstance(observed.proc, Proc):
        raise Fault("the proc has not been read")
    return observed.proc


def _requester(observed: ObservedExecution) -> Requester:
    requester = observed.execution.spec.requested_by
    if requester is None:
        raise Fault("the execution names no requester")
    return requester
