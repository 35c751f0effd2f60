"""Slots of groups: one transaction decides, under a lock for each group, and writes what follows.

A slot is taken as long as its run has no outcome: `proctor.slots` only tells where to look, so that a
row too many or a crash in between can hold nothing up.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proctor_operator.adapters.postgres import statements
from proctor_operator.adapters.postgres.rows import (
    REQUEST_COLUMNS,
    key_values,
    outcome_values,
    request_values,
    to_run,
)
from proctor_operator.domain.concurrency import (
    Granted,
    Occupant,
    SlotClaim,
    SlotVerdict,
    Waits,
    decide_slots,
)
from proctor_operator.domain.errors import RecordUnavailable
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import RunKey
from proctor_operator.ports.records import SlotAnswer

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from proctor_operator.domain.run import RecordedRun, RunRequest

    Connection = PoolConnectionProxy[asyncpg.Record]

_NO_OUTCOME: Final = outcome_values(None)


async def claim_slots(
    connection: Connection, request: RunRequest, claims: tuple[SlotClaim, ...]
) -> SlotAnswer:
    """See the port `Records`."""
    async with connection.transaction():
        await connection.execute(statements.LOCK_GROUPS, sorted(_lock(one) for one in claims))
        row = await connection.fetchrow(statements.SELECT_RUN_TO_CLAIM, *key_values(request.key))
        run = None if row is None else to_run(row)
        if run is not None and (run.outcome or run.replaced_by or not run.is_waiting):
            return SlotAnswer(None, run)
        verdict = decide_slots(request.key, claims, await _occupants(connection, claims))
        if not isinstance(verdict, Granted | Waits):
            return SlotAnswer(verdict, run)
        if isinstance(verdict, Granted):
            stored = await _grant(connection, request, is_there=run is not None)
        else:
            stored = run or await _insert(connection, replace(request, pinned=None))
            await _tell_the_replaced(connection, verdict, request.name)
        groups = [one.group for one in claims]
        await connection.execute(statements.WRITE_SLOTS, *key_values(request.key), groups)
        return SlotAnswer(verdict, stored)


async def fetch_place(
    connection: Connection, key: RunKey, claims: tuple[SlotClaim, ...]
) -> SlotVerdict:
    """See the port `Records`."""
    return decide_slots(key, claims, await _occupants(connection, claims))


async def _occupants(
    connection: Connection, claims: tuple[SlotClaim, ...]
) -> dict[str, tuple[Occupant, ...]]:
    if not claims:
        return {}
    rows = await connection.fetch(statements.SELECT_OCCUPANTS, [one.group for one in claims])
    found: dict[str, list[Occupant]] = {}
    for row in rows:
        occupant = Occupant(
            RunKey(row["created_at"], Uid(row["uid"])),
            row["name"],
            is_waiting=row["is_waiting"],
            is_replaced=row["replaced_by"] is not None,
        )
        found.setdefault(row["group_key"], []).append(occupant)
    return {group: tuple(occupants) for group, occupants in found.items()}


async def _grant(connection: Connection, request: RunRequest, *, is_there: bool) -> RecordedRun:
    if not is_there:
        return await _insert(connection, request)
    values = dict(zip(REQUEST_COLUMNS, request_values(request), strict=True))
    pinned = (values[column] for column in statements.PIN_COLUMNS)
    key = key_values(request.key)
    return _stored(await connection.fetchrow(statements.UPDATE_PIN, *key, *pinned), request)


async def _insert(connection: Connection, request: RunRequest) -> RecordedRun:
    """Without a pin it waits."""
    values = (*request_values(request), *_NO_OUTCOME, request.pinned is None)
    return _stored(await connection.fetchrow(statements.INSERT_CLAIMED, *values), request)


def _stored(row: asyncpg.Record | None, request: RunRequest) -> RecordedRun:
    """Upkeep may move a row to its own partition, and who found no limit inserts without our lock."""
    if row is None:
        raise RecordUnavailable(f"run {request.key.uid} was moved or recorded during its claim")
    return to_run(row)


async def _tell_the_replaced(connection: Connection, waits: Waits, name: str) -> None:
    if waits.to_replace:
        keys = [key_values(one.key) for one in waits.to_replace]
        await connection.execute(
            statements.MARK_REPLACED, [at for at, _ in keys], [uid for _, uid in keys], name
        )


def _lock(claim: SlotClaim) -> int:
    digest = hashlib.sha256(f"proctor slots {claim.group}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
