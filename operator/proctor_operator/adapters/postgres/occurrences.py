"""The progress of schedules on PostgreSQL: see `ports.occurrences` for what each call promises."""

# ruff: noqa: S608 - what is put into these texts are column names of this package

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proctor_operator.adapters.postgres.cleaning import MOST_MESSAGE_BYTES, clean_name, clip
from proctor_operator.adapters.postgres.rows import instant
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.occurrence import (
    Claim,
    OccurrenceState,
    PassedOver,
    Progress,
    ScheduleKey,
    Skip,
)

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from proctor_operator.adapters.postgres.pool import RecordPool

    Connection = PoolConnectionProxy[asyncpg.Record]

PROGRESS_COLUMNS: Final = (
    "uid",
    "namespace",
    "name",
    "timing",
    "is_suspended",
    "handled_until",
    "last_occurrence",
    "missed",
    "asked",
    "asked_since",
    "updated_at",
)
OCCURRENCE_COLUMNS: Final = (
    "created_at",
    "schedule_uid",
    "namespace",
    "schedule_name",
    "execution_name",
    "state",
    "reason",
    "message",
)
MARK_COLUMNS: Final = ("state", "reason", "message", "execution_uid")

_BEGUN: Final = PROGRESS_COLUMNS[:-1]
_BEGUN_PLACES: Final = ", ".join(f"${place}" for place in range(1, len(_BEGUN) + 1))
_INSERTED: Final = ", ".join(OCCURRENCE_COLUMNS)

_SELECT_PROGRESS: Final = "SELECT * FROM proctor.schedules WHERE uid = $1"

_SELECT_OPEN: Final = """
SELECT created_at, execution_name FROM proctor.occurrences
WHERE schedule_uid = $1 AND state = 'Claimed' ORDER BY created_at
"""

_BEGIN: Final = f"""
INSERT INTO proctor.schedules ({", ".join(_BEGUN)}) VALUES ({_BEGUN_PLACES})
ON CONFLICT (uid) DO UPDATE
SET updated_at = clock_timestamp(),
    {", ".join(f"{column} = excluded.{column}" for column in _BEGUN[1:])}
"""

# The row of the schedule is locked by its update: of two at once, the second finds that it has moved.
_TAKE: Final = f"""
WITH moved AS (
  UPDATE proctor.schedules
  SET handled_until = $1, last_occurrence = $1, updated_at = clock_timestamp()
  WHERE uid = $2 AND handled_until < $1
  RETURNING uid
), taken AS (
  INSERT INTO proctor.occurrences ({_INSERTED})
  SELECT $1, moved.uid, $3, $4, $5, $6, $7, $8 FROM moved
  ON CONFLICT (created_at, schedule_uid) DO NOTHING
  RETURNING 1
)
SELECT EXISTS (SELECT FROM taken)
"""

_PASS_OVER: Final = f"""
WITH moved AS (
  UPDATE proctor.schedules
  SET handled_until = $1, last_occurrence = $1, missed = missed + $6, updated_at = clock_timestamp()
  WHERE uid = $2 AND handled_until < $1
  RETURNING uid
), noted AS (
  INSERT INTO proctor.occurrences ({_INSERTED})
  SELECT missed, moved.uid, $3, $4, '', 'Missed', '', ''
  FROM moved, unnest($5::timestamptz[]) AS missed
  ON CONFLICT (created_at, schedule_uid) DO NOTHING
)
SELECT EXISTS (SELECT FROM moved)
"""

_MARK: Final = """
UPDATE proctor.occurrences
SET state = $3, reason = $4, message = $5, execution_uid = $6
WHERE created_at = $1 AND schedule_uid = $2 AND state = 'Claimed'
RETURNING true
"""

_MARK_MISSED: Final = """
WITH marked AS (
  UPDATE proctor.occurrences SET state = 'Missed'
  WHERE created_at = $1 AND schedule_uid = $2 AND state = 'Claimed'
  RETURNING 1
), counted AS (
  UPDATE proctor.schedules SET missed = missed + 1, updated_at = clock_timestamp()
  WHERE uid = $2 AND EXISTS (SELECT FROM marked)
)
SELECT EXISTS (SELECT FROM marked)
"""

# An execution is made after the instant that it stands for; an hour is for clocks that disagree.
_FIND_EXECUTION: Final = """
SELECT uid FROM proctor.executions
WHERE namespace = $1 AND name = $2 AND requester_via = 'Schedule'
  AND created_at >= $3::timestamptz - interval '1 hour'
ORDER BY (-number) LIMIT 1
"""


class PostgresOccurrences:
    """`Occurrences` over one pool."""

    def __init__(self, pool: RecordPool) -> None:
        self._pool = pool

    async def fetch_progress(self, schedule: Uid) -> Progress | None:
        """See the port."""
        uid = clean_name(schedule)

        async def read(connection: Connection) -> Progress | None:
            row = await connection.fetchrow(_SELECT_PROGRESS, uid)
            return (
                None if row is None else _progress(row, await connection.fetch(_SELECT_OPEN, uid))
            )

        return await self._pool.run("fetch_progress", read)

    async def begin(self, schedule: ScheduleKey, progress: Progress) -> None:
        """See the port."""
        last = progress.last_occurrence
        values = (
            *_key_values(schedule),
            clean_name(progress.timing),
            progress.is_suspended,
            instant(progress.handled_until),
            None if last is None else instant(last),
            progress.missed,
            clean_name(progress.asked),
            instant(progress.asked_since),
        )

        async def write(connection: Connection) -> None:
            await connection.execute(_BEGIN, *values)

        await self._pool.run("begin_schedule", write)

    async def claim(self, schedule: ScheduleKey, claim: Claim) -> bool:
        """See the port."""
        values = _row(schedule, claim, OccurrenceState.CLAIMED, "", "")
        return await self._answer("claim_occurrence", _TAKE, *values)

    async def skip(self, schedule: ScheduleKey, claim: Claim, why: Skip) -> bool:
        """See the port."""
        if await self._mark(schedule, claim, OccurrenceState.SKIPPED, why):
            return True
        values = _row(schedule, claim, OccurrenceState.SKIPPED, why.reason, why.message)
        return await self._answer("skip_occurrence", _TAKE, *values)

    async def pass_over(self, schedule: ScheduleKey, missed: PassedOver) -> bool:
        """See the port."""
        uid, namespace, name = _key_values(schedule)
        named = [instant(one) for one in missed.newest]
        return await self._answer(
            "pass_over",
            _PASS_OVER,
            instant(missed.until),
            uid,
            namespace,
            name,
            named,
            missed.count,
        )

    async def mark_missed(self, schedule: ScheduleKey, claim: Claim) -> bool:
        """See the port."""
        values = (instant(claim.instant), clean_name(schedule.uid))
        return await self._answer("mark_missed", _MARK_MISSED, *values)

    async def mark_started(self, schedule: ScheduleKey, claim: Claim, execution: Uid) -> bool:
        """See the port."""
        return await self._mark(schedule, claim, OccurrenceState.STARTED, execution=execution)

    async def find_execution(self, schedule: ScheduleKey, claim: Claim) -> Uid | None:
        """See the port."""
        values = (
            clean_name(schedule.namespace),
            clean_name(claim.execution_name),
            instant(claim.instant),
        )

        async def read(connection: Connection) -> Uid | None:
            uid: str | None = await connection.fetchval(_FIND_EXECUTION, *values)
            return None if uid is None else Uid(uid)

        return await self._pool.run("find_execution", read)

    async def _mark(
        self,
        schedule: ScheduleKey,
        claim: Claim,
        state: OccurrenceState,
        why: Skip | None = None,
        *,
        execution: Uid | None = None,
    ) -> bool:
        return await self._answer(
            "mark_occurrence",
            _MARK,
            instant(claim.instant),
            clean_name(schedule.uid),
            state.value,
            clean_name(why.reason if why else ""),
            clip(why.message if why else "", MOST_MESSAGE_BYTES),
            None if execution is None else clean_name(execution),
        )

    async def _answer(self, operation: str, statement: str, *values: Any) -> bool:
        async def ask(connection: Connection) -> bool:
            return bool(await connection.fetchval(statement, *values))

        return await self._pool.run(operation, ask)


def _key_values(schedule: ScheduleKey) -> tuple[str, str, str]:
    return clean_name(schedule.uid), clean_name(schedule.namespace), clean_name(schedule.name)


def _row(
    schedule: ScheduleKey, claim: Claim, state: OccurrenceState, reason: str, message: str
) -> tuple[object, ...]:
    return (
        instant(claim.instant),
        *_key_values(schedule),
        clean_name(claim.execution_name),
        state.value,
        clean_name(reason),
        clip(message, MOST_MESSAGE_BYTES),
    )


def _progress(row: asyncpg.Record, open_claims: list[asyncpg.Record]) -> Progress:
    return Progress(
        timing=row["timing"],
        is_suspended=row["is_suspended"],
        handled_until=row["handled_until"],
        asked=row["asked"],
        asked_since=row["asked_since"],
        last_occurrence=row["last_occurrence"],
        missed=row["missed"],
        open_claims=tuple(Claim(one["created_at"], one["execution_name"]) for one in open_claims),
    )
