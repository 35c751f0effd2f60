"""Which finished executions of a Proc may go: the objects, never the record of them.

What is deleted here is kept in PostgreSQL. So nothing goes that is not known to be recorded, that is not
over in every respect, or that a GitOps tool would put back (docs/adr/0008).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Final

from proctor_operator.domain.conditions import ConditionType, is_true
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.proc import ProcHistory
from proctor_operator.domain.schedule import ProcSchedule, ScheduleHistory
from proctor_operator.reconcile.status import is_finished, over_since, shown_since

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
class Shelf:
    """Executions of one Proc, all governed, that ran for one schedule or for none, oldest first."""

    schedule: Uid | None
    has_succeeded: bool
    oldest_first: Sequence[ProcExecution]


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What to delete now, oldest first, and after how many seconds more may be due; None is never."""

    delete: tuple[ProcExecution, ...] = ()
    look_again_after: float | None = None

    def but_for(self, held: Collection[Uid]) -> RetentionPlan:
        """The same without those whose Job our finalizer is still on: they stay until it is let go."""
        if not held:
            return self
        waits = (HELD_JOB_RETRY_SECONDS, self.look_again_after)
        return RetentionPlan(
            tuple(one for one in self.delete if one.uid not in held),
            min(one for one in waits if one is not None),
        )


def plan_retention(
    shelves: Iterable[Shelf],
    limits: HistoryLimits,
    *,
    keep_seconds: int,
    now: datetime,
    schedules: Mapping[Uid, ProcSchedule | UnreadableObject] | None = None,
) -> RetentionPlan:
    """Decide about all finished executions of one Proc in one namespace.

    Those of a schedule with limits of its own are counted apart; what its author wants of one that cannot
    be read is not known, so all of those stay. There may be thousands, so nobody looks further than to the
    first that ended too late to be due before all others.
    """
    keep = timedelta(seconds=keep_seconds)
    delete: list[ProcExecution] = []
    next_due: datetime | None = None
    for oldest_first, stay in _counted(shelves, limits, schedules or {}):
        for one in oldest_first:
            ended_at = _ended_at(one)
            if next_due is not None and ended_at + max(stay, keep) >= next_due:
                break
            due_at = max(ended_at + stay, _shown_at(one) + keep)
            if due_at <= now:
                delete.append(one)
            else:
                next_due = due_at if next_due is None else min(next_due, due_at)
    delete.sort(key=age)
    wait = (next_due - now).total_seconds() if next_due is not None else None
    return RetentionPlan(tuple(delete), wait)


def _counted(
    shelves: Iterable[Shelf],
    limits: HistoryLimits,
    schedules: Mapping[Uid, ProcSchedule | UnreadableObject],
) -> Iterator[tuple[Iterator[ProcExecution], timedelta]]:
    """Executions that need not stay for ever, oldest first, and how long after their end they stay.

    Each count tells its surplus first and goes on to the rest. Whoever leaves the surplus early finds its
    end among the rest, where it stays longer: what was too late to be due first is so there as well.
    """
    for group, its_limits in _groups(shelves, limits, schedules):
        for has_succeeded, most in ((True, its_limits.succeeded), (False, its_limits.failed)):
            rows = [one.oldest_first for one in group if one.has_succeeded is has_succeeded]
            if not rows:
                continue
            oldest_first = merge(*rows, key=age)
            surplus = sum(map(len, rows)) - most if most is not None else 0
            yield islice(oldest_first, max(surplus, 0)), timedelta()
            if its_limits.ttl_seconds is not None:
                yield oldest_first, timedelta(seconds=its_limits.ttl_seconds)


def _groups(
    shelves: Iterable[Shelf],
    limits: HistoryLimits,
    schedules: Mapping[Uid, ProcSchedule | UnreadableObject],
) -> Iterator[tuple[list[Shelf], HistoryLimits]]:
    """Executions that are counted together, each with their limits."""
    apart: dict[Uid, list[Shelf]] = {}
    together: list[Shelf] = []
    for shelf in shelves:
        schedule = schedules.get(shelf.schedule) if shelf.schedule else None
        if isinstance(schedule, UnreadableObject) or (schedule and schedule.spec.history):
            apart.setdefault(schedule.uid, []).append(shelf)
        else:
            together.append(shelf)
    yield together, limits
    for uid, group in apart.items():
        schedule = schedules[uid]
        if isinstance(schedule, ProcSchedule) and schedule.spec.history is not None:
            yield group, limits.with_wishes_of_a_schedule(schedule.spec.history)


def is_governed(execution: ProcExecution) -> bool:
    """Whether retention has a say: it is over and in the record, nobody deletes it, no tool puts it back."""
    status = execution.status
    is_recorded = status.number is not None and is_true(status.conditions, ConditionType.RECORDED)
    return (
        is_recorded
        and is_finished(status)
        and not execution.is_being_deleted
        and not execution.is_gitops_tracked
    )


def age(execution: ProcExecution) -> tuple[datetime, int, str]:
    """What the order of their ends is told by."""
    return _ended_at(execution), execution.status.number or 0, execution.name


def _ended_at(execution: ProcExecution) -> datetime:
    return over_since(execution.status) or execution.creation_time


def _shown_at(execution: ProcExecution) -> datetime:
    """When the end could first be seen: long after it, where the record was away meanwhile."""
    return shown_since(execution.status) or _ended_at(execution)
