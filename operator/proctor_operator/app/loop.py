"""The event loop of every role: asyncio's own, which gathers what arrives together."""

from __future__ import annotations

import asyncio
import select
import selectors
from typing import Final

GATHER_SECONDS: Final = 0.001
"""Far below what a person or another controller notices; each step of a run may come so much later."""
GATHER_UNDER_LOAD_SECONDS: Final = 0.004
"""For who answers nobody at once. It waits so long only while every look finds something."""


class GatheringSelector(selectors.DefaultSelector):
    """Looks up from its sleep a thousand times a second at the most, and more seldom in a flood.

    Under load something arrives every fraction of a millisecond. To be woken for each of it cost the
    operator as much processor time as all that it then did (docs/benchmarks.md). The sleep grows up to
    `at_most` seconds while each ends with news; once one ends without, it is short again.
    """

    def __init__(self, at_most: float = GATHER_SECONDS) -> None:
        super().__init__()
        self._at_most = at_most
        self._seconds = GATHER_SECONDS

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as a selector does; not called while there is anything else to do."""
        if timeout is not None and timeout <= self._seconds:
            return super().select(timeout)
        # The loop has nothing to do: this is a part of its sleep.
        select.select((), (), (), self._seconds)
        timeout = None if timeout is None else timeout - self._seconds
        news = super().select(0)
        if news:
            self._seconds = min(2 * self._seconds, self._at_most)
            return news
        self._seconds = GATHER_SECONDS
        return super().select(timeout)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the loop of a role that people wait for; whoever runs it closes it."""
    return asyncio.SelectorEventLoop(GatheringSelector())


def new_patient_loop() -> asyncio.AbstractEventLoop:
    """The same for a role that only works: the more there is, the more it takes at once."""
    return asyncio.SelectorEventLoop(GatheringSelector(GATHER_UNDER_LOAD_SECONDS))
