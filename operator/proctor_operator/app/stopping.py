"""SIGTERM and SIGINT: the first asks to stop, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

import structlog

log = structlog.get_logger(__name__)

LEAVE_SECONDS: Final = 3.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """`asked` is set by the first signal, once `listen` has been called in the running loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def listen(self) -> None:
        """Take the signals; called again after a library has taken them for itself."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.asked.is_set():
            # Not SystemExit: an exception in a callback would not end a loop that hangs.
            os._exit(128 + number)
        log.info("Stopping", signal=number.name)
        self.asked.set()


async def has_ended_what_is_left(within_seconds: float = LEAVE_SECONDS) -> bool:
    """Cancel every other task of the loop; False when some refuse, as the code of a plugin may."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if not left:
        return True
    for task in left:
        task.cancel()
    _, stubborn = await asyncio.wait(left, timeout=within_seconds)
    if stubborn:
        log.warning("Tasks do not end", tasks=sorted(task.get_name() for task in stubborn))
    return not stubborn
