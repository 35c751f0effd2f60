"""Everything a decision about one schedule rests on, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import UnreadableObject, Unseen
from proctor_operator.domain.occurrence import Claim, Progress, ScheduleKey, Skip
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ActiveRun, ProcSchedule
from proctor_operator.reconcile.schedule_policy import SchedulePolicy


@dataclass(frozen=True, slots=True)
class ObservedSchedule:
    """What is known now; `holder`, `recorded`, `denial` and `hindrance` are about the oldest open claim."""

    schedule: ProcSchedule
    policy: SchedulePolicy
    proc: Proc | None = None
    """The Proc as it was last seen, to note which one was looked at; the execution asks again."""
    active: tuple[ActiveRun, ...] = ()
    progress: Progress | Unseen = Unseen.NOT_READ
    has_started_one: bool = False
    """In this very pass."""
    has_begun: bool = False
    """Whether this very pass noted where it goes on from."""
    own_claim: Claim | None = None
    """Claimed in this very pass: nobody can have started it yet."""
    holder: ProcExecution | UnreadableObject | Unseen = Unseen.NOT_READ
    recorded: Uid | Unseen = Unseen.NOT_READ
    denial: Skip | None = None
    """Why its execution will never be let in."""
    hindrance: Skip | None = None
    """Why its execution is not let in now."""

    @property
    def is_switched_off(self) -> bool:
        """Whether somebody suspended it, or had until now."""
        was = isinstance(self.progress, Progress) and self.progress.is_suspended
        return was or self.schedule.spec.suspend

    @property
    def key(self) -> ScheduleKey:
        """The schedule as the record names it."""
        schedule = self.schedule
        return ScheduleKey(schedule.uid, schedule.namespace, schedule.name)
