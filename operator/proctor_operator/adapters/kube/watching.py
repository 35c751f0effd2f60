"""The session that Kopf watches with: every request counted, every sign of life of a watch told.

aiohttp's tracing sees no chunks of a streamed answer, and Kopf passes no bookmarks on, so the stream
itself is listened to: the answer's content is wrapped where it enters the session.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import aiohttp

from proctor_operator.adapters.kube.connection import Connection, open_session
from proctor_operator.ports.metrics import ClusterMetrics
from proctor_operator.ports.watches import WatchActivity


def open_watch_session(
    connection: Connection,
    metrics: ClusterMetrics,
    activity: WatchActivity,
    *middlewares: aiohttp.ClientMiddlewareType,
) -> aiohttp.ClientSession:
    """Open a session as `open_session` does; whoever gets it closes it.

    The middlewares get the streams after they have been listened to.
    """

    async def listen(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        is_watch = request.url.query.get("watch") == "true"
        resource, namespace = what_is_asked_for(request.url.parts)
        verb = "WATCH" if is_watch else request.method
        began = time.monotonic()
        code = 0
        try:
            response = await handler(request)
            code = response.status
        finally:
            metrics.cluster_call(verb, resource, code, time.monotonic() - began)
        if is_watch and code != 200:
            activity.refused(resource, namespace)
        elif is_watch:
            heard = _Heard(response.content, lambda: activity.heard(resource, namespace))
            response.content = cast("aiohttp.StreamReader", heard)
        return response

    # Each watch keeps its connection: with a limit, those of many namespaces would wait for ever.
    return open_session(connection, *middlewares, listen, connections=0)


def what_is_asked_for(path: Sequence[str]) -> tuple[str, str]:
    """Resource and namespace of a collection's path; the namespace is empty for all of them."""
    *_, above, namespace, resource = ("", "", *path)
    return resource, namespace if above == "namespaces" else ""


class _Heard:
    """A stream that tells of each chunk that is read from it, and is otherwise the stream."""

    def __init__(self, content: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._content = content
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        async for data in self._content.iter_chunked(n):
            self._heard()
            yield data
