"""Processes that stand still: stopped by a debugger, a frozen node, a machine that moves house.

No task of such a process takes a step until it goes on; what happened to it meanwhile (an answer, a
timer, a cancellation) waits. Time goes on for everybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from types import coroutine
from typing import Any, Final, TypeVar

ResultT = TypeVar("ResultT")


class Stillness:
    """Whether a process stands still; not so at first."""

    def __init__(self) -> None:
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    def begin(self) -> None:
        """Take no further step."""
        self._goes_on.clear()

    def end(self) -> None:
        """Go on."""
        self._goes_on.set()

    @property
    def is_on(self) -> bool:
        """Whether it stands still."""
        return not self._goes_on.is_set()

    def until_it_ends(self) -> Generator[Any, None, Any]:
        """Wait, inside a task's own steps."""
        return self._goes_on.wait().__await__()

    def create_task(self, life: Coroutine[Any, Any, ResultT], name: str) -> asyncio.Task[ResultT]:
        """Begin a process: this task and all that it begins stand still together."""
        context = copy_context()
        context.run(_STILLNESS.set, self)
        return asyncio.get_running_loop().create_task(life, name=name, context=context)


_STILLNESS: Final[ContextVar[Stillness | None]] = ContextVar("stillness", default=None)


def task_factory(
    loop: asyncio.AbstractEventLoop,
    life: Coroutine[Any, Any, ResultT],
    *,
    context: Context | None = None,
    **given: Any,
) -> asyncio.Task[ResultT]:
    """Make tasks whose steps can be held back."""
    stillness = _STILLNESS.get() if context is None else context.get(_STILLNESS)
    if stillness is not None:
        life = _held_back(stillness, life)
    return asyncio.Task(life, loop=loop, context=context, **given)


async def on_the_network(call: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Let what a process has sent go its way, whether the process stands still or not."""
    return await asyncio.get_running_loop().create_task(call, context=Context())


async def _held_back(stillness: Stillness, life: Coroutine[Any, Any, ResultT]) -> ResultT:
    return await _steps(stillness, life)


@coroutine
def _steps(
    stillness: Stillness, life: Coroutine[Any, Any, ResultT]
) -> Generator[Any, Any, ResultT]:
    step = _sending(life)
    while True:
        while stillness.is_on:
            try:
                yield from stillness.until_it_ends()
            except BaseException as error:  # noqa: BLE001 - thrown into the life itself, later
                step = _throwing(life, error)
        try:
            awaited = step()
        except StopIteration as end:
            result: ResultT = end.value
            return result
        try:
            yield awaited
            step = _sending(life)
        except BaseException as error:  # noqa: BLE001 - same
            step = _throwing(life, error)


def _sending(life: Coroutine[Any, Any, Any]) -> Callable[[], Any]:
    return lambda: life.send(None)


def _throwing(life: Coroutine[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: life.throw(error)
