"""How far each schedule has come: claimed here first, so that no occurrence starts twice."""

from __future__ import annotations

from typing import Protocol

from proctor_operator.domain.naming import Uid
from proctor_operator.domain.occurrence import Claim, PassedOver, Progress, ScheduleKey, Skip


class Occurrences(Protocol):
    """Durable notes on the planned instants of schedules. Errors and deadlines as in `Records`.

    An instant of a schedule has one row for ever, and the progress of a schedule moves with it in one
    transaction. The methods that move it do nothing and answer False when the instant, or a later one,
    has had its turn, or when the schedule is not known: read the progress again.
    """

    async def fetch_progress(self, schedule: Uid) -> Progress | None:
        """How far it has come, with what was claimed and not marked; None when it is not known."""
        ...

    async def begin(self, schedule: ScheduleKey, progress: Progress) -> None:
        """Note where it goes on from, in place of what was noted before; claims stay as they are."""
        ...

    async def claim(self, schedule: ScheduleKey, claim: Claim) -> bool:
        """Take an instant, to start it; only the one who is answered True may."""
        ...

    async def skip(self, schedule: ScheduleKey, claim: Claim, why: Skip) -> bool:
        """Note that an instant, claimed or not, is not started."""
        ...

    async def pass_over(self, schedule: ScheduleKey, missed: PassedOver) -> bool:
        """Note that instants were missed; those not named are counted only."""
        ...

    async def mark_missed(self, schedule: ScheduleKey, claim: Claim) -> bool:
        """Note that a claimed instant came to nothing."""
        ...

    async def mark_started(self, schedule: ScheduleKey, claim: Claim, execution: Uid) -> bool:
        """Note which execution a claimed instant has; the first note stays."""
        ...

    async def find_execution(self, schedule: ScheduleKey, claim: Claim) -> Uid | None:
        """The UID of the recorded run that a schedule made for it: its object may be gone."""
        ...
