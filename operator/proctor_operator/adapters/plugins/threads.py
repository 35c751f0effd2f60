"""Foreign code that blocks, in threads that hold up neither the event loop nor the end of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from proctor_operator.domain.errors import PluginBroken

THREADS_AT_MOST: Final = 8
"""Of one plugin. A thread cannot be ended from outside: one that hangs is one less for good."""

ResultT = TypeVar("ResultT")


class Threads:
    """Runs calls in daemon threads of their own.

    Not the event loop's executor: it is small, the loop itself needs it to look names up, and
    the process would wait for its threads when it ends.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._alive = 0

    async def run(self, call: Callable[[], ResultT]) -> ResultT:
        """Call it in a thread and wait for it; what it raises is raised here."""
        if self._alive >= THREADS_AT_MOST:
            raise PluginBroken(f"all of its {THREADS_AT_MOST} threads are busy")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[ResultT] = loop.create_future()

        def settle(result: ResultT | None, error: BaseException | None) -> None:
            self._alive -= 1
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type] # None only where that is the result

        def work() -> None:
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001 - foreign code: it is raised again, in the loop
                # A future refuses StopIteration, and SystemExit would end the process.
                error = raised if isinstance(raised, Exception) else _as_plain_error(raised)
                if isinstance(error, StopIteration):
                    error = _as_plain_error(error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        self._alive += 1
        threading.Thread(target=work, name=f"plugin {self._name}", daemon=True).start()
        return await answer


def _as_plain_error(raised: BaseException) -> PluginBroken:
    return PluginBroken(f"raised {type(raised).__name__}")
