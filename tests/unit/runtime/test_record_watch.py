"""What the controller says of upkeep that the owner role does not do."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from proctor_operator.domain.errors import RecordUnavailable
from proctor_operator.runtime.record_watch import RecordWatch
from simulation.virtual_time import run_virtually
from unit.fakes import FakeMetrics

Logged = list[MutableMapping[str, Any]]


class Upkeep:
    def __init__(self, *months: int | None) -> None:
        self.months = list(months)
        self.asked_at: list[float] = []

    async def months_ahead(self) -> int:
        self.asked_at.append(asyncio.get_running_loop().time())
        months = self.months.pop(0) if len(self.months) > 1 else self.months[0]
        if months is None:
            raise RecordUnavailable("away")
        return months


def watch(upkeep: Upkeep, seconds: float) -> FakeMetrics:
    metrics = FakeMetrics()

    async def main() -> None:
        task = asyncio.create_task(RecordWatch(upkeep=upkeep, metrics=metrics).run())
        await asyncio.sleep(seconds)
        task.cancel()

    run_virtually(main())
    return metrics


@pytest.mark.parametrize(
    ("months", "said"),
    [
        (3, []),
        (1, []),
        (0, ["next month"]),
        (-1, ["this month"]),
    ],
)
def test_partitions_that_run_out_are_told(months: int, said: list[str], logged: Logged) -> None:
    metrics = watch(Upkeep(months), 60)

    assert metrics.months_ahead == [months]
    assert [entry["missing"] for entry in logged] == said


def test_it_looks_four_times_a_day_and_soon_after_the_record_was_away(logged: Logged) -> None:
    upkeep = Upkeep(None, None, 3)

    metrics = watch(upkeep, 13 * 3600)

    assert upkeep.asked_at == [0, 60, 120, 120 + 6 * 3600, 120 + 12 * 3600]
    assert metrics.months_ahead == [3, 3, 3]
    assert logged == []
