"""When starts are told of: at once, or late where more come than anybody follows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.runtime.rush import Rush
from simulation.virtual_time import VirtualClock, run_virtually
from unit.builders import POLICY

PATIENCE = 10.0
BRISK = replace(POLICY, starts_told_at_once=3, rush_patience_seconds=PATIENCE)


def seconds_until_told(rush: Rush, clock: VirtualClock) -> float:
    return (rush.tell_at() - clock.now()) / timedelta(seconds=1)


def test_of_starts_that_come_together_the_first_are_told_at_once_and_the_others_late() -> None:
    async def main() -> None:
        clock = VirtualClock()
        rush = Rush(BRISK, clock)
        assert [seconds_until_told(rush, clock) for _ in range(5)] == [0, 0, 0, PATIENCE, PATIENCE]

        await asyncio.sleep(PATIENCE)
        assert [seconds_until_told(rush, clock) for _ in range(4)] == [0, 0, 0, PATIENCE]

    run_virtually(main())


def test_starts_that_come_one_by_one_are_all_told_at_once() -> None:
    async def main() -> None:
        clock = VirtualClock()
        rush = Rush(BRISK, clock)
        for _ in range(20):
            assert seconds_until_told(rush, clock) == 0
            await asyncio.sleep(0.34 * PATIENCE)

    run_virtually(main())


def test_none_at_once_means_that_every_start_is_told_late() -> None:
    async def main() -> None:
        clock = VirtualClock()
        rush = Rush(replace(BRISK, starts_told_at_once=0), clock)
        assert seconds_until_told(rush, clock) == PATIENCE
        await asyncio.sleep(5 * PATIENCE)
        assert seconds_until_told(rush, clock) == PATIENCE

    run_virtually(main())


def test_without_patience_every_start_is_told_at_once() -> None:
    async def main() -> None:
        clock = VirtualClock()
        rush = Rush(replace(BRISK, rush_patience_seconds=0), clock)
        assert {seconds_until_told(rush, clock) for _ in range(50)} == {0}

    run_virtually(main())


@given(
    at_once=st.integers(0, 6),
    pauses=st.lists(st.floats(0, 2 * PATIENCE), max_size=40),
)
def test_no_ten_seconds_have_more_starts_told_at_once_than_allowed(
    at_once: int, pauses: list[float]
) -> None:
    async def main() -> None:
        clock = VirtualClock()
        rush = Rush(replace(BRISK, starts_told_at_once=at_once), clock)
        told: list[float] = []
        for pause in pauses:
            await asyncio.sleep(pause)
            late = seconds_until_told(rush, clock) > 0
            now = clock.monotonic()
            recent = [moment for moment in told if now - moment < PATIENCE]
            assert late == (len(recent) >= at_once)
            if not late:
                told.append(now)

    run_virtually(main())
