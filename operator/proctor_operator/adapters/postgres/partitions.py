"""Upkeep of the monthly partitions; months are those of UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

PARTITIONED: Final = ("executions", "transitions", "log_chunks", "denials", "occurrences")

_THIS_MONTH: Final = "SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date"

# By their bounds, not by their names: an administrator may have attached others. One without a bound on
# a side goes on for ever there, and a default partition has none. PostgreSQL knows times that Python
# does not, `infinity` and years before Christ among them: these count as the first and the last there is.
_BOUND: Final = (
    r"least(greatest(coalesce(substring(bounds FROM $${side} \('([^']*)'\)$$)::timestamptz, {open}), "
    "'0001-01-01 00:00:00+00'), '9999-12-31 23:59:59.999999+00')"
)
PARTITIONS: Final = f"""
SELECT parent, name,
       {_BOUND.format(side="FROM", open="'-infinity'")} AS first,
       {_BOUND.format(side="TO", open="'infinity'")} AS after
FROM (
  SELECT parent.relname AS parent, child.relname AS name,
         pg_get_expr(child.relpartbound, child.oid) AS bounds
  FROM pg_inherits
  JOIN pg_class AS child ON child.oid = pg_inherits.inhrelid
  JOIN pg_class AS parent ON parent.oid = pg_inherits.inhparent
  WHERE parent.relnamespace = 'proctor'::regnamespace AND parent.relkind = 'p'
) AS partition
WHERE bounds <> 'DEFAULT'
"""  # noqa: S608 - nothing but our own words
"""Every partition that has bounds, and from which time until before which it reaches."""

# What upkeep missed. Older rows stay in the default partition: a wrong clock may have made them,
# and each would get a partition of its own.
_STRAYED: Final = " UNION ".join(
    f"""
    SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month
    FROM proctor.{table}_default
    WHERE created_at >= now() - interval '1 year' AND created_at < now()
    """  # noqa: S608 - names of our own tables
    for table in PARTITIONED
)
_MOST_MONTHS_AHEAD: Final = 24


@dataclass(frozen=True, slots=True)
class _Partition:
    first: dt.datetime
    after: dt.datetime

    def overlaps(self, month: dt.date) -> bool:
        return self.first < _instant(_month_after(month)) and self.after > _instant(month)

    def covers(self, month: dt.date) -> bool:
        return self.first <= _instant(month) and self.after >= _instant(_month_after(month))


async def keep_partitions(
    connection: asyncpg.Connection, *, months_ahead: int, also: Iterable[dt.date]
) -> tuple[str, ...]:
    """Create the partitions that are missing, and return their names.

    Wanted are the current month, `months_ahead` more, every month with a day in `also`, and those
    of the past year that have rows in the default partition. A new partition takes over the rows
    of its month from there. Each is its own transaction and holds up writers only while rows move.
    """
    this_month: dt.date = await connection.fetchval(_THIS_MONTH)
    wanted = {day.replace(day=1) for day in also}
    wanted |= {row["month"] for row in await connection.fetch(_STRAYED)}
    month = this_month
    for _ in range(months_ahead + 1):
        wanted.add(month)
        month = _month_after(month)
    existing = await _existing(connection)
    created = []
    for month in sorted(wanted):
        for table in PARTITIONED:
            if not any(one.overlaps(month) for one in existing.get(table, ())):
                name = await _free_name(connection, f"{table}_{month:%Y_%m}")
                await _create(connection, table, name, month)
                created.append(name)
    return tuple(created)


async def months_ahead(connection: PoolConnectionProxy[asyncpg.Record]) -> int:
    """Count the months after the current one that have their partitions, without a gap; at most 24.

    0 when next month has none, -1 when this month has none: its rows go to the default partitions.
    """
    month: dt.date = await connection.fetchval(_THIS_MONTH)
    existing = await _existing(connection)
    for ahead in range(_MOST_MONTHS_AHEAD + 1):
        if not all(any(one.covers(month) for one in existing.get(of, ())) for of in PARTITIONED):
            return ahead - 1
        month = _month_after(month)
    return _MOST_MONTHS_AHEAD


async def _existing(
    connection: asyncpg.Connection | PoolConnectionProxy[asyncpg.Record],
) -> dict[str, list[_Partition]]:
    found: dict[str, list[_Partition]] = {}
    for row in await connection.fetch(PARTITIONS):
        found.setdefault(row["parent"], []).append(_Partition(row["first"], row["after"]))
    return found


async def _free_name(connection: asyncpg.Connection, wanted: str) -> str:
    """An administrator may have detached a month to keep it elsewhere, and left it under its name."""
    name, number = wanted, 2
    while await connection.fetchval("SELECT to_regclass($1)", f"proctor.{name}") is not None:
        name, number = f"{wanted}_{number}", number + 1
    return name


async def _create(connection: asyncpg.Connection, table: str, name: str, month: dt.date) -> None:
    first, after = _instant(month), _instant(_month_after(month))
    async with connection.transaction():
        # Attaching needs this lock anyway; taken first, no row can arrive behind the move.
        await connection.execute(f"LOCK TABLE proctor.{table}_default IN ACCESS EXCLUSIVE MODE")
        await connection.execute(
            f"CREATE TABLE proctor.{name} "
            f"(LIKE proctor.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)"
        )
        await connection.execute(
            f"""
            WITH moved AS (
              DELETE FROM proctor.{table}_default
              WHERE created_at >= $1 AND created_at < $2
              RETURNING *
            )
            INSERT INTO proctor.{name} SELECT * FROM moved
            """,  # noqa: S608 - both names are made above
            first,
            after,
        )
        await connection.execute(
            f"ALTER TABLE proctor.{table} ATTACH PARTITION proctor.{name} "
            f"FOR VALUES FROM ('{first.isoformat()}') TO ('{after.isoformat()}')"
        )


def _month_after(month: dt.date) -> dt.date:
    return (month.replace(day=1) + dt.timedelta(days=32)).replace(day=1)


def _instant(month: dt.date) -> dt.datetime:
    return dt.datetime(month.year, month.month, 1, tzinfo=dt.UTC)
