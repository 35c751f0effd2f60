"""Writes of everybody, counted exactly from the API server's audit log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

_SERVED = re.compile(r"apiserver_request_total\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_NAMES = {"kubernetes-admin": "bench", "proctor-local-kwok": "kwok"}


class AuditLog:
    """The API server's audit log, from where it was last read to its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def skip(self) -> None:
        """Leave out what has been written so far."""
        self._offset = self._path.stat().st_size

    def writes(self) -> dict[str, Counter[str]]:
        """New successful writes by account and by `verb resource`; Lease renewals apart."""
        found: dict[str, Counter[str]] = {}
        with self._path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                event = orjson.loads(line)
                if event.get("responseStatus", {}).get("code", 500) < 300:
                    _count(event, found)
        return found


def requests_served(metrics: str) -> dict[str, float]:
    """All requests that an API server has answered, by `VERB resource`, out of its metrics."""
    found: Counter[str] = Counter()
    for labels, value in _SERVED.findall(metrics):
        said = dict(_LABEL.findall(labels))
        if said.get("resource") in ("", "leases", None):
            continue
        sub = f"/{said['subresource']}" if said.get("subresource") else ""
        found[f"{said['verb']} {said['resource']}{sub}"] += int(float(value))
    return dict(found)


def _count(event: Mapping[str, Any], found: dict[str, Counter[str]]) -> None:
    reference = event.get("objectRef", {})
    if reference.get("resource") == "leases":
        return
    sub = f"/{reference['subresource']}" if "subresource" in reference else ""
    user = str(event["user"]["username"]).rpartition(":")[2]
    counter = found.setdefault(_NAMES.get(user, user), Counter())
    counter[f"{event['verb']} {reference.get('resource', '?')}{sub}"] += 1
