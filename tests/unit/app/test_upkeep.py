"""When the record's upkeep is done, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from proctor_operator.app.upkeep import keep_up_daily, run_with_upkeep
from proctor_operator.domain.errors import Fault, RecordUnavailable
from simulation.virtual_time import run_virtually

HOUR = 3600.0
DAY = 24 * HOUR


def test_upkeep_comes_once_a_day_and_sooner_after_a_fault(
    logged: list[MutableMapping[str, Any]],
) -> None:
    moments: list[float] = []

    async def work() -> None:
        moments.append(asyncio.get_running_loop().time())
        if len(moments) in (2, 3):
            raise RecordUnavailable("away")

    async def main() -> None:
        upkeep = asyncio.create_task(keep_up_daily(work))
        await asyncio.sleep(4 * DAY)
        upkeep.cancel()

    run_virtually(main())

    assert moments == [DAY, 2 * DAY, 2 * DAY + HOUR, 2 * DAY + 2 * HOUR, 3 * DAY + 2 * HOUR]
    assert [entry["error"] for entry in logged] == ["away", "away"]


def test_a_mistake_of_ours_is_not_tried_again() -> None:
    async def work() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        run_virtually(keep_up_daily(work))


class Controller:
    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.was_cancelled = False

    async def run(self) -> None:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if self.error is not None:
            raise self.error


async def never_ends() -> None:
    await asyncio.Event().wait()


async def breaks() -> None:
    await asyncio.sleep(DAY)
    raise KeyError("ours")


def test_the_controller_ends_the_process_and_the_upkeep_with_it() -> None:
    run_virtually(run_with_upkeep(Controller(HOUR).run(), never_ends()))


def test_what_ends_the_controller_is_passed_on() -> None:
    with pytest.raises(Fault, match="lost the cluster"):
        run_virtually(
            run_with_upkeep(Controller(HOUR, Fault("lost the cluster")).run(), never_ends())
        )


def test_upkeep_that_breaks_takes_the_controller_down() -> None:
    controller = Controller(100 * DAY)

    with pytest.raises(Fault, match="upkeep of the record failed: 'ours'"):
        run_virtually(run_with_upkeep(controller.run(), breaks()))
    assert controller.was_cancelled
