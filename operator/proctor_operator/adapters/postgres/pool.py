"""A pool that opens by itself, keeps every call within a deadline and forgets doubtful connections."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import asyncpg

from proctor_operator.adapters.postgres.connecting import SessionLimits, connect
from proctor_operator.adapters.postgres.faults import (
    DATABASE_ERRORS,
    is_read_only,
    leaves_connection_usable,
    translate,
)
from proctor_operator.domain.errors import Fault, RecordRejected, RecordUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from proctor_operator.adapters.postgres.options import PostgresOptions
    from proctor_operator.ports.clock import Clock
    from proctor_operator.ports.metrics import RecordMetrics

Answer = TypeVar("Answer")
Work = Callable[["PoolConnectionProxy[asyncpg.Record]"], Awaitable[Answer]]
"""The statements of one call; it keeps nothing of the connection when it returns."""

_CLOSE_SECONDS = 5.0
_GOODBYE_SECONDS = 1.0
# Connections end between 80 and 100 per cent of their lifetime: not all at the same moment.
_JITTER = 0.2


class _Connection(asyncpg.Connection):
    """A connection that knows when it is too old."""

    retire_at: float = float("inf")


class RecordPool:
    """Connections to the record's database, for one event loop.

    Nothing connects before the first call, and nothing stays broken: a call made while PostgreSQL
    is away raises `RecordUnavailable`, the next one tries again. Use it as a context manager, or
    call `close`.
    """

    def __init__(self, options: PostgresOptions, metrics: RecordMetrics, clock: Clock) -> None:
        self._options = options
        self._limits = SessionLimits.of(options)
        self._metrics = metrics
        self._clock = clock
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def share(self, *, left_free: int) -> PoolShare:
        """A part of these connections, for calls that must not keep others waiting."""
        return PoolShare(self, max(1, self._options.max_connections - left_free))

    async def run(
        self,
        operation: str,
        work: Work[Answer],
        *,
        turn: AbstractAsyncContextManager[None] | None = None,
    ) -> Answer:
        """Do `work` with a connection, within the deadline, and count it as `operation`.

        With a `turn` it waits for that first; this counts against the deadline, too. Raises
        `RecordUnavailable` or `RecordRejected`, and what else `work` raises of its own.
        """
        began = self._clock.monotonic()
        result = "failed"
        try:
            async with asyncio.timeout(self._options.deadline_seconds), turn or nullcontext():
                answer = await self._lend(work)
        except DATABASE_ERRORS as error:
            fault = translate(error)
            result = _result_of(fault)
            # A refusal's cause quotes the row; it must not reach a log.
            raise fault from (None if isinstance(fault, RecordRejected) else error)
        except (RecordRejected, RecordUnavailable) as fault:
            result = _result_of(fault)
            raise
        else:
            result = "ok"
            return answer
        finally:
            self._metrics.record_call(operation, result, self._clock.monotonic() - began)

    async def close(self) -> None:
        """Close all connections, by force after some seconds; calls made later fail."""
        self._is_closed = True
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await pool.close()
        except DATABASE_ERRORS:
            pool.terminate()

    async def _lend(self, work: Work[Answer]) -> Answer:
        pool = await self._open()
        connection = await pool.acquire()
        retire_at = _retire_at(connection)
        try:
            answer = await self._perform(connection, work)
            if asyncio.get_running_loop().time() >= retire_at:
                await _say_goodbye(connection)
        except BaseException as error:
            if not leaves_connection_usable(error):
                _drop(connection)
            if is_read_only(error):
                # After a failover the address leads elsewhere; the others are stale as well.
                await pool.expire_connections()
            raise
        else:
            return answer
        finally:
            await pool.release(connection, timeout=_GOODBYE_SECONDS)

    async def _perform(
        self, connection: PoolConnectionProxy[asyncpg.Record], work: Work[Answer]
    ) -> Answer:
        if self._options.statement_cache_size > 0:
            return await work(connection)
        # Without named statements a transaction is what keeps parse and execute on one server.
        async with connection.transaction():
            return await work(connection)

    async def _open(self) -> asyncpg.Pool[asyncpg.Record]:
        async with self._opening:
            if self._is_closed:
                raise RecordUnavailable("the connections to PostgreSQL are closed")
            if self._pool is None:
                # No minimum: then opening connects to nothing, and cannot fail.
                self._pool = await asyncpg.create_pool(
                    min_size=0,
                    max_size=self._options.max_connections,
                    max_inactive_connection_lifetime=self._options.connection_idle_seconds,
                    connect=cast("Any", self._connect),  # the stub knows connect() itself only
                    reset=_keep_as_it_is,
                    connection_class=_Connection,
                )
            return self._pool

    async def _connect(self, _dsn: None, **pool_arguments: Any) -> _Connection:
        connection = cast(
            "_Connection", await connect(self._options, self._limits, **pool_arguments)
        )
        lifetime = self._options.connection_lifetime_seconds
        share = 1 - _JITTER * secrets.SystemRandom().random()
        connection.retire_at = asyncio.get_running_loop().time() + lifetime * share
        return connection


class PoolShare:
    """At most so many connections of a pool at once, so that its other users always find one."""

    def __init__(self, pool: RecordPool, most: int) -> None:
        self._pool = pool
        self._turns = asyncio.Semaphore(most)

    async def run(self, operation: str, work: Work[Answer]) -> Answer:
        """Do `work` as the pool does it, when one of the share's connections is free."""
        return await self._pool.run(operation, work, turn=self._turns)


def _result_of(fault: Fault) -> str:
    return "unavailable" if isinstance(fault, RecordUnavailable) else "rejected"


def _retire_at(connection: Any) -> float:
    # A proxy, which passes attributes on until its connection is gone.
    return cast("_Connection", connection).retire_at


async def _say_goodbye(connection: PoolConnectionProxy[asyncpg.Record]) -> None:
    with suppress(*DATABASE_ERRORS):
        await connection.close(timeout=_GOODBYE_SECONDS)


def _drop(connection: PoolConnectionProxy[asyncpg.Record]) -> None:
    """Cut a connection: an answer may still be under way on it, which nobody else may find."""
    # One that the server has cut is gone from the proxy already, which then refuses all calls.
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _keep_as_it_is(_connection: object) -> None:
    """Skip the reset query after each call: statements here change nothing in the session."""
