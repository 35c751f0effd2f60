"""The event loop sleeps through what arrives together, and is awake at once for what is due."""

from __future__ import annotations

import asyncio
import select
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from proctor_operator.app.loop import GatheringSelector, new_event_loop, new_patient_loop


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


def test_the_patient_one_sleeps_longer_while_each_look_finds_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(select, "select", lambda *wanted: slept.append(wanted[-1]))
    selector = GatheringSelector(at_most=0.004)
    near, far = socket.socketpair()
    with selector, near, far:
        selector.register(near, selectors.EVENT_READ)
        far.send(b"news")
        for _ in range(4):
            assert selector.select(None)
        near.recv(16)
        assert not selector.select(0.005)
        far.send(b"news")
        assert selector.select(None)

    assert slept == [0.001, 0.002, 0.004, 0.004, 0.004, 0.001]


def test_one_that_people_wait_for_never_sleeps_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(select, "select", lambda *wanted: slept.append(wanted[-1]))
    near, far = socket.socketpair()
    with GatheringSelector() as selector, near, far:
        selector.register(near, selectors.EVENT_READ)
        far.send(b"news")
        for _ in range(3):
            assert selector.select(None)

    assert slept == [0.001] * 3


def test_what_is_due_soon_is_slept_towards_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(select, "select", lambda *wanted: slept.append(wanted[-1]))
    with GatheringSelector(at_most=0.004) as selector:
        assert not selector.select(0.001)

    assert slept == []


@pytest.mark.parametrize("new_loop", [new_event_loop, new_patient_loop])
def test_what_is_ready_does_not_wait(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def many_steps() -> int:
        for _ in range(20_000):
            await asyncio.sleep(0)
        return 20_000

    async def within(seconds: float, what: Any) -> Any:
        async with asyncio.timeout(seconds):
            return await what

    loop = new_loop()
    try:
        assert loop.run_until_complete(within(10, many_steps())) == 20_000
    finally:
        loop.close()
