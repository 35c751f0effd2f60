"""The log's port on PostgreSQL: see `ports.records.LogStore` for what each call promises."""

# ruff: noqa: S608 - what is put into these texts are column names of this package

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proctor_operator.adapters.postgres.chunks import (
    CHUNK_COLUMNS,
    SPAN_COLUMNS,
    chunk_values,
    source_values,
    to_span,
    to_text,
)
from proctor_operator.adapters.postgres.rows import key_values

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from proctor_operator.adapters.postgres.pool import RecordPool
    from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
    from proctor_operator.domain.run import RunKey

    Connection = PoolConnectionProxy[asyncpg.Record]

_RUN: Final = "created_at = $1 AND uid = $2"
_CHUNK: Final = f"{_RUN} AND pod_uid = $3 AND container = $4 AND sequence = $5"
_VALUES: Final = ", ".join(f"${place}" for place in range(1, len(CHUNK_COLUMNS) + 1))
_THE_SAME: Final = " AND ".join(
    f"{column} = ${place}" for place, column in enumerate(CHUNK_COLUMNS, start=1)
)

_INSERT: Final = f"""
INSERT INTO proctor.log_chunks ({", ".join(CHUNK_COLUMNS)}) VALUES ({_VALUES})
ON CONFLICT DO NOTHING
RETURNING true
"""

_IS_THERE: Final = f"SELECT EXISTS (SELECT FROM proctor.log_chunks WHERE {_THE_SAME})"

_SELECT_SPANS: Final = f"""
SELECT {", ".join(SPAN_COLUMNS)} FROM proctor.log_chunks WHERE {_RUN}
ORDER BY min(first_at) OVER (PARTITION BY pod_uid, container), pod_uid, container, sequence
"""

_SELECT_DATA: Final = f"SELECT data FROM proctor.log_chunks WHERE {_CHUNK}"

_DELETE: Final = f"""
DELETE FROM proctor.log_chunks
WHERE {_RUN} AND (pod_uid, container, sequence) IN (
  SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[])
)
"""


LEFT_FREE: Final = 2
"""Connections of a pool that logs never take: a flood of lines must not hold up an outcome."""


class PostgresLogs:
    """`LogStore` over a share of a pool. Errors as of `PostgresRecords`."""

    def __init__(self, pool: RecordPool) -> None:
        self._pool = pool.share(left_free=LEFT_FREE)

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        """Store a chunk; False when another one has its sequence number."""
        values = chunk_values(key, chunk)

        async def insert(connection: Connection) -> bool:
            is_new = await connection.fetchval(_INSERT, *values)
            # Another statement, which sees what the first one had to make way for.
            return bool(is_new or await connection.fetchval(_IS_THERE, *values))

        return await self._pool.run("append_log", insert)

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        """Return what is stored of a run: sources by their first time, then by sequence."""

        async def read(connection: Connection) -> tuple[LogSpan, ...]:
            rows = await connection.fetch(_SELECT_SPANS, *key_values(key))
            return tuple(to_span(row) for row in rows)

        return await self._pool.run("log_spans", read)

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        """Read the text of one chunk, or None when it is not there (any more)."""
        values = (*key_values(key), *source_values(source), sequence)

        async def read(connection: Connection) -> bytes | None:
            data: bytes | None = await connection.fetchval(_SELECT_DATA, *values)
            return data

        data = await self._pool.run("fetch_log_chunk", read)
        return None if data is None else to_text(data)

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        """Delete these chunks; one that is not there is no error."""
        if not spans:
            return
        pods, containers = zip(*(source_values(span.source) for span in spans), strict=True)
        sequences = [span.sequence for span in spans]

        async def delete(connection: Connection) -> None:
            await connection.execute(_DELETE, *key_values(key), pods, containers, sequences)

        await self._pool.run("drop_log", delete)
