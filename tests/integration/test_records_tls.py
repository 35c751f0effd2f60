"""Encrypted connections: what each mode accepts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from localcluster.certificates import Authority
from localpostgres.fixtures import LocalDatabase
from localpostgres.processes import wait_until
from localpostgres.samples import CountedCalls, SystemClock
from localpostgres.server import LocalPostgres
from proctor_operator.adapters.postgres.options import TlsMode
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.domain.errors import RecordUnavailable


@dataclass(frozen=True)
class Authorities:
    """Files with authorities: the one that signed the server's certificate, and another."""

    ours: Path
    theirs: Path


@pytest.fixture(scope="module")
def authorities(
    postgres_server: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Authorities]:
    """A server with a certificate for 127.0.0.1, and for no name."""
    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = Authority.create("ours"), Authority.create("theirs")
    ours.pair.write(folder, "ours")
    theirs.pair.write(folder, "theirs")
    ours.server("postgres", ["127.0.0.1"]).write(folder, "server")
    owner = postgres_server.data.stat()
    for name in ("server.crt", "server.key"):
        copy = shutil.copy(folder / name, postgres_server.data)
        shutil.chown(copy, owner.st_uid, owner.st_gid)
        Path(copy).chmod(0o600)
    _switch(postgres_server, "on")
    yield Authorities(folder / "ours.crt", folder / "theirs.crt")
    _switch(postgres_server, "off")


def _switch(server: LocalPostgres, setting: str) -> None:
    server.execute(f"ALTER SYSTEM SET ssl = {setting}")
    server.execute("SELECT pg_reload_conf()")
    assert wait_until(lambda: server.execute("SHOW ssl") == setting, seconds=10)


async def is_encrypted(connection: Any) -> bool:
    return bool(
        await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    )


async def look(database: LocalDatabase, mode: TlsMode, root: Path | None, host: str) -> bool:
    dsn = database.runtime_dsn.replace("127.0.0.1", host)
    options = replace(database.options(dsn), tls=mode, tls_root_file=root)
    async with RecordPool(options, CountedCalls(), SystemClock()) as pool:
        return await pool.run("look", is_encrypted)


@pytest.mark.parametrize(
    ("mode", "trusted", "host", "encrypted"),
    [
        (TlsMode.DISABLE, None, "127.0.0.1", False),
        (TlsMode.PREFER, None, "127.0.0.1", True),
        (TlsMode.REQUIRE, None, "127.0.0.1", True),
        (TlsMode.REQUIRE, "theirs", "localhost", True),
        (TlsMode.VERIFY_CA, "ours", "127.0.0.1", True),
        (TlsMode.VERIFY_CA, "ours", "localhost", True),
        (TlsMode.VERIFY_FULL, "ours", "127.0.0.1", True),
    ],
)
async def test_a_mode_connects_to_what_it_trusts(
    authorities: Authorities,
    database: LocalDatabase,
    mode: TlsMode,
    trusted: str | None,
    host: str,
    encrypted: bool,  # noqa: FBT001 - a column of the table
) -> None:
    root = None if trusted is None else getattr(authorities, trusted)

    assert await look(database, mode, root, host) is encrypted


@pytest.mark.parametrize(
    ("mode", "trusted", "host"),
    [
        (TlsMode.VERIFY_CA, "theirs", "127.0.0.1"),
        (TlsMode.VERIFY_CA, None, "127.0.0.1"),
        (TlsMode.VERIFY_FULL, "theirs", "127.0.0.1"),
        (TlsMode.VERIFY_FULL, "ours", "localhost"),
    ],
)
async def test_a_mode_does_not_talk_to_what_it_distrusts(
    authorities: Authorities, database: LocalDatabase, mode: TlsMode, trusted: str | None, host: str
) -> None:
    root = None if trusted is None else getattr(authorities, trusted)

    with pytest.raises(RecordUnavailable, match="certificate"):
        await look(database, mode, root, host)


async def test_where_the_server_offers_no_encryption_only_prefer_does_without(
    authorities: Authorities, postgres_server: LocalPostgres, database: LocalDatabase
) -> None:
    _switch(postgres_server, "off")
    try:
        assert await look(database, TlsMode.PREFER, None, "127.0.0.1") is False
        for mode in (TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL):
            with pytest.raises(RecordUnavailable):
                await look(database, mode, authorities.ours, "127.0.0.1")
    finally:
        _switch(postgres_server, "on")
