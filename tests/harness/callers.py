"""Requests to an API server as anybody, byte for byte as a test writes them.

kubectl checks, sorts and mends what it sends; whoever attacks does not use it.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from localcluster.cluster import LocalCluster

Manifest = dict[str, Any]

JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_SECONDS_AT_MOST: Final = 30


@dataclass(frozen=True)
class Person:
    """Whom the API server believes to hear, by impersonation; the admin has no name."""

    username: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """How an admin's request says so."""
        if not self.username:
            return []
        said = [("Impersonate-User", self.username)]
        said += [("Impersonate-Group", group) for group in self.groups]
        said += [("Impersonate-Uid", self.uid)] if self.uid else []
        said += [(f"Impersonate-Extra-{key}", value) for key, value in self.extra.items()]
        return said


ADMIN: Final = Person()


@dataclass(frozen=True)
class Answer:
    """What came back; `text` is the body."""

    code: int
    text: str

    @property
    def is_refusal(self) -> bool:
        """Whether the API server said no, and not that something of its own broke."""
        return 400 <= self.code < 500

    @property
    def body(self) -> Manifest:
        """The object, or the Status, that it holds."""
        found: Manifest = json.loads(self.text)
        return found

    @property
    def message(self) -> str:
        """What people read of a refusal."""
        said: str = self.body.get("message", "")
        return said


def refused(answer: Answer, words: str) -> None:
    """Fail unless the API server said no, with these words."""
    assert answer.is_refusal, (answer.code, answer.text)
    assert words in answer.message, answer.message


class Caller:
    """One connection to a cluster that is this test's own."""

    def __init__(self, cluster: LocalCluster) -> None:
        client = cluster.runtime.client()
        tls = ssl.create_default_context(cafile=str(client.ca_file))
        tls.load_cert_chain(client.certificate_file, client.key_file)
        self._connection = http.client.HTTPSConnection(
            client.address, client.port, timeout=_SECONDS_AT_MOST, context=tls
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __call__(
        self,
        who: Person,
        method: str,
        path: str,
        body: Manifest | list[Any] | bytes | None = None,
        *,
        content_type: str = JSON,
    ) -> Answer:
        """Send one request; bytes go as they are."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        if body is None:
            sent = b""
        self._connection.putrequest(method, path)
        for name, value in who.headers:
            self._connection.putheader(name, value)
        self._connection.putheader("Content-Type", content_type)
        self._connection.putheader("Content-Length", str(len(sent)))
        self._connection.endheaders(sent)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read().decode())
