"""The thin client against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as LoopbackServer

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.domain.errors import (
    AlreadyExists,
    ClusterError,
    ClusterUnavailable,
    Conflict,
    Forbidden,
    NotFound,
    Rejected,
)
from unit.api_server import ApiServer, status
from unit.fakes import FakeMetrics

JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")
JOB = "/apis/batch/v1/namespaces/apps/jobs/j"


class Line:
    """A server, and a client that is connected to it."""

    def __init__(self, server: ApiServer, url: str, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.url = url
        self.session = session
        self.metrics = FakeMetrics()
        self.client = KubeClient(url, session, self.metrics, deadline=5)
        self.hasty = KubeClient(url + "/", session, self.metrics, deadline=0.5)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    server = ApiServer()
    async with LoopbackServer(server.app()) as loopback, aiohttp.ClientSession() as session:
        yield Line(server, str(loopback.make_url("")).rstrip("/"), session)


PATHS = {
    "a collection of a namespace": (JOBS.path("apps"), "/apis/batch/v1/namespaces/apps/jobs"),
    "a collection of the cluster": (JOBS.path(None), "/apis/batch/v1/jobs"),
    "an object": (JOBS.path("apps", "j"), JOB),
    "a subresource": (JOBS.path("apps", "j", "status"), f"{JOB}/status"),
    "a name that would be a path": (
        JOBS.path("apps", "../x?watch=1"),
        f"{JOBS.path('apps')}/..%2Fx%3Fwatch%3D1",
    ),
    "the core group": (PODS.path("apps", "p", "log"), "/api/v1/namespaces/apps/pods/p/log"),
}


@pytest.mark.parametrize(("path", "expected"), PATHS.values(), ids=PATHS)
def test_the_path_of(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_a_path_takes_for_a_place_is_asked_of_nobody(
    line: Line, name: str
) -> None:
    """The owner of a Job may be called anything, and a collection is no object."""
    with pytest.raises(NotFound):
        await line.client.get(JOBS, "apps", name)

    assert line.server.requests == []


async def test_an_object_is_read_and_the_call_counted(line: Line) -> None:
    stored = line.server.put(JOB, {"metadata": {"name": "j"}})

    assert await line.client.get(JOBS, "apps", "j") == stored
    assert line.metrics.calls == [("GET", "jobs", 200)]


async def test_a_query_without_a_value_is_not_sent(line: Line) -> None:
    await line.client.get(PODS, "apps", labelSelector="a=b", fieldSelector="")

    assert line.server.requests == [
        ("GET", "/api/v1/namespaces/apps/pods", {"labelSelector": "a=b"}, None)
    ]


async def test_a_collection_is_read_page_by_page_to_its_end(line: Line) -> None:
    for number in range(5):
        line.server.put(f"{JOB}{number}", {"metadata": {"name": f"j{number}"}})

    found = [one["metadata"]["name"] async for one in line.client.pages(JOBS, "apps", a="b")]

    assert found == [f"j{number}" for number in range(5)]
    queries = [query for _, _, query, _ in line.server.requests]
    assert [query.get("continue") for query in queries] == [None, "2", "4"]
    assert all(query["a"] == "b" and query["limit"] == "100" for query in queries)


async def test_an_empty_collection_has_no_items(line: Line) -> None:
    assert [one async for one in line.client.pages(JOBS, "apps")] == []


async def test_an_object_is_created_once(line: Line) -> None:
    manifest = {"metadata": {"name": "j"}}

    created = await line.client.create(JOBS, "apps", manifest)

    assert created["metadata"]["uid"] == "fresh-uid"
    with pytest.raises(AlreadyExists):
        await line.client.create(JOBS, "apps", manifest)


async def test_a_patch_on_an_old_version_is_a_conflict(line: Line) -> None:
    version = line.server.put(JOB, {"metadata": {"name": "j"}})["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "status": {"a": 1}}

    await line.client.patch(JOBS, "apps", "j", patch, sub="status")

    with pytest.raises(Conflict):
        await line.client.patch(JOBS, "apps", "j", patch, sub="status")
    assert line.server.objects[JOB]["status"] == {"a": 1}


async def test_a_delete_names_the_uid_and_spares_a_successor(line: Line) -> None:
    line.server.put(JOB, {"metadata": {"name": "j", "uid": "successor"}})

    with pytest.raises(Conflict):
        await line.client.delete(JOBS, "apps", "j", uid="mine", propagation="Background")
    await line.client.delete(JOBS, "apps", "j", uid="successor", propagation=None)

    bodies = [body for _, _, _, body in line.server.requests]
    assert bodies == [
        {"preconditions": {"uid": "mine"}, "propagationPolicy": "Background"},
        {"preconditions": {"uid": "successor"}},
    ]
    assert line.server.objects == {}


ANSWERS: dict[int, type[ClusterError]] = {
    401: Forbidden,
    404: NotFound,
    422: Rejected,
    503: ClusterUnavailable,
}


@pytest.mark.parametrize("code", ANSWERS)
async def test_an_answer_that_says_no_is_a_typed_error_and_counted(line: Line, code: int) -> None:
    async def answer(_: web.Request) -> web.Response:
        return status(code, "Reason", "words")

    line.server.answer = answer

    with pytest.raises(ANSWERS[code], match="words"):
        await line.client.get(JOBS, "apps", "j")
    assert line.metrics.calls == [("GET", "jobs", code)]


async def test_what_asks_to_come_back_later_says_when(line: Line) -> None:
    async def answer(_: web.Request) -> web.Response:
        return status(429, "TooManyRequests", "slow down", **{"Retry-After": "7"})

    line.server.answer = answer

    with pytest.raises(ClusterUnavailable) as caught:
        await line.client.get(JOBS, "apps", "j")
    assert caught.value.retry_after == 7


async def test_a_server_that_does_not_answer_is_given_up_at_the_deadline(line: Line) -> None:
    asked = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    line.server.answer = answer

    with pytest.raises(ClusterUnavailable, match=r"no answer in 0\.5 s"):
        await line.hasty.get(JOBS, "apps", "j")
    assert asked.is_set()
    assert line.metrics.calls == [("GET", "jobs", 0)]


async def test_an_answer_that_trickles_is_given_up_at_the_deadline_too(line: Line) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"items":')
        await asyncio.Event().wait()
        return response

    line.server.answer = answer

    with pytest.raises(ClusterUnavailable, match="no answer"):
        await line.hasty.get(JOBS, "apps", "j")


async def test_an_answer_that_is_no_json_is_a_fault_and_no_crash(line: Line) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="<html>a proxy's page</html>")

    line.server.answer = answer

    with pytest.raises(ClusterUnavailable):
        await line.client.get(JOBS, "apps", "j")


async def test_a_connection_that_breaks_is_a_fault(line: Line) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    line.server.answer = answer

    with pytest.raises(ClusterUnavailable):
        await line.client.get(JOBS, "apps", "j")
    assert line.metrics.calls == [("GET", "jobs", 0)]


async def test_a_connection_that_is_refused_is_a_fault(unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        client = KubeClient(f"http://127.0.0.1:{unused_tcp_port}", session, FakeMetrics())

        with pytest.raises(ClusterUnavailable):
            await client.get(JOBS, "apps", "j")


async def test_a_request_that_waits_too_long_for_a_connection_is_never_sent(line: Line) -> None:
    """Who was allowed to write is not any more by then."""
    is_busy, may_answer = asyncio.Event(), asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        is_busy.set()
        await may_answer.wait()
        return web.json_response({})

    line.server.answer = answer
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        client = KubeClient(line.url, session, FakeMetrics(), deadline=5, connect_deadline=0.05)
        first = asyncio.create_task(client.get(JOBS, "apps", "first"))
        await is_busy.wait()

        with pytest.raises(ClusterUnavailable):
            await client.create(JOBS, "apps", {"metadata": {"name": "second"}})
        may_answer.set()
        await first

    assert [request[0] for request in line.server.requests] == ["GET"]


async def test_a_log_is_read_as_bytes(line: Line) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff\0lines\n")

    line.server.answer = answer

    async with line.client.stream(
        PODS, "apps", "p", "log", silent_at_most=5.0, container="proc"
    ) as content:
        assert await content.read() == b"\xff\0lines\n"
    assert line.server.requests[0][:3] == (
        "GET",
        "/api/v1/namespaces/apps/pods/p/log",
        {"container": "proc"},
    )


async def test_the_time_that_an_answer_names_is_told_once_for_each_second(line: Line) -> None:
    heard: list[datetime] = []
    teller = KubeClient(line.url, line.session, line.metrics, tell_time=heard.append)
    dates = ["Sun, 22 Nov 2026 10:00:00 GMT"] * 2 + ["Sun, 22 Nov 2026 10:00:01 GMT", "yesterday"]

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({}, headers={"Date": dates.pop(0)})

    line.server.answer = answer
    for _ in range(4):
        await teller.get(JOBS, "apps", "j")

    assert [moment.isoformat() for moment in heard] == [
        "2026-11-22T10:00:00+00:00",
        "2026-11-22T10:00:01+00:00",
    ]
