"""The time, so that tests can set it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Wall clock and monotonic clock."""

    def now(self) -> datetime:
        """The time in UTC, aware; it is compared with times that the API server wrote."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...
