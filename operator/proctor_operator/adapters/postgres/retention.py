"""Removes what is older than it shall be kept: whole months, and single rows of default partitions.

Only the owner role may. What has no outcome yet is never removed, however old.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import asyncpg

from proctor_operator.adapters.postgres.partitions import PARTITIONS

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """How long runs and their logs are kept, in days from the execution's creation; 0 or -1 is for ever."""

    record_days: int = 0
    log_days: int = 0

    @property
    def effective_log_days(self) -> int:
        """Days for logs: never longer than the runs that they belong to."""
        days = [days for days in (self.record_days, self.log_days) if days > 0]
        return min(days, default=0)


@dataclass(frozen=True, slots=True)
class Kept:
    """A table that is old enough to go, or has rows that are, and why it stays."""

    table: str
    reason: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What retention did."""

    partitions: tuple[str, ...] = ()
    rows: int = 0
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class _Month:
    """Partitions that cover the same time, of tables that are dropped together."""

    first: datetime
    after: datetime
    partitions: dict[str, str]
    """By the table that they are part of."""


_BATCH: Final = 5000

_LIMIT: Final = "SELECT now() - make_interval(days => $1)"

_EXPIRED: Final = f"""
SELECT parent, name, first, after FROM ({PARTITIONS}) AS bounded
WHERE parent = ANY($1) AND after <= $2 ORDER BY first, parent
"""  # noqa: S608 - nothing but our own words

_UNFINISHED: Final = """
SELECT count(*) FROM proctor.executions WHERE created_at >= $1 AND created_at < $2 AND phase IS NULL
"""

_OLD_UNFINISHED: Final = """
SELECT count(*) FROM proctor.executions_default WHERE created_at < $1 AND phase IS NULL
"""

# A run goes with its transitions, wherever these are.
_DELETE_RUNS: Final = """
WITH expired AS (
  SELECT created_at, uid FROM proctor.executions_default
  WHERE created_at < $1 AND phase IS NOT NULL
  LIMIT $2
), noted AS (
  DELETE FROM proctor.transitions AS noted USING expired
  WHERE noted.created_at = expired.created_at AND noted.uid = expired.uid
), deleted AS (
  DELETE FROM proctor.executions_default AS run USING expired
  WHERE run.created_at = expired.created_at AND run.uid = expired.uid
  RETURNING 1
)
SELECT count(*) FROM deleted
"""

_DELETE_CHUNKS: Final = """
WITH expired AS (
  SELECT chunk.ctid FROM proctor.log_chunks_default AS chunk
  WHERE chunk.created_at < $1 AND NOT EXISTS (
    SELECT FROM proctor.executions AS run
    WHERE run.created_at = chunk.created_at AND run.uid = chunk.uid AND run.phase IS NULL
  )
  LIMIT $2
), deleted AS (
  DELETE FROM proctor.log_chunks_default WHERE ctid = ANY(ARRAY(SELECT ctid FROM expired))
  RETURNING 1
)
SELECT count(*) FROM deleted
"""


_DELETE_DENIALS: Final = """
WITH deleted AS (
  DELETE FROM proctor.denials_default WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM proctor.denials_default WHERE created_at < $1 LIMIT $2
  ))
  RETURNING 1
)
SELECT count(*) FROM deleted
"""


_DELETE_OCCURRENCES: Final = """
WITH deleted AS (
  DELETE FROM proctor.occurrences_default WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM proctor.occurrences_default WHERE created_at < $1 LIMIT $2
  ))
  RETURNING 1
)
SELECT count(*) FROM deleted
"""

# Where a schedule stands is worth more than what came of its runs: some run once in four years.
_DELETE_SCHEDULES: Final = """
WITH deleted AS (
  DELETE FROM proctor.schedules WHERE uid = ANY(ARRAY(
    SELECT uid FROM proctor.schedules WHERE updated_at < $1::timestamptz - interval '1500 days'
    LIMIT $2
  ))
  RETURNING 1
)
SELECT count(*) FROM deleted
"""


async def remove_expired(connection: asyncpg.Connection, retention: Retention) -> Removed:
    """Remove what is old enough, logs first: a log never outlives its run.

    A partition goes when all of its month is old enough, in a transaction of its own, which holds up
    writers for as long as the session's lock time-out at most; one that is in use is left for the
    next time. Rows of default partitions are deleted in batches.
    """
    logs = await _remove(
        connection, retention.effective_log_days, ("log_chunks",), delete=_DELETE_CHUNKS
    )
    runs = await _remove(
        connection,
        retention.record_days,
        ("executions", "transitions", "denials", "occurrences"),
        delete=_DELETE_RUNS,
    )
    others = await _remove_others(connection, retention.record_days)
    rows = logs.rows + runs.rows + others
    return Removed(logs.partitions + runs.partitions, rows, logs.kept + runs.kept)


async def _remove_others(connection: asyncpg.Connection, days: int) -> int:
    """Denials and occurrences of the default partitions (a month's go with its runs), and old schedules."""
    if days <= 0:
        return 0
    limit: datetime = await connection.fetchval(_LIMIT, days)
    rows = 0
    for delete in (_DELETE_DENIALS, _DELETE_OCCURRENCES, _DELETE_SCHEDULES):
        while deleted := await connection.fetchval(delete, limit, _BATCH):
            rows += deleted
    return rows


async def _remove(
    connection: asyncpg.Connection, days: int, tables: tuple[str, ...], *, delete: str
) -> Removed:
    if days <= 0:
        return Removed()
    limit: datetime = await connection.fetchval(_LIMIT, days)
    dropped: list[str] = []
    kept: list[Kept] = []
    for month in await _expired_months(connection, tables, limit):
        reason = await _drop(connection, month)
        if reason is None:
            dropped += month.partitions.values()
        else:
            kept += [Kept(name, reason) for name in month.partitions.values()]
    rows = 0
    while deleted := await connection.fetchval(delete, limit, _BATCH):
        rows += deleted
    unfinished = await connection.fetchval(_OLD_UNFINISHED, limit)
    if unfinished:
        kept.append(Kept(f"{tables[0]}_default", _runs_without_outcome(unfinished)))
    return Removed(tuple(dropped), rows, tuple(kept))


async def _expired_months(
    connection: asyncpg.Connection, tables: tuple[str, ...], limit: datetime
) -> list[_Month]:
    months: dict[tuple[datetime, datetime], _Month] = {}
    for row in await connection.fetch(_EXPIRED, tables, limit):
        first, after = row["first"], row["after"]
        month = months.setdefault((first, after), _Month(first, after, {}))
        month.partitions[row["parent"]] = row["name"]
    return list(months.values())


async def _drop(connection: asyncpg.Connection, month: _Month) -> str | None:
    """Drop a month's partitions together; returns why they stay, or None when they are gone."""
    try:
        async with connection.transaction():
            for table in month.partitions:
                # First, and in the order of the writers, so that neither waits for the other; from
                # here on no run can arrive unseen.
                await connection.execute(
                    f"LOCK TABLE ONLY proctor.{table} IN ACCESS EXCLUSIVE MODE"
                )
            unfinished = await connection.fetchval(_UNFINISHED, month.first, month.after)
            if unfinished:
                return _runs_without_outcome(unfinished)
            for table, name in month.partitions.items():
                await connection.execute(f"ALTER TABLE proctor.{table} DETACH PARTITION {_q(name)}")
                await connection.execute(f"DROP TABLE {_q(name)}")
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        return f"it is in use: {error}"
    return None


def _q(name: str) -> str:
    # An administrator may have attached a partition under any name.
    return 'proctor."' + name.replace('"', '""') + '"'


def _runs_without_outcome(count: int) -> str:
    return f"it holds {count} run{'s' if count != 1 else ''} without an outcome"
