"""One pass over one schedule: start what is due, each occurrence once, and say when the next one is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

import structlog

from proctor_operator.domain.errors import (
    AlreadyExists,
    Denied,
    Fault,
    Forbidden,
    NamespaceTerminating,
    NotFound,
    RecordUnavailable,
    Rejected,
)
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import ObjectKey, UnreadableObject, Unseen
from proctor_operator.domain.occurrence import Claim, Progress, Skip
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ActiveRun, ProcSchedule
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.ports.occurrences import Occurrences
from proctor_operator.reconcile.decision import Rest
from proctor_operator.reconcile.observed_schedule import ObservedSchedule
from proctor_operator.reconcile.schedule import decide_schedule
from proctor_operator.reconcile.schedule_decision import (
    BeginSchedule,
    ClaimOccurrence,
    CreateExecution,
    FindRecorded,
    MarkMissed,
    MarkStarted,
    PassOver,
    ReadHolder,
    ReadProgress,
    ScheduleAction,
    SkipOccurrence,
    WriteScheduleStatus,
)
from proctor_operator.reconcile.schedule_policy import SchedulePolicy
from proctor_operator.reconcile.schedule_status import active_runs
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.schedule_reporter import ScheduleReporter

STEPS_AT_MOST: Final = 64
"""Of one pass; what is left, of a long row of missed times, is for the next one."""
REMEMBERED_AT_MOST: Final = 100_000
LOOK_AGAIN_SECONDS: Final = 60.0
"""A clock may be set; nothing that is due then waits for longer."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Resting:
    """What a rest was decided on; while all of that holds, nothing need be decided again."""

    schedule: ProcSchedule
    active: tuple[ActiveRun, ...]
    since: datetime
    until: datetime

    def holds(self, schedule: ProcSchedule, active: tuple[ActiveRun, ...], now: datetime) -> bool:
        """Whether it does; a clock that was set back is a reason to look."""
        is_same = self.schedule is schedule and self.active == active
        return is_same and self.since <= now < self.until


class ScheduleRunner:
    """Starts occurrences; what it remembers saves questions to the record, and may be lost.

    `saw` takes in an execution that was made, `look_again` has a schedule looked at after so many
    seconds, not later.
    """

    def __init__(
        self,
        *,
        cache: ObjectCache,
        cluster: Cluster,
        occurrences: Occurrences,
        clock: Clock,
        reporter: ScheduleReporter,
        policy: SchedulePolicy,
        saw: Callable[[ProcExecution | UnreadableObject], object],
        look_again: Callable[[ObjectKey, float], None],
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._occurrences = occurrences
        self._clock = clock
        self._reporter = reporter
        self._policy = policy
        self._saw = saw
        self._look_again = look_again
        self._progress: OrderedDict[Uid, Progress] = OrderedDict()
        self._resting: OrderedDict[Uid, _Resting] = OrderedDict()

    async def run(self, key: ObjectKey, schedule: ProcSchedule) -> None:
        """Do one pass."""
        resting = self._resting.pop(schedule.uid, None)
        active, now = self._active(key, schedule), self._clock.now()
        if resting is not None and resting.holds(schedule, active, now):
            self._rest(key, resting)
            return
        proc = self._cache.proc(schedule.namespace, schedule.spec.proc_ref.name)
        observed = ObservedSchedule(
            schedule=schedule,
            policy=self._policy,
            proc=proc if isinstance(proc, Proc) else None,
            progress=self._progress.get(schedule.uid, Unseen.NOT_READ),
        )
        has_claimed = False
        try:
            for _ in range(STEPS_AT_MOST):
                active, now = self._active(key, schedule), self._clock.now()
                observed = replace(observed, active=active)
                action = decide_schedule(observed, now)
                if isinstance(action, Rest):
                    self._remember(observed)
                    if action.after_seconds is not None:
                        until = now + timedelta(seconds=action.after_seconds)
                        self._rest(key, _Resting(observed.schedule, active, now, until))
                    return
                if isinstance(action, ClaimOccurrence):
                    if has_claimed:
                        # What others have due just now comes before the next of a long row.
                        break
                    has_claimed = True
                before = observed
                observed = await self._perform(action, before)
                self._reporter.performed(action, before, observed)
        except Fault:
            self._progress.pop(schedule.uid, None)
            raise
        self._remember(observed)
        self._look_again(key, 0.0)

    def _active(self, key: ObjectKey, schedule: ProcSchedule) -> tuple[ActiveRun, ...]:
        return active_runs(self._cache.scheduled.of(key), schedule.uid)

    def _rest(self, key: ObjectKey, resting: _Resting) -> None:
        if resting.schedule.uid in self._progress:
            # Else it waits for something to be over, and any look may find that it is.
            _keep(self._resting, resting.schedule.uid, resting)
        seconds = (resting.until - self._clock.now()).total_seconds()
        self._look_again(key, min(max(seconds, 0.0), LOOK_AGAIN_SECONDS))

    def _remember(self, observed: ObservedSchedule) -> None:
        uid, progress = observed.schedule.uid, observed.progress
        self._progress.pop(uid, None)
        if isinstance(progress, Progress) and not progress.open_claims:
            _keep(self._progress, uid, progress)

    async def _perform(
        self, action: ScheduleAction, observed: ObservedSchedule
    ) -> ObservedSchedule:
        """Do it, and return the snapshot with what is known now; a record that is away is a part of that."""
        match action:
            case WriteScheduleStatus(status):
                stored = await self._cluster.write_schedule_status(observed.schedule, status)
                self._cache.refresh(stored)
                if not isinstance(stored, ProcSchedule):
                    raise Fault(f"the status that came back cannot be read: {stored.problem}")
                return replace(observed, schedule=stored)
            case CreateExecution():
                return await self._create(action, observed)
            case ReadHolder(claim):
                return replace(observed, holder=await self._fetch(observed, claim))
            case _:
                try:
                    return await self._record(action, observed)
                except RecordUnavailable as error:
                    log.warning("Schedule waits for the record", error=str(error))
                    return replace(observed, progress=Unseen.UNAVAILABLE)

    async def _record(
        self,
        action: ReadProgress
        | BeginSchedule
        | PassOver
        | ClaimOccurrence
        | SkipOccurrence
        | FindRecorded
        | MarkStarted
        | MarkMissed,
        observed: ObservedSchedule,
    ) -> ObservedSchedule:
        key, occurrences = observed.key, self._occurrences
        match action:
            case ReadProgress():
                progress = await occurrences.fetch_progress(key.uid)
                return replace(observed, progress=progress or Unseen.ABSENT)
            case BeginSchedule(progress):
                await occurrences.begin(key, progress)
                return replace(observed, progress=progress, has_begun=True)
            case FindRecorded(claim):
                found = await occurrences.find_execution(key, claim)
                return replace(observed, recorded=found or Unseen.ABSENT)
            case PassOver(missed):
                has_moved = await occurrences.pass_over(key, missed)
                moved = replace(
                    _progress(observed),
                    handled_until=missed.until,
                    last_occurrence=missed.until,
                    missed=_progress(observed).missed + missed.count,
                )
                return replace(observed, progress=moved if has_moved else Unseen.NOT_READ)
            case ClaimOccurrence(claim):
                has_moved = await occurrences.claim(key, claim)
                claimed = replace(_moved(observed, claim), open_claims=(claim,))
                return _about(claim, claimed if has_moved else None, observed)
            case SkipOccurrence(claim, why):
                has_moved = await occurrences.skip(key, claim, why)
                return _done(claim, observed, is_sure=has_moved)
            case MarkStarted(claim, execution):
                has_moved = await occurrences.mark_started(key, claim, execution)
                done = _done(claim, observed, is_sure=has_moved)
                return replace(done, has_started_one=True)
            case MarkMissed(claim):
                has_moved = await occurrences.mark_missed(key, claim)
                done = _done(claim, observed, is_sure=has_moved)
                if not isinstance(done.progress, Progress):
                    return done
                counted = replace(done.progress, missed=done.progress.missed + 1)
                return replace(done, progress=counted)
            case _:
                assert_never(action)

    async def _create(
        self, action: CreateExecution, observed: ObservedSchedule
    ) -> ObservedSchedule:
        """Create; when the name is taken or an answer was lost, look live at who has it."""
        try:
            made = await self._cluster.create_execution(
                observed.schedule.namespace, action.manifest
            )
        except AlreadyExists:
            return replace(observed, holder=await self._fetch(observed, action.claim))
        except (Denied, Rejected) as no:
            return replace(observed, denial=Skip("ExecutionRejected", str(no)))
        except NamespaceTerminating as going:
            return replace(observed, hindrance=Skip("NamespaceTerminating", str(going)))
        except Forbidden as forbidden:
            return replace(observed, hindrance=Skip("ExecutionForbidden", str(forbidden)))
        self._saw(made)
        return replace(observed, holder=made)

    async def _fetch(
        self, observed: ObservedSchedule, claim: Claim
    ) -> ProcExecution | UnreadableObject | Unseen:
        try:
            return await self._cluster.fetch_execution(
                observed.schedule.namespace, claim.execution_name
            )
        except NotFound:
            return Unseen.ABSENT


def _keep(remembered: OrderedDict[Uid, Any], uid: Uid, kept: object) -> None:
    remembered[uid] = kept
    if len(remembered) > REMEMBERED_AT_MOST:
        remembered.popitem(last=False)


def _progress(observed: ObservedSchedule) -> Progress:
    if isinstance(observed.progress, Unseen):
        raise Fault("the progress of the schedule has not been read from the record")
    return observed.progress


def _moved(observed: ObservedSchedule, claim: Claim) -> Progress:
    known = _progress(observed)
    if claim.instant <= known.handled_until:
        return known
    return replace(known, handled_until=claim.instant, last_occurrence=claim.instant)


def _about(
    claim: Claim | None, progress: Progress | None, observed: ObservedSchedule
) -> ObservedSchedule:
    """The snapshot with another claim in hand, or none; what was found out about the last one goes."""
    return replace(
        observed,
        progress=progress or Unseen.NOT_READ,
        own_claim=claim,
        holder=Unseen.NOT_READ,
        recorded=Unseen.NOT_READ,
        denial=None,
        hindrance=None,
    )


def _done(claim: Claim, observed: ObservedSchedule, *, is_sure: bool) -> ObservedSchedule:
    """With the claim marked; where somebody else was faster, the record is asked what holds now."""
    moved = _moved(observed, claim)
    rest = tuple(one for one in moved.open_claims if one.instant != claim.instant)
    return _about(None, replace(moved, open_claims=rest) if is_sure else None, observed)
