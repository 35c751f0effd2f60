"""The store of Events over real HTTP: created once, then counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp.test_utils import TestServer as LoopbackServer

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.events import KubeEvents
from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES
from proctor_operator.domain.event import Event, EventAction, EventType, Regarding
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.ports.events import EventSeries
from unit.api_server import ApiServer
from unit.builders import ENDED, NOW
from unit.fakes import FakeMetrics


@dataclass
class Shop:
    server: ApiServer
    events: KubeEvents

    @property
    def path(self) -> str:
        (path,) = self.server.objects
        return path


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    server = ApiServer()
    async with LoopbackServer(server.app()) as loopback, aiohttp.ClientSession() as session:
        url = str(loopback.make_url("")).rstrip("/")
        client = KubeClient(url, session, FakeMetrics(), deadline=5)
        yield Shop(server, KubeEvents(client, instance="proctor-0"))


def series(count: int = 1, *, is_stored: bool = False, message: str = "m") -> EventSeries:
    about = Regarding("ProcExecution", Namespace("apps"), "grow-1", Uid("u"))
    event = Event(about, EventType.WARNING, "OOMKilled", message, EventAction.RUN)
    return EventSeries(event, count, ENDED, NOW, is_stored)


async def test_an_event_says_what_it_is_about_and_who_says_so(shop: Shop) -> None:
    assert await shop.events.store(series()) == 1

    stored = shop.server.objects[shop.path]
    assert shop.path.startswith("/api/v1/namespaces/apps/events/grow-1.")
    assert stored["involvedObject"] == {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "namespace": "apps",
        "name": "grow-1",
        "uid": "u",
    }
    assert (stored["type"], stored["reason"], stored["message"]) == ("Warning", "OOMKilled", "m")
    assert (stored["count"], stored["action"]) == (1, EventAction.RUN)
    assert stored["reportingComponent"] == stored["source"]["component"] == "proctor-operator"
    assert stored["reportingInstance"] == "proctor-0"


async def test_a_repeat_is_counted_on_the_stored_one(shop: Shop) -> None:
    await shop.events.store(series())

    assert await shop.events.store(series(7, is_stored=True, message="n")) == 7
    stored = shop.server.objects[shop.path]
    assert (stored["count"], stored["message"]) == (7, "n")


async def test_one_that_an_earlier_process_stored_is_found_and_its_count_kept(shop: Shop) -> None:
    await shop.events.store(series())
    await shop.events.store(series(4, is_stored=True))

    assert await shop.events.store(series()) == 4
    assert shop.server.objects[shop.path]["count"] == 4


async def test_one_that_the_server_has_forgotten_is_made_again(shop: Shop) -> None:
    assert await shop.events.store(series(3, is_stored=True)) == 3
    assert shop.server.objects[shop.path]["count"] == 3


async def test_a_long_message_and_a_long_name_fit(shop: Shop) -> None:
    about = Regarding("Proc", Namespace("apps"), "x" * 253, Uid("u"))
    event = Event(about, EventType.WARNING, "InvalidSpec", "m" * 5000, EventAction.CHECK)
    await shop.events.store(EventSeries(event, 1, NOW, NOW, is_stored=False))

    stored = shop.server.objects[shop.path]
    assert len(stored["message"].encode()) <= MESSAGE_LIMIT_BYTES
    assert len(stored["metadata"]["name"]) <= 253
