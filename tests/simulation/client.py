"""The operator's thin client with the simulated API server behind it instead of HTTP.

It stands one step below the `Cluster` port, so that the port's own adapter, with its patches,
preconditions and parsing, is simulated as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any, Final

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.adapters.kube.events import EVENT_RESOURCE
from proctor_operator.domain.errors import Expired
from proctor_operator.domain.model import JsonObject
from simulation.api_server import ApiServer, Key, Manifest
from simulation.event_book import EventBook
from simulation.lease_store import LEASES
from simulation.line import API, Line

_REMEMBERED: Final = 12
"""Versions, of everything, that the server remembers."""


class SimulatedClient(KubeClient):
    """`lists_at` serves lists as of an older version: an API server that lags behind."""

    def __init__(self, server: ApiServer, line: Line, events: EventBook, *, actor: str) -> None:
        self._api = server
        self._line = line
        self._events = events
        self._actor = actor
        self.lists_at: int | None = None

    async def get(
        self, resource: Resource, namespace: str | None, name: str | None = None, **query: str
    ) -> JsonObject:
        if name is None:
            return {"items": await self._list(resource, namespace, query)}
        key = _key(resource, namespace, name)
        if resource.plural == LEASES:
            return await self._line.exchange("get lease", lambda: self._api.leases.get(key))
        return await self._line.read(API, f"get {'/'.join(key)}", lambda: self._api.get(key))

    async def pages(
        self, resource: Resource, namespace: str | None, **query: str
    ) -> AsyncIterator[JsonObject]:
        for item in await self._list(resource, namespace, query, at_version=self.lists_at):
            yield item

    async def version(self, resource: Resource, namespace: str | None) -> str:
        del namespace

        def act() -> str:
            now = len(self._api.commits)
            return str(now if self.lists_at is None else self.lists_at)

        return await self._line.read(API, f"version of {resource.plural}", act)

    async def changes(
        self, resource: Resource, namespace: str | None, since: str
    ) -> AsyncIterator[tuple[str, JsonObject]]:
        """The history is short, so that it has often been forgotten."""
        del namespace

        def act() -> list[tuple[str, JsonObject]]:
            later = self._api.commits[int(since) :]
            if len(later) > _REMEMBERED:
                raise Expired(f"{resource.plural} after {since}", status=410)
            return [(one.type, one.after) for one in later if one.key[0] == resource.plural]

        for change in await self._line.read(API, f"changes of {resource.plural}", act):
            yield change

    async def create(
        self, resource: Resource, namespace: str | None, manifest: JsonObject
    ) -> JsonObject:
        sent = deepcopy(manifest)
        if resource == EVENT_RESOURCE:
            return await self._line.tell("create event", lambda: self._events.create(sent))
        assert namespace == sent["metadata"]["namespace"], "the real server refuses this"
        if resource.plural == LEASES:
            key = _key(resource, namespace, sent["metadata"]["name"])
            return await self._line.exchange(
                "create lease", lambda: self._api.leases.create(key, sent)
            )
        return await self._line.write(
            API,
            f"create {resource.plural}/{manifest['metadata']['name']}",
            lambda: self._api.create(resource.plural, sent, actor=self._actor),
        )

    async def replace(
        self, resource: Resource, namespace: str, name: str, manifest: JsonObject
    ) -> JsonObject:
        assert resource.plural == LEASES, "nothing else is written as a whole"
        sent, key = deepcopy(manifest), _key(resource, namespace, name)
        return await self._line.exchange(
            "replace lease", lambda: self._api.leases.replace(key, sent)
        )

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: JsonObject,
        *,
        sub: str | None = None,
    ) -> JsonObject:
        assert namespace is not None, "no simulated plugin has a status"
        sent = deepcopy(patch)
        if resource == EVENT_RESOURCE:
            return await self._line.tell("patch event", lambda: self._events.patch(name, sent))
        key = _key(resource, namespace, name)
        return await self._line.write(
            API,
            f"patch {'/'.join(key)} {_gist(patch, sub)}",
            lambda: self._api.patch(key, sent, sub=sub, actor=self._actor),
            meddle=self._meddler(key),
        )

    async def apply_operations(
        self, resource: Resource, namespace: str | None, name: str, operations: list[JsonObject]
    ) -> JsonObject:
        assert namespace is not None, "nothing of the whole cluster is played here"
        sent = deepcopy(operations)
        key = _key(resource, namespace, name)
        return await self._line.write(
            API,
            f"patch {'/'.join(key)} finalizers",
            lambda: self._api.apply(key, sent, actor=self._actor),
            meddle=self._meddler(key),
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        propagation: str | None,
        resource_version: str | None = None,
    ) -> None:
        key = _key(resource, namespace, name)
        await self._line.write(
            API,
            f"delete {'/'.join(key)}",
            lambda: self._api.delete(
                key,
                uid=uid,
                version=resource_version,
                propagation=propagation,
                actor=self._actor,
            ),
            meddle=self._meddler(key),
        )

    async def _list(
        self,
        resource: Resource,
        namespace: str | None,
        query: dict[str, str],
        at_version: int | None = None,
    ) -> list[Manifest]:
        label, _, value = query.get("labelSelector", "").partition("=")

        def act() -> list[Manifest]:
            return [
                one
                for one in self._api.list_of(resource.plural, at_version=at_version)
                if namespace in (None, one["metadata"]["namespace"])
                and (not label or (one["metadata"].get("labels") or {}).get(label) == value)
            ]

        return await self._line.read(API, f"list {resource.plural}", act)

    def _meddler(self, key: Key) -> Callable[[], object]:
        """Somebody else's write on the same object."""
        mark = {"metadata": {"annotations": {"meddler": str(len(self._api.commits))}}}
        return lambda: self._api.patch(key, mark, actor="meddler")


def _key(resource: Resource, namespace: str | None, name: str) -> Key:
    return (resource.plural, namespace or "", name)


def _gist(patch: dict[str, Any], sub: str | None) -> str:
    if sub == "status":
        return f"status {patch['status'].get('phase', '')}".strip()
    return ""
