"""Signs of life of watches, as close to the wire as they can be had."""

from __future__ import annotations

from typing import Protocol


class WatchActivity(Protocol):
    """Told of what comes over watch connections, bookmarks too, which no handler ever sees."""

    def heard(self, resource: str, namespace: str) -> None:
        """A stream brought bytes; `namespace` is empty for one over the whole cluster."""
        ...

    def refused(self, resource: str, namespace: str) -> None:
        """A watch was asked for, and the answer was no."""
        ...
