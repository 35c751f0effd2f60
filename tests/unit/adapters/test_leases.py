"""The `Leases` port on HTTP: what is written, and what is left as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp.test_utils import TestServer as LoopbackServer

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.leases import KubeLeases, read_lease
from proctor_operator.domain.errors import AlreadyExists, Conflict, NotFound
from proctor_operator.domain.lease import new_lease
from proctor_operator.domain.naming import Namespace
from unit.api_server import ApiServer
from unit.fakes import FakeMetrics

LEASE = "/apis/coordination.k8s.io/v1/namespaces/proctor-system/leases/proctor-controller"
FIRST = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 12, 0, 5, 250, tzinfo=UTC)


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def leases(server: ApiServer) -> AsyncIterator[KubeLeases]:
    async with LoopbackServer(server.app()) as loopback, aiohttp.ClientSession() as session:
        client = KubeClient(str(loopback.make_url("")), session, FakeMetrics(), deadline=5)
        yield KubeLeases(client, Namespace("proctor-system"), "proctor-controller")


async def test_a_lease_is_made_once(server: ApiServer, leases: KubeLeases) -> None:
    assert await leases.fetch_lease() is None
    wanted = new_lease("host_1", now=FIRST, duration_seconds=15)

    made = await leases.create_lease(wanted)

    assert made.claim == ("host_1", FIRST, 0)
    assert server.objects[LEASE]["spec"] == {
        "holderIdentity": "host_1",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T12:00:00.000000Z",
        "renewTime": "2026-01-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    }
    with pytest.raises(AlreadyExists):
        await leases.create_lease(wanted)


async def test_a_lease_is_written_onto_the_version_that_was_read(
    server: ApiServer, leases: KubeLeases
) -> None:
    first = await leases.create_lease(new_lease("host_1", now=FIRST, duration_seconds=15))

    renewed = await leases.replace_lease(first.held_by("host_1", now=LATER, duration_seconds=15))

    assert server.objects[LEASE]["spec"]["renewTime"] == "2026-01-01T12:00:05.000250Z"
    assert server.objects[LEASE]["spec"]["acquireTime"] == "2026-01-01T12:00:00.000000Z"
    assert await leases.fetch_lease() == renewed
    with pytest.raises(Conflict):
        await leases.replace_lease(first.held_by("host_2", now=LATER, duration_seconds=15))
    del server.objects[LEASE]
    with pytest.raises(NotFound):
        await leases.replace_lease(renewed.let_go(now=LATER))


async def test_what_others_wrote_on_it_stays(server: ApiServer, leases: KubeLeases) -> None:
    mark = {"labels": {"team": "platform"}, "annotations": {"note": "do not delete"}}
    server.put(LEASE, {"metadata": {"name": "proctor-controller", **mark}, "spec": {}})
    found = await leases.fetch_lease()
    assert found is not None
    assert (found.holder, found.duration_seconds, found.renew_time) == ("", 0, None)

    await leases.replace_lease(found.held_by("host_1", now=FIRST, duration_seconds=15))

    metadata = server.objects[LEASE]["metadata"]
    assert {name: metadata[name] for name in mark} == mark


def test_a_lease_that_was_let_go_is_held_by_nobody() -> None:
    assert read_lease({"metadata": {"resourceVersion": "1"}}).holder == ""
