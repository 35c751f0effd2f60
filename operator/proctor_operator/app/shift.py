"""One shift of a controller: list, watch, work when elected, drain, hand over. The order is what counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import structlog

from proctor_operator.app.collecting import leave_out_what_stays
from proctor_operator.app.parts import Controller
from proctor_operator.app.settings import Settings
from proctor_operator.app.stopping import Stopping
from proctor_operator.app.webhook import Webhook
from proctor_operator.domain.errors import Fault, NotLeading
from proctor_operator.domain.naming import PROC_PLUGINS
from proctor_operator.handlers.watches import WATCHED

Watch = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Watches, and serves reviews, until the event is set."""

log = structlog.get_logger(__name__)


class Shift:
    """Raises `Fault` when a part ends that must not, `NotLeading` when the Lease is lost."""

    def __init__(
        self,
        settings: Settings,
        controller: Controller,
        *,
        stopping: Stopping,
        webhook: Webhook | None,
        watch: Watch,
    ) -> None:
        self._settings = settings
        self._controller = controller
        self._stopping = stopping
        self._webhook = webhook
        self._watch = watch
        self._stop_watching = asyncio.Event()
        self._always: list[asyncio.Task[Any]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._watches: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """List first, so that no decision is taken on half a picture; then watch, and work when elected."""
        # Modules before the first list, which would have the collector walk them again and again; then both.
        leave_out_what_stays()
        stopped = asyncio.create_task(self._stopping.asked.wait(), name="stop")
        try:
            await self._list(stopped)
            if self._stopping.asked.is_set():
                return
            log.info("First list done")
            leave_out_what_stays()
            await self._work(stopped)
            await self._drain()
        finally:
            await _end(*self._tasks)
            # Nothing that could write is left now. Kopf writes nothing, and may take its time.
            await self._controller.election.release()
            await _end(*self._watches)

    async def _list(self, stopped: asyncio.Task[Any]) -> None:
        """Begin what goes on to the end, and wait for the first whole picture."""
        controller, listed = self._controller, self._controller.resync.has_listed
        self._always = [
            asyncio.create_task(controller.resync.run(), name="resync"),
            asyncio.create_task(controller.election.run(ready=listed), name="election"),
            asyncio.create_task(controller.record_watch.run(), name="record watch"),
            asyncio.create_task(controller.plugins.keeper.run(), name="plugins"),
            *(self._webhook.beside if self._webhook is not None else ()),
            stopped,
        ]
        first_list = asyncio.create_task(self._picture(listed), name="first list")
        self._tasks += [*self._always, first_list]
        await _first_of(first_list, *self._always, may_end=(first_list, stopped))

    async def _picture(self, listed: asyncio.Event) -> None:
        """Wait until everything is there that Kopf is to see at its start."""
        await listed.wait()
        if self._webhook is not None:
            await self._webhook.wait_for_kinds()

    async def _work(self, stopped: asyncio.Task[Any]) -> None:
        """Work until asked to stop."""
        controller = self._controller
        # In this order: Kopf would take the queue's tasks for its own.
        working = [
            asyncio.create_task(controller.queue.run(), name="queue"),
            asyncio.create_task(controller.signs.watch_the_loop(), name="loop watch"),
            asyncio.create_task(controller.events.run(), name="events"),
        ]
        self._tasks += working
        await controller.queue.is_working.wait()
        controller.silence.expect(WATCHED, self._settings.kubernetes.namespaces)
        controller.silence.expect((PROC_PLUGINS,), ())
        watching = asyncio.create_task(self._watch(self._stop_watching), name="watch")
        self._watches.append(watching)
        await _first_of(*self._always, watching, *working, may_end=(stopped,))

    async def _drain(self) -> None:
        """Let the passes under way finish, and the reviews."""
        seconds = self._settings.queue.drain_seconds
        log.info("Draining", within_seconds=seconds)
        leaving = asyncio.create_task(self._leave_the_service(), name="leave")
        self._tasks.append(leaving)
        await self._controller.queue.drain(within_seconds=seconds)
        await leaving
        self._stop_watching.set()

    async def _leave_the_service(self) -> None:
        if self._webhook is not None:
            await self._webhook.drain()


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _first_of(*tasks: asyncio.Task[Any], may_end: Collection[asyncio.Task[Any]]) -> None:
    """Wait for the first to end; one that may not takes the process down, so that it starts anew."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        error = task.exception()
        if isinstance(error, NotLeading):
            raise error
        if error is not None:
            raise Fault(f"{task.get_name()} failed: {error}") from error
        if task not in may_end:
            raise Fault(f"{task.get_name()} ended, though nobody asked for it")
