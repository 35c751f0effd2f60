"""The `EventStore` port on core/v1 Events, which `kubectl describe` and every older tool read."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, shorten
from proctor_operator.domain.errors import AlreadyExists, NotFound
from proctor_operator.domain.event import Event
from proctor_operator.domain.model import JsonObject
from proctor_operator.ports.events import EventSeries

EVENT_RESOURCE: Final = Resource("", "v1", "events")
REPORTER: Final = "proctor-operator"
_NAME_LIMIT: Final = 253


class KubeEvents:
    """`instance` says which process told it: the pod's name."""

    def __init__(self, client: KubeClient, *, instance: str) -> None:
        self._client = client
        self._instance = instance

    async def store(self, series: EventSeries) -> int:
        """See the port.

        The name is made of what the Event says, so one that an earlier process stored is found, and
        counted on.
        """
        if not series.is_stored:
            return await self._create(series)
        try:
            return await self._patch(series, {"count": series.count})
        except NotFound:
            # The API server forgets Events, after an hour by default.
            return await self._create(series)

    async def _create(self, series: EventSeries) -> int:
        manifest = self._manifest(series)
        try:
            await self._client.create(EVENT_RESOURCE, series.event.regarding.namespace, manifest)
        except AlreadyExists:
            return await self._patch(series, {})
        return series.count

    async def _patch(self, series: EventSeries, count: JsonObject) -> int:
        patch = {
            "lastTimestamp": _written(series.last_told),
            "message": shorten(series.event.message, MESSAGE_LIMIT_BYTES),
            **count,
        }
        stored = await self._client.patch(
            EVENT_RESOURCE, series.event.regarding.namespace, _name(series.event), patch
        )
        return int(stored.get("count") or series.count)

    def _manifest(self, series: EventSeries) -> JsonObject:
        event = series.event
        about = event.regarding
        regarding = {
            "apiVersion": about.api_version,
            "kind": str(about.kind),
            "namespace": about.namespace,
            "name": about.name,
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": _name(event), "namespace": about.namespace},
            "involvedObject": regarding | ({"uid": about.uid} if about.uid else {}),
            "type": event.type.value,
            "reason": event.reason,
            "action": event.action.value,
            "message": shorten(event.message, MESSAGE_LIMIT_BYTES),
            "count": series.count,
            "firstTimestamp": _written(series.first_told),
            "lastTimestamp": _written(series.last_told),
            "source": {"component": REPORTER, "host": self._instance},
            "reportingComponent": REPORTER,
            "reportingInstance": self._instance,
        }


def _name(event: Event) -> str:
    room = _NAME_LIMIT - len(event.series) - 1
    return f"{event.regarding.name[:room].rstrip('.-')}.{event.series}"


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
