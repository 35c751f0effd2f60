"""A small API server on loopback: real HTTP, versions that grow, preconditions, patches, paging."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Json = dict[str, Any]


def status(code: int, reason: str, message: str, **headers: str) -> web.Response:
    """Answer as metav1.Status does."""
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message}
    return web.json_response({**body, "code": code}, status=code, headers=headers)


class ApiServer:
    """Objects by their path; `answer` replaces what it would do, and `requests` keeps what came."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.requests: list[tuple[str, str, Json, Any]] = []
        self.answer: Handler | None = None
        self.page_size = 2
        self.history: list[tuple[str, Json]] = []
        self._version = 100

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    def put(self, path: str, manifest: Json) -> Json:
        self._version += 1
        metadata = {**manifest.get("metadata", {}), "resourceVersion": str(self._version)}
        self.objects[path] = {**manifest, "metadata": metadata}
        return self.objects[path]

    def happen(self, collection: str, type_: str, manifest: Json) -> None:
        """Note an event that a watch of the collection brings."""
        self.history.append((collection, {"type": type_, "object": manifest}))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body: Any = json.loads(text) if text else None
        self.requests.append((request.method, request.path, dict(request.query), body))
        if self.answer is not None:
            return await self.answer(request)
        match request.method:
            case "GET" if "watch" in request.query:
                return await self._watch(request)
            case "GET":
                return self._get(request)
            case "POST":
                return self._post(request.path, body)
            case "PUT":
                return self._put(request.path, body)
            case "PATCH":
                return self._patch(request, body)
            case _:
                return self._delete(request.path, body)

    def _get(self, request: web.Request) -> web.Response:
        if request.path in self.objects:
            return web.json_response(self.objects[request.path])
        children = [
            one for path, one in self.objects.items() if path.startswith(request.path + "/")
        ]
        if not children and "limit" not in request.query and "labelSelector" not in request.query:
            return status(404, "NotFound", f"{request.path} not found")
        begin = int(request.query.get("continue", "0"))
        rest = begin + self.page_size
        token = str(rest) if rest < len(children) and "limit" in request.query else ""
        items = children[begin:rest] if "limit" in request.query else children
        metadata = {"resourceVersion": str(self._version)} | ({"continue": token} if token else {})
        return web.json_response({"metadata": metadata, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """What was told with `happen` since the version asked for; then the stream ends."""
        response = web.StreamResponse()
        await response.prepare(request)
        for path, event in self.history:
            version = int(event["object"]["metadata"].get("resourceVersion", "0"))
            is_later = version > int(request.query["resourceVersion"])
            if path == request.path and (is_later or event["type"] == "ERROR"):
                await response.write(json.dumps(event).encode() + b"\n")
        await response.write_eof()
        return response

    def _post(self, path: str, body: Json) -> web.Response:
        path = f"{path}/{body['metadata']['name']}"
        if path in self.objects:
            return status(409, "AlreadyExists", f"{path} already exists")
        metadata = {"uid": "fresh-uid", "creationTimestamp": "2026-11-20T09:30:00Z"}
        made = {**body, "metadata": {**body["metadata"], **metadata}}
        return web.json_response(self.put(path, made), status=201)

    def _put(self, path: str, body: Json) -> web.Response:
        if path not in self.objects:
            return status(404, "NotFound", f"{path} not found")
        expected = body["metadata"].get("resourceVersion")
        if expected not in (None, self.objects[path]["metadata"]["resourceVersion"]):
            return status(409, "Conflict", "the object has been modified")
        return web.json_response(self.put(path, body))

    def _patch(self, request: web.Request, body: Any) -> web.Response:
        path = request.path.removesuffix("/status")
        if path not in self.objects:
            return status(404, "NotFound", f"{path} not found")
        known = json.loads(json.dumps(self.objects[path]))
        if request.content_type == "application/json-patch+json":
            try:
                patched = _apply_operations(known, body)
            except (KeyError, IndexError, AssertionError):
                return status(422, "Invalid", "the server rejected our request: test failed")
        else:
            expected = body.get("metadata", {}).pop("resourceVersion", None)
            if expected not in (None, known["metadata"]["resourceVersion"]):
                return status(409, "Conflict", "the object has been modified")
            wanted = {"status": body["status"]} if request.path.endswith("/status") else body
            patched = _merge(known, wanted)
        return web.json_response(self.put(path, patched))

    def _delete(self, path: str, body: Json) -> web.Response:
        if path not in self.objects:
            return status(404, "NotFound", f"{path} not found")
        if body["preconditions"]["uid"] != self.objects[path]["metadata"]["uid"]:
            return status(409, "Conflict", "Precondition failed: UID in precondition")
        version = self.objects[path]["metadata"]["resourceVersion"]
        if body["preconditions"].get("resourceVersion", version) != version:
            return status(409, "Conflict", "Precondition failed: ResourceVersion in precondition")
        return web.json_response(self.objects.pop(path))


def _merge(under: Any, over: Any) -> Any:
    if not isinstance(over, dict):
        return over
    merged = dict(under) if isinstance(under, dict) else {}
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _apply_operations(known: Json, operations: list[Json]) -> Json:
    for one in operations:
        *parents, last = one["path"].strip("/").split("/")
        place: Any = known
        for part in parents:
            place = place[int(part) if isinstance(place, list) else part]
        at = int(last) if isinstance(place, list) else last
        match one["op"]:
            case "test":
                assert place[at] == one["value"]
            case "add":
                place[at] = one["value"]
            case "remove":
                del place[at]
    return known
