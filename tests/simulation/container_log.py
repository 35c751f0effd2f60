"""The log of one container on its node, with what the kubelet does to it: files that are turned over.

As measured on a real one: a read gives the newest file only; who follows goes on with the newest file
once the one at hand is read to its end, and misses what was turned over twice in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from proctor_operator.domain.errors import ClusterUnavailable


class ContainerLog:
    """What a container printed; `printed` is the truth, line by line."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._files: list[list[bytes]] = [[]]
        self._news = asyncio.Event()
        self._breaks = 0
        self.printed: list[bytes] = []
        self.has_ended = False
        self.reads = 0

    def write(self, *texts: bytes) -> None:
        """The container prints lines."""
        stamp = self._now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        self.printed.extend(texts)
        self._files[-1].extend(stamp + b" " + text for text in texts)
        self._tell()

    def turn_over(self) -> None:
        """The kubelet begins a new file; it leaves the log of a container that has ended alone."""
        if self.has_ended:
            return
        self._files.append([])
        self._tell()

    def end(self) -> None:
        """The container ends."""
        self.has_ended = True
        self._tell()

    def break_off(self) -> None:
        """Whoever reads at this moment loses the connection."""
        self._breaks += 1
        self._tell()

    async def read(self, *, follows: bool, since: datetime | None) -> AsyncIterator[bytes]:
        """The newest file from `since` on, and with `follows` all that comes, to the container's end."""
        self.reads += 1
        breaks = self._breaks
        file, position = self._files[-1], 0
        floor = since.strftime("%Y-%m-%dT%H:%M:%S").encode() if since is not None else b""
        while True:
            news = self._news
            while position < len(file):
                line = file[position]
                position += 1
                if line >= floor:
                    yield line + b"\n"
                if self._breaks > breaks:
                    raise ClusterUnavailable("the connection was cut")
            if not follows:
                return
            if file is not self._files[-1]:
                file, position = self._files[-1], 0
            elif self.has_ended:
                return
            else:
                await news.wait()
                if self._breaks > breaks:
                    raise ClusterUnavailable("the connection was cut")

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
