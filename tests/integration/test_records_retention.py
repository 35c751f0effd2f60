"""Retention on a real server: whole months go, single strays go, and nothing that is not over."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import (
    JOB,
    CountedCalls,
    SystemClock,
    log_chunk,
    run_outcome,
    run_request,
)
from proctor_operator.adapters.postgres import retention as retention_module
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.migrate import MigrationLimits, MigrationResult, migrate
from proctor_operator.adapters.postgres.partitions import PARTITIONED
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.adapters.postgres.retention import Kept, Removed, Retention
from proctor_operator.app.sections import PostgresSettings, RetentionSettings
from proctor_operator.app.settings import Settings
from proctor_operator.app.upkeep import keep_up
from proctor_operator.app.wiring import record_retention
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import RunKey, RunRequest
from proctor_operator.ports.records import RunFilter

NOW = SystemClock().now()
FAR_AWAY = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)
UNENDED = "it holds 1 run without an outcome"


def days_ago(days: int) -> dt.datetime:
    return NOW - dt.timedelta(days=days)


def partitions_of(moment: dt.datetime, *tables: str) -> set[str]:
    return {f"{table}_{moment:%Y_%m}" for table in tables or PARTITIONED}


class Keeper:
    """Runs and logs of any age, and the owner who keeps house."""

    def __init__(self, database: LocalDatabase, pool: RecordPool) -> None:
        self.database = database
        self.records = PostgresRecords(pool)
        self.logs = PostgresLogs(pool)

    async def upkeep(
        self, also_months: Iterable[dt.datetime] = (), **options: Any
    ) -> MigrationResult:
        months = [moment.date() for moment in also_months]
        owner = self.database.options(self.database.owner_dsn)
        return await migrate(owner, also_months=months, **options)

    async def remove(self, record_days: int, log_days: int) -> Removed:
        return (await self.upkeep(retention=Retention(record_days, log_days))).removed

    async def run_of(self, created_at: dt.datetime, *, has_ended: bool = True) -> RunRequest:
        """A run with a chunk of its log."""
        request = run_request(key=replace(run_request().key, created_at=created_at))
        await self.records.record_run(request)
        await self.logs.append_log(request.key, log_chunk(b"line\n"))
        if has_ended:
            await self.records.record_outcome(request.key, JOB, run_outcome())
        return request

    async def is_kept(self, request: RunRequest) -> tuple[bool, bool]:
        """Whether the run is there, and its log."""
        run = await self.records.fetch_run(request.key)
        return run is not None, bool(await self.logs.log_spans(request.key))

    def attach(self, prefix: str, bounds: str) -> None:
        """A partition of every table, as an administrator makes them: named so, and with these bounds."""
        for table in PARTITIONED:
            name = f'proctor."{prefix}{table}"'
            self.database.query(
                f"CREATE TABLE {name} PARTITION OF proctor.{table} FOR VALUES {bounds}"
            )
            self.database.query(f"ALTER TABLE {name} OWNER TO proctor_owner")

    def partitions(self) -> set[str]:
        names = """
        SELECT relname::text FROM pg_class
        WHERE relnamespace = 'proctor'::regnamespace AND relkind = 'r' AND relispartition
        """
        return {row[0] for row in self.database.query(names)}

    def transitions(self) -> int:
        return int(self.database.query("SELECT count(*) FROM proctor.transitions")[0][0])


@pytest.fixture
def keeper(database: LocalDatabase, record_pool: RecordPool) -> Keeper:
    return Keeper(database, record_pool)


async def test_months_that_are_old_enough_go_and_the_log_before_its_run(keeper: Keeper) -> None:
    oldest, old, young = days_ago(500), days_ago(200), days_ago(40)
    await keeper.upkeep(also_months=[oldest, old, young])
    runs = [await keeper.run_of(moment) for moment in (oldest, old, young)]

    removed = await keeper.remove(record_days=400, log_days=90)

    assert [await keeper.is_kept(run) for run in runs] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert set(removed.partitions) == partitions_of(oldest) | partitions_of(old, "log_chunks")
    assert (removed.rows, removed.kept) == (0, ())
    assert not keeper.partitions() & set(removed.partitions)
    assert keeper.transitions() == 2 * 3


async def test_what_is_gone_is_not_made_again(keeper: Keeper) -> None:
    await keeper.upkeep(also_months=[days_ago(500)])
    await keeper.remove(record_days=400, log_days=90)
    before = keeper.partitions()

    again = await keeper.upkeep(retention=Retention(400, 90))

    assert (again.removed, again.partitions_created) == (Removed(), ())
    assert keeper.partitions() == before


async def test_a_month_goes_when_its_last_moment_is_old_enough(keeper: Keeper) -> None:
    month = days_ago(100).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = (month + dt.timedelta(days=32)).replace(day=1)
    await keeper.upkeep(also_months=[month])
    full_days = (SystemClock().now() - after).days

    assert (await keeper.remove(record_days=full_days + 1, log_days=0)).partitions == ()
    dropped = (await keeper.remove(record_days=full_days, log_days=0)).partitions

    assert set(dropped) == partitions_of(month)


async def test_a_month_with_a_run_that_has_not_ended_stays_and_is_told(keeper: Keeper) -> None:
    month, other = days_ago(500), days_ago(600)
    await keeper.upkeep(also_months=[month, other])
    ended = await keeper.run_of(month)
    running = await keeper.run_of(month, has_ended=False)

    removed = await keeper.remove(record_days=400, log_days=90)

    assert set(removed.kept) == {Kept(name, UNENDED) for name in partitions_of(month)}
    assert set(removed.partitions) == partitions_of(other)
    assert await keeper.is_kept(ended) == await keeper.is_kept(running) == (True, True)

    await keeper.records.record_outcome(running.key, JOB, run_outcome())
    assert set((await keeper.remove(400, 90)).partitions) == partitions_of(month)


async def test_strays_in_default_partitions_go_row_by_row(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "_BATCH", 2)
    ancient = [await keeper.run_of(days_ago(3000 + number)) for number in range(5)]
    running = await keeper.run_of(days_ago(3000), has_ended=False)
    future = await keeper.run_of(days_ago(-3000))

    removed = await keeper.remove(record_days=400, log_days=90)

    assert [await keeper.is_kept(run) for run in ancient] == [(False, False)] * 5
    assert await keeper.is_kept(running) == await keeper.is_kept(future) == (True, True)
    assert removed.rows == 5 + 5
    assert set(removed.kept) == {
        Kept("log_chunks_default", UNENDED),
        Kept("executions_default", UNENDED),
    }
    assert keeper.transitions() == 1 + 3


async def test_a_stray_of_which_only_the_log_is_old_enough_keeps_its_row(keeper: Keeper) -> None:
    stray = await keeper.run_of(days_ago(500))

    await keeper.remove(record_days=1000, log_days=90)

    assert await keeper.is_kept(stray) == (True, False)


async def test_settings_say_how_long(keeper: Keeper) -> None:
    old, older = days_ago(100), days_ago(200)
    await keeper.upkeep(also_months=[old, older])
    runs = [await keeper.run_of(old), await keeper.run_of(older)]
    postgres = PostgresSettings(owner_dsn=SecretStr(keeper.database.owner_dsn))
    retention = RetentionSettings(record_days=150, log_days=60)

    await keep_up(Settings(postgres=postgres, retention=retention))

    assert [await keeper.is_kept(run) for run in runs] == [(True, False), (False, False)]


@pytest.mark.parametrize("days", [-1, 0])
async def test_no_limit_keeps_for_ever(keeper: Keeper, days: int) -> None:
    retention = record_retention(RetentionSettings(record_days=days, log_days=days))
    await keeper.upkeep(also_months=[days_ago(5000)])
    before = keeper.partitions()
    runs = [await keeper.run_of(days_ago(age)) for age in (5000, 9000)]

    assert (await keeper.upkeep(retention=retention)).removed == Removed()
    assert (await keeper.upkeep()).removed == Removed()

    assert [await keeper.is_kept(run) for run in runs] == [(True, True)] * 2
    assert keeper.partitions() == before


@pytest.mark.parametrize("log_days", [-1, 0, 1000])
async def test_a_log_never_outlives_its_run(keeper: Keeper, log_days: int) -> None:
    await keeper.upkeep(also_months=[days_ago(500)])
    run = await keeper.run_of(days_ago(500))

    await keeper.remove(record_days=400, log_days=log_days)

    assert await keeper.is_kept(run) == (False, False)


async def test_a_month_that_a_backup_reads_is_left_for_the_next_time(keeper: Keeper) -> None:
    month, other = days_ago(500), days_ago(550)
    await keeper.upkeep(also_months=[month, other])
    reader = await asyncpg.connect(keeper.database.admin_dsn)
    try:
        await reader.execute("BEGIN")
        await reader.execute(f"LOCK TABLE proctor.log_chunks_{month:%Y_%m} IN ACCESS SHARE MODE")
        result = await keeper.upkeep(
            retention=Retention(400, 90), limits=MigrationLimits(upkeep_lock=0.1)
        )
    finally:
        await reader.close()

    (kept,) = result.removed.kept
    assert kept.table == f"log_chunks_{month:%Y_%m}"
    assert kept.reason.startswith("it is in use")
    assert set(result.removed.partitions) == partitions_of(other) | partitions_of(
        month, "executions", "transitions", "denials", "occurrences"
    )
    assert set((await keeper.remove(400, 90)).partitions) == partitions_of(month, "log_chunks")


async def test_runs_are_recorded_while_old_months_go(keeper: Keeper) -> None:
    await keeper.upkeep(also_months=[days_ago(500 + 31 * number) for number in range(8)])

    removal = asyncio.create_task(keeper.remove(400, 90))
    await asyncio.gather(*(keeper.run_of(days_ago(0)) for _ in range(60)))

    assert len((await removal).partitions) >= 8 * len(PARTITIONED)
    assert len(await keeper.records.list_runs(RunFilter(limit=100))) == 60


async def test_partitions_under_names_of_an_administrator_go_by_their_bounds(
    keeper: Keeper,
) -> None:
    keeper.attach('odd "" ', "FROM ('2001-01-01') TO ('2003-01-01')")

    removed = await keeper.remove(record_days=400, log_days=90)

    assert set(removed.partitions) == {f'odd " {table}' for table in PARTITIONED}


@pytest.mark.parametrize("beginning", ["MINVALUE", "'-infinity'", "'0044-03-15 00:00:00+00 BC'"])
async def test_what_has_not_ended_stays_in_a_partition_that_has_no_beginning_for_us(
    keeper: Keeper, beginning: str
) -> None:
    keeper.attach("old_", f"FROM ({beginning}) TO ('2003-01-01+00')")
    running = await keeper.run_of(dt.datetime(2002, 5, 5, tzinfo=dt.UTC), has_ended=False)

    removed = await keeper.remove(record_days=400, log_days=90)

    assert {one.table for one in removed.kept} == {f"old_{table}" for table in PARTITIONED}
    assert await keeper.is_kept(running) == (True, True)

    await keeper.records.record_outcome(running.key, JOB, run_outcome())
    removed = await keeper.remove(record_days=400, log_days=90)
    assert set(removed.partitions) == {f"old_{table}" for table in PARTITIONED}


@pytest.mark.parametrize("end", ["MAXVALUE", "'infinity'", "'20000-01-01+00'"])
async def test_a_partition_that_ends_beyond_our_calendar_takes_all_that_is_to_come(
    keeper: Keeper, end: str
) -> None:
    keeper.attach("all_", f"FROM ('2100-01-01+00') TO ({end})")

    assert await keeper.records.months_ahead() == 3
    made = await keeper.upkeep(
        also_months=[FAR_AWAY - dt.timedelta(days=1), FAR_AWAY],
        retention=Retention(400, 90),
    )

    assert set(made.partitions_created) == {f"{table}_2099_12" for table in PARTITIONED}


async def test_the_operator_can_tell_how_far_ahead_partitions_are(keeper: Keeper) -> None:
    assert await keeper.records.months_ahead() == 3

    next_month = (NOW.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    keeper.database.query(f"DROP TABLE proctor.log_chunks_{next_month:%Y_%m}")
    assert await keeper.records.months_ahead() == 0

    keeper.database.query(f"DROP TABLE proctor.executions_{NOW:%Y_%m}")
    assert await keeper.records.months_ahead() == -1

    await keeper.upkeep(months_ahead=40)
    assert await keeper.records.months_ahead() == 24


async def test_a_log_that_strayed_moves_when_upkeep_makes_its_month(
    database: LocalDatabase,
) -> None:
    moment = days_ago(0)
    database.query(f"DROP TABLE proctor.log_chunks_{moment:%Y_%m}")
    async with RecordPool(database.options(), CountedCalls(), SystemClock()) as pool:
        logs = PostgresLogs(pool)
        key = RunKey(moment, Uid("strayed"))
        await logs.append_log(key, log_chunk(b"line\n"))

        await migrate(database.options(database.owner_dsn))

        assert len(await logs.log_spans(key)) == 1
    left = "SELECT tableoid::regclass::text FROM proctor.log_chunks"
    assert database.query(left) == [(f"proctor.log_chunks_{moment:%Y_%m}",)]


async def test_old_occurrences_go_and_where_a_schedule_stands_stays_for_years(
    keeper: Keeper,
) -> None:
    keeper.database.query(
        """
        INSERT INTO proctor.schedules (uid, namespace, name, timing, is_suspended, handled_until, missed,
          asked, asked_since, updated_at)
        SELECT days::text, 'apps', 'nightly', '', false, now(), 0, '', now(), now() - days * interval '1 day'
        FROM unnest(ARRAY[1, 500, 2000]) AS days
        """
    )
    keeper.database.query(
        """
        INSERT INTO proctor.occurrences (created_at, schedule_uid, namespace, schedule_name,
          execution_name, state, reason, message)
        SELECT now() - days * interval '1 day', '1', 'apps', 'nightly', '', 'Started', '', ''
        FROM unnest(ARRAY[0, 399, 401]) AS days
        """
    )

    removed = await keeper.remove(record_days=400, log_days=90)

    assert removed.rows == 2
    left = keeper.database.query("SELECT uid FROM proctor.schedules ORDER BY uid")
    assert left == [("1",), ("500",)]
    assert keeper.database.query("SELECT count(*) FROM proctor.occurrences") == [(2,)]
