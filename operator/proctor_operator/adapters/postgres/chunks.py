"""Between the chunks of a log and the columns of `proctor.log_chunks`; the text is compressed here.

Measured on log lines, zstd at its lowest level makes the smallest chunks for a third of zlib's time,
and a tenth of what PostgreSQL takes for its own (pglz, lz4), which would also be paid by the database
that all runs share. The standard library has it from Python 3.14 on.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from proctor_operator.adapters.postgres.cleaning import clean_name
from proctor_operator.adapters.postgres.rows import instant, key_values
from proctor_operator.domain.errors import RecordRejected
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
from proctor_operator.domain.naming import Uid

if TYPE_CHECKING:
    import asyncpg

    from proctor_operator.domain.run import RunKey

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SPAN_COLUMNS: Final = (
    "pod_uid",
    "container",
    "sequence",
    "first_line",
    "first_byte",
    "lines",
    "size",
    "first_at",
    "last_at",
)
CHUNK_COLUMNS: Final = ("created_at", "uid", *SPAN_COLUMNS, "data")

_FASTEST: Final = 1
# Far beyond what is ever written: a chunk that was tampered with must not fill the memory.
_MOST_BYTES: Final = 64 * 2**20


def source_values(source: LogSource) -> tuple[str, str]:
    """Return pod and container as they are stored."""
    return clean_name(source.pod_uid), clean_name(source.container)


def chunk_values(key: RunKey, chunk: LogChunk) -> tuple[object, ...]:
    """Return the values of `CHUNK_COLUMNS`; equal chunks have equal values."""
    span = chunk.span
    return (
        *key_values(key),
        *source_values(span.source),
        span.sequence,
        span.first_line,
        span.first_byte,
        span.lines,
        span.size,
        instant(span.first_at),
        instant(span.last_at),
        zstd.compress(chunk.data, _FASTEST),
    )


def to_span(row: asyncpg.Record) -> LogSpan:
    """Read a row of `SPAN_COLUMNS`."""
    return LogSpan(
        source=LogSource(Uid(row["pod_uid"]), row["container"]),
        sequence=row["sequence"],
        first_line=row["first_line"],
        first_byte=row["first_byte"],
        lines=row["lines"],
        size=row["size"],
        first_at=row["first_at"],
        last_at=row["last_at"],
    )


def to_text(data: bytes) -> bytes:
    """Decompress what `chunk_values` made; raises `RecordRejected` for anything else."""
    decompressor = zstd.ZstdDecompressor()
    try:
        text: bytes = decompressor.decompress(data, max_length=_MOST_BYTES)
    except zstd.ZstdError as error:
        raise RecordRejected(f"a chunk of the log cannot be read: {error}") from None
    if not decompressor.eof:
        raise RecordRejected("a chunk of the log cannot be read: it is cut, or far too large")
    return text
