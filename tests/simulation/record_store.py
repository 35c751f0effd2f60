"""A transactional record with the semantics of the port: what is there stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from harness.slot_book import SlotBook
from proctor_operator.domain.concurrency import SlotClaim, SlotVerdict
from proctor_operator.domain.errors import RecordRejected
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import ALREADY_RUN, Outcome, RecordedRun, RunKey, RunRequest
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.records import SlotAnswer
from simulation.line import RECORD, Line

Observer = Callable[[RecordedRun | None, RecordedRun], None]


class RecordTable:
    """The rows; they outlive every operator. Observers see each committed change."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._observers: list[Observer] = []
        self._numbers = 0
        self.lost: set[str] = set()
        self.rows: dict[RunKey, RecordedRun] = {}
        self._slots = SlotBook()

    def observe(self, observer: Observer) -> None:
        """Call `observer` with the row before and after, at each change."""
        self._observers.append(observer)

    def row_of(self, uid: str) -> RecordedRun | None:
        """The first row of an execution."""
        return next((row for key, row in self.rows.items() if key.uid == uid), None)

    def earlier_run(self, request: RunRequest) -> RecordedRun | None:
        """The newest run of the same object under another UID."""
        earlier = (row for row in self.rows.values() if row.is_earlier_run_of(request))
        return max(earlier, key=lambda row: row.number, default=None)

    def lose_row(self, uid: str) -> None:
        """Forget an execution, as a restored backup does."""
        self.rows = {key: row for key, row in self.rows.items() if key.uid != uid}
        self.lost.add(uid)

    def insert(
        self, request: RunRequest, outcome: Outcome | None, *, is_waiting: bool = False
    ) -> RecordedRun:
        """Insert, unless the key is there; the row that is there."""
        if request.key not in self.rows:
            self._numbers += 1
            number = self._numbers
            row = RecordedRun(
                request, number, self._clock.now(), outcome=outcome, is_waiting=is_waiting
            )
            self._store(None, row)
        return self.rows[request.key]

    def claim(self, request: RunRequest, claims: tuple[SlotClaim, ...]) -> SlotAnswer:
        """Decide about slots, and write what follows."""
        return self._slots.claim(
            self.rows,
            request,
            claims,
            insert=lambda wanted, is_waiting: self.insert(wanted, None, is_waiting=is_waiting),
            store=self._store,
        )

    def place(self, key: RunKey, claims: tuple[SlotClaim, ...]) -> SlotVerdict:
        """What a claim would come to."""
        return self._slots.place(self.rows, key, claims)

    def note_job(self, key: RunKey, job_uid: Uid) -> None:
        """The first note stays."""
        row = self._row(key)
        if row.job_uid is None and row.outcome is None:
            self._store(row, replace(row, job_uid=job_uid))

    def note_start(self, key: RunKey, job_uid: Uid, started_at: datetime) -> None:
        """The first note stays."""
        row = self._row(key)
        if row.started_at is None and row.outcome is None:
            job = row.job_uid or job_uid
            self._store(row, replace(row, job_uid=job, started_at=started_at))

    def note_outcome(self, key: RunKey, job_uid: Uid | None, outcome: Outcome) -> Outcome:
        """The first outcome stays; what is stored."""
        row = self._row(key)
        if row.outcome is not None:
            return row.outcome
        started_at = row.started_at or outcome.started_at
        stored = replace(outcome, started_at=started_at)
        job = row.job_uid or job_uid
        self._store(row, replace(row, job_uid=job, started_at=started_at, outcome=stored))
        return stored

    def _row(self, key: RunKey) -> RecordedRun:
        if key not in self.rows:
            raise RecordRejected(f"run {key.uid} is not in the record")
        return self.rows[key]

    def _store(self, before: RecordedRun | None, after: RecordedRun) -> None:
        self.rows[after.request.key] = after
        for observer in self._observers:
            observer(before, after)


class SimulatedRecords:
    """The `Records` port of one operator process."""

    def __init__(self, table: RecordTable, line: Line) -> None:
        self._table = table
        self._line = line

    async def record_run(self, request: RunRequest) -> RecordedRun:
        return await self._line.write(
            RECORD,
            f"record run {request.name}",
            lambda: self._table.insert(request, None),
            meddle=lambda: self._table.insert(request, None),
        )

    async def claim_slots(self, request: RunRequest, claims: tuple[SlotClaim, ...]) -> SlotAnswer:
        return await self._line.write(
            RECORD,
            f"claim {request.name} {[claim.group for claim in claims]}",
            lambda: self._table.claim(request, claims),
            meddle=lambda: self._table.claim(request, claims),
        )

    async def fetch_place(self, key: RunKey, claims: tuple[SlotClaim, ...]) -> SlotVerdict:
        return await self._line.read(
            RECORD, f"read place {key.uid}", lambda: self._table.place(key, claims)
        )

    async def record_refusal(self, request: RunRequest, outcome: Outcome) -> RecordedRun:
        return await self._line.write(
            RECORD,
            f"record refusal {request.name} {outcome.reason}",
            lambda: self._table.insert(request, outcome),
            meddle=lambda: self._table.insert(request, outcome),
        )

    async def record_job(self, key: RunKey, job_uid: Uid) -> None:
        await self._line.write(
            RECORD, f"record job {key.uid}", lambda: self._table.note_job(key, job_uid)
        )

    async def record_started(self, key: RunKey, job_uid: Uid, started_at: datetime) -> None:
        await self._line.write(
            RECORD,
            f"record start {key.uid}",
            lambda: self._table.note_start(key, job_uid, started_at),
            meddle=lambda: self._table.note_start(key, job_uid, started_at),
        )

    async def record_outcome(self, key: RunKey, job_uid: Uid | None, outcome: Outcome) -> Outcome:
        return await self._line.write(
            RECORD,
            f"record outcome {key.uid} {outcome.phase}/{outcome.reason}",
            lambda: self._table.note_outcome(key, job_uid, outcome),
            meddle=lambda: self._table.note_outcome(key, job_uid, _seen_later(outcome)),
        )

    async def fetch_run(self, key: RunKey) -> RecordedRun | None:
        return await self._line.read(
            RECORD, f"read run {key.uid}", lambda: self._table.rows.get(key)
        )

    async def fetch_earlier(self, request: RunRequest) -> RecordedRun | None:
        return await self._line.read(
            RECORD, f"read earlier {request.name}", lambda: self._table.earlier_run(request)
        )


def _seen_later(outcome: Outcome) -> Outcome:
    """The same, as another controller would put it that comes to look a second later.

    What an earlier run came to does not depend on when somebody looks.
    """
    if outcome.reason == ALREADY_RUN:
        return outcome
    return replace(outcome, completed_at=outcome.completed_at + timedelta(seconds=1))
