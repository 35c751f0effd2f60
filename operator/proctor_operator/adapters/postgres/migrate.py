"""Brings the schema to this release, as the role that owns it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from proctor_operator.adapters.postgres.connecting import SessionLimits, connect
from proctor_operator.adapters.postgres.faults import DATABASE_ERRORS, translate
from proctor_operator.adapters.postgres.grants import grant_to
from proctor_operator.adapters.postgres.partitions import keep_partitions
from proctor_operator.adapters.postgres.retention import Removed, Retention, remove_expired
from proctor_operator.adapters.postgres.statements import SELECT_REVISION
from proctor_operator.domain.errors import RecordRejected

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    import asyncpg
    from sqlalchemy import Connection

    from proctor_operator.adapters.postgres.options import PostgresOptions

RUNTIME_ROLE: Final = "proctor_operator"

_SCRIPTS: Final = Path(__file__).parent / "migrations"
# SQL_ASCII keeps bytes as they come, and ours are UTF-8.
_HOLD_EVERY_CHARACTER: Final = ("UTF8", "SQL_ASCII")
# Any number will do, as long as every release takes the same one.
_TURN: Final = 7_072_636_771


@dataclass(frozen=True, slots=True)
class MigrationLimits:
    """How long `migrate` waits, in seconds: for its turn, for a lock, for one statement.

    While it waits for a lock, the operator waits behind it. Partitions are made and dropped under
    way, again and again, and another time does as well, so there it waits less (`upkeep_lock`).
    """

    turn: float = 300.0
    lock: float = 10.0
    upkeep_lock: float = 2.0
    statement: float = 900.0


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What a migration did; revisions are equal when there was nothing to change."""

    from_revision: str | None
    to_revision: str
    partitions_created: tuple[str, ...]
    removed: Removed


async def migrate(
    options: PostgresOptions,
    *,
    runtime_role: str | None = RUNTIME_ROLE,
    months_ahead: int = 3,
    also_months: Iterable[dt.date] = (),
    limits: MigrationLimits | None = None,
    retention: Retention | None = None,
) -> MigrationResult:
    """Upgrade the schema, grant the run-time role its rights, and do the upkeep of the partitions.

    Upkeep removes what `retention` lets go (None: nothing) and creates what is missing.

    Safe to repeat, to interrupt, and to run twice at once: the second waits for its turn. It needs
    a session of its own, so not pgbouncer in transaction mode. `runtime_role` None grants nothing.
    Raises `RecordUnavailable`, or `RecordRejected` when the database's state is the reason.
    """
    limits = limits or MigrationLimits()
    session = SessionLimits(limits.statement, limits.lock, limits.statement)

    async def open_session(*_: object, **__: object) -> asyncpg.Connection:
        return await connect(options, session)

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=open_session, poolclass=NullPool
    )
    try:
        async with engine.connect() as connection:
            await _refuse_a_poor_alphabet(connection)
            await _wait_for_turn(connection, limits)
            before = await _revision(connection)
            await connection.run_sync(_upgrade)
            await connection.commit()
            driver = await _driver(connection)
            if runtime_role is not None:
                await grant_to(driver, runtime_role)
            await _limit_lock_wait(connection, limits.upkeep_lock)
            await connection.commit()
            removed = await remove_expired(driver, retention or Retention())
            created = await keep_partitions(driver, months_ahead=months_ahead, also=also_months)
            after = await driver.fetchval(SELECT_REVISION)
            return MigrationResult(before, after, created, removed)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        raise translate(cause if isinstance(cause, Exception) else error) from error
    except DATABASE_ERRORS as error:
        raise translate(error) from error
    except CommandError as error:
        raise RecordRejected(f"the schema is not one that this release knows: {error}") from error
    finally:
        await engine.dispose()


async def _refuse_a_poor_alphabet(connection: AsyncConnection) -> None:
    """In LATIN1 an outcome with an arrow in its message could never be stored, nor the run ever end."""
    encoding = await connection.scalar(text("SHOW server_encoding"))
    if encoding not in _HOLD_EVERY_CHARACTER:
        raise RecordRejected(
            f"the database is encoded in {encoding}, which does not hold every character that a run may "
            "print: CREATE DATABASE .. ENCODING 'UTF8' TEMPLATE template0"
        )


async def _wait_for_turn(connection: AsyncConnection, limits: MigrationLimits) -> None:
    # The lock belongs to the session: it outlasts commits and ends with the connection.
    await _limit_lock_wait(connection, limits.turn)
    await connection.execute(text("SELECT pg_advisory_lock(:turn)"), {"turn": _TURN})
    await _limit_lock_wait(connection, limits.lock)
    await connection.execute(text("CREATE SCHEMA IF NOT EXISTS proctor"))
    await connection.commit()


async def _limit_lock_wait(connection: AsyncConnection, seconds: float) -> None:
    milliseconds = str(max(1, round(seconds * 1000)))
    setting = text("SELECT set_config('lock_timeout', :limit, false)")
    await connection.execute(setting, {"limit": milliseconds})


async def _revision(connection: AsyncConnection) -> str | None:
    table = await connection.scalar(text("SELECT to_regclass('proctor.alembic_version')::text"))
    revision = None if table is None else await connection.scalar(text(SELECT_REVISION))
    await connection.commit()
    return cast("str | None", revision)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _driver(connection: AsyncConnection) -> asyncpg.Connection:
    # The rest is a few statements with asyncpg's own parameters and transactions.
    raw: Any = await connection.get_raw_connection()
    return cast("asyncpg.Connection", raw.driver_connection)
