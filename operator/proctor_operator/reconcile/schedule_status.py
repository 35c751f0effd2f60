"""What a schedule says about itself: how far it has come, what runs, and why the next run is when it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from proctor_operator.domain.conditions import Condition, ConditionStatus, ConditionType, condition
from proctor_operator.domain.conditions import merge as merge_conditions
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.model import format_timestamp
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.occurrence import Progress, Skip
from proctor_operator.domain.occurrences import (
    Timing,
    is_moved,
    next_occurrence,
    starting_time,
)
from proctor_operator.domain.schedule import ActiveRun, ProcSchedule, ProcScheduleStatus
from proctor_operator.reconcile.observed_schedule import ObservedSchedule
from proctor_operator.reconcile.proc import ProcProblem, problem_conditions

SHOWN_AT_MOST: Final = 64
"""The kind's own limit of `status.active`."""


def active_runs(executions: Iterable[ProcExecution], schedule: Uid) -> tuple[ActiveRun, ...]:
    """What runs for a schedule, oldest first; a namesake's is not its own."""
    own = (
        one for one in executions if one.spec.schedule_ref and one.spec.schedule_ref.uid == schedule
    )
    oldest_first = sorted(own, key=lambda one: (one.creation_time, one.name))
    return tuple(ActiveRun(name=one.name, uid=one.uid) for one in oldest_first[:SHOWN_AT_MOST])


def schedule_status(
    observed: ObservedSchedule,
    progress: Progress,
    timing: Timing,
    now: datetime,
    *,
    trouble: Skip | None = None,
) -> ProcScheduleStatus:
    """The status of a schedule that can work; `trouble` is what keeps its runs from starting."""
    schedule = observed.schedule
    upcoming = None
    if not schedule.spec.suspend:
        upcoming = next_occurrence(timing, progress.handled_until)
    if trouble is not None:
        ready = (ConditionStatus.FALSE, trouble.reason, trouble.message)
    elif schedule.spec.suspend:
        ready = (ConditionStatus.FALSE, "Suspended", "spec.suspend is true: nothing is started")
    elif upcoming is None:
        ready = (ConditionStatus.TRUE, "NothingPlanned", _nothing_planned(schedule))
    else:
        ready = (ConditionStatus.TRUE, "Scheduled", explain(timing, upcoming))
    return ProcScheduleStatus(
        conditions=_merged(schedule, ready, now),
        observed_generation=schedule.generation,
        last_occurrence=progress.last_occurrence,
        next_occurrence=upcoming,
        active=observed.active,
        missed=progress.missed,
    )


def problem_status(
    schedule: ProcSchedule, problem: ProcProblem, now: datetime
) -> ProcScheduleStatus:
    """The status of a schedule that only its author can mend: nothing is planned."""
    said = problem_conditions(problem, generation=schedule.generation, now=now)
    return schedule.status.model_copy(
        update={
            "conditions": merge_conditions(schedule.conditions, said),
            "observed_generation": schedule.generation,
            "next_occurrence": None,
        }
    )


def away_status(schedule: ProcSchedule, now: datetime) -> ProcScheduleStatus:
    """The status while the record is away: what is known of the schedule stays, and nothing starts."""
    said = (
        ConditionStatus.FALSE,
        "RecordUnavailable",
        "waiting for the record (PostgreSQL) to be back: nothing starts without it",
    )
    return schedule.status.model_copy(update={"conditions": _merged(schedule, said, now)})


def shows_the_same(before: ProcScheduleStatus, after: ProcScheduleStatus) -> bool:
    """Whether only the times of conditions differ."""
    known = {one.type: one for one in before.conditions}
    says_the_same = len(known) == len(after.conditions) and all(
        one.type in known and known[one.type].says_the_same_as(one) for one in after.conditions
    )
    return says_the_same and before.model_copy(update={"conditions": after.conditions}) == after


def explain(timing: Timing, occurrence: datetime) -> str:
    """When it runs next, on the clock of its author, and why not at another time."""
    said = f"next run {format_timestamp(occurrence)}"
    notes = []
    if timing.zone.key not in ("UTC", "Etc/UTC"):
        notes.append(f"{occurrence.astimezone(timing.zone):%H:%M} {timing.zone.key}")
    if is_moved(timing, occurrence):
        notes.append("moved from a time that the clock skips")
    delay = int((starting_time(timing, occurrence) - occurrence).total_seconds())
    if delay:
        notes.append(f"delayed by {delay} s of spec.jitterSeconds")
    return f"{said} ({', '.join(notes)})" if notes else said


def _nothing_planned(schedule: ProcSchedule) -> str:
    at = schedule.spec.at
    if at is not None:
        return f"spec.at {format_timestamp(at)} has passed: nothing is started any more"
    return "spec.cron names no further time"


def _merged(
    schedule: ProcSchedule, ready: tuple[ConditionStatus, str, str], now: datetime
) -> tuple[Condition, ...]:
    generation = schedule.generation
    said = (
        condition(ConditionType.READY, *ready, generation=generation, now=now),
        condition(
            ConditionType.STALLED,
            ConditionStatus.FALSE,
            "NothingWrong",
            "",
            generation=generation,
            now=now,
        ),
    )
    return merge_conditions(schedule.conditions, said)
