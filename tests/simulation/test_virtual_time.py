"""Virtual time: jumps, keeps order, and tells when nothing can happen any more."""

from __future__ import annotations

import asyncio
import time

import pytest

from simulation.standing_still import Stillness, on_the_network
from simulation.virtual_time import (
    NothingLeftToHappen,
    TimeStandsStill,
    VirtualClock,
    run_virtually,
)


def test_a_day_passes_without_waiting() -> None:
    async def sleep_for_a_day() -> float:
        await asyncio.sleep(86400.0)
        return VirtualClock().monotonic()

    began = time.monotonic()

    assert run_virtually(sleep_for_a_day()) == pytest.approx(86400.0)
    assert time.monotonic() - began < 5.0


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def race() -> list[str]:
        finished: list[str] = []

        async def run(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            finished.append(name)

        await asyncio.gather(run("third", 3.0), run("first", 1.0), run("second", 2.0))
        return finished

    assert run_virtually(race()) == ["first", "second", "third"]


def test_a_timeout_is_virtual_too() -> None:
    async def wait_in_vain() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.Event().wait()
        return VirtualClock().monotonic()

    assert run_virtually(wait_in_vain()) == pytest.approx(30.0)


def test_waiting_for_ever_is_an_error() -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingLeftToHappen):
        run_virtually(wait_for_ever())


def test_a_loop_that_takes_no_time_is_an_error() -> None:
    async def spin() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await asyncio.sleep(1.0)

    with pytest.raises(TimeStandsStill):
        run_virtually(spin())


def test_an_error_in_a_callback_is_raised() -> None:
    async def call_back() -> None:
        asyncio.get_running_loop().call_later(1.0, [].pop)
        await asyncio.sleep(2.0)

    with pytest.raises(IndexError):
        run_virtually(call_back())


def test_a_process_that_stands_still_takes_no_step_and_what_came_meanwhile_waits() -> None:
    async def stop_a_process() -> list[str]:
        seen: list[str] = []
        stillness = Stillness()

        async def tick(name: str) -> None:
            while True:
                await asyncio.sleep(1.0)
                seen.append(f"{name} {VirtualClock().monotonic():g}")

        async def live() -> None:
            inner = asyncio.create_task(tick("inner"))
            try:
                async with asyncio.timeout(2.5):
                    await tick("outer")
            except TimeoutError:
                seen.append(f"time out at {VirtualClock().monotonic():g}")
            inner.cancel()

        process = stillness.create_task(live(), "process")
        bystander = asyncio.create_task(tick("bystander"))
        await asyncio.sleep(1.5)
        stillness.begin()
        await asyncio.sleep(8.0)
        stillness.end()
        await process
        bystander.cancel()
        return [line for line in seen if not line.startswith("bystander")] + [str(len(seen))]

    seen = run_virtually(stop_a_process())

    assert seen[:-1] == ["outer 1", "inner 1", "inner 9.5", "time out at 9.5"]
    assert int(seen[-1]) == 4 + 9, "the bystander ticked all the time"


def test_what_a_process_has_sent_arrives_while_it_stands_still() -> None:
    async def send_and_stop() -> list[str]:
        seen: list[str] = []
        stillness = Stillness()

        async def arrive() -> str:
            await asyncio.sleep(1.0)
            seen.append(f"arrived at {VirtualClock().monotonic():g}")
            return "answer"

        async def live() -> None:
            seen.append(f"{await on_the_network(arrive())} at {VirtualClock().monotonic():g}")

        process = stillness.create_task(live(), "process")
        await asyncio.sleep(0.5)
        stillness.begin()
        await asyncio.sleep(5.0)
        stillness.end()
        await process
        return seen

    assert run_virtually(send_and_stop()) == ["arrived at 1", "answer at 5.5"]
