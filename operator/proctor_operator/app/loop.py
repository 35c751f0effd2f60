"""The event loop of every role: asyncio's own, which gathers what arrives together."""

from __future__ import annotations

import asyncio
import select
import selectors
from typing import Final

_GATHER_SECONDS: Final = 0.001
"""Far below what a person or another controller notices; each step of a run may come so much later."""


class GatheringSelector(selectors.DefaultSelector):
    """Looks up from its sleep a thousand times a second at the most.

    Under load something arrives every fraction of a millisecond. To be woken for each of it cost the
    operator as much processor time as all that it then did (docs/benchmarks.md).
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as a selector does; not called while there is anything else to do."""
        if timeout is None or timeout > _GATHER_SECONDS:
            # The loop has nothing to do: this is a part of its sleep.
            select.select((), (), (), _GATHER_SECONDS)
            timeout = None if timeout is None else timeout - _GATHER_SECONDS
        return super().select(timeout)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the loop; whoever runs it closes it."""
    return asyncio.SelectorEventLoop(GatheringSelector())
