"""Lines that were read of one log and wait to be stored, and the only way of its reader to store anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from proctor_operator.domain.log import LogSource
from proctor_operator.domain.log_chunks import CHUNK_BYTES, Position
from proctor_operator.domain.naming import Uid
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.live import LivePublisher
from proctor_operator.runtime.run_log import RunLog

_FLUSH_SECONDS: Final = (2.0, 30.0)


class Overtaken(Exception):
    """Somebody else stored a chunk of this source: begin anew from what is stored."""


class Pending:
    """What a reader has kept since the last chunk; onlookers get it at once.

    What is not stored can be read again, so nothing is lost with it.
    """

    def __init__(
        self,
        source: LogSource,
        execution_uid: Uid,
        run: RunLog,
        live: LivePublisher,
        clock: Clock,
    ) -> None:
        self.lines_kept = 0
        """In all, stored or not."""
        self._source = source
        self._execution_uid = execution_uid
        self._run = run
        self._live = live
        self._clock = clock
        self._began_at = clock.monotonic()
        self._lines: list[bytes] = []
        self._size = 0
        self._since = 0.0
        self._sequence = 0

    async def begin_anew(self) -> Position:
        """Forget what waits, and go on from what is stored; returns where that ends."""
        self._lines, self._size = [], 0
        position = await self._run.position(self._source)
        self._sequence = position.sequence
        return position

    def keep(self, lines: Sequence[bytes]) -> None:
        """Have lines wait, and show them to onlookers."""
        if not lines:
            return
        if not self._lines:
            self._since = self._clock.monotonic()
        self._lines.extend(lines)
        self.lines_kept += len(lines)
        self._size += sum(map(len, lines))
        self._live.publish(self._execution_uid, self._source, lines)

    @property
    def fills_a_chunk(self) -> bool:
        """Whether it is time to store because of the size."""
        return self._size >= CHUNK_BYTES

    def seconds_until_flush(self) -> float | None:
        """A log of hours is stored in fewer, larger chunks; None where nothing waits."""
        if not self._lines:
            return None
        now = self._clock.monotonic()
        soonest, latest = _FLUSH_SECONDS
        age_at_most = min(max((now - self._began_at) / 10, soonest), latest)
        return max(0.0, self._since + age_at_most - now)

    async def flush(self) -> None:
        """Store what waits; raises `Overtaken`."""
        if not self._lines:
            return
        lines, self._lines, self._size = self._lines, [], 0
        if not await self._run.append(self._source, lines, sequence=self._sequence):
            raise Overtaken
        self._sequence += 1

    async def mark_gap(self, at: datetime | None = None) -> None:
        """Store what waits, and that lines may be missing behind it; raises `Overtaken`."""
        await self.flush()
        at = at or self._clock.now()
        if not await self._run.mark_gap(self._source, at, sequence=self._sequence):
            raise Overtaken
        self._sequence += 1
