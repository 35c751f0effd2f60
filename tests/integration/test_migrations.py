"""Migrations against a real server: repeatable, safe at once, and a run-time role without power."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import JOB, CountedCalls, SystemClock, run_outcome, run_request
from localpostgres.server import OWNER, RUNTIME, LocalPostgres
from proctor_operator.adapters.postgres import migrate as migrate_module
from proctor_operator.adapters.postgres.faults import translate
from proctor_operator.adapters.postgres.migrate import MigrationLimits, migrate
from proctor_operator.adapters.postgres.partitions import PARTITIONED
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import EXPECTED_REVISION, PostgresRecords
from proctor_operator.domain.errors import Fault, RecordRejected, RecordUnavailable
from proctor_operator.domain.execution import Phase
from proctor_operator.ports.records import RunFilter

SCRIPTS = Path(migrate_module.__file__).parent / "migrations"
CREATED = dt.datetime(2019, 5, 17, 10, 0, tzinfo=dt.UTC)
INSERT = """
INSERT INTO proctor.executions
  (created_at, uid, namespace, name, proc_name, request_reason, arguments, granted_by)
VALUES ($1, $2, 'apps', 'run', 'proc', '', '{}', '')
"""


async def partition_of(database: LocalDatabase, uid: str) -> str:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        return str(
            await connection.fetchval(
                "SELECT tableoid::regclass::text FROM proctor.executions WHERE uid = $1", uid
            )
        )
    finally:
        await connection.close()


async def insert(database: LocalDatabase, created_at: dt.datetime, uid: str) -> None:
    connection = await asyncpg.connect(database.runtime_dsn)
    try:
        await connection.execute(INSERT, created_at, uid)
    finally:
        await connection.close()


async def test_an_empty_database_is_brought_to_the_revision_that_the_release_expects(
    empty_database: LocalDatabase,
) -> None:
    result = await migrate(empty_database.options(empty_database.owner_dsn), months_ahead=2)

    assert result.from_revision is None
    assert result.to_revision == EXPECTED_REVISION
    assert len(result.partitions_created) == len(PARTITIONED) * (1 + 2)


async def test_the_expected_revision_is_the_newest_one_there_is() -> None:
    scripts = ScriptDirectory(str(SCRIPTS))

    assert scripts.get_current_head() == EXPECTED_REVISION


async def test_a_second_migration_changes_nothing(database: LocalDatabase) -> None:
    result = await migrate(database.options(database.owner_dsn))

    assert result.from_revision == result.to_revision == EXPECTED_REVISION
    assert result.partitions_created == ()


async def test_a_database_of_the_first_revision_keeps_its_rows_and_serves_this_release(
    empty_database: LocalDatabase, calls: CountedCalls
) -> None:
    owner = empty_database.options(empty_database.owner_dsn)
    await _bring_to("0001", empty_database)
    await _insert_as_the_first_release(empty_database)
    request = run_request()

    async with RecordPool(empty_database.options(), calls, SystemClock()) as pool:
        records = PostgresRecords(pool)
        with pytest.raises(RecordUnavailable, match="0001, this release needs 0006: run `proctor"):
            await records.check()
        results = await asyncio.gather(migrate(owner), migrate(owner))
        await records.check()
        old = await records.list_runs(RunFilter())
        await records.record_run(request)
        await records.record_outcome(old[1].request.key, JOB, run_outcome())

    assert sorted(str(result.from_revision) for result in results) == ["0001", EXPECTED_REVISION]
    assert [(run.request.key.uid, run.request.fingerprint) for run in old] == [
        ("ended", ""),
        ("running", ""),
    ]
    assert old[0].outcome is not None
    assert (old[0].outcome.phase, old[0].outcome.log) == (Phase.SUCCEEDED, None)


async def _bring_to(revision: str, database: LocalDatabase) -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    address = database.owner_dsn.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(address)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA proctor"))
        await connection.run_sync(upgrade)
    await engine.dispose()
    # What `migrate` of that release granted is not needed here: it is granted anew.
    database.query(f"GRANT USAGE ON SCHEMA proctor TO {RUNTIME}")
    database.query(f"GRANT SELECT ON proctor.alembic_version TO {RUNTIME}")


async def _insert_as_the_first_release(database: LocalDatabase) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        for uid in ("running", "ended"):
            await connection.execute(INSERT, CREATED, uid)
        await connection.execute(
            """
            UPDATE proctor.executions SET phase = 'Succeeded', phase_reason = 'Completed',
              phase_message = '', completed_at = now() WHERE uid = 'ended'
            """
        )
    finally:
        await connection.close()


async def test_migrations_started_at_once_take_turns(empty_database: LocalDatabase) -> None:
    owner = empty_database.options(empty_database.owner_dsn)

    results = await asyncio.gather(*(migrate(owner) for _ in range(4)))

    assert sorted(result.from_revision or "" for result in results) == [
        "",
        *[EXPECTED_REVISION] * 3,
    ]
    assert len([result for result in results if result.partitions_created]) == 1


async def test_a_migration_that_does_not_get_its_turn_gives_up(
    empty_database: LocalDatabase,
) -> None:
    other = await asyncpg.connect(empty_database.owner_dsn)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", migrate_module._TURN)

        with pytest.raises(RecordUnavailable, match="lock timeout"):
            await migrate(
                empty_database.options(empty_database.owner_dsn), limits=MigrationLimits(turn=0.05)
            )
    finally:
        await other.close()


async def test_a_run_of_a_month_without_partition_is_stored_and_moves_when_the_month_is_made(
    database: LocalDatabase,
) -> None:
    await insert(database, CREATED, "restored")
    assert await partition_of(database, "restored") == "proctor.executions_default"

    result = await migrate(database.options(database.owner_dsn), also_months=[dt.date(2019, 5, 17)])

    assert result.partitions_created == (
        "executions_2019_05",
        "transitions_2019_05",
        "log_chunks_2019_05",
        "denials_2019_05",
        "occurrences_2019_05",
    )
    assert await partition_of(database, "restored") == "proctor.executions_2019_05"


@pytest.mark.parametrize(
    "bounds",
    ["FROM ('2019-01-01+00') TO ('2020-01-01+00')", "FROM (MINVALUE) TO ('2019-06-15+00')"],
    ids=["a year", "all that is old"],
)
async def test_a_month_that_lies_in_a_partition_of_an_administrator_holds_up_no_other(
    database: LocalDatabase, bounds: str
) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    await connection.execute(
        f"CREATE TABLE proctor.theirs PARTITION OF proctor.executions FOR VALUES {bounds}"
    )
    await connection.close()

    wanted = [dt.date(2019, 5, 1), dt.date(2019, 6, 1), dt.date(2021, 5, 1)]
    result = await migrate(database.options(database.owner_dsn), also_months=wanted)

    made = [name for name in result.partitions_created if name.startswith("executions_20")]
    assert made == ["executions_2021_05"]
    assert "transitions_2019_05" in result.partitions_created
    await insert(database, CREATED, "theirs")
    assert await partition_of(database, "theirs") == "proctor.theirs"


async def test_a_month_that_was_detached_and_kept_is_made_anew_when_a_run_of_it_comes(
    database: LocalDatabase,
) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    old = await connection.fetchval("SELECT now() - interval '70 days'")
    await insert(database, old, "archived")
    owner = database.options(database.owner_dsn)
    await migrate(owner)
    archive = f"executions_{old:%Y_%m}"
    await connection.execute(f"ALTER TABLE proctor.executions DETACH PARTITION proctor.{archive}")
    await insert(database, old, "late")

    made = (await migrate(owner)).partitions_created

    assert made == (f"{archive}_2",)
    assert await partition_of(database, "late") == f"proctor.{archive}_2"
    assert await connection.fetchval(f"SELECT uid FROM proctor.{archive}") == "archived"
    await connection.close()


async def test_upkeep_makes_up_for_months_that_it_missed(database: LocalDatabase) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    missed = await connection.fetchval("SELECT now() - interval '70 days'")
    await connection.close()
    await insert(database, missed, "missed")

    await migrate(database.options(database.owner_dsn))

    assert await partition_of(database, "missed") == f"proctor.executions_{missed:%Y_%m}"


async def test_rows_are_taken_while_upkeep_makes_their_partition(database: LocalDatabase) -> None:
    refusals: list[Fault] = []

    async def insert_many(first: int) -> None:
        connection = await asyncpg.connect(database.runtime_dsn)
        try:
            for number in range(first, first + 50):
                await connection.execute(INSERT, CREATED, f"run-{number}")
        except asyncpg.CheckViolationError as error:
            # Routed before the partition came, stored after it: the adapter calls that transient.
            refusals.append(translate(error))
        finally:
            await connection.close()

    upkeep = migrate(database.options(database.owner_dsn), also_months=[CREATED.date()])
    await asyncio.gather(upkeep, insert_many(0), insert_many(50))

    connection = await asyncpg.connect(database.owner_dsn)
    left = await connection.fetchval("SELECT count(*) FROM proctor.executions_default")
    await connection.close()
    assert left == 0
    assert all(isinstance(refusal, RecordUnavailable) for refusal in refusals)


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
async def test_a_database_that_cannot_hold_every_character_is_refused(
    postgres_server: LocalPostgres, empty_database: LocalDatabase, encoding: str
) -> None:
    database = with_encoding(postgres_server, empty_database, encoding)

    with pytest.raises(RecordRejected, match=f"encoded in {encoding}.* ENCODING 'UTF8'"):
        await migrate(database.options(database.owner_dsn))

    assert database.query("SELECT to_regnamespace('proctor')::text") == [(None,)]


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII"])
async def test_a_database_that_is_taken_holds_every_character(
    postgres_server: LocalPostgres,
    empty_database: LocalDatabase,
    calls: CountedCalls,
    encoding: str,
) -> None:
    database = with_encoding(postgres_server, empty_database, encoding)
    await migrate(database.options(database.owner_dsn))
    request = run_request(reason="日本 → 🎉", arguments={"é": ["日本 → 🎉"]})
    outcome = run_outcome(message="→" * 300, result="日本 → 🎉")

    async with RecordPool(database.options(), calls, SystemClock()) as pool:
        records = PostgresRecords(pool)
        await records.record_run(request)
        await records.record_outcome(request.key, JOB, outcome)
        stored = await records.fetch_run(request.key)

    assert stored is not None
    assert (stored.request, stored.outcome) == (request, outcome)


def with_encoding(server: LocalPostgres, database: LocalDatabase, encoding: str) -> LocalDatabase:
    """The same database, empty, made anew with this encoding."""
    server.execute(f"DROP DATABASE {database.name} WITH (FORCE)")
    server.execute(
        f"CREATE DATABASE {database.name} OWNER {OWNER} TEMPLATE template0 "
        f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    return database


async def test_a_run_time_role_that_does_not_exist_is_named(database: LocalDatabase) -> None:
    with pytest.raises(RecordRejected, match="no_such_role does not exist"):
        await migrate(database.options(database.owner_dsn), runtime_role="no_such_role")


async def test_a_role_name_is_an_identifier_and_never_sql(
    postgres_server: LocalPostgres, database: LocalDatabase
) -> None:
    role = 'odd"; DROP SCHEMA proctor; --'
    quoted = '"' + role.replace('"', '""') + '"'
    postgres_server.execute(f"CREATE ROLE {quoted}")
    try:
        await migrate(database.options(database.owner_dsn), runtime_role=role)
    finally:
        postgres_server.execute(f"DROP OWNED BY {quoted}", database=database.name)
        postgres_server.execute(f"DROP ROLE {quoted}")


async def test_a_schema_of_an_unknown_revision_is_left_alone(database: LocalDatabase) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    await connection.execute("UPDATE proctor.alembic_version SET version_num = '9999'")
    await connection.close()

    with pytest.raises(RecordRejected, match="9999"):
        await migrate(database.options(database.owner_dsn))


async def test_a_migration_without_a_server_says_so(
    postgres_server: LocalPostgres, empty_database: LocalDatabase
) -> None:
    postgres_server.stop()

    with pytest.raises(RecordUnavailable, match="cannot be used"):
        await migrate(empty_database.options(empty_database.owner_dsn))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE proctor.transitions SET at = now()",
        "DELETE FROM proctor.transitions",
        "TRUNCATE proctor.transitions",
        "DELETE FROM proctor.executions",
        "UPDATE proctor.log_chunks SET data = ''",
        "TRUNCATE proctor.log_chunks",
        "DELETE FROM proctor.denials",
        "UPDATE proctor.denials SET message = ''",
        "TRUNCATE proctor.denials",
        "INSERT INTO proctor.denials (recorded_at) VALUES (now())",
        "DELETE FROM proctor.occurrences",
        "UPDATE proctor.occurrences SET created_at = now()",
        "UPDATE proctor.occurrences SET execution_name = ''",
        "TRUNCATE proctor.occurrences",
        "INSERT INTO proctor.occurrences (recorded_at) VALUES (now())",
        "DELETE FROM proctor.schedules",
        "TRUNCATE proctor.schedules",
        "INSERT INTO proctor.log_chunks (recorded_at) VALUES (now())",
        "DELETE FROM proctor.log_chunks_default",
        "TRUNCATE proctor.executions",
        "UPDATE proctor.executions SET requester_username = 'somebody else'",
        "UPDATE proctor.executions SET created_at = now()",
        "UPDATE proctor.executions SET number = 1",
        "INSERT INTO proctor.executions (number) VALUES (1)",
        "INSERT INTO proctor.transitions (recorded_at) VALUES (now())",
        "UPDATE proctor.executions_default SET phase = 'Failed'",
        "SELECT setval('proctor.execution_numbers', 1)",
        "UPDATE proctor.alembic_version SET version_num = '0000'",
        "DROP TABLE proctor.executions_default",
        "DROP TABLE proctor.executions",
        "DROP SCHEMA proctor CASCADE",
        "ALTER TABLE proctor.executions DISABLE TRIGGER ALL",
        "CREATE TABLE proctor.mine (a int)",
        "CREATE TABLE public.mine (a int)",
    ],
)
async def test_the_run_time_role_may_not(module_database: LocalDatabase, statement: str) -> None:
    connection = await asyncpg.connect(module_database.runtime_dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_not_even_a_role_with_every_right_on_the_columns_changes_an_outcome(
    database: LocalDatabase,
) -> None:
    await insert(database, CREATED, "ended")
    connection = await asyncpg.connect(database.owner_dsn)
    ending = """
    UPDATE proctor.executions
    SET phase = $1, phase_reason = '', phase_message = '', completed_at = now()
    WHERE uid = 'ended'
    """
    try:
        await connection.execute(ending, "Failed")

        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changes"):
            await connection.execute(ending, "Succeeded")
    finally:
        await connection.close()


async def test_partitions_made_later_keep_outcomes_final_too(database: LocalDatabase) -> None:
    await migrate(database.options(database.owner_dsn), also_months=[CREATED.date()])

    await test_not_even_a_role_with_every_right_on_the_columns_changes_an_outcome(database)


def test_the_fixture_names_the_role_that_migrate_grants_to_by_default() -> None:
    assert migrate_module.RUNTIME_ROLE == RUNTIME
