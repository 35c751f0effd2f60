"""What Kopf lists and watches on its short way, against a real HTTP server on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as LoopbackServer

from proctor_operator.adapters.kube.diverting import divert_events

PATH = "/apis/batch/v1/jobs"
Event = Mapping[str, Any]


def change(version: int, kind: str = "MODIFIED", **fields: object) -> bytes:
    manifest = {"metadata": {"name": "j", "resourceVersion": str(version)}, **fields}
    return json.dumps({"type": kind, "object": manifest}).encode() + b"\n"


def bookmark(version: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


class Watch:
    """What the handler got, and what was left on the stream."""

    def __init__(self) -> None:
        self.handled: list[Event] = []
        self.left = b""

    @property
    def left_lines(self) -> list[Event]:
        return [json.loads(line) for line in self.left.splitlines()]

    @property
    def versions(self) -> list[str]:
        return [event["object"]["metadata"]["resourceVersion"] for event in self.handled]

    def handle(self, event: Event) -> None:
        match event["object"].get("poison"):
            case "a key":
                raise KeyError("what a reader needs is missing")
            case "a number":
                raise OverflowError("date value out of range")
        self.handled.append(event)

    async def read(self, *chunks: bytes, status: int = 200) -> None:
        async with self._asked(chunks, "watch=true", status) as response:
            async for data in response.content.iter_chunked(1024 * 1024):
                self.left += data

    async def read_page(self, *chunks: bytes, status: int = 200) -> bytes:
        """A list as Kopf reads it."""
        async with self._asked(chunks, "limit=200", status) as response:
            return await response.read()

    @asynccontextmanager
    async def _asked(
        self, chunks: Iterable[bytes], query: str, status: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=status)
            response.content_type = "application/json"
            await response.prepare(request)
            for chunk in chunks:
                await response.write(chunk)
            return response

        app = web.Application()
        app.router.add_get(PATH, answer)
        middlewares = (divert_events({"jobs": self.handle}),)
        async with (
            LoopbackServer(app) as server,
            aiohttp.ClientSession(middlewares=middlewares) as session,
            session.get(server.make_url(f"{PATH}?{query}")) as response,
        ):
            yield response


async def test_changes_are_handled_in_order_and_their_last_version_is_left_as_a_bookmark() -> None:
    watch = Watch()
    await watch.read(change(1, "ADDED") + change(2) + change(3, "DELETED"))

    assert watch.versions == ["1", "2", "3"]
    assert [event["type"] for event in watch.handled] == ["ADDED", "MODIFIED", "DELETED"]
    assert watch.left_lines[-1] == bookmark(3)


@pytest.mark.parametrize("at", [1, 40, len(change(1)) - 1, len(change(1))])
async def test_a_line_may_come_in_pieces(at: int) -> None:
    watch = Watch()
    lines = change(1) + change(2)

    await watch.read(lines[:at], lines[at:])

    assert watch.versions == ["1", "2"]
    assert watch.left_lines[-1] == bookmark(2)


async def test_bookmarks_and_errors_stay_on_the_stream() -> None:
    watch = Watch()
    theirs = {"type": "BOOKMARK", "object": {"kind": "Job", "metadata": {"resourceVersion": "9"}}}
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}

    await watch.read(json.dumps(theirs).encode() + b"\n", json.dumps(gone).encode() + b"\n")

    assert watch.handled == []
    assert watch.left_lines == [theirs, gone]


@pytest.mark.parametrize("poison", ["a key", "a number"])
async def test_what_cannot_be_read_goes_the_long_way_and_holds_nothing_up(poison: str) -> None:
    watch = Watch()
    await watch.read(change(1) + change(2, poison=poison) + change(3) + b"no json\n")

    assert watch.versions == ["1", "3"]
    assert change(2, poison=poison).strip() in watch.left.splitlines()
    assert b"no json" in watch.left.splitlines()


async def test_a_watch_that_is_refused_is_left_alone() -> None:
    watch = Watch()
    await watch.read(change(1), status=403)

    assert (watch.handled, watch.left) == ([], change(1))


def page(*versions: int, poison: Collection[int] = ()) -> dict[str, Any]:
    return {
        "kind": "JobList",
        "metadata": {"resourceVersion": "1000", "continue": "the-next"},
        "items": [
            {
                "metadata": {"name": "j", "resourceVersion": str(version)},
                **({"poison": "a key"} if version in poison else {}),
            }
            for version in versions
        ],
    }


async def test_a_listed_page_is_handled_and_left_without_its_items() -> None:
    watch = Watch()
    versions = range(1, 131)

    left = await watch.read_page(json.dumps(page(*versions)).encode())

    assert watch.versions == [str(version) for version in versions]
    assert {event["type"] for event in watch.handled} == {None}
    assert json.loads(left) == page()


async def test_a_listed_object_that_cannot_be_read_stays_on_its_page() -> None:
    watch = Watch()

    left = await watch.read_page(json.dumps(page(1, 2, 3, poison=[2])).encode())

    assert watch.versions == ["1", "3"]
    assert json.loads(left) == page(2, poison=[2])


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b'{"kind": "JobList", "items": [', 200), (b'{"kind": "Status"}', 200), (b"{}", 410)],
    ids=["breaks off", "no list", "expired"],
)
async def test_what_is_no_page_is_left_as_it_came(answer: bytes, status: int) -> None:
    watch = Watch()
    left = await watch.read_page(answer, status=status)

    assert (watch.handled, left) == ([], answer)


async def test_a_line_that_breaks_off_is_left_as_it_came() -> None:
    watch = Watch()
    await watch.read(change(1) + b'{"type": "MODIF')

    assert watch.versions == ["1"]
    assert watch.left.endswith(b'{"type": "MODIF')
