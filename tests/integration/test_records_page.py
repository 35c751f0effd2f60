"""What docs/record.md tells people to type at PostgreSQL works."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import asyncpg

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import log_chunk, run_request
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PAGE = (Path(__file__).parents[2] / "docs" / "record.md").read_text()
QUERIES = [
    statement
    for block in re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for statement in block.split(";")
    if "SELECT" in statement
]


async def test_the_queries_of_the_page_run_with_the_rights_of_the_operator(
    database: LocalDatabase,
) -> None:
    connection = await asyncpg.connect(database.runtime_dsn)
    try:
        for query in QUERIES:
            await connection.fetch(query)
    finally:
        await connection.close()
    assert len(QUERIES) == 3


async def test_after_a_restore_the_owner_skips_numbers(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    (skip,) = re.findall(r"`(SELECT setval\(.*?);`", PAGE)
    before = (await records.record_run(run_request())).number
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute(skip)
    finally:
        await owner.close()

    assert (await records.record_run(run_request())).number == before + 100_001


async def test_the_chunks_of_a_log_decompress_one_after_the_other(
    database: LocalDatabase, record_pool: RecordPool
) -> None:
    request, logs = run_request(), PostgresLogs(record_pool)
    for number, text in enumerate((b"one\n", b"", b"two\n")):
        await logs.append_log(request.key, log_chunk(text, sequence=number))
    ((query,),) = [re.findall(r'psql -XAt -c "(SELECT .*?)"', PAGE, re.DOTALL)]

    rows = database.query(query.replace("'...'", f"'{request.key.uid}'"))

    assert zstd.decompress(bytes.fromhex("".join(row[0] for row in rows))) == b"one\ntwo\n"
