"""Container output through the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.cluster import POD_RESOURCE
from proctor_operator.ports.logs import LogPlace

_PIECE_BYTES: Final = 64 * 1024
_ANSWERS_WITHIN_SECONDS: Final = 15.0
_SILENT_AT_MOST_SECONDS: Final = 300.0


class KubePodLogs:
    """Gives a log piece by piece; what is not asked for stays in the network's buffers."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    @asynccontextmanager
    async def open(
        self, place: LogPlace, *, follows: bool, since: datetime | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See the port."""
        async with self._client.stream(
            POD_RESOURCE,
            place.namespace,
            place.pod,
            "log",
            silent_at_most=_SILENT_AT_MOST_SECONDS if follows else _ANSWERS_WITHIN_SECONDS,
            container=place.container,
            timestamps="true",
            follow="true" if follows else "",
            sinceTime=since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if since else "",
        ) as content:
            yield content.iter_chunked(_PIECE_BYTES)
