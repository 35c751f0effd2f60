"""Looks whether the owner role does its upkeep of the record; the controller itself may not."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from proctor_operator.domain.errors import Fault
from proctor_operator.ports.metrics import RecordMetrics
from proctor_operator.ports.records import RecordUpkeep

LOOK_EVERY_SECONDS: Final = 6 * 3600.0
RETRY_SECONDS: Final = 60.0

log = structlog.get_logger(__name__)


class RecordWatch:
    """Tells in good time that partitions are running out. Nothing is lost then, but nothing can be dropped."""

    def __init__(self, *, upkeep: RecordUpkeep, metrics: RecordMetrics) -> None:
        self._upkeep = upkeep
        self._metrics = metrics

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            again_after = await self.look()
            await asyncio.sleep(again_after)

    async def look(self) -> float:
        """Look once; returns the seconds after which to look again."""
        try:
            months = await self._upkeep.months_ahead()
        except Fault:
            # That the record is away is told elsewhere.
            return RETRY_SECONDS
        self._metrics.record_months_ahead(months)
        if months < 1:
            log.warning(
                "Record runs out of partitions",
                missing="this month" if months < 0 else "next month",
                consequence="rows go to the default partitions, which retention empties row by row",
                remedy="run `proctor-operator migrate`, as the owner role, once a day",
            )
        return LOOK_EVERY_SECONDS
