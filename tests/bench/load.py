"""The benchmark's own client: it creates, follows and removes objects as the cluster's administrator."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
import orjson
from multidict import CIMultiDict

from harness.requesters import headers_of
from localcluster.cluster import LocalCluster
from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.adapters.kube.cluster import (
    EXECUTION_RESOURCE,
    JOB_RESOURCE,
    POD_RESOURCE,
)
from proctor_operator.adapters.kube.connection import Connection, load_connection, open_session
from proctor_operator.adapters.metrics import PrometheusMetrics

Manifest = Mapping[str, Any]
Sends = Callable[[dict[str, Any]], dict[str, Any]]
Reads = Callable[[Manifest], tuple[str, Iterable[str], str]]
"""By which name an object is noted, in which states it is, and how it ended."""
CREATED: Final = "created"
RUNNING: Final = "running"
FINISHED: Final = "finished"
_PATIENCE_SECONDS: Final = 120.0
_TERMINAL: Final = ("Succeeded", "Failed", "Cancelled", "TimedOut", "Refused", "Lost")


class Stuck(Exception):
    """Nothing has moved for a long time; the message says how far it had come."""


class Arrivals:
    """When each object first arrived in each state, by the event loop's clock, and how it ended."""

    def __init__(self, read: Reads) -> None:
        self._read = read
        self._news = asyncio.Event()
        self.times: dict[str, dict[str, float]] = {CREATED: {}, RUNNING: {}, FINISHED: {}}
        self.endings: Counter[str] = Counter()
        self.opened = asyncio.Event()
        self._is_cut = False

    def watch_ended(self, _watch: asyncio.Task[None]) -> None:
        """Nothing will come any more."""
        self._is_cut = True
        self._news.set()
        self.opened.set()

    def saw(self, manifest: Manifest) -> None:
        """Take note of one event."""
        now = asyncio.get_running_loop().time()
        name, states, ending = self._read(manifest)
        for state in states:
            if name in self.times[state]:
                continue
            self.times[state][name] = now
            if state == FINISHED:
                self.endings[ending] += 1
        self._news.set()

    async def until(self, state: str, count: int) -> None:
        """Wait until so many have been in that state; raises `Stuck`."""
        while len(self.times[state]) < count:
            self._news.clear()
            before = len(self.times[state])
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    while len(self.times[state]) == before and not self._is_cut:
                        self._news.clear()
                        await self._news.wait()
            if len(self.times[state]) == before:
                why = "the watch broke off" if self._is_cut else "no more came"
                made = len(self.times[CREATED])
                raise Stuck(f"{before} of {count} were {state}, {made} {CREATED}, and {why}")


def read_job(manifest: Manifest) -> tuple[str, Iterable[str], str]:
    """A Job by the name of its execution, where it has one."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    name = next((one["name"] for one in owners), manifest["metadata"]["name"])
    conditions = manifest.get("status", {}).get("conditions") or ()
    ends = [one["type"] for one in conditions if one["status"] == "True"]
    ending = next((one for one in ends if one in ("Complete", "Failed")), "")
    return name, (CREATED, FINISHED) if ending else (CREATED,), ending


def read_execution(manifest: Manifest) -> tuple[str, Iterable[str], str]:
    """An execution by its name."""
    phase = manifest.get("status", {}).get("phase", "Pending")
    states = [CREATED]
    if phase == "Running":
        states.append(RUNNING)
    if phase in _TERMINAL:
        states.append(FINISHED)
    return manifest["metadata"]["name"], states, phase


class Load:
    """Use it in one event loop; `open_load` makes one."""

    def __init__(
        self, connection: Connection, session: aiohttp.ClientSession, sends: Sends
    ) -> None:
        self._connection = connection
        self._session = session
        self._sends = sends
        self._client = KubeClient(connection.server, session, PrometheusMetrics(), deadline=60)

    async def create(self, resource: Resource, namespace: str, manifest: Manifest) -> Manifest:
        """Create one object, as who asks for it."""
        asking = _ASKING.set(headers_of(dict(manifest)))
        try:
            return await self._client.create(resource, namespace, self._sends(dict(manifest)))
        finally:
            _ASKING.reset(asking)

    async def create_burst(
        self, resource: Resource, namespace: str, manifests: Sequence[Manifest], *, clients: int
    ) -> None:
        """Create all as fast as so many clients can, each with one request at a time."""
        waiting: Iterator[Manifest] = iter(manifests)

        async def work() -> None:
            for manifest in waiting:
                await self.create(resource, namespace, manifest)

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(work())

    async def create_steadily(
        self,
        resource: Resource,
        namespace: str,
        manifests: Sequence[Manifest],
        *,
        per_second: float,
    ) -> list[float]:
        """Create at a rate, whether or not the cluster keeps up; returns the seconds that each took."""
        loop = asyncio.get_running_loop()

        async def timed(manifest: Manifest) -> float:
            sent = loop.time()
            await self.create(resource, namespace, manifest)
            return loop.time() - sent

        began = loop.time()
        async with asyncio.TaskGroup() as group:
            creates = []
            for place, manifest in enumerate(manifests):
                await asyncio.sleep(max(0.0, began + place / per_second - loop.time()))
                creates.append(group.create_task(timed(manifest)))
        return [create.result() for create in creates]

    @asynccontextmanager
    async def following(
        self, resource: Resource, namespace: str, read: Reads | None = None
    ) -> AsyncIterator[Arrivals]:
        """Note every change of a kind from now on."""
        arrivals = Arrivals(read or (read_job if resource == JOB_RESOURCE else read_execution))
        first = await self._client.get(resource, namespace, limit="1")
        version = first["metadata"]["resourceVersion"]
        watch = asyncio.create_task(self._watch(resource, namespace, version, arrivals))
        watch.add_done_callback(arrivals.watch_ended)
        try:
            await arrivals.opened.wait()
            yield arrivals
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def _watch(
        self, resource: Resource, namespace: str, version: str, arrivals: Arrivals
    ) -> None:
        """Follow, and go on where it was when the server cuts it, which it does with slow readers."""
        url = self._connection.server + resource.path(namespace)
        timeout = aiohttp.ClientTimeout(total=None, connect=_PATIENCE_SECONDS)
        while True:
            query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600"}
            async with self._session.get(url, params=query, timeout=timeout) as response:
                response.raise_for_status()
                arrivals.opened.set()
                async for line in response.content:
                    event = orjson.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        arrivals.saw(event["object"])
                    version = event["object"]["metadata"]["resourceVersion"]

    async def clear(self, namespace: str, *resources: Resource) -> None:
        """Delete all objects of these kinds, and wait until they, their Jobs and their pods are gone."""
        for resource in resources:
            url = self._connection.server + resource.path(namespace)
            body = {"propagationPolicy": "Background"}
            async with self._session.delete(url, json=body) as response:
                response.raise_for_status()
        for resource in (*resources, JOB_RESOURCE, POD_RESOURCE):
            await self._until_none(resource, namespace)

    async def _until_none(self, resource: Resource, namespace: str) -> None:
        while True:
            page = await self._client.get(resource, namespace, limit="1")
            if not page["items"]:
                return
            await asyncio.sleep(0.5)


_NOBODY: Final[CIMultiDict[str]] = CIMultiDict()
_ASKING: ContextVar[CIMultiDict[str]] = ContextVar("asking", default=_NOBODY)


async def _as_who_asks(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    request.headers.extend(_ASKING.get())
    return await handler(request)


@asynccontextmanager
async def open_load(cluster: LocalCluster, sends: Sends = dict) -> AsyncIterator[Load]:
    """A client for the time of a run, which sends manifests as they are or as `sends` makes them."""
    connection = load_connection(kubeconfig=cluster.kubeconfig, context=None)
    async with open_session(connection, _as_who_asks) as session:
        yield Load(connection, session, sends)


__all__ = ["EXECUTION_RESOURCE", "JOB_RESOURCE", "Arrivals", "Load", "Stuck", "open_load"]
