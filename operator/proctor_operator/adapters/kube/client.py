"""A thin client of the Kubernetes API: one request, one deadline, one typed error, one count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson

from proctor_operator.adapters.kube.answers import read_json
from proctor_operator.adapters.kube.errors import error_of
from proctor_operator.domain.errors import ClusterUnavailable, NotFound
from proctor_operator.domain.model import JsonObject
from proctor_operator.ports.metrics import ClusterMetrics

_MERGE_PATCH: Final = "application/merge-patch+json"
_JSON_PATCH: Final = "application/json-patch+json"
_JSON: Final = "application/json"
_PAGE_SIZE: Final = 100
"""A page is parsed in one piece, in which the event loop stands still; a pod has some 8 KiB."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as its URL names it; the core group is the empty one."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """Path of the collection, of one object, or of a subresource; a name is never more than a name.

        Raises `NotFound` for a name that a path takes for a place: nothing is ever called so.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace is not None:
            parts.append(f"namespaces/{quote(namespace, safe='')}")
        parts.append(self.plural)
        if name in ("", ".", ".."):
            raise NotFound(f"{'/'.join(parts)}: nothing is called {name!r}", status=404)
        if name is not None:
            parts.append(quote(name, safe=""))
        if sub is not None:
            parts.append(sub)
        return "/".join(parts)


class KubeClient:
    """Requests over one session; `deadline` in seconds bounds each of them as a whole.

    `connect_deadline` bounds the wait for a connection: a request leaves within that time or never.
    `tell_time` hears the time that the API server names in its answers, once for each second.
    """

    def __init__(
        self,
        server: str,
        session: aiohttp.ClientSession,
        metrics: ClusterMetrics,
        *,
        deadline: float = 15.0,
        connect_deadline: float = 5.0,
        tell_time: Callable[[datetime], None] | None = None,
    ) -> None:
        self._server = server.rstrip("/")
        self._tell_time = tell_time
        self._date = ""
        self._session = session
        self._metrics = metrics
        self._deadline = deadline
        self._connect_deadline = connect_deadline
        self._answered_at = time.monotonic()
        self._unanswered_at = float("-inf")

    @property
    def since_an_answer(self) -> float:
        """Seconds since the API server last answered, with whatever code."""
        return time.monotonic() - self._answered_at

    @property
    def since_no_answer(self) -> float:
        """Seconds since it last left a request without an answer; infinite when it never did."""
        return time.monotonic() - self._unanswered_at

    async def get(
        self, resource: Resource, namespace: str | None, name: str | None = None, **query: str
    ) -> JsonObject:
        """Read an object or a collection."""
        return await self._call("GET", resource, resource.path(namespace, name), query=query)

    async def kinds(self, group: str, version: str) -> JsonObject:
        """The list of kinds that the API server serves; any account may read it."""
        resource = Resource(group, version, "discovery")
        return await self._call("GET", resource, f"/apis/{group}/{version}")

    async def pages(
        self, resource: Resource, namespace: str | None, **query: str
    ) -> AsyncIterator[JsonObject]:
        """Read a collection page by page, item by item."""
        token = ""
        while True:
            page = await self.get(
                resource, namespace, **query, limit=str(_PAGE_SIZE), **{"continue": token}
            )
            for item in page["items"]:
                yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return

    async def version(self, resource: Resource, namespace: str | None) -> str:
        """The version of a collection as it is now: whatever changes later has a higher one."""
        page = await self.get(resource, namespace, limit="1")
        found: str = page["metadata"]["resourceVersion"]
        return found

    async def changes(
        self, resource: Resource, namespace: str | None, since: str
    ) -> AsyncIterator[tuple[str, JsonObject]]:
        """What became of a collection after that version, until now: types of events and objects.

        A watch that is closed after a second: the server sends what it remembers at once, from
        memory. Raises `Expired` when it does not remember that far back.
        """
        path = resource.path(namespace)
        query = {"watch": "1", "resourceVersion": since, "timeoutSeconds": "1"}
        limits = aiohttp.ClientTimeout(total=self._deadline, connect=self._connect_deadline)
        async with self._request("GET", resource, path, query=query, limits=limits) as response:
            async for line in _lines(response.content):
                event = read_json(line)
                if event["type"] == "ERROR":
                    code = event["object"].get("code", 500)
                    raise error_of("GET", path, code, orjson.dumps(event["object"]), {})
                yield event["type"], event["object"]

    async def create(
        self, resource: Resource, namespace: str | None, manifest: JsonObject
    ) -> JsonObject:
        """POST an object."""
        return await self._call("POST", resource, resource.path(namespace), body=manifest)

    async def try_to_create(
        self, resource: Resource, namespace: str, manifest: JsonObject
    ) -> JsonObject:
        """Have the server judge an object as strictly as it can, and store nothing; unknown fields are errors."""
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        path = resource.path(namespace)
        return await self._call("POST", resource, path, query=query, body=manifest)

    async def replace(
        self, resource: Resource, namespace: str, name: str, manifest: JsonObject
    ) -> JsonObject:
        """PUT an object; one that names a resourceVersion is written onto that version or not at all."""
        return await self._call("PUT", resource, resource.path(namespace, name), body=manifest)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: JsonObject,
        *,
        sub: str | None = None,
    ) -> JsonObject:
        """Merge-patch an object or a subresource (RFC 7396)."""
        path = resource.path(namespace, name, sub)
        return await self._call(
            "PATCH", resource, path, sub=sub, body=patch, content_type=_MERGE_PATCH
        )

    async def apply_operations(
        self, resource: Resource, namespace: str | None, name: str, operations: list[JsonObject]
    ) -> JsonObject:
        """JSON-patch an object (RFC 6902): all operations or none; a failed `test` is `Rejected`."""
        path = resource.path(namespace, name)
        return await self._call("PATCH", resource, path, body=operations, content_type=_JSON_PATCH)

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
        """DELETE the object of that UID, and version where one is given, and no other of its name."""
        preconditions = {"uid": uid}
        if resource_version is not None:
            preconditions["resourceVersion"] = resource_version
        body: JsonObject = {"preconditions": preconditions}
        if propagation is not None:
            body["propagationPolicy"] = propagation
        await self._call("DELETE", resource, resource.path(namespace, name), body=body)

    @asynccontextmanager
    async def stream(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        sub: str,
        *,
        silent_at_most: float,
        **query: str,
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Read a subresource as bytes; no deadline bounds the whole, but each silence of the server."""
        path = resource.path(namespace, name, sub)
        limits = aiohttp.ClientTimeout(connect=5, sock_read=silent_at_most)
        async with self._request(
            "GET", resource, path, sub=sub, query=query, limits=limits
        ) as response:
            yield response.content

    async def _call(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        sub: str | None = None,
        query: Mapping[str, str] | None = None,
        body: JsonObject | list[JsonObject] | None = None,
        content_type: str = _JSON,
    ) -> JsonObject:
        async with self._request(
            verb, resource, path, sub=sub, query=query, body=body, content_type=content_type
        ) as response:
            answer: JsonObject = read_json(await response.read())
            return answer

    @asynccontextmanager
    async def _request(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        sub: str | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = _JSON,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        named = f"{resource.plural}/{sub}" if sub else resource.plural
        began = time.monotonic()
        is_counted = False
        code = 0
        try:
            async with self._session.request(
                verb,
                self._server + path,
                params={key: value for key, value in (query or {}).items() if value},
                data=orjson.dumps(body) if body is not None else None,
                headers={"Content-Type": content_type} if body is not None else None,
                timeout=limits
                or aiohttp.ClientTimeout(total=self._deadline, connect=self._connect_deadline),
            ) as response:
                code = response.status
                self._hear(response.headers.get("Date", ""))
                if code >= 400:
                    raise error_of(verb, path, code, await response.read(), response.headers)
                if limits is not None:
                    # A stream may last for hours; what counts is when it began.
                    self._count(verb, named, code, began)
                    is_counted = True
                yield response
        except TimeoutError as error:
            raise ClusterUnavailable(f"{verb} {path}: no answer in {self._deadline} s") from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise ClusterUnavailable(f"{verb} {path}: {error}") from error
        finally:
            if not is_counted:
                self._count(verb, named, code, began)

    def _count(self, verb: str, resource: str, code: int, began: float) -> None:
        now = time.monotonic()
        self._metrics.cluster_call(verb, resource, code, now - began)
        if code:
            self._answered_at = now
        else:
            self._unanswered_at = now

    def _hear(self, date: str) -> None:
        if self._tell_time is None or not date or date == self._date:
            return
        self._date = date
        # A proxy may have written nonsense; the next answer will tell.
        with suppress(ValueError):
            self._tell_time(parsedate_to_datetime(date).astimezone(UTC))


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines however long: aiohttp's own reading of them has a limit that one object can reach."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        # A long answer must not keep everything else waiting.
        await asyncio.sleep(0)
