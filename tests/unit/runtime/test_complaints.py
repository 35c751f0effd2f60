"""Warnings of one cause: the first few, then a count."""

from __future__ import annotations

import asyncio

from proctor_operator.runtime.complaints import (
    ALL_LINES_AT_MOST,
    CAUSES_AT_MOST,
    LINES_AT_MOST,
    WINDOW_SECONDS,
    Complaints,
)
from simulation.virtual_time import VirtualClock, run_virtually


def test_the_first_lines_are_written_and_the_rest_is_counted() -> None:
    async def main() -> None:
        complaints = Complaints(VirtualClock())
        said = [complaints.next_line("away") for _ in range(LINES_AT_MOST + 30)]
        assert said == [0] * LINES_AT_MOST + [None] * 30
        assert complaints.next_line("another") == 0

        await asyncio.sleep(WINDOW_SECONDS)
        assert complaints.next_line("away") == 30
        assert complaints.next_line("away") == 0

    run_virtually(main())


def test_many_causes_at_once_are_few_lines_too() -> None:
    async def main() -> None:
        complaints = Complaints(VirtualClock())
        said = [complaints.next_line(f"cause {number}") for number in range(3 * ALL_LINES_AT_MOST)]
        assert said.count(0) == ALL_LINES_AT_MOST

        await asyncio.sleep(WINDOW_SECONDS)
        assert complaints.next_line(f"cause {ALL_LINES_AT_MOST}") == 1

    run_virtually(main())


def test_causes_without_number_do_not_fill_the_memory() -> None:
    async def main() -> None:
        complaints = Complaints(VirtualClock())
        for number in range(10 * CAUSES_AT_MOST):
            complaints.next_line(f"cause {number}")

        assert len(complaints._told) == CAUSES_AT_MOST

    run_virtually(main())
