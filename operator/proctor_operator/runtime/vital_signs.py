"""How the process is, read off its parts when somebody asks; and the event loop, which must be watched."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, Protocol

from proctor_operator.domain.execution import Phase
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.metrics import ProcessMetrics, Vitals
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.liveness import Signs, find_life_problem
from proctor_operator.runtime.queue import WorkQueue
from proctor_operator.runtime.silence import WatchSilence

LOOP_CHECK_SECONDS: Final = 0.05
"""A stall is seen to this precision."""


class Reachability(Protocol):
    """When the API server answered, as the client saw it."""

    @property
    def since_an_answer(self) -> float:
        """Seconds since its last answer."""
        ...

    @property
    def since_no_answer(self) -> float:
        """Seconds since a request stayed without an answer."""
        ...


class VitalSigns:
    """For `/livez` and `/metrics`; holds nothing of its own."""

    def __init__(
        self,
        *,
        queue: WorkQueue,
        cache: ObjectCache,
        silence: WatchSilence,
        reachability: Reachability,
        metrics: ProcessMetrics,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._cache = cache
        self._silence = silence
        self._reachability = reachability
        self._metrics = metrics
        self._clock = clock

    def life_problem(self) -> str | None:
        """Why the process should be started anew, if it should."""
        movement = self._queue.movement()
        return find_life_problem(
            Signs(
                is_working=movement.is_working,
                standstill_seconds=movement.standstill_seconds,
                free_workers=movement.free_workers,
                longest_pass_seconds=movement.longest_pass_seconds,
                pass_deadline_seconds=self._queue.pass_deadline,
                silences=self._silence.unexplained_silences(),
                since_an_answer=self._reachability.since_an_answer,
                since_no_answer=self._reachability.since_no_answer,
            )
        )

    def measure(self) -> None:
        """Bring the gauges up to date."""
        movement = self._queue.movement()
        self._metrics.vitals(
            Vitals(
                oldest_ready_seconds=movement.oldest_ready_seconds,
                longest_pass_seconds=movement.longest_pass_seconds,
                watch_silences=self._silence.silences(),
                live_executions=self._live_executions(),
                oldest_held_seconds=self._oldest_held(),
            )
        )

    async def watch_the_loop(self) -> None:
        """Measure how late the event loop comes to a timer, until cancelled."""
        while True:
            due = self._clock.monotonic() + LOOP_CHECK_SECONDS
            await asyncio.sleep(LOOP_CHECK_SECONDS)
            self._metrics.loop_lag(max(0.0, self._clock.monotonic() - due))

    def _live_executions(self) -> Counter[Phase]:
        phases = (one.status.phase for one in self._cache.executions())
        return Counter(phase for phase in phases if not phase.is_terminal)

    def _oldest_held(self) -> float:
        now = self._clock.now()
        ages = (
            (now - one.deletion_time).total_seconds()
            for one in self._cache.executions()
            if one.deletion_time is not None and one.is_held
        )
        return max(ages, default=0.0)
