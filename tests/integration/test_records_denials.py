"""Denials of admission in a real database: kept once, listed, and beyond the reach of the run-time role."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from harness.operator_process import command, write_config
from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import CREATED, CountedCalls, SystemClock
from proctor_operator.adapters.postgres.denials import (
    DENIAL_COLUMNS,
    INSERT,
    PostgresDenials,
    denial_values,
)
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.domain.admission import ReviewUid
from proctor_operator.domain.denial import Denial
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace
from proctor_operator.ports.records import DenialFilter

DENIAL = Denial(
    review=ReviewUid("review-1"),
    denied_at=CREATED,
    operation="CREATE",
    resource="procexecutions",
    namespace=Namespace("apps"),
    name="grow-",
    proc="grow-disk",
    requester=Requester(username="eve", uid="9", groups=("dev",)),
    reason="NotPermitted",
    message="eve is not among those who may run this proc",
)
LATER = replace(DENIAL, review=ReviewUid("review-2"), denied_at=CREATED + dt.timedelta(hours=1))


async def test_a_denial_comes_back_as_it_was_told(database: LocalDatabase) -> None:
    async with pool_of(database) as pool:
        denials = PostgresDenials(pool)
        await denials.record_denial(DENIAL)

        assert await denials.list_denials(DenialFilter()) == (DENIAL,)


async def test_a_denial_told_twice_is_kept_once_whatever_the_clock_said(
    database: LocalDatabase,
) -> None:
    async with pool_of(database) as pool:
        denials = PostgresDenials(pool)
        for seconds in (0, 0, 3, -3):
            moment = CREATED + dt.timedelta(seconds=seconds)
            await denials.record_denial(replace(DENIAL, denied_at=moment))

        assert await denials.list_denials(DenialFilter()) == (DENIAL,)


async def test_what_a_denial_costs_does_not_grow_with_those_of_the_day(
    database: LocalDatabase,
) -> None:
    columns = ", ".join(DENIAL_COLUMNS)
    flood = f"""
    INSERT INTO proctor.denials ({columns})
    SELECT now() - number * interval '1 second', gen_random_uuid()::text, 'CREATE', 'procexecutions',
           'apps', 'grow', 'grow-disk', 'eve', '', '[]', 'NotPermitted', ''
    FROM generate_series(1, 80000) AS number
    """
    database.query(flood)
    database.query("ANALYZE proctor.denials")
    connection = await asyncpg.connect(database.runtime_dsn)
    try:
        values = denial_values(replace(DENIAL, denied_at=SystemClock().now()))
        (plan,) = json.loads(
            await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {INSERT}", *values)
        )
    finally:
        await connection.close()

    assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 100


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (DenialFilter(), (LATER, DENIAL)),
        (DenialFilter(limit=1), (LATER,)),
        (DenialFilter(namespace=Namespace("apps"), proc_name="grow-disk"), (LATER, DENIAL)),
        (DenialFilter(requester="eve", denied_from=LATER.denied_at), (LATER,)),
        (DenialFilter(denied_before=LATER.denied_at), (DENIAL,)),
        (DenialFilter(namespace=Namespace("other")), ()),
        (DenialFilter(proc_name="other"), ()),
        (DenialFilter(requester="ada\0"), ()),
    ],
)
async def test_denials_are_listed_newest_first_by(
    module_database: LocalDatabase, wanted: DenialFilter, found: tuple[Denial, ...]
) -> None:
    async with pool_of(module_database) as pool:
        denials = PostgresDenials(pool)
        for one in (DENIAL, LATER):
            await denials.record_denial(one)

        assert await denials.list_denials(wanted) == found


async def test_text_that_postgresql_refuses_is_replaced_and_long_text_is_cut(
    database: LocalDatabase,
) -> None:
    hostile = replace(
        DENIAL,
        name="a\0b",
        requester=Requester(username="e\0ve", groups=("\ud800",)),
        message="é" * 10_000,
    )
    async with pool_of(database) as pool:
        denials = PostgresDenials(pool)
        await denials.record_denial(hostile)

        (stored,) = await denials.list_denials(DenialFilter())

    assert stored.name == "a\ufffdb"
    assert stored.requester.username == "e\ufffdve"
    assert stored.message == "é" * 4096


def test_the_command_lists_them_and_nothing_in_them_forges_a_row(
    database: LocalDatabase, tmp_path: Path
) -> None:
    async def record() -> None:
        async with pool_of(database) as pool:
            await PostgresDenials(pool).record_denial(
                replace(DENIAL, message="first\nsecond\x1b[2J")
            )

    asyncio.run(record())
    config = write_config(
        tmp_path / "settings.yaml", {"postgres": {"dsn": database.runtime_dsn, "tls": "disable"}}
    )
    done = subprocess.run(
        command("records", "denials", "--requester", "eve", config=config),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    header, row = done.stdout.splitlines()
    assert header.split()[:3] == ["DENIED", "NAMESPACE", "RESOURCE"]
    assert "2026-11-20T09:30:15Z" in row
    assert "first\\nsecond" in row
    assert "\x1b" not in row


def pool_of(database: LocalDatabase) -> RecordPool:
    return RecordPool(database.options(), CountedCalls(), SystemClock())
