"""The simulated record keeps what the real one promises of slots."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import pytest

from harness.slot_contract import CONTRACT
from proctor_operator.ports.records import Records
from simulation.line import Line, Side
from simulation.record_store import RecordTable, SimulatedRecords
from simulation.virtual_time import VirtualClock, run_virtually

Answer = TypeVar("Answer")


class OpenLine:
    """Carries every call at once."""

    async def read(self, side: Side, what: str, act: Callable[[], Answer]) -> Answer:
        del side, what
        return act()

    async def write(
        self, side: Side, what: str, act: Callable[[], Answer], *, meddle: object = None
    ) -> Answer:
        del side, what, meddle
        return act()


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda one: one.__name__)
def test_the_simulated_record_promises_that(
    promise: Callable[[Records], Coroutine[Any, Any, None]],
) -> None:
    async def keep() -> None:
        await promise(SimulatedRecords(RecordTable(VirtualClock()), cast("Line", OpenLine())))

    run_virtually(keep())
