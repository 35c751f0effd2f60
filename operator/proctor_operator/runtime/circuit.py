"""A circuit breaker: what fails again and again is left alone for a while."""

from __future__ import annotations

from collections import deque
from typing import Final

from proctor_operator.ports.clock import Clock

FAILURES_IN_A_ROW: Final = 5
WINDOW: Final = 20
OPEN_SECONDS: Final = 30.0


class Circuit:
    """Opens after 5 failures in a row, or when more than half of the last 20 calls failed.

    While it is open nothing is called. After 30 s one call is let through: its end closes the circuit or
    opens it again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: deque[bool] = deque(maxlen=WINDOW)
        self._in_a_row = 0
        self._open_until: float | None = None
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether it is; also while the one call is under way that may close it."""
        return self._open_until is not None

    def admits(self) -> bool:
        """Whether a call may be made now; whoever is told yes must report how it ended."""
        if self._open_until is None:
            return True
        if self._is_trying or self._clock.monotonic() < self._open_until:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        """A call got an answer."""
        if self._open_until is not None:
            self._ends.clear()
        self._open_until = None
        self._is_trying = False
        self._in_a_row = 0
        self._ends.append(True)

    def failed(self) -> None:
        """A call got none."""
        self._in_a_row += 1
        self._ends.append(False)
        was_trying, self._is_trying = self._is_trying, False
        if was_trying or self._has_had_enough():
            self._open_until = self._clock.monotonic() + OPEN_SECONDS

    def given_back(self) -> None:
        """A call was broken off by us, which says nothing about the other side."""
        self._is_trying = False

    def _has_had_enough(self) -> bool:
        is_window_full = len(self._ends) == WINDOW
        return self._in_a_row >= FAILURES_IN_A_ROW or (
            is_window_full and 2 * self._ends.count(False) > WINDOW
        )
