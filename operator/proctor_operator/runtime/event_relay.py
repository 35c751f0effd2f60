"""Events on their way to the cluster: in the background, bounded in memory, rate and time.

Nothing waits for an Event, and an Event that is lost changes nothing: the status says the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from proctor_operator.domain.errors import ClusterError, ClusterUnavailable, NotLeading
from proctor_operator.domain.event import Event
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.events import EventSeries, EventStore
from proctor_operator.ports.metrics import ClusterMetrics
from proctor_operator.runtime.complaints import Complaints

WAITING_AT_MOST: Final = 500
"""Events that wait to be sent; more are dropped and counted."""
REMEMBERED_AT_MOST: Final = 2000
"""Series whose count is known; older ones begin anew."""
REPEAT_AFTER_SECONDS: Final = 60.0
"""What is told again sooner is counted, and sent then."""
AGAIN_AFTER_A_FAILURE_SECONDS: Final = 10.0
"""One that was given up is tried again when it is told again, but not sooner."""
PER_SECOND: Final = 5.0
BURST: Final = 25.0
DEADLINE_SECONDS: Final = 5.0
TRIES_AT_MOST: Final = 3
_RETRY_SECONDS: Final = 5.0
_NOT_WORTH_WAITING: Final = 0.001

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Series:
    event: Event
    first_told: datetime
    last_told: datetime
    count: int = 0
    is_stored: bool = False
    not_before: float = float("-inf")
    tries: int = 0


class EventRelay:
    """The `Events` port; `run` sends what `tell` was given."""

    def __init__(self, store: EventStore, metrics: ClusterMetrics, clock: Clock) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._complaints = Complaints(clock)
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._due: dict[str, float] = {}
        self._tokens = BURST
        self._refilled_at = clock.monotonic()
        self._wake = asyncio.Event()

    def tell(self, event: Event) -> None:
        """See the port."""
        key = event.series
        if key not in self._due and len(self._due) >= WAITING_AT_MOST:
            self._metrics.kubernetes_event("dropped")
            return
        now = self._clock.now()
        series = self._series.get(key) or _Series(event, now, now)
        series.event, series.last_told = event, now
        series.count += 1
        self._remember(key, series)
        self._due.setdefault(key, max(self._clock.monotonic(), series.not_before))
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._wake.clear()
            key = min(self._due, key=self._due.__getitem__, default=None)
            if key is None:
                await self._wake.wait()
                continue
            wait = max(self._due[key] - self._clock.monotonic(), self._seconds_to_a_token())
            if wait > _NOT_WORTH_WAITING:
                await self._sleep_or_wake(wait)
                continue
            del self._due[key]
            self._tokens -= 1
            await self._send(key, self._series[key])

    async def _send(self, key: str, series: _Series) -> None:
        wanted = EventSeries(
            series.event, series.count, series.first_told, series.last_told, series.is_stored
        )
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                stored = await self._store.store(wanted)
        except (ClusterError, NotLeading, TimeoutError) as error:
            self._failed(key, series, error)
            return
        # Others may have been told meanwhile; and an earlier process may have counted as well.
        series.count += stored - wanted.count
        series.is_stored, series.tries = True, 0
        series.not_before = self._clock.monotonic() + REPEAT_AFTER_SECONDS
        self._metrics.kubernetes_event("sent")

    def _failed(self, key: str, series: _Series, error: Exception) -> None:
        series.tries += 1
        can_help = isinstance(error, ClusterUnavailable | TimeoutError)
        if can_help and series.tries < TRIES_AT_MOST:
            self._due[key] = self._clock.monotonic() + _RETRY_SECONDS * series.tries
            return
        series.tries = 0
        series.not_before = self._clock.monotonic() + AGAIN_AFTER_A_FAILURE_SECONDS
        self._metrics.kubernetes_event("failed")
        left_out = self._complaints.next_line(type(error).__name__)
        if left_out is not None:
            log.warning(
                "Event could not be stored",
                reason=series.event.reason,
                error=str(error),
                similar_left_out=left_out,
            )

    def _remember(self, key: str, series: _Series) -> None:
        self._series[key] = series
        self._series.move_to_end(key)
        if len(self._series) > REMEMBERED_AT_MOST:
            forgotten = next(one for one in self._series if one not in self._due)
            del self._series[forgotten]

    def _seconds_to_a_token(self) -> float:
        now = self._clock.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._refilled_at) * PER_SECOND)
        self._refilled_at = now
        return max(0.0, (1.0 - self._tokens) / PER_SECOND)

    async def _sleep_or_wake(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
