"""The database away, slow, frozen, full or refusing: bounded, typed, and over when it returns."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from localpostgres.fixtures import LocalDatabase
from localpostgres.processes import Identity
from localpostgres.samples import (
    JOB,
    CountedCalls,
    SystemClock,
    log_chunk,
    run_outcome,
    run_request,
)
from localpostgres.server import RUNTIME, LocalPostgres
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.options import PostgresOptions
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.domain.errors import RecordUnavailable
from proctor_operator.domain.run import RunRequest
from proctor_operator.ports.records import RunFilter

EVERY_SETTING = (
    "search_path",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "application_name",
    "TimeZone",
)


@asynccontextmanager
async def opened(options: PostgresOptions, **changes: Any) -> AsyncIterator[PostgresRecords]:
    async with pool_of(options, **changes) as pool:
        yield PostgresRecords(pool)


def pool_of(options: PostgresOptions, **changes: Any) -> RecordPool:
    return RecordPool(replace(options, **changes), CountedCalls(), SystemClock())


@asynccontextmanager
async def locked(database: LocalDatabase, request: RunRequest) -> AsyncIterator[None]:
    """Hold the lock on a run's row, as a forgotten session would."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute("BEGIN")
        await connection.execute(
            "SELECT FROM proctor.executions WHERE uid = $1 FOR UPDATE", request.key.uid
        )
        yield
    finally:
        # Its end gives the lock back.
        await connection.close()


@asynccontextmanager
async def logs_locked(database: LocalDatabase) -> AsyncIterator[None]:
    """Let nobody write a line, as upkeep does for a moment."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute("BEGIN")
        await connection.execute("LOCK TABLE proctor.log_chunks IN EXCLUSIVE MODE")
        yield
    finally:
        await connection.close()


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """A port that takes connections and never says a word."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    try:
        yield silent.sockets[0].getsockname()[1]
    finally:
        silent.close()
        await silent.wait_closed()


async def backend(connection: Any) -> int:
    return int(await connection.fetchval("SELECT pg_backend_pid()"))


@pytest.mark.parametrize("end", [LocalPostgres.stop, LocalPostgres.kill])
async def test_a_pool_survives_a_server_that_ends_and_returns(
    postgres_server: LocalPostgres, records: PostgresRecords, end: Any
) -> None:
    before = await records.record_run(run_request())
    end(postgres_server)

    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(RecordUnavailable):
            await records.record_run(run_request())
    took = time.monotonic() - began
    postgres_server.start()
    after = await records.record_run(run_request())

    assert took < 5
    assert after.number > before.number


async def test_a_pool_made_while_the_server_is_away_works_when_it_comes(
    postgres_server: LocalPostgres, database: LocalDatabase
) -> None:
    postgres_server.stop()

    async with opened(database.options()) as records:
        with pytest.raises(RecordUnavailable):
            await records.check()
        postgres_server.start()
        await records.check()


async def test_a_write_cut_by_a_crash_is_stored_once_by_its_repetition(
    postgres_server: LocalPostgres, database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    await records.record_run(request)
    with pytest.raises(RecordUnavailable):  # noqa: PT012 - the crash falls into the call
        async with locked(database, request):
            cut = asyncio.create_task(records.record_outcome(request.key, JOB, run_outcome()))
            await database.until_a_session_waits_for_a_lock()
            postgres_server.kill()
            try:
                await cut
            finally:
                postgres_server.start()

    stored = await records.record_outcome(request.key, JOB, run_outcome())

    assert stored == run_outcome()
    ended = "SELECT count(*) FROM proctor.transitions WHERE transition = 'Ended'"
    assert database.query(ended) == [(1,)]


async def test_a_lock_held_by_another_ends_with_the_lock_timeout_and_the_connection_stays(
    database: LocalDatabase,
) -> None:
    request = run_request()
    async with pool_of(database.options(), lock_timeout_seconds=0.1, max_connections=1) as pool:
        records = PostgresRecords(pool)
        await records.record_run(request)
        pid = await pool.run("look", backend)

        async with locked(database, request):
            with pytest.raises(RecordUnavailable, match="lock timeout"):
                await records.record_outcome(request.key, JOB, run_outcome())

        assert await records.record_outcome(request.key, JOB, run_outcome()) == run_outcome()
        assert await pool.run("look", backend) == pid


async def test_a_statement_beyond_the_deadline_is_given_up_with_its_connection(
    database: LocalDatabase,
) -> None:
    request = run_request()
    async with pool_of(database.options(), deadline_seconds=0.3, max_connections=1) as pool:
        records = PostgresRecords(pool)
        await records.record_run(request)
        pid = await pool.run("look", backend)

        async with locked(database, request):
            with pytest.raises(RecordUnavailable, match="in time"):
                await records.record_outcome(request.key, JOB, run_outcome())

        assert await pool.run("look", backend) != pid


async def test_the_server_ends_a_slow_statement_by_itself(database: LocalDatabase) -> None:
    async with pool_of(database.options(), statement_timeout_seconds=0.1) as pool:
        with pytest.raises(RecordUnavailable, match="statement timeout"):
            await pool.run("sleep", lambda connection: connection.fetchval("SELECT pg_sleep(60)"))


async def test_waiting_for_a_free_connection_counts_against_the_deadline(
    database: LocalDatabase,
) -> None:
    request = run_request()
    async with pool_of(database.options(), max_connections=1, deadline_seconds=0.5) as pool:
        records = PostgresRecords(pool)
        await records.record_run(request)
        async with locked(database, request):
            calls = [records.record_outcome(request.key, JOB, run_outcome()) for _ in range(5)]
            began = time.monotonic()
            ends = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(end) for end in ends] == [RecordUnavailable] * 5
    assert time.monotonic() - began < 5


async def test_logs_that_wait_for_the_database_do_not_hold_up_an_outcome(
    database: LocalDatabase,
) -> None:
    request = run_request()
    limits = {"deadline_seconds": 5.0, "lock_timeout_seconds": 5.0, "max_connections": 4}
    async with pool_of(database.options(), **limits) as pool:
        records, logs = PostgresRecords(pool), PostgresLogs(pool)
        await records.record_run(request)
        async with logs_locked(database):
            chunks = [log_chunk(b"x\n", sequence=number) for number in range(20)]
            flood = [asyncio.create_task(logs.append_log(request.key, one)) for one in chunks]
            await database.until_a_session_waits_for_a_lock()

            await records.record_outcome(request.key, JOB, run_outcome())

            assert not any(call.done() for call in flood)

        assert await asyncio.gather(*flood) == [True] * 20


@pytest.mark.parametrize("connections", [1, 2])
async def test_logs_have_their_share_of_the_smallest_pool(
    database: LocalDatabase, connections: int
) -> None:
    request = run_request()
    async with pool_of(database.options(), max_connections=connections) as pool:
        chunks = [log_chunk(b"x\n", sequence=number) for number in range(5)]
        logs = PostgresLogs(pool)

        stored = await asyncio.gather(*(logs.append_log(request.key, one) for one in chunks))

    assert stored == [True] * 5


async def test_cancelled_callers_leave_no_connection_behind(database: LocalDatabase) -> None:
    async with pool_of(database.options(), max_connections=2) as pool:
        records = PostgresRecords(pool)
        for _ in range(5):
            request = run_request()
            await records.record_run(request)
            async with locked(database, request):
                calls = [
                    asyncio.create_task(records.record_outcome(request.key, JOB, run_outcome()))
                    for _ in range(6)
                ]
                await database.until_a_session_waits_for_a_lock()
                for call in calls:
                    call.cancel()
                ends = await asyncio.gather(*calls, return_exceptions=True)
                assert all(isinstance(end, asyncio.CancelledError) for end in ends)

        found = await asyncio.gather(*(records.fetch_run(request.key) for _ in range(10)))

    assert None not in found


async def test_a_frozen_server_costs_a_call_its_deadline_and_no_more(
    database: LocalDatabase,
) -> None:
    async with pool_of(database.options(), deadline_seconds=0.5, max_connections=2) as pool:
        frozen = Identity.of(await pool.run("look", backend))
        assert frozen is not None
        frozen.send(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(RecordUnavailable):
                await PostgresRecords(pool).list_runs(RunFilter())
            took = time.monotonic() - began
            assert await PostgresRecords(pool).list_runs(RunFilter()) == ()
        finally:
            frozen.send(signal.SIGCONT)

    assert took < 5


@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_server_that_stands_still_costs_each_call_its_deadline_and_then_goes_on(
    postgres_server: LocalPostgres, database: LocalDatabase, *, is_connected: bool
) -> None:
    limits = {"deadline_seconds": 0.4, "connect_timeout_seconds": 10.0, "max_connections": 2}
    async with pool_of(database.options(), **limits) as pool:
        records, logs = PostgresRecords(pool), PostgresLogs(pool)
        request = run_request()
        if is_connected:
            await records.record_run(request)
        with postgres_server.frozen():
            began = time.monotonic()
            ends = await asyncio.gather(
                *(records.record_run(request) for _ in range(6)),
                *(logs.append_log(request.key, log_chunk(b"x\n", sequence=n)) for n in range(6)),
                return_exceptions=True,
            )
            took = time.monotonic() - began

        assert [type(end) for end in ends] == [RecordUnavailable] * 12
        assert took < 5
        await _until_it_answers(records)
        assert (await records.record_run(request)).request == request
        assert await logs.append_log(request.key, log_chunk(b"x\n"))
        assert len([span for span in await logs.log_spans(request.key) if not span.sequence]) == 1


async def _until_it_answers(records: PostgresRecords) -> None:
    """The first connection after a stop may still take longer than the short deadline here."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await records.check()
            except RecordUnavailable:
                continue


async def test_a_connect_that_nobody_answers_ends_with_its_own_time_out(
    database: LocalDatabase,
) -> None:
    async with silent_server() as port:
        dsn = f"postgresql://{RUNTIME}:x@127.0.0.1:{port}/{database.name}"
        limits = {"connect_timeout_seconds": 0.2, "deadline_seconds": 60.0}
        async with opened(database.options(dsn), **limits) as records:
            began = time.monotonic()
            with pytest.raises(RecordUnavailable, match="in time"):
                await records.check()
            assert time.monotonic() - began < 5


async def test_the_server_ends_a_transaction_that_does_nothing(database: LocalDatabase) -> None:
    async def stand_still(connection: Any) -> None:
        cut = asyncio.Event()
        connection.add_termination_listener(lambda _: cut.set())
        async with connection.transaction():
            await connection.execute("SELECT 1")
            await cut.wait()

    limits = {"idle_in_transaction_timeout_seconds": 0.1, "deadline_seconds": 60.0}
    async with pool_of(database.options(), **limits) as pool:
        began = time.monotonic()
        with pytest.raises(RecordUnavailable):
            await pool.run("stand still", stand_still)
        await PostgresRecords(pool).check()

    assert time.monotonic() - began < 20


async def test_a_server_that_becomes_a_standby_and_is_replaced_loses_nothing(
    postgres_server: LocalPostgres, database: LocalDatabase, record_pool: RecordPool
) -> None:
    request = run_request()
    records, logs = PostgresRecords(record_pool), PostgresLogs(record_pool)
    await records.record_run(request)
    # Every session, also those that are open: as after a demotion.
    postgres_server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    postgres_server.execute("SELECT pg_reload_conf()")
    try:
        await database.until_setting_is("default_transaction_read_only", "on")
        for _ in range(3):
            with pytest.raises(RecordUnavailable, match="read-only"):
                await records.record_outcome(request.key, JOB, run_outcome())
            with pytest.raises(RecordUnavailable, match="read-only"):
                await logs.append_log(request.key, log_chunk(b"x\n"))
    finally:
        postgres_server.execute(
            "SET default_transaction_read_only = off; "
            "ALTER SYSTEM RESET default_transaction_read_only"
        )
        postgres_server.execute("SELECT pg_reload_conf()")
    await database.until_setting_is("default_transaction_read_only", "off")

    assert await records.record_outcome(request.key, JOB, run_outcome()) == run_outcome()
    assert await logs.append_log(request.key, log_chunk(b"x\n"))


async def test_an_address_that_never_answers_costs_a_call_its_deadline_and_no_more(
    database: LocalDatabase,
) -> None:
    async with silent_server() as port:
        dsn = f"postgresql://{RUNTIME}:x@127.0.0.1:{port}/{database.name}"
        async with opened(database.options(dsn), deadline_seconds=0.3) as records:
            began = time.monotonic()
            with pytest.raises(RecordUnavailable, match="in time"):
                await records.check()
            assert time.monotonic() - began < 5


async def test_an_administrator_who_cuts_all_sessions_breaks_nothing(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    await records.record_run(request)
    async with locked(database, request):
        cut = asyncio.create_task(records.record_outcome(request.key, JOB, run_outcome()))
        await database.until_a_session_waits_for_a_lock()
        database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE usename = $1 AND datname = current_database()",
            RUNTIME,
        )
        with pytest.raises(RecordUnavailable):
            await cut

    assert await records.record_outcome(request.key, JOB, run_outcome()) == run_outcome()


async def test_a_server_without_free_sessions_is_unavailable(
    postgres_server: LocalPostgres, records: PostgresRecords
) -> None:
    postgres_server.execute(f"ALTER ROLE {RUNTIME} CONNECTION LIMIT 0")
    try:
        with pytest.raises(RecordUnavailable, match="too many connections"):
            await records.check()
    finally:
        postgres_server.execute(f"ALTER ROLE {RUNTIME} CONNECTION LIMIT -1")
    await records.check()


async def test_after_a_read_only_server_the_pool_connects_anew(
    postgres_server: LocalPostgres, database: LocalDatabase, records: PostgresRecords
) -> None:
    alter = f"ALTER DATABASE {database.name} SET default_transaction_read_only"
    postgres_server.execute(f"{alter} = on")
    await asyncio.gather(*(records.list_runs(RunFilter()) for _ in range(4)))
    postgres_server.execute(f"{alter} = off")

    with pytest.raises(RecordUnavailable, match="read-only"):
        await records.record_run(run_request())

    await asyncio.gather(*(records.record_run(run_request()) for _ in range(4)))


async def test_a_rotated_password_is_read_at_the_next_connect(
    postgres_server: LocalPostgres, database: LocalDatabase, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    dsn = f"postgresql://{RUNTIME}@127.0.0.1:{postgres_server.port}/{database.name}"

    async with opened(database.options(dsn), password_file=secret) as records:
        with pytest.raises(RecordUnavailable, match="password authentication failed"):
            await records.check()
        secret.unlink()
        with pytest.raises(RecordUnavailable, match="password"):
            await records.check()
        secret.write_text(postgres_server.passwords[RUNTIME] + "\n")
        await records.check()


async def test_an_old_connection_is_replaced_and_a_young_one_kept(
    database: LocalDatabase,
) -> None:
    async with pool_of(database.options()) as pool:
        kept = {await pool.run("look", backend) for _ in range(5)}
    async with pool_of(database.options(), connection_lifetime_seconds=0.0) as pool:
        replaced = {await pool.run("look", backend) for _ in range(5)}

    assert (len(kept), len(replaced)) == (1, 5)


async def test_every_session_has_its_limits(database: LocalDatabase) -> None:
    async def show(connection: Any) -> list[str]:
        return [await connection.fetchval(f"SHOW {setting}") for setting in EVERY_SETTING]

    async with pool_of(database.options(), application_name="record-test") as pool:
        shown = await pool.run("look", show)

    assert shown == ["proctor, pg_catalog", "8s", "5s", "30s", "record-test", "UTC"]


async def test_a_closed_pool_says_so(database: LocalDatabase) -> None:
    pool = pool_of(database.options())
    await pool.close()

    with pytest.raises(RecordUnavailable, match="closed"):
        await PostgresRecords(pool).check()


async def test_a_mistake_of_the_caller_is_not_taken_for_an_outage(
    record_pool: RecordPool, calls: CountedCalls
) -> None:
    async def mistake(_connection: object) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await record_pool.run("mistake", mistake)
    assert calls.recorded == [("mistake", "failed")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE proctor.alembic_version SET version_num = '0000'", "at revision 0000"),
        ("DELETE FROM proctor.alembic_version", "at revision none"),
        ("DROP TABLE proctor.alembic_version", "alembic_version"),
        (f"REVOKE ALL ON SCHEMA proctor FROM {RUNTIME}", "permission denied"),
        ("DROP SCHEMA proctor CASCADE", "alembic_version"),
    ],
)
async def test_a_schema_that_is_not_migrated_is_not_ready_and_says_what_to_do(
    database: LocalDatabase, records: PostgresRecords, change: str, said: str
) -> None:
    await records.check()
    database.query(change)

    with pytest.raises(RecordUnavailable, match=f"{said}.*proctor-operator migrate"):
        await records.check()


async def test_a_newer_schema_will_do(database: LocalDatabase, records: PostgresRecords) -> None:
    database.query("UPDATE proctor.alembic_version SET version_num = '0006'")

    await records.check()


async def test_a_refused_row_is_described_without_its_values(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    database.query("ALTER TABLE proctor.executions ADD CONSTRAINT odd CHECK (name <> 'secret')")

    with pytest.raises(Exception, match="constraint odd") as caught:
        await records.record_run(run_request(name="secret"))

    assert "secret" not in str(caught.value)
    # Nor does a traceback show the driver's error, which has them.
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_options_do_not_show_their_address(database: LocalDatabase) -> None:
    assert "postgresql://" not in repr(database.options())
