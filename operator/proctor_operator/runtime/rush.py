"""A rush of starts: more within a second than anybody follows one by one."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.ports.clock import Clock
from proctor_operator.reconcile.policy import RunPolicy

WINDOW_SECONDS: Final = 1.0


class Rush:
    """Says when to tell of a start: at once, or in a rush after the policy's patience."""

    def __init__(self, policy: RunPolicy, clock: Clock) -> None:
        self._at_once = policy.starts_told_at_once
        self._patience = timedelta(seconds=policy.rush_patience_seconds)
        self._clock = clock
        self._told: deque[float] = deque(maxlen=policy.starts_told_at_once)

    def tell_at(self) -> datetime:
        """When to tell of a start that is seen now; each call is one more start."""
        now = self._clock.monotonic()
        if self._is_on(now):
            return self._clock.now() + self._patience
        self._told.append(now)
        return self._clock.now()

    def _is_on(self, now: float) -> bool:
        if len(self._told) < self._at_once:
            return False
        return not self._told or now - self._told[0] < WINDOW_SECONDS
