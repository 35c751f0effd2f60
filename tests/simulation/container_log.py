"""The log of one container on its node, with what the kubelet does to it: files that are turned over.

As measured on a real one: a read gives the newest file only; who follows goes on with the newest file
once the one at hand is read to its end, and misses what was turned over twice in between. A long line is
written in pieces, each with a time of its own; a reader gets them as one line with the time of the first
piece, or without any where the first piece is from before the time that it asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from proctor_operator.domain.errors import ClusterUnavailable

_AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class _Piece:
    """A line of the node's file: a printed line, or a part of one that another part follows."""

    stamp: bytes
    text: bytes
    ends_its_line: bool


class ContainerLog:
    """What a container printed; `printed` is the truth, line by line."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._files: list[list[_Piece]] = [[]]
        self._news = asyncio.Event()
        self._breaks = 0
        self._ends = 0
        self.is_in_mid_line = False
        self.clock_is_ahead_by = _AT_ONCE
        self.next_answer_is_cut_to: int | None = None
        """So many bytes; the kubelet is killed in between, and the answer ends as if all were well."""
        self.last_word = b""
        """What the kubelet puts behind the text when it gives up, though the answer ends well."""
        self.printed: list[bytes] = []
        self.has_ended = False
        self.reads = 0

    def write(self, *texts: bytes) -> None:
        """The container prints lines; the first one goes on with a line that is not whole yet."""
        for text in texts:
            self._add(text, ends_its_line=True)
        self._tell()

    def write_part(self, text: bytes) -> None:
        """The container prints a part of a line, which the node does not wait to see whole."""
        self._add(text, ends_its_line=False)
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

    def end_answers(self) -> None:
        """The kubelet is killed: the API server ends the answers that are under way as if all were well."""
        self._ends += 1
        self._tell()

    async def read(self, *, follows: bool, since: datetime | None) -> AsyncIterator[bytes]:
        """The newest file from `since` on, and with `follows` all that comes, to the container's end."""
        self.reads += 1
        room, self.next_answer_is_cut_to = self.next_answer_is_cut_to, None
        async for piece in self._read(follows=follows, since=since):
            if room is not None and len(piece) > room:
                yield piece[:room]
                return
            yield piece
            room = room - len(piece) if room is not None else None

    async def _read(self, *, follows: bool, since: datetime | None) -> AsyncIterator[bytes]:
        breaks, ends = self._breaks, self._ends
        file, position = self._files[-1], 0
        floor = since.strftime("%Y-%m-%dT%H:%M:%S").encode() if since is not None else b""
        is_at_a_start = True
        while True:
            news = self._news
            while position < len(file):
                piece = file[position]
                position += 1
                if piece.stamp >= floor:
                    said = piece.stamp + b" " + piece.text if is_at_a_start else piece.text
                    yield said + b"\n" if piece.ends_its_line else said
                is_at_a_start = piece.ends_its_line
                self._stop_if_cut(breaks)
                if self._ends > ends:
                    return
            if file is not self._files[-1] and follows:
                file, position = self._files[-1], 0
            elif self.has_ended or not follows:
                if self.last_word:
                    yield self.last_word
                return
            else:
                await news.wait()
                self._stop_if_cut(breaks)
                if self._ends > ends:
                    return

    def _stop_if_cut(self, breaks: int) -> None:
        if self._breaks > breaks:
            raise ClusterUnavailable("the connection was cut")

    def _add(self, text: bytes, *, ends_its_line: bool) -> None:
        at = self._now() + self.clock_is_ahead_by
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        self._files[-1].append(_Piece(stamp, text, ends_its_line))
        if self.is_in_mid_line:
            self.printed[-1] += text
        else:
            self.printed.append(text)
        self.is_in_mid_line = not ends_its_line

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
