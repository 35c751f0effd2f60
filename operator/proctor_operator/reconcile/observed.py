"""What one pass over an execution knows: frozen, gathered first, decided on afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from proctor_operator.domain.concurrency import SlotVerdict
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import UnreadableObject, Unseen
from proctor_operator.domain.plugin import GateAnswer, Vote
from proctor_operator.domain.proc import Proc, ProcSpec
from proctor_operator.domain.run import Outcome, RecordedRun
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.reconcile.policy import RunPolicy


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why the API server does not take the Job now; it may later."""

    reason: str
    message: str

    @classmethod
    def forbidden(cls, said: str) -> Hindrance:
        """A quota, a missing right or an admission policy; `said` is the server's word."""
        return cls("JobForbidden", said)

    @classmethod
    def namespace_goes_away(cls) -> Hindrance:
        """Its executions are being deleted too, or will be in a moment."""
        message = "the namespace is being deleted: no job can be made in it any more"
        return cls("NamespaceTerminating", message)


@dataclass(frozen=True, slots=True)
class ObservedExecution:
    """An execution and everything around it, as far as it has been looked at.

    `Unseen.NOT_READ` asks for a look, `ABSENT` is the answer of a live read, and `UNAVAILABLE` says
    that the look failed this time. `job_refusal` is why the server will never take the Job,
    `job_hindrance` why it did not take it now, `record_refusal` why the record did not take the run, its
    start or its end. `holds_execute`, `votes` and `pre_launch` are None while nobody was asked. `pinned`
    is the parsed spec of `run.request.pinned`. `tell_start_at` is when to tell of a start that was seen;
    None is at once. `place` is what was said last of the slots that it claims; `are_occupants_there`: those
    whom it waits for have been looked for. `followed` names the pods whose output is taken care of,
    `attached` those whose log is being read or has been; `log` is `UNAVAILABLE` while its last lines are
    not there yet.
    """

    execution: ProcExecution
    policy: RunPolicy
    is_execution_live: bool = False
    proc: Proc | UnreadableObject | Unseen = Unseen.NOT_READ
    is_proc_live: bool = False
    schedule: ProcSchedule | UnreadableObject | Unseen = Unseen.NOT_READ
    is_schedule_live: bool = False
    run: RecordedRun | Unseen = Unseen.NOT_READ
    is_run_live: bool = False
    place: SlotVerdict | Unseen = Unseen.NOT_READ
    are_occupants_there: bool = False
    earlier: RecordedRun | Unseen = Unseen.NOT_READ
    record_refusal: str | None = None
    pinned: ProcSpec | None = None
    tell_start_at: datetime | None = None
    job: JobFacts | Unseen = Unseen.NOT_READ
    is_job_live: bool = False
    has_seen_job: bool = False
    job_refusal: str | None = None
    job_hindrance: Hindrance | None = None
    pods: tuple[PodFacts, ...] = ()
    are_pods_live: bool = False
    holds_execute: bool | None = None
    votes: tuple[Vote, ...] | None = None
    pre_launch: GateAnswer | None = None
    reads_secrets: Mapping[str, bool] = field(default_factory=dict)
    followed: frozenset[Uid] = frozenset()
    attached: frozenset[Uid] = frozenset()
    log: LogSummary | Unseen = Unseen.NOT_READ

    @property
    def wants_to_stop(self) -> bool:
        """Whether somebody stopped it, or a newer run has its place."""
        is_replaced = isinstance(self.run, RecordedRun) and bool(self.run.replaced_by)
        return self.execution.wants_to_stop or is_replaced

    @property
    def own_job(self) -> JobFacts | None:
        """The Job, if it is there and this execution is its controller, by UID.

        A deletion that orphans dependents takes the owner off: then it is still ours when its own UID was
        noted as ours, or, where nothing was noted yet, by what the orphan rules go by.
        """
        job = self.job
        if isinstance(job, Unseen):
            return None
        if job.owner_uid == self.execution.uid:
            return job
        return job if job.owner_uid is None and self._was_orphaned(job) else None

    def _was_orphaned(self, job: JobFacts) -> bool:
        ref = self.execution.status.job_ref
        run = self.run if isinstance(self.run, RecordedRun) else None
        noted = {uid for uid in (ref.uid if ref else None, run.job_uid if run else None) if uid}
        if noted or run is None:
            return job.uid in noted
        claims_us = job.is_held and job.execution_uid == self.execution.uid
        return claims_us and self.execution.is_being_deleted

    @property
    def own_pods(self) -> tuple[PodFacts, ...]:
        """Pods of the own Job, oldest first."""
        job = self.own_job
        if job is None:
            return ()
        pods = (pod for pod in self.pods if pod.is_of(job))
        return tuple(sorted(pods, key=lambda pod: (pod.created_at, pod.name)))

    @property
    def attempt_pods(self) -> tuple[PodFacts, ...]:
        """Those without the pods that went because the Job was suspended: these neither failed nor ended."""
        job = self.own_job
        return tuple(
            pod for pod in self.own_pods if job is None or not pod.went_by_a_suspension_of(job)
        )

    @property
    def last_pod(self) -> PodFacts | None:
        """The pod of the newest attempt."""
        pods = self.own_pods
        return pods[-1] if pods else None

    @property
    def outcome(self) -> Outcome | None:
        """The recorded end, if there is one."""
        return None if isinstance(self.run, Unseen) else self.run.outcome

    @property
    def started_at(self) -> datetime | None:
        """When a container of this execution first started, by the pods or by the record."""
        times = [pod.started_at for pod in self.own_pods if pod.started_at is not None]
        if isinstance(self.run, RecordedRun) and self.run.started_at is not None:
            times.append(self.run.started_at)
        return min(times) if times else None
