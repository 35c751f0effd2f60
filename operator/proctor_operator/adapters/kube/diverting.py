"""What Kopf lists and watches, taken off as it arrives, past what Kopf does with each object.

Kopf keeps the watch: it lists, connects, resumes where it was, starts anew after a 410. To hand on one
event it then starts or wakes a task, wraps the object, looks for causes and walks its registry, all of
which costs many times what we do with the event (docs/benchmarks.md). So the event is read here, and
Kopf sees a bookmark in its place, by which it keeps its position. A page of a list is read here too, and
Kopf sees it empty: of thousands of objects it would keep each, with a task for it, until its turn came.
What cannot be read goes on to Kopf, whose handler fails and is logged; so does everything, should Kopf
ever read its answers in another way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, cast

import aiohttp
import orjson

from proctor_operator.adapters.kube.answers import read_json
from proctor_operator.adapters.kube.mapping import UNREADABLE

Handle = Callable[[Mapping[str, Any]], None]
"""Takes one watch event, `type` and `object`; of a list the type is None. It must not wait for anything."""

_CHANGES: Final = ("ADDED", "MODIFIED", "DELETED")
_AT_A_STRETCH: Final = 25
"""So many objects are read before everything else gets its turn."""


def divert_events(handles: Mapping[str, Handle]) -> aiohttp.ClientMiddlewareType:
    """A middleware for the session that Kopf watches with; `handles` are by the kind's plural."""

    async def divert(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        response = await handler(request)
        handle = handles.get(request.url.name)
        if handle is not None and response.status == 200:
            way = DivertedStream if "watch" in request.url.query else DivertedPage
            response.content = cast("aiohttp.StreamReader", way(response.content, handle))
        return response

    return divert


class DivertedStream:
    """A watch stream without its changes, otherwise the stream."""

    def __init__(self, content: aiohttp.StreamReader, handle: Handle) -> None:
        self._content = content
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Whole lines, as they come."""
        rest = b""
        async for data in self._content.iter_chunked(n):
            *lines, rest = (rest + data).split(b"\n")
            kept = await self._divert(lines)
            if kept:
                yield kept
        if rest:
            yield rest

    async def _divert(self, lines: list[bytes]) -> bytes:
        kept = []
        position: str | None = None
        for number, line in enumerate(lines, start=1):
            if number % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)
            position = self._taken(line) if line else position
            if line and position is None:
                kept.append(line + b"\n")
        if position is not None:
            kept.append(_bookmark(position))
        return b"".join(kept)

    def _taken(self, line: bytes) -> str | None:
        """Hand a change over, and return its version; None when the line is not for us."""
        try:
            event = read_json(line)
            if event["type"] not in _CHANGES:
                return None
            version: str = event["object"]["metadata"]["resourceVersion"]
            self._handle(event)
        except UNREADABLE:
            return None
        return version


class DivertedPage:
    """The answer to a list without its items, otherwise the answer."""

    def __init__(self, content: aiohttp.StreamReader, handle: Handle) -> None:
        self._content = content
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self) -> bytes:
        """The page as a whole: its version, and by what the next one is asked for."""
        answer = await self._content.read()
        try:
            page = read_json(answer)
            items = page["items"]
        except UNREADABLE:
            return answer
        del answer
        page["items"] = kept = []
        for number, item in enumerate(items, start=1):
            if not self._taken(item):
                kept.append(item)
            if number % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        return orjson.dumps(page)

    def _taken(self, item: Mapping[str, Any]) -> bool:
        try:
            self._handle({"type": None, "object": item})
        except UNREADABLE:
            return False
        return True


def _bookmark(version: str) -> bytes:
    told = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
