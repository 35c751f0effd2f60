"""Changes since the last look, for what no watch told of: the history is asked for anew, on a new connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.adapters.kube.legible import read_if_legible
from proctor_operator.domain.errors import Expired, Forbidden, PartlyListed
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.ports.cluster import Change, OwnObject

Reader = Callable[[JsonObject], OwnObject]
_AT_ONCE: Final = 24
"""Namespaces and kinds asked for side by side: each takes a second, most of it in waiting."""

_Place = tuple[Namespace | None, Resource]


@dataclass(slots=True)
class _Piece:
    """What was read of one history, and how far that is."""

    position: str
    changes: dict[Uid, Change] = field(default_factory=dict)
    """By object, the newest of each."""


class Changes:
    """Remembers how far the history of each kind in each namespace has been read."""

    def __init__(
        self,
        client: KubeClient,
        namespaces: tuple[Namespace | None, ...],
        readers: Mapping[Resource, Reader],
    ) -> None:
        self._client = client
        self._namespaces = namespaces
        self._readers = readers
        self._positions: dict[_Place, str] = {}

    async def begin_anew(self) -> None:
        """Take note of where things stand; called before a list, so that nothing falls in between."""
        self._positions.clear()
        for namespace in self._namespaces:
            for resource in self._readers:
                try:
                    version = await self._client.version(resource, namespace)
                except Forbidden:
                    continue
                self._positions[namespace, resource] = version

    async def read(self, knows: Callable[[Uid, str], bool]) -> AsyncIterator[Change]:
        """Read on; what `knows` knows is left out, which is nearly all.

        What could not be read is raised at the end, and read the next time.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        places = tuple(self._positions)
        if len(places) < len(set(self._namespaces)) * len(self._readers):
            raise Expired("where some of it stood could not be asked", status=410)
        pieces = await asyncio.gather(
            *(self._read_on(place, knows, gate) for place in places), return_exceptions=True
        )
        refused: dict[Namespace | None, Forbidden] = {}
        failed: BaseException | None = None
        for place, piece in zip(places, pieces, strict=True):
            match piece:
                case Forbidden():
                    refused[place[0]] = piece
                case BaseException():
                    failed = failed if isinstance(failed, Expired) else piece
                case _:
                    for change in piece.changes.values():
                        yield change
                    self._positions[place] = piece.position
        if failed is not None:
            raise failed
        if refused:
            raise PartlyListed(refused)

    async def _read_on(
        self, place: _Place, knows: Callable[[Uid, str], bool], gate: asyncio.Semaphore
    ) -> _Piece:
        namespace, resource = place
        piece = _Piece(self._positions[place])
        async with gate:
            async for type_, manifest in self._client.changes(resource, namespace, piece.position):
                metadata = manifest["metadata"]
                uid, version = Uid(metadata["uid"]), metadata["resourceVersion"]
                is_gone = type_ == "DELETED"
                if is_gone or not knows(uid, version):
                    known = read_if_legible(resource.plural, self._readers[resource], manifest)
                    piece.changes[uid] = Change(known, is_gone=is_gone)
                piece.position = version
        return piece
