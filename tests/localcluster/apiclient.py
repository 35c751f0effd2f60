"""The few requests that bringing a cluster up needs; starting kubectl for each would be slower."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster.errors import LocalClusterError

_TIMEOUT_SECONDS = 10


class ApiError(LocalClusterError):
    """The API server answered with an error, or not at all (status 0)."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message, component="kube-apiserver")
        self.status = status


@dataclass(frozen=True)
class ApiClient:
    """Talks to an API server with a client certificate from files."""

    address: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        return self.answers("/readyz")

    def answers(self, path: str) -> bool:
        """Whether a GET of ``path`` succeeds; whatever is in the way means no."""
        try:
            self.request("GET", path)
        except ApiError:
            return False
        return True

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Send one request; return the decoded answer, or the text where it is not JSON.

        Raises ApiError.
        """
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(self.certificate_file, self.key_file)
        connection = http.client.HTTPSConnection(
            self.address, self.port, timeout=_TIMEOUT_SECONDS, context=context
        )
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read().decode()
        except (OSError, http.client.HTTPException) as problem:
            raise ApiError(f"{method} {path}: {problem}") from problem
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise ApiError(f"{method} {path}: {content[:500]}", status=answer.status)
        if "json" in (answer.headers.get_content_type()):
            return json.loads(content)
        return content

    def create(self, path: str, manifest: object) -> None:
        """Create an object; one that is there already is left as it is."""
        try:
            self.request("POST", path, manifest)
        except ApiError as problem:
            if problem.status != http.client.CONFLICT:
                raise
