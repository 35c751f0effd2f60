"""The owner role's work on the record: migrations, partitions, retention."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from proctor_operator.adapters.postgres.migrate import migrate
from proctor_operator.app.settings import Settings
from proctor_operator.app.wiring import owner_options, record_retention
from proctor_operator.domain.errors import Fault

AGAIN_AFTER_SECONDS: Final = 24 * 3600.0
RETRY_AFTER_SECONDS: Final = 3600.0

log = structlog.get_logger(__name__)


async def keep_up(settings: Settings) -> None:
    """Bring the schema to this release, make partitions ahead, remove what is old enough."""
    result = await migrate(
        owner_options(settings.postgres),
        runtime_role=settings.postgres.runtime_role,
        retention=record_retention(settings.retention),
    )
    for kept in result.removed.kept:
        log.warning("Retention keeps a table", table=kept.table, reason=kept.reason)
    log.info(
        "Record migrated",
        from_revision=result.from_revision,
        to_revision=result.to_revision,
        partitions_created=len(result.partitions_created),
        partitions_dropped=result.removed.partitions,
        rows_deleted=result.removed.rows,
    )


async def keep_up_daily(work: Callable[[], Awaitable[None]]) -> None:
    """Do it once a day until cancelled, beginning a day from now; after a fault, in an hour."""
    after = AGAIN_AFTER_SECONDS
    while True:
        await asyncio.sleep(after)
        try:
            await work()
        except Fault as fault:
            after = RETRY_AFTER_SECONDS
            log.warning("Upkeep of the record failed", error=str(fault), again_in_seconds=after)
        else:
            after = AGAIN_AFTER_SECONDS


async def run_with_upkeep(
    control: Coroutine[Any, Any, None], upkeep: Coroutine[Any, Any, None]
) -> None:
    """Run `control` to its end, with `upkeep` beside it.

    Raises what `control` raises, and `Fault` when the upkeep ends: faults are tried again, so that is
    a mistake of ours, and the process starts anew.
    """
    controlling = asyncio.create_task(control, name="controller")
    keeping = asyncio.create_task(upkeep, name="upkeep")
    try:
        await asyncio.wait((controlling, keeping), return_when=asyncio.FIRST_COMPLETED)
        if not controlling.done():
            raise Fault(f"upkeep of the record failed: {keeping.exception()}")
        await controlling
    finally:
        for task in (controlling, keeping):
            task.cancel()
        await asyncio.gather(controlling, keeping, return_exceptions=True)
