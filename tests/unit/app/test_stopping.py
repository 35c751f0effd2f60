"""The end of a process does not wait for code that refuses to end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from proctor_operator.app.stopping import has_ended_what_is_left


async def test_what_is_left_is_cancelled() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)

    assert await has_ended_what_is_left()
    assert task.cancelled()


async def test_a_task_that_refuses_to_be_cancelled_is_not_waited_for() -> None:
    may_end = asyncio.Event()

    async def refuse() -> None:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    task = asyncio.create_task(refuse())
    await asyncio.sleep(0)

    assert not await has_ended_what_is_left(within_seconds=0.01)
    may_end.set()
    await task
