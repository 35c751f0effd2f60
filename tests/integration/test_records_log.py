"""Chunks of logs on a real server: idempotent, byte for byte, small on disk, gone when dropped."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import COMPLETED, STARTED, log_chunk, run_request
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.migrate import migrate
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.domain.errors import RecordRejected
from proctor_operator.domain.log import LogSource
from proctor_operator.domain.naming import Uid
from proctor_operator.ports.records import LogStore

KEY = run_request().key
SOURCE = LogSource(Uid("pod-1"), "proc")


@pytest.fixture
def logs(record_pool: RecordPool) -> PostgresLogs:
    return PostgresLogs(record_pool)


def test_the_adapter_is_what_the_port_asks_for(logs: PostgresLogs) -> None:
    store: LogStore = logs

    assert store is logs


async def test_a_chunk_reads_back_as_it_was_given(logs: PostgresLogs) -> None:
    chunk = log_chunk(b"2026-11-20T09:30:18.123456789Z hello\n", first_line=7, first_byte=99)

    assert await logs.append_log(KEY, chunk)

    assert await logs.log_spans(KEY) == (chunk.span,)
    assert await logs.fetch_log_chunk(KEY, SOURCE, 0) == chunk.data


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=4000), repeated=st.integers(1, 50))
async def test_any_bytes_survive(logs: PostgresLogs, data: bytes, repeated: int) -> None:
    key = run_request().key

    await logs.append_log(key, log_chunk(data * repeated))

    assert await logs.fetch_log_chunk(key, SOURCE, 0) == data * repeated


async def test_the_same_chunk_again_is_stored_once_and_said_to_be_there(
    database: LocalDatabase, logs: PostgresLogs
) -> None:
    chunk = log_chunk(b"one\n")

    assert [await logs.append_log(KEY, chunk) for _ in range(3)] == [True] * 3
    assert all(await asyncio.gather(*(logs.append_log(KEY, chunk) for _ in range(10))))

    assert database.query("SELECT count(*) FROM proctor.log_chunks") == [(1,)]


async def test_another_chunk_of_the_same_number_changes_nothing_and_is_told(
    logs: PostgresLogs,
) -> None:
    first = log_chunk(b"one\n")
    await logs.append_log(KEY, first)

    assert not await logs.append_log(KEY, log_chunk(b"two\n"))
    assert not await logs.append_log(KEY, replace(first, span=replace(first.span, first_line=1)))

    assert await logs.log_spans(KEY) == (first.span,)
    assert await logs.fetch_log_chunk(KEY, SOURCE, 0) == b"one\n"


async def test_a_chunk_that_a_racing_transaction_stores_meanwhile_is_told_apart(
    database: LocalDatabase, logs: PostgresLogs
) -> None:
    chunk = log_chunk(b"one\n")
    blocker = await asyncpg.connect(database.runtime_dsn)
    transaction = blocker.transaction()
    await logs.append_log(KEY, chunk)
    await transaction.start()
    other = run_request().key
    await blocker.execute(
        """
        INSERT INTO proctor.log_chunks
          (created_at, uid, pod_uid, container, sequence, first_line, first_byte, lines, size,
           first_at, last_at, data)
        SELECT created_at, $1, pod_uid, container, sequence, first_line, first_byte, lines, size,
           first_at, last_at, data
        FROM proctor.log_chunks
        """,
        other.uid,
    )
    waiting = asyncio.create_task(logs.append_log(replace(KEY, uid=other.uid), chunk))
    await database.until_a_session_waits_for_a_lock()

    await transaction.commit()
    await blocker.close()

    assert await waiting


async def test_spans_come_by_the_first_time_of_their_source_then_by_number(
    logs: PostgresLogs,
) -> None:
    later = LogSource(Uid("pod-0"), "proc")
    chunks = [
        log_chunk(b"c\n", source=later, first_at=COMPLETED),
        log_chunk(b"b\n", sequence=10, first_at=COMPLETED),
        log_chunk(b"a\n", sequence=9, first_at=STARTED),
    ]
    for chunk in chunks:
        await logs.append_log(KEY, chunk)

    spans = await logs.log_spans(KEY)

    assert [(span.source.pod_uid, span.sequence) for span in spans] == [
        ("pod-1", 9),
        ("pod-1", 10),
        ("pod-0", 0),
    ]


async def test_dropped_chunks_are_gone_and_the_others_stay(logs: PostgresLogs) -> None:
    chunks = [log_chunk(b"x\n", sequence=number) for number in range(5)]
    other_run = run_request().key
    for chunk in chunks:
        await logs.append_log(KEY, chunk)
        await logs.append_log(other_run, chunk)
    dropped = tuple(chunk.span for chunk in chunks[1:4])

    await logs.drop_log(KEY, dropped)
    await logs.drop_log(KEY, dropped)
    await logs.drop_log(KEY, ())

    assert [span.sequence for span in await logs.log_spans(KEY)] == [0, 4]
    assert await logs.fetch_log_chunk(KEY, SOURCE, 2) is None
    assert len(await logs.log_spans(other_run)) == 5


async def test_chunks_are_compressed_and_the_server_does_not_try_again(
    database: LocalDatabase, logs: PostgresLogs
) -> None:
    await migrate(database.options(database.owner_dsn), also_months=[KEY.created_at.date()])
    line = b"2026-11-20T09:30:18.123456789Z INFO processed 17 rows of shard 3\n"
    await logs.append_log(KEY, log_chunk(line * 4000))

    stored = "SELECT pg_column_size(data) FROM proctor.log_chunks"
    storage = """
    SELECT DISTINCT attstorage::text FROM pg_attribute
    WHERE attname = 'data' AND attrelid::regclass::text LIKE 'proctor.log_chunks%'
    """

    assert database.query(stored)[0][0] < len(line * 4000) // 50
    assert database.query(storage) == [("e",)]


@pytest.mark.parametrize("data", [b"", b"not zstd", b"\x28\xb5\x2f\xfd"])
async def test_a_chunk_that_is_none_is_told_and_not_misread(
    database: LocalDatabase, logs: PostgresLogs, data: bytes
) -> None:
    await logs.append_log(KEY, log_chunk(b"one\n"))
    database.query("UPDATE proctor.log_chunks SET data = $1", data)

    with pytest.raises(RecordRejected, match="cannot be read"):
        await logs.fetch_log_chunk(KEY, SOURCE, 0)


async def test_a_time_without_zone_is_refused(logs: PostgresLogs) -> None:
    naive = dt.datetime(2026, 11, 1)  # noqa: DTZ001 - the point

    with pytest.raises(RecordRejected, match="no time zone"):
        await logs.append_log(KEY, log_chunk(b"one\n", first_at=naive))
