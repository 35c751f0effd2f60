"""Keeps what is known of plugins true, and their status too, where this process leads."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from proctor_operator.domain.errors import ClusterError, NotLeading
from proctor_operator.domain.plugin_choice import KnownPlugin
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.plugins import PluginStore
from proctor_operator.reconcile.plugin import plugin_status, shows_the_same_plugin_status
from proctor_operator.runtime.plugin_host import PluginHost
from proctor_operator.runtime.plugin_registry import PluginRegistry

LIST_EVERY_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 1.0
"""Between two rounds, so that a burst of changes is one."""

log = structlog.get_logger(__name__)


class PluginKeeper:
    """Lists ProcPlugins again and again, loads them, and says on each how it does.

    Without `leading` it never writes: other roles ask the same plugins.
    """

    def __init__(
        self,
        *,
        registry: PluginRegistry,
        host: PluginHost,
        store: PluginStore,
        clock: Clock,
        leading: asyncio.Event | None = None,
        every_seconds: float = LIST_EVERY_SECONDS,
    ) -> None:
        self._registry = registry
        self._host = host
        self._store = store
        self._clock = clock
        self._leading = leading
        self._every_seconds = every_seconds
        self._list_at = float("-inf")
        self.problem: str | None = "the first list of plugins has not finished"
        """What is not as it should be with the newest list; for `/readyz`."""

    async def run(self) -> None:
        """Go on until cancelled, and let every plugin go then."""
        try:
            while True:
                await self.go_round()
                await self._until_something_happens()
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await self._host.close()

    async def go_round(self) -> None:
        """List where it is time, load what is new, and write what is not said yet."""
        if self._clock.monotonic() >= self._list_at:
            await self._list()
        self._registry.changed.clear()
        self._host.forget_the_gone()
        for plugin in tuple(self._registry.known.values()):
            await self._look_after(plugin)

    async def _list(self) -> None:
        try:
            listed = [one async for one in self._store.list_plugins()]
        except ClusterError as error:
            self.problem = f"plugins cannot be listed: {error}"
            self._list_at = self._clock.monotonic() + _RETRY_SECONDS
            log.warning("Listing plugins failed", error=str(error))
            return
        self._registry.replace_all(listed)
        self._list_at = self._clock.monotonic() + self._every_seconds
        self.problem = None

    async def _look_after(self, plugin: KnownPlugin) -> None:
        health = await self._host.make_ready(plugin)
        if self._leading is None or not self._leading.is_set():
            return
        status = plugin_status(plugin, health, self._clock.now())
        if shows_the_same_plugin_status(plugin.status, status):
            return
        try:
            await self._store.write_plugin_status(plugin, status)
        except NotLeading:
            return
        except ClusterError as error:
            # A conflict means that something newer is on its way; otherwise the next round tries again.
            log.warning("Status of a plugin not written", plugin=plugin.name, error=str(error))

    async def _until_something_happens(self) -> None:
        changed = asyncio.create_task(self._registry.changed.wait())
        waits = {changed}
        if self._leading is not None and not self._leading.is_set():
            waits.add(asyncio.create_task(self._leading.wait()))
        seconds = max(0.0, self._list_at - self._clock.monotonic())
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
