"""What all readers of logs share: how many may follow at once, and how fast each may read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from proctor_operator.ports.metrics import LogMetrics

READ_BYTES_PER_SECOND: Final = 1024 * 1024
_POLLS_PER_SECOND: Final = 10.0
_FIRST_POLLS_PER_SECOND: Final = 50.0
"""A leader that begins finds thousands of logs; all of them at once would take a connection each."""


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    """Set by the admin. `node_file_bytes` is the kubelet's `containerLogMaxSize`, `bytes_per_second` for all.

    `follow_after_seconds`: a run that ends sooner is read once, at its end.
    """

    streams: int = 200
    follow_after_seconds: float = 10.0
    poll_seconds: float = 10.0
    finish_within_seconds: float = 30.0
    node_file_bytes: int = 10 * 1024 * 1024
    bytes_per_second: int = 16 * 1024 * 1024

    @property
    def sees_the_start_within_seconds(self) -> float:
        """So soon after its start, a run at the promised rate has not filled a file of the node's."""
        return self.node_file_bytes / READ_BYTES_PER_SECOND


class Streams:
    """Counts the logs that are followed, and spreads the readings of those that are not."""

    def __init__(self, limits: CaptureLimits, metrics: LogMetrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._open = 0
        self._polled = 0
        self._unread = 0
        self.pace = Pace(limits.bytes_per_second)
        """Of all readers together, so that chatty runs leave the process time for others."""

    @property
    def has_room(self) -> bool:
        """Whether one more may be followed."""
        return self._open < self._limits.streams

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a followed log while it is."""
        self._open += 1
        self._metrics.log_streams(self._open)
        try:
            yield
        finally:
            self._open -= 1
            self._metrics.log_streams(self._open)

    @contextmanager
    def unread(self) -> Iterator[float]:
        """Count a log that waits for its first reading; gives the seconds until then."""
        self._unread += 1
        try:
            yield self._unread / _FIRST_POLLS_PER_SECOND
        finally:
            self._unread -= 1

    @contextmanager
    def polled(self) -> Iterator[float]:
        """Count a log that is read now and then; gives the seconds until its next reading."""
        self._polled += 1
        try:
            yield max(self._limits.poll_seconds, self._polled / _POLLS_PER_SECOND)
        finally:
            self._polled -= 1


class Pace:
    """Keeps readers at a rate; what they did not use of a second they may use later, up to a second's worth."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def took(self, size: int) -> None:
        """Wait until so many bytes were due."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - 1.0) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
