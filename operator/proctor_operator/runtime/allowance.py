"""How many of something may happen within a second."""

from __future__ import annotations

from collections import deque
from typing import Final

from proctor_operator.ports.clock import Clock

WINDOW_SECONDS: Final = 1.0


class Allowance:
    """So many in any second, and no more; 0 is none at all."""

    def __init__(self, per_second: int, clock: Clock) -> None:
        self._clock = clock
        self._taken: deque[float] = deque(maxlen=per_second)

    def takes_one_more(self) -> bool:
        """Count one, if there is room for it."""
        now = self._clock.monotonic()
        is_full = len(self._taken) == self._taken.maxlen
        if is_full and (not self._taken or now - self._taken[0] < WINDOW_SECONDS):
            return False
        self._taken.append(now)
        return True
