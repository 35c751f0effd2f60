"""The ladder for one schedule: from what is known to the one next thing to do.

An occurrence is claimed in the record, then its execution is made, then the claim is marked with its
UID. What was claimed is finished before anything new is looked at; what was marked is never looked at again,
so that deleting an execution does not start it once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.objects import UnreadableObject, Unseen
from proctor_operator.domain.occurrence import Claim, Progress, Skip
from proctor_operator.domain.occurrences import (
    Timing,
    TimingProblem,
    next_occurrence,
    read_timing,
    starting_time,
)
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.reconcile.decision import Rest
from proctor_operator.reconcile.due import Start, may_still_start, next_due, next_missed
from proctor_operator.reconcile.observed_schedule import ObservedSchedule
from proctor_operator.reconcile.proc import ProcProblem
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
from proctor_operator.reconcile.schedule_progress import (
    as_it_may_have_been,
    find_new_progress,
    has_new_timing,
    is_switched,
)
from proctor_operator.reconcile.schedule_status import (
    away_status,
    problem_status,
    schedule_status,
    shows_the_same,
)
from proctor_operator.reconcile.scheduled_run import (
    build_scheduled_execution,
    claim_of,
    is_run_of,
)

RECORD_RETRY_SECONDS: Final = 5.0
HINDRANCE_RETRY_SECONDS: Final = 20.0
SOON_SECONDS: Final = 10.0
TELL_AFTER_SECONDS: Final = 2.0


def decide_schedule(observed: ObservedSchedule, now: datetime) -> ScheduleAction | Rest:
    """The next thing to do about a schedule, or `Rest`."""
    schedule = observed.schedule
    if schedule.deletion_time is not None:
        return Rest()
    timing = read_timing(schedule.spec, schedule.uid)
    if isinstance(timing, TimingProblem):
        return _tell(observed, ProcProblem("InvalidSchedule", timing.message), now)
    match observed.progress:
        case Unseen.NOT_READ:
            return ReadProgress()
        case Unseen.UNAVAILABLE:
            status = away_status(schedule, now)
            if shows_the_same(schedule.status, status):
                return Rest(after_seconds=RECORD_RETRY_SECONDS)
            return WriteScheduleStatus(status)
        case progress:
            return _go_on(observed, progress, timing, now)


def _go_on(
    observed: ObservedSchedule, known: Progress | Unseen, timing: Timing, now: datetime
) -> ScheduleAction | Rest:
    schedule = observed.schedule
    if isinstance(known, Progress) and known.open_claims:
        return _finish(observed, known, timing, now)
    if isinstance(known, Progress) and not observed.has_begun:
        known = as_it_may_have_been(schedule, known)
    missed = _missed_while_switched(schedule, known, timing, now)
    if missed is not None:
        return missed
    new = find_new_progress(schedule, known, now)
    if new is not None:
        return BeginSchedule(new)
    assert isinstance(known, Progress), "what is not known was begun"  # noqa: S101 - narrows the type
    if not schedule.spec.suspend:
        due = next_due(timing, schedule.spec, known.handled_until, now)
        if isinstance(due, Start):
            return _start(observed, known, claim_of(schedule, due.instant), now)
        if due is not None:
            return PassOver(due)
    return _show(observed, known, timing, now)


def _missed_while_switched(
    schedule: ProcSchedule, known: Progress | Unseen, timing: Timing, now: datetime
) -> PassOver | None:
    """What went by until it was suspended, or until it was switched on again, is counted, not started."""
    if isinstance(known, Unseen) or has_new_timing(schedule, known):
        return None
    if not is_switched(schedule, known):
        return None
    missed = next_missed(timing, known.handled_until, now)
    return PassOver(missed) if missed is not None else None


def _start(
    observed: ObservedSchedule, known: Progress, claim: Claim, now: datetime
) -> ScheduleAction:
    too_old = _find_age(observed, known, now)
    return SkipOccurrence(claim, too_old) if too_old is not None else ClaimOccurrence(claim)


def _finish(
    observed: ObservedSchedule, known: Progress, timing: Timing, now: datetime
) -> ScheduleAction | Rest:
    """From a claim to its mark; one that an earlier pass made may have its execution already."""
    claim, schedule = known.open_claims[0], observed.schedule
    if isinstance(observed.holder, ProcExecution | UnreadableObject):
        return _mark(schedule, claim, observed.holder)
    if observed.denial is not None:
        return SkipOccurrence(claim, observed.denial)
    if observed.hindrance is not None:
        return _wait(observed, known, timing, observed.hindrance, now)
    if claim != observed.own_claim:
        if observed.holder is Unseen.NOT_READ:
            return ReadHolder(claim)
        if observed.recorded is Unseen.NOT_READ:
            return FindRecorded(claim)
        if not isinstance(observed.recorded, Unseen):
            return MarkStarted(claim, observed.recorded)
        if schedule.spec.suspend or not may_still_start(timing, schedule.spec, claim.instant, now):
            return MarkMissed(claim)
    return CreateExecution(claim, build_scheduled_execution(schedule, observed.proc, claim))


def _mark(
    schedule: ProcSchedule, claim: Claim, holder: ProcExecution | UnreadableObject
) -> ScheduleAction:
    if is_run_of(schedule, claim, holder):
        return MarkStarted(claim, holder.uid)
    message = (
        f"an execution named {claim.execution_name!r} exists and is not the run that this schedule "
        "planned"
    )
    return SkipOccurrence(claim, Skip("NameTaken", message))


def _wait(
    observed: ObservedSchedule, known: Progress, timing: Timing, why: Skip, now: datetime
) -> ScheduleAction | Rest:
    """A missing right or a quota keeps the execution out: say so, and try again while it is in time."""
    status = schedule_status(observed, known, timing, now, trouble=why)
    if shows_the_same(observed.schedule.status, status):
        return Rest(after_seconds=HINDRANCE_RETRY_SECONDS)
    return WriteScheduleStatus(status)


def _show(
    observed: ObservedSchedule, known: Progress, timing: Timing, now: datetime
) -> ScheduleAction | Rest:
    before, status = observed.schedule.status, schedule_status(observed, known, timing, now)
    seconds = _until_the_next(observed.schedule, known, timing, now)
    shown = before
    if seconds is not None and seconds <= SOON_SECONDS:
        # What has ended meanwhile is shown together with what starts then.
        shown = before.model_copy(update={"active": status.active})
    if shows_the_same(shown, status):
        return Rest(after_seconds=seconds)
    if observed.has_started_one:
        # A thousand others may be due at this moment, and their start is worth more than this word.
        return Rest(after_seconds=TELL_AFTER_SECONDS)
    return WriteScheduleStatus(status)


def _until_the_next(
    schedule: ProcSchedule, known: Progress, timing: Timing, now: datetime
) -> float | None:
    upcoming = next_occurrence(timing, known.handled_until)
    if schedule.spec.suspend or upcoming is None:
        return None
    return max((starting_time(timing, upcoming) - now).total_seconds(), 0.0)


def _tell(
    observed: ObservedSchedule, problem: ProcProblem, now: datetime
) -> WriteScheduleStatus | Rest:
    status = problem_status(observed.schedule, problem, now)
    if shows_the_same(observed.schedule.status, status):
        return Rest()
    return WriteScheduleStatus(status)


def _find_age(observed: ObservedSchedule, known: Progress, now: datetime) -> Skip | None:
    """Why nobody answers for it any more: whoever wrote it may have left long ago."""
    days = observed.policy.requester_max_age_days
    if not days or now - known.asked_since <= timedelta(days=days):
        return None
    message = (
        f"whoever is answerable for this schedule has been so for more than {days} days, the limit of "
        "this installation (schedules.requester_max_age_days): somebody who may run it must change "
        "what it runs, or create it again"
    )
    return Skip("RequesterTooOld", message)
