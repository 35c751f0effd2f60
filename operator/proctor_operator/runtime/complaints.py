"""Warnings, few enough to be read: a thousand objects that fail for one cause are one story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proctor_operator.ports.clock import Clock

LINES_AT_MOST: Final = 5
"""Of one cause within `WINDOW_SECONDS`."""
ALL_LINES_AT_MOST: Final = 60
"""Of all causes together within that time."""
WINDOW_SECONDS: Final = 30.0
CAUSES_AT_MOST: Final = 200
"""Beyond it the oldest causes are forgotten, and may be told again."""


@dataclass(slots=True)
class _Told:
    began: float
    lines: int = 0
    left_out: int = 0


class Complaints:
    """Decides which warnings are written; what is left out is counted and told with the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: dict[str, _Told] = {}
        self._all = _Told(float("-inf"))

    def next_line(self, cause: str) -> int | None:
        """Return how many lines of this cause were left out before this one; None: leave it out too."""
        now = self._clock.monotonic()
        if now - self._all.began >= WINDOW_SECONDS:
            self._all = _Told(now)
        told = self._told.get(cause)
        left_out = 0
        if told is None or now - told.began >= WINDOW_SECONDS:
            left_out = told.left_out if told is not None else 0
            told = self._begin(cause, now)
        if told.lines >= LINES_AT_MOST or self._all.lines >= ALL_LINES_AT_MOST:
            told.left_out += 1 + left_out
            return None
        told.lines += 1
        self._all.lines += 1
        return left_out

    def _begin(self, cause: str, now: float) -> _Told:
        self._told.pop(cause, None)
        while len(self._told) >= CAUSES_AT_MOST:
            del self._told[next(iter(self._told))]
        self._told[cause] = _Told(now)
        return self._told[cause]
