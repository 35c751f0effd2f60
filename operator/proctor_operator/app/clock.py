"""The real time: the machine's, and the API server's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from proctor_operator.ports.clock import Clock

TOLERANCE: Final = timedelta(seconds=5)
"""Answers name whole seconds and take their time; only a greater difference is worth a word."""
SPAN_SECONDS: Final = 300.0
"""Clocks of usual machines differ by less than 0.1 s in two such spans."""

log = structlog.get_logger(__name__)


class SystemClock:
    """The `Clock` port on the machine's clocks."""

    def now(self) -> datetime:
        """See the port."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the wall clock

    def monotonic(self) -> float:
        """See the port. It counts the time that a suspended machine slept through, too: others led meanwhile."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClusterClock:
    """The `Clock` port, set by what the API server says in its answers, and never ahead of it.

    Time-outs compare the time with creation and start times that the API server wrote. A machine whose
    clock is wrong, or jumps, must not end a run for that. Before the first answer the machine is believed.

    An answer leaves at the time it names or up to a second later, and is then on its way: when it is
    here, it is that late there at least. So the clock goes by the answer that brings it furthest, and is
    behind by as little as the quickest of them was. Two spans of answers count, the one that is under
    way and the one before it, so that clocks of different pace do not drift apart.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._has_heard = False
        self._span_began = machine.monotonic()
        began = machine.now() - timedelta(seconds=self._span_began)
        # What time it was when the monotonic clock began: by the span before, and by this one.
        self._began_before = self._began = began

    def now(self) -> datetime:
        """See the port."""
        return max(self._began_before, self._began) + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """See the port."""
        return self._machine.monotonic()

    def hear(self, time_there: datetime) -> None:
        """Learn from an answer of the API server."""
        uptime = self.monotonic()
        began = time_there - timedelta(seconds=uptime)
        difference = time_there - self.now()
        if abs(difference) > TOLERANCE:
            log.warning(
                "Clock set by the API server", difference_seconds=round(difference.total_seconds())
            )
        if abs(difference) > TOLERANCE or not self._has_heard:
            self._has_heard = True
            self._began_before = self._began = began
            self._span_began = uptime
        elif uptime - self._span_began >= SPAN_SECONDS:
            self._began_before, self._began = self._began, began
            self._span_began = uptime
        else:
            self._began = max(self._began, began)
