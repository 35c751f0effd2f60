"""The record's port on PostgreSQL: see `ports.records` for what each call promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proctor_operator.adapters.postgres import slots, statements
from proctor_operator.adapters.postgres.cleaning import clean_name
from proctor_operator.adapters.postgres.faults import MIGRATE_HINT
from proctor_operator.adapters.postgres.listing import list_statement
from proctor_operator.adapters.postgres.partitions import months_ahead
from proctor_operator.adapters.postgres.rows import (
    earlier_values,
    key_values,
    outcome_values,
    request_values,
    start_values,
    to_run,
    to_transition,
)
from proctor_operator.domain.errors import RecordRejected, RecordUnavailable

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from proctor_operator.adapters.postgres.pool import RecordPool
    from proctor_operator.domain.concurrency import SlotClaim, SlotVerdict
    from proctor_operator.domain.naming import Uid
    from proctor_operator.domain.run import Outcome, RecordedRun, RunKey, RunRequest, Transition
    from proctor_operator.ports.records import RunFilter, SlotAnswer

    Connection = PoolConnectionProxy[asyncpg.Record]

EXPECTED_REVISION: Final = "0006"
"""The oldest schema this release works with. Revisions are numbered and only add, so a newer
schema serves as well: the old replicas stay ready while a roll-out has migrated already."""

_INT64: Final = range(-(2**63), 2**63)
# A row that upkeep moves to its own partition can be missed by an update, once.
_TRIES: Final = 3


class PostgresRecords:
    """`Records` and `RecordReader` over one pool.

    Raises `RecordUnavailable` when trying again can help, `RecordRejected` when it cannot. Text
    that PostgreSQL cannot hold is replaced, so what comes back may differ from what was given.
    """

    def __init__(self, pool: RecordPool) -> None:
        self._pool = pool

    async def record_run(self, request: RunRequest) -> RecordedRun:
        """Insert the run if it is not there, and return what is recorded."""
        return await self._insert("record_run", request, None)

    async def claim_slots(self, request: RunRequest, claims: tuple[SlotClaim, ...]) -> SlotAnswer:
        """Decide about slots and record what follows, in one transaction."""

        async def claim(connection: Connection) -> SlotAnswer:
            return await slots.claim_slots(connection, request, claims)

        return await self._pool.run("claim_slots", claim)

    async def fetch_place(self, key: RunKey, claims: tuple[SlotClaim, ...]) -> SlotVerdict:
        """What a claim would come to now."""

        async def look(connection: Connection) -> SlotVerdict:
            return await slots.fetch_place(connection, key, claims)

        return await self._pool.run("fetch_place", look)

    async def record_refusal(self, request: RunRequest, outcome: Outcome) -> RecordedRun:
        """Insert a run that never starts together with its outcome; one that is there stays."""
        return await self._insert("record_refusal", request, outcome)

    async def record_job(self, key: RunKey, job_uid: Uid) -> None:
        """Note the Job; raises `RecordRejected` when the run is not in the record."""
        job, _ = start_values(job_uid, None)

        async def note(connection: Connection) -> None:
            if not await connection.fetchval(statements.UPDATE_JOB, *key_values(key), job):
                raise _not_recorded(key)

        await self._pool.run("record_job", note)

    async def record_started(self, key: RunKey, job_uid: Uid, started_at: datetime) -> None:
        """Note that the Job runs; raises `RecordRejected` when the run is not in the record."""
        values = (*key_values(key), *start_values(job_uid, started_at))

        async def note(connection: Connection) -> None:
            if not await connection.fetchval(statements.UPDATE_STARTED, *values):
                raise _not_recorded(key)

        await self._pool.run("record_started", note)

    async def record_outcome(self, key: RunKey, job_uid: Uid | None, outcome: Outcome) -> Outcome:
        """Store how the run ended and return what is stored: the first outcome stays.

        Raises `RecordRejected` when the run is not in the record.
        """
        started_at, *ended = outcome_values(outcome)
        job, _ = start_values(job_uid, None)
        values = (*key_values(key), job, started_at, *ended)

        async def store(connection: Connection) -> Outcome:
            for _ in range(_TRIES):
                row = await connection.fetchrow(statements.UPDATE_OUTCOME, *values)
                row = row or await connection.fetchrow(statements.SELECT_RUN, *key_values(key))
                if row is None:
                    raise _not_recorded(key)
                if (stored := to_run(row).outcome) is not None:
                    return stored
            raise RecordUnavailable(f"the outcome of run {key.uid} was not stored, nor another")

        return await self._pool.run("record_outcome", store)

    async def fetch_run(self, key: RunKey) -> RecordedRun | None:
        """Read one run, or None when the record does not know it."""
        return await self._select("fetch_run", statements.SELECT_RUN, *key_values(key))

    async def fetch_earlier(self, request: RunRequest) -> RecordedRun | None:
        """Find the newest ended run of the same object under another UID."""
        if not request.fingerprint:
            return None
        return await self._select(
            "fetch_earlier", statements.SELECT_EARLIER, *earlier_values(request)
        )

    async def list_runs(self, wanted: RunFilter) -> tuple[RecordedRun, ...]:
        """Runs that match, newest (highest number) first."""
        statement, values = list_statement(wanted)

        async def read(connection: Connection) -> tuple[RecordedRun, ...]:
            rows = await connection.fetch(statement, *values)
            return tuple(to_run(row) for row in rows)

        return await self._pool.run("list_runs", read)

    async def find_run(self, number_or_uid: int | Uid) -> RecordedRun | None:
        """Find one run by its number or by the execution's UID."""
        if isinstance(number_or_uid, int):
            if number_or_uid not in _INT64:
                return None
            return await self._select("find_run", statements.SELECT_BY_NUMBER, number_or_uid)
        return await self._select("find_run", statements.SELECT_BY_UID, clean_name(number_or_uid))

    async def list_transitions(self, key: RunKey) -> tuple[Transition, ...]:
        """Return the steps of a run's life, in the order in which they were recorded."""

        async def read(connection: Connection) -> tuple[Transition, ...]:
            rows = await connection.fetch(statements.SELECT_TRANSITIONS, *key_values(key))
            return tuple(to_transition(row) for row in rows)

        return await self._pool.run("list_transitions", read)

    async def months_ahead(self) -> int:
        """See the port `RecordUpkeep`."""
        return await self._pool.run("months_ahead", months_ahead)

    async def check(self) -> None:
        """Return when the database answers and its schema will do, else `RecordUnavailable`."""

        async def read(connection: Connection) -> str | None:
            revision: str | None = await connection.fetchval(statements.SELECT_REVISION)
            return revision

        revision = await self._pool.run("check", read)
        if revision is None or revision < EXPECTED_REVISION:
            raise RecordUnavailable(
                f"the schema is at revision {revision or 'none'}, this release needs "
                f"{EXPECTED_REVISION}: {MIGRATE_HINT}"
            )

    async def _insert(
        self, operation: str, request: RunRequest, outcome: Outcome | None
    ) -> RecordedRun:
        values = (*request_values(request), *outcome_values(outcome))

        async def insert(connection: Connection) -> RecordedRun:
            row = await connection.fetchrow(statements.INSERT_RUN, *values)
            if row is None:
                # Another caller inserted it after our statement began: a new one sees it.
                row = await connection.fetchrow(statements.SELECT_RUN, *key_values(request.key))
            if row is None:
                raise RecordUnavailable(f"run {request.key.uid} was moved while it was recorded")
            return to_run(row)

        return await self._pool.run(operation, insert)

    async def _select(self, operation: str, statement: str, *values: object) -> RecordedRun | None:
        async def read(connection: Connection) -> RecordedRun | None:
            row = await connection.fetchrow(statement, *values)
            return None if row is None else to_run(row)

        return await self._pool.run(operation, read)


def _not_recorded(key: RunKey) -> RecordRejected:
    return RecordRejected(f"run {key.uid} of {key.created_at.isoformat()} is not in the record")
