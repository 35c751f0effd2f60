"""The progress of schedules with the semantics of the port: an instant has one row for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.occurrence import (
    Claim,
    OccurrenceState,
    PassedOver,
    Progress,
    ScheduleKey,
    Skip,
)
from simulation.line import RECORD, Line


@dataclass(frozen=True, slots=True)
class OccurrenceRow:
    """What came of one planned instant."""

    claim: Claim
    state: OccurrenceState
    why: Skip | None = None
    execution: Uid | None = None


class OccurrenceTable:
    """The rows; they outlive every operator. `find_run` looks a scheduled run up in the record."""

    def __init__(
        self, find_run: Callable[[Namespace, str], Uid | None] = lambda _namespace, _name: None
    ) -> None:
        self._find_run = find_run
        self._progress: dict[Uid, Progress] = {}
        self.rows: dict[tuple[Uid, datetime], OccurrenceRow] = {}

    def progress(self, schedule: Uid) -> Progress | None:
        """How far it has come, with its open claims."""
        known = self._progress.get(schedule)
        if known is None:
            return None
        claimed = [
            row.claim
            for (uid, _), row in self.rows.items()
            if uid == schedule and row.state is OccurrenceState.CLAIMED
        ]
        return replace(known, open_claims=tuple(sorted(claimed, key=lambda one: one.instant)))

    def begin(self, schedule: ScheduleKey, progress: Progress) -> None:
        """In place of what was noted."""
        self._progress[schedule.uid] = replace(progress, open_claims=())

    def take(
        self, schedule: ScheduleKey, claim: Claim, state: OccurrenceState, why: Skip | None = None
    ) -> bool:
        """Insert the row and move on, in one."""
        if not self._move(schedule, claim.instant):
            return False
        return self._insert(schedule, claim, OccurrenceRow(claim, state, why))

    def mark(self, schedule: ScheduleKey, row: OccurrenceRow) -> bool:
        """Replace a row that is claimed and not marked."""
        place = (schedule.uid, row.claim.instant)
        known = self.rows.get(place)
        if known is None or known.state is not OccurrenceState.CLAIMED:
            return False
        self.rows[place] = row
        return True

    def mark_missed(self, schedule: ScheduleKey, claim: Claim) -> bool:
        """Mark and count, in one."""
        if not self.mark(schedule, OccurrenceRow(claim, OccurrenceState.MISSED)):
            return False
        self._count(schedule, 1)
        return True

    def pass_over(self, schedule: ScheduleKey, missed: PassedOver) -> bool:
        """Move on, count all and name the newest, in one."""
        if not self._move(schedule, missed.until):
            return False
        self._count(schedule, missed.count)
        for instant in missed.newest:
            claim = Claim(instant, "")
            self._insert(schedule, claim, OccurrenceRow(claim, OccurrenceState.MISSED))
        return True

    def find_execution(self, schedule: ScheduleKey, claim: Claim) -> Uid | None:
        """The recorded run of that name."""
        return self._find_run(schedule.namespace, claim.execution_name)

    def _move(self, schedule: ScheduleKey, instant: datetime) -> bool:
        known = self._progress.get(schedule.uid)
        if known is None or known.handled_until >= instant:
            return False
        self._progress[schedule.uid] = replace(
            known, handled_until=instant, last_occurrence=instant
        )
        return True

    def _insert(self, schedule: ScheduleKey, claim: Claim, row: OccurrenceRow) -> bool:
        place = (schedule.uid, claim.instant)
        return self.rows.setdefault(place, row) is row

    def _count(self, schedule: ScheduleKey, missed: int) -> None:
        known = self._progress[schedule.uid]
        self._progress[schedule.uid] = replace(known, missed=known.missed + missed)


class SimulatedOccurrences:
    """The `Occurrences` port of one operator process."""

    def __init__(self, table: OccurrenceTable, line: Line) -> None:
        self._table = table
        self._line = line

    async def fetch_progress(self, schedule: Uid) -> Progress | None:
        return await self._line.read(
            RECORD, f"read progress {schedule}", lambda: self._table.progress(schedule)
        )

    async def begin(self, schedule: ScheduleKey, progress: Progress) -> None:
        await self._line.write(
            RECORD, f"begin {schedule.name}", lambda: self._table.begin(schedule, progress)
        )

    async def claim(self, schedule: ScheduleKey, claim: Claim) -> bool:
        return await self._line.write(
            RECORD,
            f"claim {claim.execution_name}",
            lambda: self._table.take(schedule, claim, OccurrenceState.CLAIMED),
        )

    async def skip(self, schedule: ScheduleKey, claim: Claim, why: Skip) -> bool:
        def skip() -> bool:
            row = OccurrenceRow(claim, OccurrenceState.SKIPPED, why)
            return self._table.mark(schedule, row) or self._table.take(
                schedule, claim, OccurrenceState.SKIPPED, why
            )

        return await self._line.write(RECORD, f"skip {claim.execution_name} {why.reason}", skip)

    async def pass_over(self, schedule: ScheduleKey, missed: PassedOver) -> bool:
        return await self._line.write(
            RECORD,
            f"pass over {missed.count} of {schedule.name}",
            lambda: self._table.pass_over(schedule, missed),
        )

    async def mark_missed(self, schedule: ScheduleKey, claim: Claim) -> bool:
        return await self._line.write(
            RECORD,
            f"miss {claim.execution_name}",
            lambda: self._table.mark_missed(schedule, claim),
        )

    async def mark_started(self, schedule: ScheduleKey, claim: Claim, execution: Uid) -> bool:
        row = OccurrenceRow(claim, OccurrenceState.STARTED, execution=execution)
        return await self._line.write(
            RECORD,
            f"mark {claim.execution_name} as {execution}",
            lambda: self._table.mark(schedule, row),
        )

    async def find_execution(self, schedule: ScheduleKey, claim: Claim) -> Uid | None:
        return await self._line.read(
            RECORD,
            f"find {claim.execution_name}",
            lambda: self._table.find_execution(schedule, claim),
        )
