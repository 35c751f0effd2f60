"""Asks plugins: whom, in which order, within which time, and what a failure means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, assert_never

import structlog

from proctor_operator.domain.errors import PluginBroken
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.plugin import (
    Defer,
    Deny,
    GateAnswer,
    Hook,
    Opinion,
    Pass,
    PluginHealth,
    Question,
    Vote,
)
from proctor_operator.domain.plugin_choice import Asked, KnownPlugin, Missing
from proctor_operator.domain.procplugin import FailurePolicy, ProcPlugin
from proctor_operator.domain.text import one_line
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.metrics import PluginMetrics
from proctor_operator.ports.plugins import PluginLoader
from proctor_operator.runtime.complaints import Complaints
from proctor_operator.runtime.plugin_registry import PluginRegistry
from proctor_operator.runtime.plugin_slot import PluginSlot
from proctor_operator.runtime.verdict_cache import VerdictCache

CHAIN_SECONDS: Final = 8.0
"""For all plugins of one question together: the API server waits 10 s for the webhook."""
MESSAGE_LIMIT: Final = 256
WARNINGS_AT_MOST: Final = 8
ASK_AGAIN_SECONDS: Final = 30.0
"""After a gate before the start that failed."""
DEFER_SECONDS: Final = (1.0, 3600.0)
FAILED: Final = "PluginFailed"

AnswerT = TypeVar("AnswerT")

log = structlog.get_logger(__name__)


class PluginHost:
    """The `Plugins` port. Holds loaded plugins and votes; a restart may lose both."""

    def __init__(
        self,
        *,
        registry: PluginRegistry,
        loader: PluginLoader,
        clock: Clock,
        metrics: PluginMetrics,
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._clock = clock
        self._metrics = metrics
        self._cache = VerdictCache(clock)
        self._complaints = Complaints(clock)
        self._slots: dict[Uid, PluginSlot] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def authorize(self, question: Question) -> tuple[Vote, ...]:
        """See the port. Voters do not see one another, so they are asked all at once."""
        if not await self._knows_plugins():
            message = "it is not known yet which plugins there are"
            return (Vote("-", Opinion.DENY, message, is_failure=True),)
        chosen = self._registry.choose(Hook.AUTHORIZE, question)
        return tuple(await asyncio.gather(*(self._vote(one, question) for one in chosen)))

    async def ask_gates(self, hook: Hook, question: Question) -> GateAnswer:
        """See the port."""
        if not await self._knows_plugins():
            return _failed(hook, "-", "it is not known yet which plugins there are")
        ends_at = self._clock.monotonic() + CHAIN_SECONDS
        warnings: list[str] = []
        for one in self._registry.choose(hook, question):
            if isinstance(one, Missing):
                continue
            answer = await self._ask(one, hook, question, ends_at - self._clock.monotonic())
            if not isinstance(answer, Pass):
                return answer
            warnings.extend(answer.warnings)
        return Pass(tuple(warnings[:WARNINGS_AT_MOST]))

    async def make_ready(self, plugin: KnownPlugin) -> PluginHealth:
        """Load a plugin unless it is loaded, and tell how it does."""
        if not isinstance(plugin, ProcPlugin):
            return PluginHealth(problem=plugin.problem)
        slot = self._slot(plugin)
        try:
            await slot.make_ready()
        except PluginBroken:
            return slot.health
        self._metrics.plugin_circuit(plugin.name, is_open=slot.is_circuit_open)
        return slot.health

    def forget_the_gone(self) -> None:
        """Close plugins whose ProcPlugin is no more."""
        there = {one.uid for one in self._registry.known.values()}
        for uid in self._slots.keys() - there:
            slot = self._slots.pop(uid)
            if slot.plugin.name not in self._registry.known:
                self._metrics.plugin_gone(slot.plugin.name)
            self._close(slot)

    async def close(self) -> None:
        """Let every plugin go."""
        for slot in self._slots.values():
            self._close(slot)
        self._slots.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _knows_plugins(self) -> bool:
        """Before the first list any plugin may be mandatory: wait for it, but not for ever."""
        if not self._registry.has_listed.is_set():
            listed = asyncio.create_task(self._registry.has_listed.wait())
            await asyncio.wait({listed}, timeout=CHAIN_SECONDS)
            listed.cancel()
        return self._registry.has_listed.is_set()

    async def _vote(self, one: Asked | Missing, question: Question) -> Vote:
        if isinstance(one, Missing):
            return Vote(one.name, Opinion.DENY, one.message)
        plugin = one.plugin
        known = self._cache.find(plugin, question)
        if known is not None:
            self._metrics.plugin_cache_hit(plugin.name)
            return known
        seconds = min(CHAIN_SECONDS, one.binding.timeout_seconds)
        try:
            vote = await self._timed(
                one,
                lambda slot: slot.call(
                    Hook.AUTHORIZE, lambda loaded: loaded.vote(question), within_seconds=seconds
                ),
                _result_of_vote,
            )
        except PluginBroken:
            if one.binding.failure_policy is FailurePolicy.IGNORE:
                return Vote(plugin.name, Opinion.NO_OPINION, "it failed, which is ignored")
            return Vote(plugin.name, Opinion.DENY, _it_failed(plugin.name), is_failure=True)
        clean = Vote(plugin.name, vote.opinion, one_line(vote.message, MESSAGE_LIMIT))
        self._cache.keep(plugin, question, clean)
        return clean

    async def _ask(
        self, one: Asked, hook: Hook, question: Question, seconds_left: float
    ) -> GateAnswer:
        seconds = min(seconds_left, one.binding.timeout_seconds)
        try:
            answer = await self._timed(
                one,
                lambda slot: slot.call(
                    hook, lambda loaded: loaded.ask(hook, question), within_seconds=seconds
                ),
                _result_of_gate,
            )
        except PluginBroken:
            if one.binding.failure_policy is FailurePolicy.IGNORE:
                return Pass()
            return _failed(hook, one.plugin.name, _it_failed(one.plugin.name))
        return _clean(answer)

    async def _timed(
        self,
        one: Asked,
        call: Callable[[PluginSlot], Awaitable[AnswerT]],
        name_result: Callable[[AnswerT], str],
    ) -> AnswerT:
        """Call, and count the call by what came of it."""
        plugin, hook = one.plugin.name, one.binding.name
        began = self._clock.monotonic()
        slot = self._slot(one.plugin)
        result = "given-up"
        try:
            answer = await call(slot)
            result = name_result(answer)
        except PluginBroken as broken:
            result = broken.result
            left_out = self._complaints.next_line(f"{plugin} {result}")
            if left_out is not None:
                log.warning(
                    "Plugin failed", plugin=plugin, hook=hook, error=str(broken), left_out=left_out
                )
            raise
        finally:
            seconds = self._clock.monotonic() - began
            self._metrics.plugin_called(plugin, hook, result, seconds)
            self._metrics.plugin_circuit(plugin, is_open=slot.is_circuit_open)
        return answer

    def _slot(self, plugin: ProcPlugin) -> PluginSlot:
        """The plugin as its ProcPlugin is now; one of an older generation is let go."""
        slot = self._slots.get(plugin.uid)
        if slot is not None and slot.plugin.generation == plugin.generation:
            return slot
        if slot is not None:
            self._close(slot)
        fresh = PluginSlot(
            plugin, loader=self._loader, clock=self._clock, changed=self._registry.changed.set
        )
        self._slots[plugin.uid] = fresh
        return fresh

    def _close(self, slot: PluginSlot) -> None:
        closing = asyncio.create_task(slot.close(), name=f"close {slot.plugin.name}")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _failed(hook: Hook, plugin: str, message: str) -> GateAnswer:
    """What failure means where the policy is Fail: before the start there is time to try again."""
    if hook is Hook.PRE_LAUNCH:
        return Defer(plugin, FAILED, message, ASK_AGAIN_SECONDS)
    return Deny(plugin, FAILED, message)


def _it_failed(plugin: str) -> str:
    """For people who run procs; why it failed is for admins."""
    return f"the plugin {plugin} failed, which counts as no; an admin sees why in its ProcPlugin"


def _clean(answer: GateAnswer) -> GateAnswer:
    match answer:
        case Pass(warnings):
            return Pass(tuple(one_line(one, MESSAGE_LIMIT) for one in warnings[:WARNINGS_AT_MOST]))
        case Deny(plugin, reason, message):
            return Deny(plugin, reason, one_line(message, MESSAGE_LIMIT))
        case Defer(plugin, reason, message, after_seconds):
            least, most = DEFER_SECONDS
            seconds = min(most, max(least, after_seconds))
            return Defer(plugin, reason, one_line(message, MESSAGE_LIMIT), seconds)
        case _:
            assert_never(answer)


def _result_of_vote(vote: Vote) -> str:
    return {
        Opinion.ALLOW: "allow",
        Opinion.DENY: "deny",
        Opinion.NO_OPINION: "no-opinion",
    }[vote.opinion]


def _result_of_gate(answer: GateAnswer) -> str:
    match answer:
        case Pass():
            return "continue"
        case Deny():
            return "deny"
        case Defer():
            return "defer"
        case _:
            assert_never(answer)
