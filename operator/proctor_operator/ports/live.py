"""Lines of runs as they are printed, for those who look on. Nothing here is the only copy of a line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from proctor_operator.domain.log import LogSource
from proctor_operator.domain.naming import Uid


@dataclass(frozen=True, slots=True)
class LiveLines:
    """Lines of one container in order, masked, each with its time; `lost` were left out before them."""

    source: LogSource
    lines: tuple[bytes, ...]
    lost: int = 0


class LivePublisher(Protocol):
    """The side that reads the logs; it never waits for those who look on."""

    def publish(self, execution_uid: Uid, source: LogSource, lines: Sequence[bytes]) -> None:
        """Hand out new lines."""
        ...

    def end(self, execution_uid: Uid) -> None:
        """Nothing more will come of this execution."""
        ...


class LiveReader(Protocol):
    """The side that looks on."""

    def follow(self, execution_uid: Uid) -> AbstractContextManager[AsyncIterator[LiveLines]]:
        """Lines from now on, until the execution is over.

        Who reads too slowly loses the oldest lines, and is told how many in the next batch.
        """
        ...
