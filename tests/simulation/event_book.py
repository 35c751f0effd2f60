"""Where the simulated API server keeps Events: apart, for they are no part of any decision."""

from __future__ import annotations

from collections import Counter

from proctor_operator.domain.errors import AlreadyExists, Forbidden, NotFound
from simulation.api_server import Manifest

_MOST_OF_AN_EXECUTION = 3
"""A trouble, another one after that was over (a later attempt may have it), and a bad end."""


class EventBook:
    """`is_open` False refuses everything, as it is without the right to write Events."""

    def __init__(self, *, is_open: bool = True) -> None:
        self._is_open = is_open
        self._events: dict[str, Manifest] = {}
        self.requests = 0

    def create(self, manifest: Manifest) -> Manifest:
        self._ask()
        name = manifest["metadata"]["name"]
        if name in self._events:
            raise AlreadyExists(name, status=409)
        assert manifest["metadata"]["namespace"] == manifest["involvedObject"]["namespace"]
        self._events[name] = manifest
        return manifest

    def patch(self, name: str, patch: Manifest) -> Manifest:
        self._ask()
        if name not in self._events:
            raise NotFound(name, status=404)
        self._events[name] |= patch
        return self._events[name]

    @property
    def told(self) -> list[str]:
        """All that was told, in short."""
        return sorted(
            f"{one['involvedObject']['name']} {one['reason']}" for one in self._events.values()
        )

    @property
    def excesses(self) -> list[str]:
        """Executions about which more was told than they are worth."""
        about = Counter(
            one["involvedObject"]["name"]
            for one in self._events.values()
            if one["involvedObject"]["kind"] == "ProcExecution"
        )
        return [
            f"{count} Events about {name}"
            for name, count in about.items()
            if count > _MOST_OF_AN_EXECUTION
        ]

    def _ask(self) -> None:
        self.requests += 1
        if not self._is_open:
            raise Forbidden("events is forbidden", status=403)
