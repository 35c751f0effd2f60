"""The event loop sleeps through what arrives together, and is awake at once for what is due."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
from typing import Any

from proctor_operator.app.loop import GatheringSelector, new_event_loop


class Counting(GatheringSelector):
    """Counts how often it woke up to something."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        self.woken += bool(ready)
        return ready


def _flood(line: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        line.send(b"x")
        over.wait(0.00005)


def test_a_flood_of_news_wakes_it_a_thousand_times_a_second_at_the_most() -> None:
    selector = Counting()
    loop = asyncio.SelectorEventLoop(selector)
    near, far = socket.socketpair()
    near.settimeout(0)
    over = threading.Event()
    flooding = threading.Thread(target=_flood, args=(far, over))
    try:
        loop.add_reader(near, near.recv, 65536)
        flooding.start()
        loop.run_until_complete(asyncio.sleep(0.5))
    finally:
        over.set()
        flooding.join()
        loop.remove_reader(near)
        loop.close()
        near.close()
        far.close()

    assert 0 < selector.woken <= 520


def test_what_is_ready_does_not_wait() -> None:
    async def many_steps() -> int:
        for _ in range(20_000):
            await asyncio.sleep(0)
        return 20_000

    async def within(seconds: float, what: Any) -> Any:
        async with asyncio.timeout(seconds):
            return await what

    loop = new_event_loop()
    try:
        assert loop.run_until_complete(within(10, many_steps())) == 20_000
    finally:
        loop.close()
