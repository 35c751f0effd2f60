"""The API as the administrator uses it, past every proxy: many small requests over one connection."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from multidict import CIMultiDict

from harness.requesters import headers_of
from localcluster.apiclient import ApiError
from localcluster.cluster import LocalCluster

Manifest = dict[str, Any]

EXECUTIONS: Final = "apis/proctor.dev/v1alpha1/namespaces/{}/procexecutions"
JOBS: Final = "apis/batch/v1/namespaces/{}/jobs"
PODS: Final = "api/v1/namespaces/{}/pods"
_JSON: Final = "application/json"
_NONE: Final[CIMultiDict[str]] = CIMultiDict()
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"

_TIMEOUT_SECONDS: Final = 10
_RIGHTS_ARE_KNOWN_WITHIN_SECONDS: Final = 20


class Admin:
    """One connection that is kept, and made anew when it breaks; each thread needs its own."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        pki = cluster.config.pki
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._addresses = cluster.config.addresses
        self._namespace = namespace
        self._connection: http.client.HTTPSConnection | None = None

    def list(self, collection: str) -> list[Manifest]:
        """List all objects of a collection in the namespace."""
        found: list[Manifest] = self.request("GET", collection)["items"]
        return found

    def create(self, collection: str, manifest: Manifest) -> Manifest:
        """Create an object, as who asks for it."""
        asking = headers_of(manifest)
        decoded: Manifest = json.loads(self._ask("POST", collection, manifest, _JSON, asking))
        return decoded

    def patch(
        self,
        collection: str,
        name: str,
        patch: object,
        *,
        sub: str = "",
        content_type: str = MERGE_PATCH,
    ) -> Manifest:
        """Patch an object, or a subresource of it."""
        path = f"{collection}/{name}" + (f"/{sub}" if sub else "")
        return self.request("PATCH", path, patch, content_type)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = _JSON,
    ) -> Manifest:
        """Send a request; raises ApiError, with status 0 when no answer came: it may have been done."""
        decoded: Manifest = json.loads(self._ask(method, path, body, content_type))
        return decoded

    def read(self, path: str) -> str:
        """GET, and the answer as it is; raises ApiError."""
        return self._ask("GET", path, None, "")

    def _ask(
        self,
        method: str,
        path: str,
        body: object,
        content_type: str,
        further: Mapping[str, str] = _NONE,
    ) -> str:
        path = "/" + path.format(self._namespace)
        headers = CIMultiDict({"Content-Type": content_type})
        headers.extend(further)
        sent = None if body is None else json.dumps(body)
        try:
            connection = self._connected()
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            content = answer.read().decode()
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            raise ApiError(f"{method} {path}: {problem}") from problem
        if answer.status >= http.client.BAD_REQUEST:
            raise ApiError(f"{method} {path}: {content[:500]}", status=answer.status)
        return content

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._addresses.server,
                self._addresses.apiserver_port,
                timeout=_TIMEOUT_SECONDS,
                context=self._context,
            )
        return self._connection


class Round:
    """A thread that does `work` again and again, and goes on when the API server does not answer."""

    def __init__(self, name: str, interval: float) -> None:
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failed: BaseException | None = None
        self._was_away_at = float("-inf")

    def work(self) -> None:
        """Do one round; an ApiError means that it is done again."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and raise what broke the thread, if anything did."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_TIMEOUT_SECONDS * 3)
        self.check()

    def check(self) -> None:
        """Raise what broke the thread: a test may not wait for somebody who is gone."""
        if self._failed is not None:
            raise self._failed

    def _is_worth_another_try(self, status: int) -> bool:
        """It was away; one that has just come back knows nobody's rights for a moment."""
        now = time.monotonic()
        if status == http.client.FORBIDDEN:
            return now - self._was_away_at < _RIGHTS_ARE_KNOWN_WITHIN_SECONDS
        if status != 0 and status < http.client.INTERNAL_SERVER_ERROR:
            return status == http.client.TOO_MANY_REQUESTS
        self._was_away_at = now
        return True

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._interval):
                try:
                    self.work()
                except ApiError as problem:
                    if not self._is_worth_another_try(problem.status):
                        raise
        except BaseException as error:  # noqa: BLE001 - told to the test by `check`
            self._failed = error
