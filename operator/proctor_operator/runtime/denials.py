"""Denials on their way to the record: in the background, bounded in memory.

No verdict waits for the record, and one that is lost is counted.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from proctor_operator.domain.denial import Denial
from proctor_operator.domain.errors import Fault
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.metrics import AdmissionMetrics
from proctor_operator.ports.records import DenialStore
from proctor_operator.runtime.complaints import Complaints

WAITING_AT_MOST: Final = 1000
"""Denials that wait for the record; more are dropped and counted."""
AGAIN_AFTER_SECONDS: Final = 2.0
TRIES_AT_MOST: Final = 5

log = structlog.get_logger(__name__)


class DenialLog:
    """`tell` takes a denial at once; `run` stores what was told, until it is cancelled."""

    def __init__(self, store: DenialStore, metrics: AdmissionMetrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._complaints = Complaints(clock)
        self._waiting: asyncio.Queue[Denial] = asyncio.Queue(WAITING_AT_MOST)

    def tell(self, denial: Denial) -> None:
        """Have it stored, when there is room for it."""
        try:
            self._waiting.put_nowait(denial)
        except asyncio.QueueFull:
            self._metrics.denial_recorded("dropped")

    async def run(self) -> None:
        """Store one after the other until cancelled; the record may be away meanwhile."""
        while True:
            await self._store_one(await self._waiting.get())
            self._waiting.task_done()

    async def drain(self, *, within_seconds: float) -> None:
        """Wait until what was told is stored, while `run` goes on; what is left then is counted."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._waiting.join()
        except TimeoutError:
            for _ in range(self._waiting.qsize()):
                self._metrics.denial_recorded("dropped")

    async def _store_one(self, denial: Denial) -> None:
        for left in reversed(range(TRIES_AT_MOST)):
            try:
                await self._store.record_denial(denial)
            except Fault as fault:
                if left == 0:
                    self._give_up(fault)
                    return
                await asyncio.sleep(AGAIN_AFTER_SECONDS)
            else:
                self._metrics.denial_recorded("stored")
                return

    def _give_up(self, fault: Fault) -> None:
        self._metrics.denial_recorded("failed")
        left_out = self._complaints.next_line(type(fault).__name__)
        if left_out is not None:
            log.warning("Denial could not be recorded", error=str(fault), similar_left_out=left_out)
