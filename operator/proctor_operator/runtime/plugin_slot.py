"""One plugin at one generation of its ProcPlugin: loaded when first needed, asked within deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from proctor_operator.domain.errors import PluginBroken
from proctor_operator.domain.plugin import Hook, PluginHealth
from proctor_operator.domain.procplugin import ProcPlugin
from proctor_operator.domain.text import one_line
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.plugins import LoadedPlugin, PluginLoader
from proctor_operator.reconcile.plugin import find_plugin_problem
from proctor_operator.runtime.circuit import Circuit

LOAD_SECONDS: Final = 10.0
LOAD_AGAIN_SECONDS: Final = 30.0
ERROR_LIMIT: Final = 512

AnswerT = TypeVar("AnswerT")

log = structlog.get_logger(__name__)


class PluginSlot:
    """Whoever asks gets an answer or `PluginBroken`, in time, whatever the plugin does.

    A call that is late is cancelled and not waited for: a plugin may refuse to be cancelled.
    """

    def __init__(
        self, plugin: ProcPlugin, *, loader: PluginLoader, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.plugin = plugin
        self._loader = loader
        self._clock = clock
        self._changed = changed
        self._circuit = Circuit(clock)
        self._loaded: LoadedPlugin | None = None
        self._loading: asyncio.Task[None] | None = None
        self._problem = ""
        self._load_again_at = float("-inf")
        self._last_error = ""
        self._left_behind: set[asyncio.Task[Any]] = set()

    @property
    def health(self) -> PluginHealth:
        """How it does."""
        return PluginHealth(
            problem=self._problem or ("" if self._loaded else "it has not been loaded yet"),
            facts=self._loaded.facts if self._loaded else None,
            is_failing=self._circuit.is_open,
            last_error=self._problem or self._last_error,
        )

    @property
    def is_circuit_open(self) -> bool:
        """Whether it is left alone."""
        return self._circuit.is_open

    async def make_ready(self, *, within_seconds: float = LOAD_SECONDS) -> LoadedPlugin:
        """Load it, unless it is loaded; what failed is not tried again for a while."""
        if self._loaded is not None:
            return self._loaded
        if self._loading is None:
            if self._clock.monotonic() < self._load_again_at:
                raise PluginBroken(self._problem, result="not-ready")
            self._loading = asyncio.create_task(self._load(), name=f"load {self.plugin.name}")
        # Others may wait for the same: nobody's impatience ends it.
        await asyncio.wait({self._loading}, timeout=within_seconds)
        loaded: LoadedPlugin | None = self._loaded
        if loaded is None:
            raise PluginBroken(self._problem or "it is still being loaded", result="not-ready")
        return loaded

    async def call(
        self,
        hook: Hook,
        ask: Callable[[LoadedPlugin], Coroutine[Any, Any, AnswerT]],
        *,
        within_seconds: float,
    ) -> AnswerT:
        """Ask it; raises `PluginBroken`."""
        began = self._clock.monotonic()
        loaded = await self.make_ready(within_seconds=within_seconds)
        if hook not in loaded.facts.hooks:
            raise PluginBroken(f"it does not implement {hook}", result="not-ready")
        if not self._circuit.admits():
            message = f"it failed too often and is left alone for a while; last: {self._last_error}"
            raise PluginBroken(message, result="circuit-open")
        left = within_seconds - (self._clock.monotonic() - began)
        try:
            answer = await self._within(left, ask(loaded), within_seconds)
        except PluginBroken as broken:
            self._note(str(broken))
            raise
        except BaseException:
            self._circuit.given_back()
            raise
        self._settle(self._circuit.succeeded)
        return answer

    async def close(self) -> None:
        """Let the plugin go; it has the time that it has for loading."""
        if self._loading is not None:
            self._loading.cancel()
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        try:
            await self._within(LOAD_SECONDS, loaded.close(), LOAD_SECONDS)
        except PluginBroken as broken:
            log.warning("Plugin did not close", plugin=self.plugin.name, error=str(broken))

    async def _load(self) -> None:
        try:
            loading = self._load_what_can_work()
            self._loaded = await self._within(LOAD_SECONDS, loading, LOAD_SECONDS)
            self._problem = ""
            log.info("Plugin loaded", plugin=self.plugin.name, version=self._loaded.facts.version)
        except PluginBroken as broken:
            problem_now = one_line(str(broken), ERROR_LIMIT)
            self._load_again_at = self._clock.monotonic() + LOAD_AGAIN_SECONDS
            if problem_now != self._problem:
                log.warning("Plugin not loaded", plugin=self.plugin.name, error=problem_now)
            self._problem = problem_now
        finally:
            self._loading = None
            self._changed()

    async def _load_what_can_work(self) -> LoadedPlugin:
        problem = find_plugin_problem(self.plugin.spec)
        if problem is not None:
            raise PluginBroken(problem.message)
        return await self._loader.load(self.plugin)

    async def _within(
        self, seconds: float, work: Coroutine[Any, Any, AnswerT], promised: float
    ) -> AnswerT:
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task}, timeout=max(0.0, seconds))
        finally:
            if not task.done():
                self._leave_behind(task)
        if not task.done():
            raise PluginBroken(f"no answer in {promised:g} s", result="timeout")
        if task.cancelled():
            raise PluginBroken("it cancelled itself")
        return task.result()

    def _leave_behind(self, task: asyncio.Task[Any]) -> None:
        self._left_behind.add(task)
        task.add_done_callback(self._come_back)
        task.cancel()

    def _come_back(self, task: asyncio.Task[Any]) -> None:
        self._left_behind.discard(task)
        if not task.cancelled():
            # Too late to matter, but asyncio wants it looked at.
            task.exception()

    def _note(self, error: str) -> None:
        self._last_error = one_line(error, ERROR_LIMIT)
        self._settle(self._circuit.failed)

    def _settle(self, report: Callable[[], None]) -> None:
        was_open = self._circuit.is_open
        report()
        if self._circuit.is_open == was_open:
            return
        if self._circuit.is_open:
            log.warning("Plugin left alone", plugin=self.plugin.name, error=self._last_error)
        else:
            self._last_error = ""
            log.info("Plugin answers again", plugin=self.plugin.name)
        self._changed()
