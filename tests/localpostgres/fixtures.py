"""Pytest fixtures: one server for the session, a migrated database for each test or module."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from localpostgres.binaries import ensure_packages
from localpostgres.processes import Identity, each_subfolder
from localpostgres.samples import CountedCalls, SystemClock
from localpostgres.server import ADMIN, OWNER, RUNTIME, LocalPostgres, default_state_dir
from proctor_operator.adapters.postgres.migrate import migrate
from proctor_operator.adapters.postgres.options import PostgresOptions, TlsMode
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords

_PREFIX = "test-"
_TEMPLATE = "proctor_template"


@dataclass(frozen=True)
class LocalDatabase:
    """A database of its own; addresses hold the passwords."""

    name: str
    owner_dsn: str
    runtime_dsn: str
    admin_dsn: str

    def options(self, dsn: str | None = None) -> PostgresOptions:
        """Return options for the run-time role, or for another address of this database."""
        return PostgresOptions(dsn=dsn or self.runtime_dsn, tls=TlsMode.DISABLE)

    async def until_a_session_waits_for_a_lock(self) -> None:
        """Return once a statement of this database is blocked by another."""
        waiting = """
        SELECT EXISTS (SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock')
        """
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            async with asyncio.timeout(20):
                while not await connection.fetchval(waiting):
                    pass
        finally:
            await connection.close()

    async def until_setting_is(self, setting: str, value: str) -> None:
        """Return once the operator's new sessions have this value, after a reload."""
        async with asyncio.timeout(20):
            while True:
                connection = await asyncpg.connect(self.runtime_dsn)
                try:
                    if await connection.fetchval(f"SHOW {setting}") == value:
                        return
                finally:
                    await connection.close()

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement as the administrator, away from the test's own connections."""

        async def fetch() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.admin_dsn)
            try:
                return [tuple(row.values()) for row in await connection.fetch(sql, *values)]
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(fetch())).result()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[LocalPostgres]:
    """A server that ends with this process, also when it is killed."""
    ensure_packages()
    _remove_abandoned()
    with _ending_on_sigterm():
        server = LocalPostgres.create(f"{_PREFIX}{os.getpid()}", dies_with_parent=True)
        try:
            yield server
        finally:
            server.remove()


@pytest.fixture(scope="session")
def migrated_template(postgres_server: LocalPostgres) -> str:
    """The name of a migrated database that others are copied from."""
    postgres_server.execute(f"CREATE DATABASE {_TEMPLATE} OWNER {OWNER}")
    owner = PostgresOptions(dsn=postgres_server.dsn(OWNER, _TEMPLATE), tls=TlsMode.DISABLE)
    # In a thread, so that no event loop of a test is in the way.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(migrate(owner))).result()
    return _TEMPLATE


@pytest.fixture
def database(postgres_server: LocalPostgres, migrated_template: str) -> Iterator[LocalDatabase]:
    """A fresh migrated database."""
    with new_database(postgres_server, migrated_template) as made:
        yield made


@pytest.fixture(scope="module")
def module_database(
    postgres_server: LocalPostgres, migrated_template: str
) -> Iterator[LocalDatabase]:
    """A migrated database that the tests of a module share."""
    with new_database(postgres_server, migrated_template) as made:
        yield made


@pytest.fixture
def empty_database(postgres_server: LocalPostgres) -> Iterator[LocalDatabase]:
    """A database that no migration has seen."""
    with new_database(postgres_server, "template0") as made:
        yield made


@pytest.fixture
def calls() -> CountedCalls:
    """What the `record_pool` of this test counted."""
    return CountedCalls()


@pytest.fixture
async def record_pool(database: LocalDatabase, calls: CountedCalls) -> AsyncIterator[RecordPool]:
    """A pool of the run-time role on the test's database."""
    async with RecordPool(database.options(), calls, SystemClock()) as pool:
        yield pool


@pytest.fixture
def records(record_pool: RecordPool) -> PostgresRecords:
    """The record on the test's database."""
    return PostgresRecords(record_pool)


@contextmanager
def new_database(server: LocalPostgres, template: str) -> Iterator[LocalDatabase]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template}")
    try:
        yield LocalDatabase(
            name, server.dsn(OWNER, name), server.dsn(RUNTIME, name), server.dsn(ADMIN, name)
        )
    finally:
        # A test may have stopped the server; the next one expects it.
        server.start()
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Make SIGTERM end the session as an error would, so that fixtures clean up."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _remove_abandoned() -> None:
    """Remove the servers of test processes that were killed before they could."""
    for folder in each_subfolder(default_state_dir()):
        if folder.name.startswith(_PREFIX):
            server = LocalPostgres.load(folder.name)
            if server is None:
                # Killed while it was being made; the name tells by whom.
                pid = folder.name.removeprefix(_PREFIX)
                maker = Identity.of(int(pid)) if pid.isdigit() else None
                server = LocalPostgres(folder.resolve(), 0, {}, maker=maker)
            if server.maker is None or not server.maker.is_alive:
                server.remove()
