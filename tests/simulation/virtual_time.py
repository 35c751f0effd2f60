"""An event loop whose clock jumps: hours pass in milliseconds, in the same order every time.

Nothing waits for real: when no callback is ready the clock is set to the next timer. Only public
asyncio interfaces are used (a selector of our own, and `time`), so it works from Python 3.11 on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from selectors import SelectorKey, SelectSelector
from typing import Any, Final, TypeVar

from simulation.standing_still import task_factory

ResultT = TypeVar("ResultT")

TIME_ZERO: Final = datetime(2026, 1, 1, tzinfo=UTC)
_TURNS_WITHOUT_TIME: Final = 200_000


class NothingLeftToHappen(Exception):
    """Everybody waits and no timer is set: in the real world this would wait for ever."""


class TimeStandsStill(Exception):
    """Callbacks keep calling callbacks and the clock never moves: a hot loop."""


class _JumpingSelector(SelectSelector):
    """Instead of waiting for input, moves the clock on by the time it was asked to wait."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        if timeout is None:
            raise NothingLeftToHappen
        if timeout > 0:
            self._advance(timeout)
            self._turns = 0
            return []
        self._turns += 1
        if self._turns > _TURNS_WITHOUT_TIME:
            raise TimeStandsStill
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at second 0."""

    def __init__(self) -> None:
        self._virtual_seconds = 0.0
        super().__init__(_JumpingSelector(self._jump))
        self.set_task_factory(task_factory)  # type: ignore[arg-type] # typeshed wants keyword arguments of 3.13

    def time(self) -> float:
        return self._virtual_seconds

    def _jump(self, seconds: float) -> None:
        self._virtual_seconds += seconds


class VirtualClock:
    """The `Clock` port on the running loop's time."""

    def now(self) -> datetime:
        return TIME_ZERO + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def run_virtually(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end in virtual time; an error that nobody waited for is raised here."""
    unhandled: list[BaseException] = []

    def remember(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        unhandled.append(context.get("exception") or RuntimeError(context["message"]))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.get_loop().set_exception_handler(remember)
        result = runner.run(main)
    if unhandled:
        raise unhandled[0]
    return result
