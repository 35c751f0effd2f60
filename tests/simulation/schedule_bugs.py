"""Bugs put into the scheduling on purpose: the checks on schedules must catch every one.

As `planted_bugs` has them for executions: each replaces a function or a method of the real code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any, Final

import pytest

from proctor_operator.app import clock
from proctor_operator.domain.errors import RecordUnavailable
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.occurrence import PassedOver
from proctor_operator.reconcile import due, schedule_progress
from proctor_operator.reconcile import schedule as ladder
from proctor_operator.reconcile.decision import Rest
from proctor_operator.reconcile.observed_schedule import ObservedSchedule
from proctor_operator.reconcile.schedule_decision import (
    ClaimOccurrence,
    CreateExecution,
    ScheduleAction,
)
from proctor_operator.reconcile.scheduled_run import build_scheduled_execution
from proctor_operator.runtime import schedules
from simulation import occurrence_table
from simulation.planted_bugs import Plant

Bend = Callable[[ObservedSchedule, datetime, "Decide"], ScheduleAction | Rest]
Decide = Callable[[ObservedSchedule, datetime], ScheduleAction | Rest]


@dataclass(frozen=True, slots=True)
class ScheduleBug:
    """`words` must be in a violation when `plan` is played."""

    plant: Plant
    plan: str
    words: str


def bent(bend: Bend) -> Plant:
    """Change what the ladder says."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        decide: Decide = vars(schedules)["decide_schedule"]
        patch.setattr(schedules, "decide_schedule", lambda seen, now: bend(seen, now, decide))

    return plant


def run_before_claim(
    seen: ObservedSchedule, now: datetime, decide: Decide
) -> ScheduleAction | Rest:
    action = decide(seen, now)
    if isinstance(action, ClaimOccurrence) and not isinstance(seen.holder, ProcExecution):
        manifest = build_scheduled_execution(seen.schedule, seen.proc, action.claim)
        return CreateExecution(action.claim, manifest)
    return action


def suspension_overlooked(
    seen: ObservedSchedule, now: datetime, decide: Decide
) -> ScheduleAction | Rest:
    spec = seen.schedule.spec.model_copy(update={"suspend": False})
    return decide(replace(seen, schedule=seen.schedule.model_copy(update={"spec": spec})), now)


def another_name_each_time(patch: pytest.MonkeyPatch) -> None:
    numbers = count()

    def build(*given: Any) -> Any:
        manifest = build_scheduled_execution(*given)
        manifest["metadata"]["name"] += f"-{next(numbers)}"
        return manifest

    patch.setattr(ladder, "build_scheduled_execution", build)


def runs_as_the_operator(patch: pytest.MonkeyPatch) -> None:
    def build(*given: Any) -> Any:
        manifest = build_scheduled_execution(*given)
        manifest["spec"]["requestedBy"]["username"] = "system:serviceaccount:proctor-system:proctor"
        return manifest

    patch.setattr(ladder, "build_scheduled_execution", build)


def claims_forgotten(patch: pytest.MonkeyPatch) -> None:
    original = occurrence_table.OccurrenceTable.progress

    def progress(self: Any, schedule: Any) -> Any:
        known = original(self, schedule)
        return None if known is None else replace(known, open_claims=())

    patch.setattr(occurrence_table.OccurrenceTable, "progress", progress)


def record_not_asked_for_the_run(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(occurrence_table.OccurrenceTable, "find_execution", lambda *_: None)


def starts_without_the_record(patch: pytest.MonkeyPatch) -> None:
    original = occurrence_table.SimulatedOccurrences.claim

    async def claim(self: Any, *given: Any) -> bool:
        try:
            return await original(self, *given)
        except RecordUnavailable:
            return True

    patch.setattr(occurrence_table.SimulatedOccurrences, "claim", claim)


def one_more_caught_up(patch: pytest.MonkeyPatch) -> None:
    wanted: Callable[..., int] = vars(due)["_wanted"]
    patch.setattr(
        due,
        "_wanted",
        lambda timing, spec, row, now: min(len(row), wanted(timing, spec, row, now) + 1),
    )


def deadline_overlooked(patch: pytest.MonkeyPatch) -> None:
    original: Callable[..., bool] = vars(due)["_started_within"]
    patch.setattr(
        due,
        "_started_within",
        lambda timing, instant, seconds, now: (
            original(timing, instant, seconds, now) or seconds != due.LATE_SECONDS
        ),
    )


def late_counts_as_missed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(due, "LATE_SECONDS", 5)


def missed_counts_as_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(due, "LATE_SECONDS", 3600)


def resumed_with_a_flood(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ladder, "is_switched", lambda *_: False)
    patch.setattr(schedule_progress, "is_switched", lambda *_: False)


def edited_with_a_flood(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schedule_progress, "_fingerprint", lambda *_: "the same")


def strangers_taken_for_ours(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ladder, "is_run_of", lambda *_: True)


def machine_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clock.ClusterClock, "now", lambda self: self._machine.now())


def a_row_counts_as_one(patch: pytest.MonkeyPatch) -> None:
    passed_over: Callable[..., PassedOver] = vars(due)["_passed_over"]
    patch.setattr(due, "_passed_over", lambda missed: replace(passed_over(missed), count=1))


def status_written_every_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ladder, "shows_the_same", lambda *_: False)


BUGS: Final[dict[str, ScheduleBug]] = {
    "the run comes before its claim": ScheduleBug(
        bent(run_before_claim), "once", "and the record has None"
    ),
    "a run starts while the record is away": ScheduleBug(
        starts_without_the_record, "minutes windows=record-down:110-170", "and the record has None"
    ),
    "the run has another name on every try": ScheduleBug(
        another_name_each_time, "once writes=4:crash-after", "starts twice"
    ),
    "what was claimed is forgotten by who comes next": ScheduleBug(
        claims_forgotten, "once writes=3:crash-after", "was not started"
    ),
    "a run whose object is gone is not looked for": ScheduleBug(
        record_not_asked_for_the_run, "runs-deleted writes=7:lost-request", "starts twice"
    ),
    "a run starts as the operator": ScheduleBug(runs_as_the_operator, "once", "runs as"),
    "a suspended schedule goes on": ScheduleBug(
        bent(suspension_overlooked), "suspended-and-resumed", "though the schedule is off"
    ),
    "one more than the limit is caught up": ScheduleBug(
        one_more_caught_up, "policies windows=downtime:70-375", "should not have been started"
    ),
    "the starting deadline is overlooked": ScheduleBug(
        deadline_overlooked, "policies windows=downtime:70-375", "should not have been started"
    ),
    "what is late counts as missed": ScheduleBug(
        late_counts_as_missed, "policies windows=downtime:110-140", "was not started"
    ),
    "what was missed counts as late": ScheduleBug(
        missed_counts_as_late, "policies windows=downtime:70-375", "should not have been started"
    ),
    "what went by while it was suspended is caught up": ScheduleBug(
        resumed_with_a_flood, "suspended-and-resumed", "should not have been started"
    ),
    "what went by before an edit is caught up": ScheduleBug(
        edited_with_a_flood, "edited windows=downtime:130-255", "should not have been started"
    ),
    "a stranger's execution is taken for the run": ScheduleBug(
        strangers_taken_for_ours, "names-taken", "does not know all that was started"
    ),
    "a row of missed times counts as one": ScheduleBug(
        a_row_counts_as_one, "policies windows=downtime:70-375", "dealt with"
    ),
    "the machine's clock is believed": ScheduleBug(
        machine_believed, "minutes windows=clock-ahead:70-150", "starts early"
    ),
    "the status is written on every pass": ScheduleBug(
        status_written_every_time, "once", "writes in quiet"
    ),
}
