"""What happened, from witnesses that the operator cannot talk to: the audit log, and triggers in the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

Manifest = dict[str, Any]
Query = Callable[[str], list[tuple[Any, ...]]]

AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "omitManagedFields": True,
    "rules": [
        {
            # Whole bodies: whose a Job is and what a status said stand nowhere else.
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [
                {"group": "batch", "resources": ["jobs"]},
                {
                    "group": "proctor.dev",
                    "resources": ["procexecutions", "procexecutions/status"],
                },
            ],
        },
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]},
        {"level": "None"},
    ],
}

WITNESS_SQL: Final = """
CREATE SCHEMA witness;
CREATE TABLE witness.versions (
  sequence bigserial PRIMARY KEY, operation text NOT NULL, uid text NOT NULL, version jsonb NOT NULL
);
CREATE FUNCTION witness.note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE version record;
BEGIN
  version := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  INSERT INTO witness.versions (operation, uid, version)
  VALUES (TG_OP, version.uid, to_jsonb(version));
  RETURN NULL;
END
$$;
CREATE TRIGGER witness AFTER INSERT OR UPDATE OR DELETE ON proctor.executions
FOR EACH ROW EXECUTE FUNCTION witness.note();
"""
"""Needs the server's setting `track_commit_timestamp`: nobody updates a row of `witness.versions`, so its
transaction is the one that wrote the version."""

_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"
_VERSIONS: Final = """
SELECT operation, uid, version::text, pg_xact_commit_timestamp(xmin)
FROM witness.versions ORDER BY sequence
"""


@dataclass(frozen=True, slots=True)
class ApiWrite:
    """A request that changes something, as the API server answered it."""

    received_at: datetime
    user: str
    verb: str
    resource: str
    name: str
    code: int
    sent: Manifest
    stored: Manifest
    credential: str = ""
    """Which token it came with, where the API server says so."""

    @property
    def was_done(self) -> bool:
        """Whether the API server did what was asked."""
        return self.code < 300


@dataclass(frozen=True, slots=True)
class RowVersion:
    """A row of the record as a committed transaction left it."""

    operation: str
    uid: str
    row: Manifest
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """Everything that was written about the executions of a namespace, in order."""

    writes: tuple[ApiWrite, ...]
    versions: tuple[RowVersion, ...]


def read_history(
    audit_log: Path, namespace: str, query: Query, *, seen: Mapping[str, Sequence[Manifest]]
) -> History:
    """Ask both witnesses; `seen` is what is there in the end, by resource."""
    writes = sorted(_audited(audit_log, namespace), key=lambda write: write.received_at)
    writes += [_sight(resource, one) for resource, objects in seen.items() for one in objects]
    versions = tuple(
        RowVersion(operation, uid, json.loads(row), committed_at)
        for operation, uid, row, committed_at in query(_VERSIONS)
    )
    return History(tuple(writes), versions)


def _sight(resource: str, manifest: Manifest) -> ApiWrite:
    """An object as it is now, as if somebody had just written it so."""
    now = datetime.now(UTC)  # noqa: TID251 - after all that the audit log tells of
    name = manifest["metadata"]["name"]
    return ApiWrite(now, "", "seen", resource, name, 200, {}, manifest)


def _audited(audit_log: Path, namespace: str) -> Iterator[ApiWrite]:
    mark = f'"namespace":"{namespace}"'.encode()
    with audit_log.open("rb") as lines:
        for line in lines:
            # The last line may still be being written.
            if mark in line and line.endswith(b"\n"):
                yield parse_audit_line(line)


def parse_audit_line(line: bytes) -> ApiWrite:
    """Read one line of the audit log."""
    event = json.loads(line)
    what = event["objectRef"]
    sub = f"/{what['subresource']}" if "subresource" in what else ""
    sent, stored = event.get("requestObject") or {}, event.get("responseObject") or {}
    names = (what.get("name"), *(one.get("metadata", {}).get("name") for one in _objects(sent)))
    return ApiWrite(
        received_at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        user=event["user"]["username"],
        verb=event["verb"],
        resource=what["resource"] + sub,
        name=next((name for name in names if name), ""),
        code=event["responseStatus"].get("code", 0),
        sent=sent if isinstance(sent, dict) else {},
        stored=stored if stored.get("kind") != "Status" else {},
        credential="".join(event["user"].get("extra", {}).get(_CREDENTIAL, ())),
    )


def _objects(sent: object) -> tuple[Manifest, ...]:
    return (sent,) if isinstance(sent, dict) else ()
