"""The world behind the ports, in memory: it keeps the promises of the real one, nothing is scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from harness.slot_book import SlotBook
from proctor_operator.adapters.kube.mapping import read_execution
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.concurrency import SlotClaim, SlotVerdict
from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.denial import Denial
from proctor_operator.domain.errors import (
    AlreadyExists,
    ClusterError,
    ClusterUnavailable,
    Conflict,
    Fault,
    Forbidden,
    NotFound,
    PartlyListed,
    RecordRejected,
    RecordUnavailable,
)
from proctor_operator.domain.event import Event
from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.lease import Lease
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
from proctor_operator.domain.log_chunks import lines_of
from proctor_operator.domain.log_limits import in_order
from proctor_operator.domain.log_lines import text_of
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import RECORD_FINALIZER, Namespace, Uid
from proctor_operator.domain.objects import Illegible, Kind, ObjectKey, UnreadableObject
from proctor_operator.domain.occurrence import (
    Claim,
    OccurrenceState,
    PassedOver,
    Progress,
    ScheduleKey,
    Skip,
)
from proctor_operator.domain.plugin import GateAnswer, Hook, Pass, Question, Vote
from proctor_operator.domain.proc import Proc, ProcActivity
from proctor_operator.domain.run import Outcome, RecordedRun, RunKey, RunRequest
from proctor_operator.domain.schedule import ProcSchedule, ProcScheduleStatus
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.cluster import Change, OwnObject
from proctor_operator.ports.logs import LogPlace
from proctor_operator.ports.metrics import Vitals
from proctor_operator.ports.records import SlotAnswer
from proctor_operator.runtime.cache import key_of
from simulation.occurrence_table import OccurrenceRow, OccurrenceTable
from unit.builders import NOW

Placed = TypeVar("Placed", OwnObject, JobFacts, PodFacts)


class FakeCluster:
    """An API server: versions grow, a stale write is a conflict, a held object stays."""

    def __init__(self, *own: OwnObject) -> None:
        self.own: dict[ObjectKey, OwnObject] = {key_of(one): one for one in own}
        self.jobs: dict[tuple[str, str], JobFacts] = {}
        self.pods: dict[Uid, PodFacts] = {}
        self._told: dict[ObjectKey, OwnObject] = {}
        self.writes: list[str] = []
        self.refuses: dict[str, ClusterError] = {}
        self.refused_namespaces: dict[Namespace | None, Forbidden] = {}
        self.illegible: set[Uid] = set()
        self.before: Callable[[str], None] = lambda _: None
        self._version = 10_000

    def put_job(self, job: JobFacts) -> None:
        self.jobs[job.namespace, job.name] = job

    def put_pod(self, pod: PodFacts) -> None:
        self.pods[pod.uid] = pod

    async def fetch_execution(
        self, namespace: Namespace, name: str
    ) -> ProcExecution | UnreadableObject:
        found = self._fetch(ObjectKey(Kind.PROC_EXECUTION, namespace, name))
        assert isinstance(found, ProcExecution | UnreadableObject)
        return found

    async def fetch_proc(self, namespace: Namespace, name: str) -> Proc | UnreadableObject:
        found = self._fetch(ObjectKey(Kind.PROC, namespace, name))
        assert isinstance(found, Proc | UnreadableObject)
        return found

    async def fetch_schedule(
        self, namespace: Namespace, name: str
    ) -> ProcSchedule | UnreadableObject:
        found = self._fetch(ObjectKey(Kind.PROC_SCHEDULE, namespace, name))
        assert isinstance(found, ProcSchedule | UnreadableObject)
        return found

    async def fetch_job(self, namespace: Namespace, name: str) -> JobFacts:
        self._ask("fetch_job")
        if (namespace, name) not in self.jobs:
            raise NotFound(f"job {name}")
        return self.jobs[namespace, name]

    async def fetch_pods(self, namespace: Namespace, execution_uid: Uid) -> tuple[PodFacts, ...]:
        self._ask("fetch_pods")
        found = [one for one in self.pods.values() if one.execution_uid == execution_uid]
        return tuple(one for one in found if one.namespace == namespace)

    async def list_own(self) -> AsyncIterator[OwnObject | Illegible]:
        self._ask("list_own")
        self._told = dict(self.own)
        for one in self._listed(self.own.values()):
            yield self._legible("own", one)
        self._refuse()

    async def changed_own(self, knows: Callable[[Uid, str], bool]) -> AsyncIterator[Change]:
        """What is not known, and what went since this or a list was last asked for."""
        self._ask("changed_own")
        told, self._told = self._told, dict(self.own)
        for one in self._listed(self.own.values()):
            if not knows(one.uid, one.resource_version):
                yield Change(self._legible("own", one))
        for one in self._listed(told.values()):
            if key_of(one) not in self.own:
                yield Change(one, is_gone=True)
        self._refuse()

    async def list_jobs(self) -> AsyncIterator[JobFacts | Illegible]:
        self._ask("list_jobs")
        for one in self._listed(self.jobs.values()):
            yield self._legible("jobs", one)
        self._refuse()

    async def list_pods(self) -> AsyncIterator[PodFacts | Illegible]:
        self._ask("list_pods")
        for one in self._listed(self.pods.values()):
            yield self._legible("pods", one)
        self._refuse()

    async def create_job(self, namespace: Namespace, manifest: JsonObject) -> JobFacts:
        self._ask("create_job")
        metadata = manifest["metadata"]
        if (namespace, metadata["name"]) in self.jobs:
            raise AlreadyExists(f"job {metadata['name']}")
        job = JobFacts(
            namespace=namespace,
            name=metadata["name"],
            uid=Uid(f"job-{self.next_version()}"),
            resource_version=self.next_version(),
            created_at=NOW,
            owner_uid=metadata["ownerReferences"][0]["uid"],
            owner_name=metadata["ownerReferences"][0]["name"],
            finalizers=tuple(metadata["finalizers"]),
        )
        self.put_job(job)
        self.writes.append("create_job")
        return job

    async def create_execution(
        self, namespace: Namespace, manifest: JsonObject
    ) -> ProcExecution | UnreadableObject:
        self._ask("create_execution")
        metadata = manifest["metadata"]
        key = ObjectKey(Kind.PROC_EXECUTION, namespace, metadata["name"])
        if key in self.own:
            raise AlreadyExists(f"execution {key.name}")
        server = {
            "uid": f"execution-{self.next_version()}",
            "resourceVersion": self.next_version(),
            "creationTimestamp": NOW.isoformat(),
            "generation": 1,
        }
        made = read_execution({**manifest, "metadata": {**metadata, **server}})
        self.own[key] = made
        self.writes.append("create_execution")
        return made

    async def write_schedule_status(
        self, schedule: ProcSchedule, status: ProcScheduleStatus
    ) -> ProcSchedule | UnreadableObject:
        self._ask("write_schedule_status")
        known = self._unless_stale(key_of(schedule), schedule.resource_version)
        assert isinstance(known, ProcSchedule)
        self.writes.append("write_schedule_status")
        stored: OwnObject = self._store(known.model_copy(update={"status": status}))
        assert isinstance(stored, ProcSchedule)
        return stored

    async def write_status(
        self, execution: ProcExecution, status: ProcExecutionStatus
    ) -> ProcExecution | UnreadableObject:
        self._ask("write_status")
        known = self._unless_stale(key_of(execution), execution.resource_version)
        assert isinstance(known, ProcExecution)
        self.writes.append(f"write_status {status.phase}")
        before = dict(execution.status)
        changed = {name: value for name, value in status if value != before[name]}
        patched = known.status.model_copy(update=changed)
        return self._store(known.model_copy(update={"status": patched}))

    async def write_conditions(
        self, known: Proc | UnreadableObject, conditions: tuple[Condition, ...]
    ) -> None:
        self._ask("write_conditions")
        key = key_of(known)
        stored = self._unless_stale(key, known.resource_version)
        self.writes.append(f"write_conditions {key.kind}")
        if isinstance(stored, UnreadableObject):
            self._store(replace(stored, reported_problem=conditions[0].message))
        else:
            self._store(stored.model_copy(update={"conditions": conditions}))

    async def write_activity(self, proc: Proc, activity: ProcActivity) -> Proc | UnreadableObject:
        self._ask("write_activity")
        known = self._unless_stale(key_of(proc), proc.resource_version)
        assert isinstance(known, Proc)
        self.writes.append("write_activity")
        return self._store(known.model_copy(update={"activity": activity}))  # type: ignore[return-value] # it gave a Proc

    async def write_refusal(
        self, unreadable: UnreadableObject, conditions: tuple[Condition, ...], message: str
    ) -> None:
        self._ask("write_refusal")
        known = self._unless_stale(key_of(unreadable), unreadable.resource_version)
        assert isinstance(known, UnreadableObject)
        assert {one.message for one in conditions} == {message}
        self.writes.append("write_refusal")
        self._store(replace(known, reported_problem=message))

    async def delete_execution(self, execution: ProcExecution) -> None:
        self._ask("delete_execution")
        key = key_of(execution)
        if key not in self.own:
            return
        known = self._unless_stale(key, execution.resource_version)
        assert isinstance(known, ProcExecution)
        self.writes.append(f"delete_execution {known.name}")
        if known.finalizers:
            self._store(known.model_copy(update={"deletion_time": known.deletion_time or NOW}))
        else:
            del self.own[key]

    async def delete_job(self, job: JobFacts) -> None:
        self._ask("delete_job")
        known = self.jobs.get((job.namespace, job.name))
        if known is None or known.uid != job.uid:
            return
        self.writes.append("delete_job")
        if known.finalizers:
            asked = replace(known, deletion_time=known.deletion_time or NOW)
            self.put_job(replace(asked, resource_version=self.next_version()))
        else:
            del self.jobs[job.namespace, job.name]

    async def delete_pod(self, pod: PodFacts) -> None:
        self._ask("delete_pod")
        if pod.uid in self.pods:
            self.writes.append("delete_pod")
            self.pods[pod.uid] = replace(self.pods[pod.uid], deletion_time=NOW)

    async def release_job(self, job: JobFacts, *, ttl_seconds: int) -> JobFacts | None:
        self._ask("release_job")
        assert ttl_seconds == 120
        known = self.jobs.get((job.namespace, job.name))
        if known is None:
            return None
        self.writes.append("release_job")
        kept = tuple(one for one in known.finalizers if one != RECORD_FINALIZER)
        stored = replace(known, finalizers=kept, resource_version=self.next_version())
        self.put_job(stored)
        return stored

    async def release_execution(self, execution: ProcExecution | UnreadableObject) -> None:
        self._ask("release_execution")
        key = ObjectKey(Kind.PROC_EXECUTION, execution.namespace, execution.name)
        if key not in self.own:
            return
        known = self._unless_stale(key, execution.resource_version)
        assert isinstance(known, ProcExecution | UnreadableObject)
        self.writes.append("release_execution")
        if known.deletion_time is not None:
            del self.own[key]

    def _listed(self, known: Iterable[Placed]) -> tuple[Placed, ...]:
        return tuple(one for one in known if one.namespace not in self.refused_namespaces)

    def _legible(self, resource: str, one: Placed) -> Placed | Illegible:
        if one.uid in self.illegible:
            return Illegible(resource, one.name, one.uid, "KeyError")
        return one

    def _refuse(self) -> None:
        if self.refused_namespaces:
            raise PartlyListed(self.refused_namespaces)

    def _fetch(self, key: ObjectKey) -> OwnObject:
        self._ask(f"fetch {key.kind}")
        if key not in self.own:
            raise NotFound(f"{key.kind} {key.name}")
        return self.own[key]

    def _ask(self, call: str) -> None:
        self.before(call)
        if call in self.refuses:
            raise self.refuses[call]

    def _unless_stale(self, key: ObjectKey, resource_version: str) -> OwnObject:
        if key not in self.own:
            raise NotFound(f"{key.kind} {key.name}")
        if self.own[key].resource_version != resource_version:
            raise Conflict(f"{key.kind} {key.name}")
        return self.own[key]

    def _store(self, known: OwnObject) -> ProcExecution | UnreadableObject:
        version = self.next_version()
        stored = (
            replace(known, resource_version=version)
            if isinstance(known, UnreadableObject)
            else known.model_copy(update={"resource_version": version})
        )
        self.own[key_of(stored)] = stored
        return stored  # type: ignore[return-value] # the callers that look gave an execution

    def next_version(self) -> str:
        self._version += 1
        return str(self._version)


class FakeRecords:
    """The record: what is there stays."""

    def __init__(self) -> None:
        self.runs: dict[RunKey, RecordedRun] = {}
        self.is_away = False
        self.refuses: dict[str, str] = {}
        """By the call and the execution's name: `record_run grow-disk-x7`."""
        self.asked: list[str] = []
        self._slots = SlotBook()

    async def record_run(self, request: RunRequest) -> RecordedRun:
        self.asked.append("record_run")
        self._take("record_run", request)
        return self._insert(request, None)

    async def claim_slots(self, request: RunRequest, claims: tuple[SlotClaim, ...]) -> SlotAnswer:
        self.asked.append("claim_slots")
        self._take("claim_slots", request)
        return self._slots.claim(
            self.runs,
            request,
            claims,
            insert=lambda wanted, is_waiting: self._insert(wanted, None, is_waiting=is_waiting),
            store=self._store,
        )

    async def fetch_place(self, key: RunKey, claims: tuple[SlotClaim, ...]) -> SlotVerdict:
        self.asked.append("fetch_place")
        self._ask()
        return self._slots.place(self.runs, key, claims)

    async def record_refusal(self, request: RunRequest, outcome: Outcome) -> RecordedRun:
        self._take("record_refusal", request)
        return self._insert(request, outcome)

    async def record_job(self, key: RunKey, job_uid: Uid) -> None:
        self._ask()
        run = self.runs[key]
        self._take("record_job", run.request)
        self.runs[key] = replace(run, job_uid=run.job_uid or job_uid)

    async def record_started(self, key: RunKey, job_uid: Uid, started_at: object) -> None:
        self.asked.append("record_started")
        self._ask()
        run = self.runs[key]
        self._take("record_started", run.request)
        if run.started_at is None:
            self.runs[key] = replace(run, job_uid=job_uid, started_at=started_at)  # type: ignore[arg-type]

    async def record_outcome(self, key: RunKey, job_uid: Uid | None, outcome: Outcome) -> Outcome:
        self.asked.append("record_outcome")
        self._ask()
        run = self.runs[key]
        self._take("record_outcome", run.request)
        stored = run.outcome or outcome
        self.runs[key] = replace(run, job_uid=run.job_uid or job_uid, outcome=stored)
        return stored

    async def fetch_run(self, key: RunKey) -> RecordedRun | None:
        self.asked.append("fetch_run")
        self._ask()
        return self.runs.get(key)

    async def fetch_earlier(self, request: RunRequest) -> RecordedRun | None:
        self._ask()
        earlier = (run for run in self.runs.values() if run.is_earlier_run_of(request))
        return max(earlier, key=lambda run: run.number, default=None)

    def _store(self, before: RecordedRun | None, after: RecordedRun) -> None:
        del before
        self.runs[after.request.key] = after

    def _insert(
        self, request: RunRequest, outcome: Outcome | None, *, is_waiting: bool = False
    ) -> RecordedRun:
        self._ask()
        fresh = RecordedRun(
            request,
            number=len(self.runs) + 1,
            recorded_at=NOW,
            outcome=outcome,
            is_waiting=is_waiting,
        )
        return self.runs.setdefault(request.key, fresh)

    def _ask(self) -> None:
        if self.is_away:
            raise RecordUnavailable("the record is away")

    def _take(self, call: str, request: RunRequest) -> None:
        if f"{call} {request.name}" in self.refuses:
            raise RecordRejected(self.refuses[f"{call} {request.name}"])


class FakeLeases:
    """One Lease; `refuses` answers every call, `hangs` none, `loses_answers` those to writes."""

    def __init__(self, lease: Lease | None = None) -> None:
        self.lease = lease
        self.writes: list[Lease] = []
        self.reads = 0
        self.refuses: ClusterError | None = None
        self.hangs = False
        self.loses_answers = False
        self.answers_after = 0.0
        self._version = 0

    async def fetch_lease(self) -> Lease | None:
        self.reads += 1
        await self._go()
        return self.lease

    async def create_lease(self, lease: Lease) -> Lease:
        await self._go()
        if self.lease is not None:
            raise AlreadyExists("lease", status=409)
        return await self._store(lease)

    async def replace_lease(self, lease: Lease) -> Lease:
        await self._go()
        if self.lease is None:
            raise NotFound("lease", status=404)
        if lease.resource_version != self.lease.resource_version:
            raise Conflict("lease", status=409)
        return await self._store(lease)

    def put(self, lease: Lease) -> None:
        self._version += 1
        self.lease = replace(lease, resource_version=str(self._version))

    async def _go(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses is not None:
            raise self.refuses

    async def _store(self, lease: Lease) -> Lease:
        self.put(lease)
        assert self.lease is not None
        self.writes.append(self.lease)
        stored = self.lease
        await asyncio.sleep(self.answers_after)
        if self.loses_answers:
            await asyncio.Event().wait()
        return stored


class FakeLogs:
    """Output of containers that have ended, by the pod's name; one that is not there cannot be read."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.requests: list[str] = []

    @asynccontextmanager
    async def open(
        self, place: LogPlace, *, follows: bool, since: datetime | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        assert (place.namespace, place.container, since) == ("apps", "proc", None)
        self.requests.append(f"{'follow' if follows else 'read'} {place.pod}")
        if place.pod not in self.data:
            raise ClusterUnavailable(f"log of {place.pod}", status=502)
        yield self._pieces(self.data[place.pod])

    async def _pieces(self, data: bytes) -> AsyncIterator[bytes]:
        for number, line in enumerate(data.splitlines(keepends=True)):
            yield stamped(line, number)


def stamped(line: bytes, milliseconds: int = 0) -> bytes:
    """Put a time before a line, as the kubelet does."""
    at = NOW + timedelta(milliseconds=milliseconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode() + line


class FakeLogStore:
    """Chunks of runs: a sequence number is given once."""

    def __init__(self) -> None:
        self.chunks: dict[RunKey, dict[tuple[LogSource, int], LogChunk]] = {}
        self.is_away = False
        self.calls: list[str] = []

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        self._ask("append")
        place = (chunk.span.source, chunk.span.sequence)
        return self.chunks.setdefault(key, {}).setdefault(place, chunk) == chunk

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        self._ask("spans")
        return in_order(chunk.span for chunk in self.chunks.get(key, {}).values())

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        self._ask("fetch")
        chunk = self.chunks.get(key, {}).get((source, sequence))
        return chunk.data if chunk is not None else None

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        self._ask("drop")
        for span in spans:
            self.chunks[key].pop((span.source, span.sequence), None)

    def lines(self, key: RunKey) -> list[bytes]:
        """Every stored line of a run in order, without its time."""
        chunks = self.chunks.get(key, {})
        spans = in_order(chunk.span for chunk in chunks.values())
        data = (chunks[span.source, span.sequence].data for span in spans)
        return [text_of(line) for one in data for line in lines_of(one)]

    def _ask(self, call: str) -> None:
        if self.is_away:
            raise RecordUnavailable("the record is away")
        self.calls.append(call)


class FakeAccess:
    """Who holds the verb, and who may read which Secret, by user name."""

    def __init__(self) -> None:
        self.executors: set[str] = set()
        self.readers: set[tuple[str, str]] = set()
        self.cancellers: set[tuple[str, str]] = set()
        self.job_creators: set[str] = set()

    async def may_execute(self, requester: Requester, namespace: Namespace, proc: str) -> bool:
        assert (namespace, proc) == ("apps", "grow-disk")
        return requester.username in self.executors

    async def may_read_secret(self, requester: Requester, namespace: Namespace, name: str) -> bool:
        assert namespace == "apps"
        return (requester.username, name) in self.readers

    async def may_cancel(self, requester: Requester, namespace: Namespace, execution: str) -> bool:
        assert namespace == "apps"
        return (requester.username, execution) in self.cancellers

    async def may_create_jobs(self, requester: Requester, namespace: Namespace) -> bool:
        assert namespace == "apps"
        return requester.username in self.job_creators


class FakeDenials:
    """Keeps denials once for each review; `refuses` is raised while it is set."""

    def __init__(self) -> None:
        self.kept: dict[str, Denial] = {}
        self.refuses: Fault | None = None

    async def record_denial(self, denial: Denial) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.kept.setdefault(denial.review, denial)


class FakePlugins:
    """Votes and gates as the test sets them; keeps what was asked."""

    def __init__(self) -> None:
        self.votes: tuple[Vote, ...] = ()
        self.gates: dict[Hook, GateAnswer] = {}
        self.asked: list[tuple[Hook, Question]] = []

    async def authorize(self, question: Question) -> tuple[Vote, ...]:
        self.asked.append((Hook.AUTHORIZE, question))
        return self.votes

    async def ask_gates(self, hook: Hook, question: Question) -> GateAnswer:
        self.asked.append((hook, question))
        return self.gates.get(hook, Pass())


class FakeEvents:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    def tell(self, event: Event) -> None:
        self.told.append(event)


class FakeOccurrences:
    """The record's part for schedules, on the table that the simulation uses."""

    def __init__(self) -> None:
        self.table = OccurrenceTable(lambda _namespace, name: self.recorded.get(name))
        self.recorded: dict[str, Uid] = {}
        self.is_away = False
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda _: None

    async def fetch_progress(self, schedule: Uid) -> Progress | None:
        self._ask("fetch_progress")
        return self.table.progress(schedule)

    async def begin(self, schedule: ScheduleKey, progress: Progress) -> None:
        self._ask("begin")
        self.table.begin(schedule, progress)

    async def claim(self, schedule: ScheduleKey, claim: Claim) -> bool:
        self._ask("claim")
        return self.table.take(schedule, claim, OccurrenceState.CLAIMED)

    async def skip(self, schedule: ScheduleKey, claim: Claim, why: Skip) -> bool:
        self._ask("skip")
        row = OccurrenceRow(claim, OccurrenceState.SKIPPED, why)
        return self.table.mark(schedule, row) or self.table.take(schedule, claim, row.state, why)

    async def pass_over(self, schedule: ScheduleKey, missed: PassedOver) -> bool:
        self._ask("pass_over")
        return self.table.pass_over(schedule, missed)

    async def mark_missed(self, schedule: ScheduleKey, claim: Claim) -> bool:
        self._ask("mark_missed")
        return self.table.mark_missed(schedule, claim)

    async def mark_started(self, schedule: ScheduleKey, claim: Claim, execution: Uid) -> bool:
        self._ask("mark_started")
        row = OccurrenceRow(claim, OccurrenceState.STARTED, execution=execution)
        return self.table.mark(schedule, row)

    async def find_execution(self, schedule: ScheduleKey, claim: Claim) -> Uid | None:
        self._ask("find_execution")
        return self.table.find_execution(schedule, claim)

    def _ask(self, call: str) -> None:
        self.before(call)
        self.asked.append(call)
        if self.is_away:
            raise RecordUnavailable("the record is away")


class FakeMetrics:
    """Keeps what was counted."""

    def __init__(self) -> None:
        self.occurrences: list[tuple[OccurrenceState, int]] = []
        self.lateness: list[float] = []
        self.depths: list[int] = []
        self.months_ahead: list[int] = []
        self.waits: list[float] = []
        self.passes: list[str] = []
        self.finished: list[tuple[Phase, Cause]] = []
        self.delays: dict[str, list[float]] = {"job": [], "record": [], "status": []}
        self.calls: list[tuple[str, str, int]] = []
        self.record_calls: list[tuple[str, str]] = []
        self.findings: list[str] = []
        self.illegible: list[str] = []
        self.events: list[str] = []
        self.lags: list[float] = []
        self.log_bytes = 0
        self.log_dropped = 0
        self.log_streams_now = 0
        self.is_held: bool | None = None
        self.retired = 0
        self.gave_up = 0
        self.last_vitals: Vitals | None = None
        self.denied: list[tuple[str, Cause]] = []
        self.denials: list[str] = []

    def occurrences_handled(self, state: OccurrenceState, count: int) -> None:
        self.occurrences.append((state, count))

    def occurrence_started(self, seconds: float) -> None:
        self.lateness.append(seconds)

    def admission_denied(self, resource: str, cause: Cause) -> None:
        self.denied.append((resource, cause))

    def denial_recorded(self, result: str) -> None:
        self.denials.append(result)

    def queue_depth(self, keys: int) -> None:
        self.depths.append(keys)

    def key_waited(self, kind: str, seconds: float) -> None:
        assert kind
        self.waits.append(seconds)

    def pass_finished(self, kind: str, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.passes.append(f"{kind} {result}")

    def job_created(self, seconds: float) -> None:
        self.delays["job"].append(seconds)

    def outcome_recorded(self, seconds: float) -> None:
        self.delays["record"].append(seconds)

    def final_status_written(self, seconds: float) -> None:
        self.delays["status"].append(seconds)

    def execution_finished(self, phase: Phase, cause: Cause) -> None:
        self.finished.append((phase, cause))

    def cluster_call(self, verb: str, resource: str, code: int, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((verb, resource, code))

    def record_months_ahead(self, months: int) -> None:
        self.months_ahead.append(months)

    def record_call(self, operation: str, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.record_calls.append((operation, result))

    def watch_event(self, resource: str) -> None: ...

    def resync_finding(self, kind: str) -> None:
        self.findings.append(kind)

    def object_illegible(self, resource: str) -> None:
        self.illegible.append(resource)

    def log_bytes_captured(self, count: int) -> None:
        self.log_bytes += count

    def log_lines_dropped(self, count: int) -> None:
        self.log_dropped += count

    def log_streams(self, open_now: int) -> None:
        self.log_streams_now = open_now

    def kubernetes_event(self, result: str) -> None:
        self.events.append(result)

    def loop_lag(self, seconds: float) -> None:
        self.lags.append(seconds)

    def plugin_called(self, plugin: str, hook: str, result: str, seconds: float) -> None:
        pass

    def plugin_circuit(self, plugin: str, *, is_open: bool) -> None:
        pass

    def plugin_cache_hit(self, plugin: str) -> None:
        pass

    def plugin_gone(self, plugin: str) -> None:
        pass

    def lease_held(self, *, held: bool) -> None:
        self.is_held = held

    def retention_deleted(self, count: int) -> None:
        self.retired += count

    def given_up(self) -> None:
        self.gave_up += 1

    def vitals(self, now: Vitals) -> None:
        self.last_vitals = now
