"""Ports through which only the leader writes.

Whoever acts on the world gets its ports from here, so that no writer can forget to ask. The question is
asked in the same step of the event loop in which the call begins; reading is free.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime

from proctor_operator.domain.concurrency import SlotClaim, SlotVerdict
from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.execution import ProcExecution, ProcExecutionStatus
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import Illegible, UnreadableObject
from proctor_operator.domain.occurrence import Claim, PassedOver, Progress, ScheduleKey, Skip
from proctor_operator.domain.proc import Proc, ProcActivity
from proctor_operator.domain.procplugin import ProcPlugin, ProcPluginStatus, UnreadablePlugin
from proctor_operator.domain.run import Outcome, RecordedRun, RunKey, RunRequest
from proctor_operator.domain.schedule import ProcSchedule, ProcScheduleStatus
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.cluster import Change, Cluster, OwnObject
from proctor_operator.ports.events import EventSeries, EventStore
from proctor_operator.ports.leadership import Leadership
from proctor_operator.ports.occurrences import Occurrences
from proctor_operator.ports.plugins import PluginStore
from proctor_operator.ports.records import LogStore, Records, SlotAnswer


class GuardedCluster:
    """The `Cluster` port; every write may also raise `NotLeading`, and then has not been sent."""

    def __init__(self, cluster: Cluster, leadership: Leadership) -> None:
        self._cluster = cluster
        self._leadership = leadership

    async def fetch_execution(
        self, namespace: Namespace, name: str
    ) -> ProcExecution | UnreadableObject:
        """See the port."""
        return await self._cluster.fetch_execution(namespace, name)

    async def fetch_proc(self, namespace: Namespace, name: str) -> Proc | UnreadableObject:
        """See the port."""
        return await self._cluster.fetch_proc(namespace, name)

    async def fetch_schedule(
        self, namespace: Namespace, name: str
    ) -> ProcSchedule | UnreadableObject:
        """See the port."""
        return await self._cluster.fetch_schedule(namespace, name)

    async def fetch_job(self, namespace: Namespace, name: str) -> JobFacts:
        """See the port."""
        return await self._cluster.fetch_job(namespace, name)

    async def fetch_pods(self, namespace: Namespace, execution_uid: Uid) -> tuple[PodFacts, ...]:
        """See the port."""
        return await self._cluster.fetch_pods(namespace, execution_uid)

    def list_own(self) -> AsyncIterator[OwnObject | Illegible]:
        """See the port."""
        return self._cluster.list_own()

    def changed_own(self, knows: Callable[[Uid, str], bool]) -> AsyncIterator[Change]:
        """See the port."""
        return self._cluster.changed_own(knows)

    def list_jobs(self) -> AsyncIterator[JobFacts | Illegible]:
        """See the port."""
        return self._cluster.list_jobs()

    def list_pods(self) -> AsyncIterator[PodFacts | Illegible]:
        """See the port."""
        return self._cluster.list_pods()

    async def create_job(self, namespace: Namespace, manifest: JsonObject) -> JobFacts:
        """See the port."""
        self._leadership.assert_leading()
        return await self._cluster.create_job(namespace, manifest)

    async def create_execution(
        self, namespace: Namespace, manifest: JsonObject
    ) -> ProcExecution | UnreadableObject:
        """See the port."""
        self._leadership.assert_leading()
        return await self._cluster.create_execution(namespace, manifest)

    async def write_schedule_status(
        self, schedule: ProcSchedule, status: ProcScheduleStatus
    ) -> ProcSchedule | UnreadableObject:
        """See the port."""
        self._leadership.assert_leading()
        return await self._cluster.write_schedule_status(schedule, status)

    async def write_status(
        self, execution: ProcExecution, status: ProcExecutionStatus
    ) -> ProcExecution | UnreadableObject:
        """See the port."""
        self._leadership.assert_leading()
        return await self._cluster.write_status(execution, status)

    async def write_conditions(
        self, known: Proc | UnreadableObject, conditions: tuple[Condition, ...]
    ) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._cluster.write_conditions(known, conditions)

    async def write_activity(self, proc: Proc, activity: ProcActivity) -> Proc | UnreadableObject:
        """See the port."""
        self._leadership.assert_leading()
        return await self._cluster.write_activity(proc, activity)

    async def write_refusal(
        self, unreadable: UnreadableObject, conditions: tuple[Condition, ...], message: str
    ) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._cluster.write_refusal(unreadable, conditions, message)

    async def delete_execution(self, execution: ProcExecution) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._cluster.delete_execution(execution)

    async def delete_job(self, job: JobFacts) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._cluster.delete_job(job)

    async def delete_pod(self, pod: PodFacts) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._cluster.delete_pod(pod)

    async def release_job(self, job: JobFacts, *, ttl_seconds: int) -> JobFacts | None:
        """See the port."""
        self._leadership.assert_leading()
        return await self._cluster.release_job(job, ttl_seconds=ttl_seconds)

    async def release_execution(self, execution: ProcExecution | UnreadableObject) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._cluster.release_execution(execution)


class GuardedRecords:
    """The `Records` port, in the same way."""

    def __init__(self, records: Records, leadership: Leadership) -> None:
        self._records = records
        self._leadership = leadership

    async def record_run(self, request: RunRequest) -> RecordedRun:
        """See the port."""
        self._leadership.assert_leading()
        return await self._records.record_run(request)

    async def claim_slots(self, request: RunRequest, claims: tuple[SlotClaim, ...]) -> SlotAnswer:
        """See the port."""
        self._leadership.assert_leading()
        return await self._records.claim_slots(request, claims)

    async def fetch_place(self, key: RunKey, claims: tuple[SlotClaim, ...]) -> SlotVerdict:
        """See the port."""
        return await self._records.fetch_place(key, claims)

    async def record_refusal(self, request: RunRequest, outcome: Outcome) -> RecordedRun:
        """See the port."""
        self._leadership.assert_leading()
        return await self._records.record_refusal(request, outcome)

    async def record_job(self, key: RunKey, job_uid: Uid) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._records.record_job(key, job_uid)

    async def record_started(self, key: RunKey, job_uid: Uid, started_at: datetime) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._records.record_started(key, job_uid, started_at)

    async def record_outcome(self, key: RunKey, job_uid: Uid | None, outcome: Outcome) -> Outcome:
        """See the port."""
        self._leadership.assert_leading()
        return await self._records.record_outcome(key, job_uid, outcome)

    async def fetch_run(self, key: RunKey) -> RecordedRun | None:
        """See the port."""
        return await self._records.fetch_run(key)

    async def fetch_earlier(self, request: RunRequest) -> RecordedRun | None:
        """See the port."""
        return await self._records.fetch_earlier(request)


class GuardedOccurrences:
    """The `Occurrences` port, in the same way."""

    def __init__(self, occurrences: Occurrences, leadership: Leadership) -> None:
        self._occurrences = occurrences
        self._leadership = leadership

    async def fetch_progress(self, schedule: Uid) -> Progress | None:
        """See the port."""
        return await self._occurrences.fetch_progress(schedule)

    async def begin(self, schedule: ScheduleKey, progress: Progress) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._occurrences.begin(schedule, progress)

    async def claim(self, schedule: ScheduleKey, claim: Claim) -> bool:
        """See the port."""
        self._leadership.assert_leading()
        return await self._occurrences.claim(schedule, claim)

    async def skip(self, schedule: ScheduleKey, claim: Claim, why: Skip) -> bool:
        """See the port."""
        self._leadership.assert_leading()
        return await self._occurrences.skip(schedule, claim, why)

    async def pass_over(self, schedule: ScheduleKey, missed: PassedOver) -> bool:
        """See the port."""
        self._leadership.assert_leading()
        return await self._occurrences.pass_over(schedule, missed)

    async def mark_missed(self, schedule: ScheduleKey, claim: Claim) -> bool:
        """See the port."""
        self._leadership.assert_leading()
        return await self._occurrences.mark_missed(schedule, claim)

    async def mark_started(self, schedule: ScheduleKey, claim: Claim, execution: Uid) -> bool:
        """See the port."""
        self._leadership.assert_leading()
        return await self._occurrences.mark_started(schedule, claim, execution)

    async def find_execution(self, schedule: ScheduleKey, claim: Claim) -> Uid | None:
        """See the port."""
        return await self._occurrences.find_execution(schedule, claim)


class GuardedLogStore:
    """The `LogStore` port, in the same way."""

    def __init__(self, store: LogStore, leadership: Leadership) -> None:
        self._store = store
        self._leadership = leadership

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        """See the port."""
        self._leadership.assert_leading()
        return await self._store.append_log(key, chunk)

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        """See the port."""
        return await self._store.log_spans(key)

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        """See the port."""
        return await self._store.fetch_log_chunk(key, source, sequence)

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._store.drop_log(key, spans)


class GuardedPluginStore:
    """The `PluginStore` port, in the same way."""

    def __init__(self, store: PluginStore, leadership: Leadership) -> None:
        self._store = store
        self._leadership = leadership

    def list_plugins(self) -> AsyncIterator[ProcPlugin | UnreadablePlugin]:
        """See the port."""
        return self._store.list_plugins()

    async def write_plugin_status(
        self, plugin: ProcPlugin | UnreadablePlugin, status: ProcPluginStatus
    ) -> None:
        """See the port."""
        self._leadership.assert_leading()
        await self._store.write_plugin_status(plugin, status)


class GuardedEventStore:
    """The `EventStore` port, in the same way."""

    def __init__(self, store: EventStore, leadership: Leadership) -> None:
        self._store = store
        self._leadership = leadership

    async def store(self, series: EventSeries) -> int:
        """See the port."""
        self._leadership.assert_leading()
        return await self._store.store(series)
