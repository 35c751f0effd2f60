"""Changes since the last look, on HTTP: from where they are asked for, and what comes of what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as LoopbackServer

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.cluster import KubeCluster
from proctor_operator.domain.errors import Expired, PartlyListed
from proctor_operator.domain.naming import Namespace
from unit.api_server import ApiServer, status
from unit.fakes import FakeMetrics

OTHER = Namespace("other")
OURS = "/apis/proctor.dev/v1alpha1/namespaces/{}/procexecutions"
APPS, OTHERS = OURS.format("apps"), OURS.format("other")


def manifest(name: str, version: int, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "apps",
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-20T09:29:00Z",
        },
        "spec": {"procRef": {"name": "grow-disk"}, **spec},
    }


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def cluster(server: ApiServer) -> AsyncIterator[KubeCluster]:
    """Two namespaces, listed once, at version 100."""
    async with LoopbackServer(server.app()) as loopback, aiohttp.ClientSession() as session:
        client = KubeClient(str(loopback.make_url("")), session, FakeMetrics(), deadline=5)
        cluster = KubeCluster(client, (Namespace("apps"), OTHER))
        assert [one async for one in cluster.list_own()] == []
        server.requests.clear()
        yield cluster


async def raised_at_the_end(cluster: KubeCluster, told: list[str]) -> Expired | PartlyListed | None:
    """What reading on ended with; `told` gets the names that came before it."""
    try:
        async for change in cluster.changed_own(lambda *_: False):
            told += [change.known.name]
    except (Expired, PartlyListed) as error:
        return error
    return None


async def changes(cluster: KubeCluster, *known: tuple[str, str]) -> list[tuple[str, bool]]:
    read = cluster.changed_own(lambda uid, version: (uid, version) in known)
    return [(change.known.name, change.is_gone) async for change in read]


def positions(server: ApiServer, path: str) -> list[str]:
    """Since when it was asked, time after time."""
    return [
        query["resourceVersion"]
        for _, asked, query, _ in server.requests
        if asked == path and "watch" in query
    ]


async def test_what_happened_since_the_list_is_told_once(
    server: ApiServer, cluster: KubeCluster
) -> None:
    server.happen(APPS, "ADDED", manifest("before", 99))
    server.happen(APPS, "ADDED", manifest("new", 101))
    server.happen(APPS, "DELETED", manifest("old", 102))

    assert await changes(cluster) == [("new", False), ("old", True)]
    assert await changes(cluster) == []

    assert positions(server, APPS) == ["100", "102"]
    assert positions(server, OTHERS) == ["100", "100"]


async def test_an_object_that_its_reader_fails_on_holds_up_no_other(
    server: ApiServer, cluster: KubeCluster
) -> None:
    odd = manifest("odd", 101)
    odd["metadata"]["creationTimestamp"] = "the day before yesterday"
    server.happen(APPS, "MODIFIED", odd)
    server.happen(APPS, "ADDED", manifest("next", 102))

    told = [one.known async for one in cluster.changed_own(lambda *_: False)]

    assert [type(one).__name__ for one in told] == ["Illegible", "ProcExecution"]
    assert [one.name for one in told] == ["odd", "next"]
    assert await changes(cluster) == []


async def test_what_is_known_already_is_left_out_but_never_an_end(
    server: ApiServer, cluster: KubeCluster
) -> None:
    server.happen(APPS, "MODIFIED", manifest("known", 101))
    server.happen(APPS, "DELETED", manifest("gone", 102))

    assert await changes(cluster, ("uid-known", "101"), ("uid-gone", "102")) == [("gone", True)]


async def test_of_each_object_only_the_newest_is_told(
    server: ApiServer, cluster: KubeCluster
) -> None:
    server.happen(APPS, "ADDED", manifest("brief", 101))
    server.happen(APPS, "ADDED", manifest("other", 102))
    server.happen(APPS, "MODIFIED", manifest("brief", 103))
    server.happen(APPS, "DELETED", manifest("brief", 104))

    assert sorted(await changes(cluster)) == [("brief", True), ("other", False)]


async def test_an_object_however_long_is_read(server: ApiServer, cluster: KubeCluster) -> None:
    server.happen(APPS, "ADDED", manifest("long", 101, arguments={"TEXT": "x" * 400_000}))
    server.happen(APPS, "ADDED", manifest("next", 102))

    assert await changes(cluster) == [("long", False), ("next", False)]


async def test_a_forgotten_history_is_said_after_what_the_others_told(
    server: ApiServer, cluster: KubeCluster
) -> None:
    gone = {
        "kind": "Status",
        "code": 410,
        "reason": "Expired",
        "message": "too old",
        "metadata": {},
    }
    server.happen(APPS, "ERROR", gone)
    server.happen(OTHERS, "ADDED", manifest("theirs", 101))
    told: list[str] = []

    assert isinstance(await raised_at_the_end(cluster, told), Expired)

    assert told == ["theirs"]
    server.history.clear()
    await changes(cluster)
    assert positions(server, APPS) == ["100", "100"], "what was not read is asked for again"
    assert positions(server, OTHERS) == ["100", "101"]


async def test_a_namespace_that_refuses_holds_up_no_other(
    server: ApiServer, cluster: KubeCluster
) -> None:
    server.happen(APPS, "ADDED", manifest("ours", 101))

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == OTHERS:
            return status(403, "Forbidden", "cannot watch")
        return await server._watch(request)

    server.answer = answer
    told: list[str] = []

    refused = await raised_at_the_end(cluster, told)

    assert told == ["ours"]
    assert isinstance(refused, PartlyListed)
    assert refused.leaves_out(OTHER)
    assert not refused.leaves_out(Namespace("apps"))


async def test_a_place_whose_position_was_refused_is_not_passed_over_in_silence(
    server: ApiServer, cluster: KubeCluster
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        server.answer = None
        return status(401, "Unauthorized", "the token is being renewed")

    server.answer = answer
    async for _ in cluster.list_own():
        pass

    assert isinstance(await raised_at_the_end(cluster, []), Expired)

    async for _ in cluster.list_own():
        pass
    assert await changes(cluster) == []


async def test_a_list_begins_anew_from_before_it_was_read(
    server: ApiServer, cluster: KubeCluster
) -> None:
    server._version = 200
    async for _ in cluster.list_own():
        pass

    await changes(cluster)

    assert positions(server, APPS) == ["200"]
