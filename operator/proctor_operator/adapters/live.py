"""Live lines within this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from proctor_operator.domain.log import LogSource
from proctor_operator.domain.naming import Uid
from proctor_operator.ports.live import LiveLines

BUFFER_BYTES: Final = 1024 * 1024


class _Onlooker:
    """A bounded buffer: the oldest lines make room for new ones, and are counted."""

    def __init__(self) -> None:
        self._batches: deque[LiveLines] = deque()
        self._size = 0
        self._lost = 0
        self._news = asyncio.Event()
        self._is_over = False

    def put(self, source: LogSource, lines: Sequence[bytes]) -> None:
        self._batches.append(LiveLines(source, tuple(lines)))
        self._size += _size_of(lines)
        while self._size > BUFFER_BYTES:
            oldest = self._batches.popleft()
            self._size -= _size_of(oldest.lines)
            self._lost += len(oldest.lines)
        self._news.set()

    def end(self) -> None:
        self._is_over = True
        self._news.set()

    async def batches(self) -> AsyncIterator[LiveLines]:
        while True:
            while self._batches:
                batch = self._batches.popleft()
                self._size -= _size_of(batch.lines)
                lost, self._lost = self._lost, 0
                yield LiveLines(batch.source, batch.lines, lost)
            if self._is_over:
                return
            self._news.clear()
            await self._news.wait()


class LiveLog:
    """Both sides of the port, for the role `all` and for tests."""

    def __init__(self) -> None:
        self._onlookers: dict[Uid, list[_Onlooker]] = {}

    def publish(self, execution_uid: Uid, source: LogSource, lines: Sequence[bytes]) -> None:
        """See the port."""
        for onlooker in self._onlookers.get(execution_uid, ()):
            onlooker.put(source, lines)

    def end(self, execution_uid: Uid) -> None:
        """See the port."""
        for onlooker in self._onlookers.get(execution_uid, ()):
            onlooker.end()

    @contextmanager
    def follow(self, execution_uid: Uid) -> Iterator[AsyncIterator[LiveLines]]:
        """See the port."""
        onlooker = _Onlooker()
        onlookers = self._onlookers.setdefault(execution_uid, [])
        onlookers.append(onlooker)
        try:
            yield onlooker.batches()
        finally:
            onlookers.remove(onlooker)
            if not onlookers:
                self._onlookers.pop(execution_uid, None)


def _size_of(lines: Sequence[bytes]) -> int:
    return sum(map(len, lines))
