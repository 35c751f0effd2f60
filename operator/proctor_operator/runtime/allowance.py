"""How many of something may happen within a time."""

from __future__ import annotations

from collections import deque

from proctor_operator.ports.clock import Clock


class Allowance:
    """So many in any `within_seconds`, and no more; 0 is none at all."""

    def __init__(self, so_many: int, clock: Clock, *, within_seconds: float) -> None:
        self._clock = clock
        self._within_seconds = within_seconds
        self._taken: deque[float] = deque(maxlen=so_many)

    def takes_one_more(self) -> bool:
        """Count one, if there is room for it."""
        now = self._clock.monotonic()
        is_full = len(self._taken) == self._taken.maxlen
        if is_full and (not self._taken or now - self._taken[0] < self._within_seconds):
            return False
        self._taken.append(now)
        return True
