"""How Kopf is set: it tries for ever, and logs in slowly."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import kopf

from proctor_operator.handlers.lifecycle import (
    LOGIN_AT_MOST_EVERY_SECONDS,
    build_settings,
    register_login,
)
from simulation.virtual_time import run_virtually


def test_a_list_or_a_watch_that_is_refused_is_tried_for_ever() -> None:
    delays = build_settings().networking.error_backoffs

    assert not isinstance(delays, int | float)
    for _ in range(2):
        found = list(islice(delays, 1000))
        assert len(found) == 1000, "each request gets all of them"
        assert found == sorted(found)
        assert max(found) <= 15, "it comes back soon after the right does"


def test_a_token_that_is_refused_is_no_storm_of_logins() -> None:
    at: list[float] = []

    def login() -> Any:
        at.append(asyncio.get_running_loop().time())
        return object()

    async def main() -> None:
        registry = kopf.OperatorRegistry()
        register_login(registry, login)
        (handler,) = registry._activities.get_all_handlers()
        await asyncio.sleep(1)
        for _ in range(3):
            await handler.fn()  # type: ignore[call-arg, misc] # Kopf passes keywords that ours ignores
        await asyncio.sleep(1000)
        await handler.fn()  # type: ignore[call-arg, misc] # same

    run_virtually(main())

    every = LOGIN_AT_MOST_EVERY_SECONDS
    assert at == [1, 1 + every, 1 + 2 * every, 1001 + 2 * every]
