"""Which finished executions of a Proc may go: the objects, never the record of them.

What is deleted here is kept in PostgreSQL. So nothing goes that is not known to be recorded, that is not
over in every respect, or that a GitOps tool would put back (docs/adr/0008).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.conditions import ConditionType, is_true
from proctor_operator.domain.execution import Phase, ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.proc import ProcHistory
from proctor_operator.domain.schedule import ProcSchedule, ScheduleHistory

HELD_JOB_RETRY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How many executions stay by how they ended, and how long (seconds); None is without limit."""

    succeeded: int | None = 20
    failed: int | None = 20
    ttl_seconds: int | None = 7 * 86400

    def with_wishes(self, history: ProcHistory | None) -> HistoryLimits:
        """These limits, but for what the Proc's author wants otherwise."""
        if history is None:
            return self
        return HistoryLimits(
            succeeded=self.succeeded if history.succeeded is None else history.succeeded,
            failed=self.failed if history.failed is None else history.failed,
            ttl_seconds=self.ttl_seconds if history.ttl_seconds is None else history.ttl_seconds,
        )

    def with_wishes_of_a_schedule(self, history: ScheduleHistory) -> HistoryLimits:
        """The limits of the Proc, but for what the author of a schedule wants otherwise."""
        return replace(
            self,
            succeeded=self.succeeded if history.succeeded is None else history.succeeded,
            failed=self.failed if history.failed is None else history.failed,
        )


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What the operator's admin decides: limits where a Proc names none, and what holds for all.

    Nothing is deleted in the first `keep_seconds` after its end was shown.
    """

    limits: HistoryLimits = HistoryLimits()
    keep_seconds: int = 300
    deletes_per_second: int = 10


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished execution, and whether our finalizer is still on its Job."""

    execution: ProcExecution
    has_held_job: bool = False


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What to delete now, oldest first, and after how many seconds more may be due; None is never."""

    delete: tuple[ProcExecution, ...] = ()
    look_again_after: float | None = None


def plan_retention(
    finished: Iterable[Finished],
    limits: HistoryLimits,
    *,
    keep_seconds: int,
    now: datetime,
    schedules: Mapping[Uid, ProcSchedule | UnreadableObject] | None = None,
) -> RetentionPlan:
    """Decide about all finished executions of one Proc in one namespace.

    Those of a schedule with limits of its own are counted apart; what its author wants of one that cannot
    be read is not known, so all of those stay.
    """
    governed = sorted(
        (one for one in finished if _is_governed(one.execution)), key=_age, reverse=True
    )
    delete: list[Finished] = []
    waits: list[float] = []
    for group, its_limits in _groups(governed, limits, schedules or {}):
        for one, due_at in _due_times(group, its_limits, keep_seconds):
            if due_at > now:
                waits.append((due_at - now).total_seconds())
            elif one.has_held_job:
                waits.append(HELD_JOB_RETRY_SECONDS)
            else:
                delete.append(one)
    oldest_first = sorted(delete, key=_age)
    return RetentionPlan(tuple(one.execution for one in oldest_first), min(waits, default=None))


def _groups(
    newest_first: list[Finished],
    limits: HistoryLimits,
    schedules: Mapping[Uid, ProcSchedule | UnreadableObject],
) -> Iterator[tuple[list[Finished], HistoryLimits]]:
    """Executions that are counted together, each with their limits."""
    apart: dict[Uid, list[Finished]] = {}
    together: list[Finished] = []
    for one in newest_first:
        reference = one.execution.spec.schedule_ref
        schedule = schedules.get(reference.uid) if reference and reference.uid else None
        if isinstance(schedule, UnreadableObject) or (schedule and schedule.spec.history):
            apart.setdefault(schedule.uid, []).append(one)
        else:
            together.append(one)
    yield together, limits
    for uid, group in apart.items():
        schedule = schedules[uid]
        if isinstance(schedule, ProcSchedule) and schedule.spec.history is not None:
            yield group, limits.with_wishes_of_a_schedule(schedule.spec.history)


def _is_governed(execution: ProcExecution) -> bool:
    """Whether retention has a say: it is in the record, nobody deletes it, no tool puts it back."""
    status = execution.status
    is_recorded = status.number is not None and is_true(status.conditions, ConditionType.RECORDED)
    return is_recorded and not execution.is_being_deleted and not execution.is_gitops_tracked


def _due_times(
    newest_first: list[Finished], limits: HistoryLimits, keep_seconds: int
) -> Iterator[tuple[Finished, datetime]]:
    """Each execution that will have to go, with the time from which it may."""
    counts = {True: 0, False: 0}
    for one in newest_first:
        has_succeeded = one.execution.status.phase is Phase.SUCCEEDED
        counts[has_succeeded] += 1
        most = limits.succeeded if has_succeeded else limits.failed
        earliest = _shown_at(one.execution) + timedelta(seconds=keep_seconds)
        if most is not None and counts[has_succeeded] > most:
            yield one, earliest
        elif limits.ttl_seconds is not None:
            expires_at = _ended_at(one.execution) + timedelta(seconds=limits.ttl_seconds)
            yield one, max(expires_at, earliest)


def _ended_at(execution: ProcExecution) -> datetime:
    return execution.status.completion_time or execution.creation_time


def _shown_at(execution: ProcExecution) -> datetime:
    """When the end could first be seen: long after it, where the record was away meanwhile."""
    conditions = execution.status.conditions
    ends = (one for one in conditions if one.type in _END_CONDITIONS)
    return max((one.last_transition_time for one in ends), default=_ended_at(execution))


_END_CONDITIONS: Final = frozenset({ConditionType.COMPLETE, ConditionType.FAILED})


def _age(one: Finished) -> tuple[datetime, int, str]:
    execution = one.execution
    return _ended_at(execution), execution.status.number or 0, execution.name
