"""The session that Kopf watches with, against a server that streams."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as LoopbackServer

from proctor_operator.adapters.kube.connection import Connection
from proctor_operator.adapters.kube.watching import open_watch_session, what_is_asked_for
from unit.fakes import FakeMetrics

JOBS = "/apis/batch/v1/namespaces/apps/jobs"
BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}\n'


@dataclass
class Line:
    url: str
    session: aiohttp.ClientSession
    metrics: FakeMetrics
    heard: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    next_chunk: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: list[str | None] = field(default_factory=list)


class Ears:
    def __init__(self) -> None:
        self.line: Line

    def heard(self, resource: str, namespace: str) -> None:
        self.line.heard.append((resource, namespace))

    def refused(self, resource: str, namespace: str) -> None:
        self.line.refused.append((resource, namespace))


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    ears, metrics = Ears(), FakeMetrics()

    async def answer(request: web.Request) -> web.StreamResponse:
        ears.line.tokens.append(request.headers.get("Authorization"))
        if "forbidden" in request.path:
            return web.json_response({}, status=403)
        if "watch" not in request.query:
            return web.json_response({"items": []})
        stream = web.StreamResponse()
        await stream.prepare(request)
        for _ in range(2):
            await ears.line.next_chunk.wait()
            ears.line.next_chunk.clear()
            await stream.write(BOOKMARK)
        return stream

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with LoopbackServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        connection = Connection(url, ssl.create_default_context(), lambda: "Bearer x", "default")
        async with open_watch_session(connection, metrics, ears) as session:
            ears.line = Line(url, session, metrics)
            yield ears.line


PATHS = {
    JOBS: ("jobs", "apps"),
    "/apis/batch/v1/jobs": ("jobs", ""),
    "/api/v1/pods": ("pods", ""),
    "/api/v1/namespaces/apps/pods": ("pods", "apps"),
    "/apis/proctor.dev/v1alpha1/namespaces/namespaces/procs": ("procs", "namespaces"),
}


@pytest.mark.parametrize(("path", "expected"), PATHS.items(), ids=PATHS)
def test_the_path_tells_resource_and_namespace(path: str, expected: tuple[str, str]) -> None:
    assert what_is_asked_for(("/", *path.strip("/").split("/"))) == expected


async def test_each_chunk_of_a_watch_is_a_sign_of_life_and_nothing_is_lost(line: Line) -> None:
    async with line.session.get(f"{line.url}{JOBS}", params={"watch": "true"}) as response:
        assert line.heard == [], "that it was opened is no sign of life"
        chunks = response.content.iter_chunked(1024)
        for number in (1, 2):
            line.next_chunk.set()
            assert await anext(aiter(chunks)) == BOOKMARK
            assert line.heard == [("jobs", "apps")] * number
        assert [chunk async for chunk in chunks] == []
    assert line.metrics.calls == [("WATCH", "jobs", 200)]
    assert line.tokens == ["Bearer x"]


async def test_a_list_is_counted_and_is_no_sign_of_life(line: Line) -> None:
    async with line.session.get(f"{line.url}{JOBS}") as response:
        assert await response.json() == {"items": []}
    assert line.heard == []
    assert line.metrics.calls == [("GET", "jobs", 200)]


async def test_a_watch_that_is_refused_is_counted_and_is_no_sign_of_life(line: Line) -> None:
    url = f"{line.url}/api/v1/namespaces/forbidden/pods"
    async with line.session.get(url, params={"watch": "true"}) as response:
        await response.read()
    assert line.heard == []
    assert line.refused == [("pods", "forbidden")]
    assert line.metrics.calls == [("WATCH", "pods", 403)]


async def test_no_answer_is_counted_too(line: Line, unused_tcp_port: int) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await line.session.get(f"http://127.0.0.1:{unused_tcp_port}{JOBS}")
    assert line.metrics.calls == [("GET", "jobs", 0)]


async def test_hundreds_of_watches_are_open_at_the_same_time(line: Line) -> None:
    watches = [
        await line.session.get(f"{line.url}/api/v1/namespaces/n{number}/pods?watch=true")
        for number in range(300)
    ]

    assert [one.status for one in watches] == [200] * 300
    for one in watches:
        one.close()
