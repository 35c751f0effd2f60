"""Plugins as the runtime sees them: asked together, answering in one voice or in votes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from proctor_operator.domain.plugin import GateAnswer, Hook, PluginFacts, Question, Vote
from proctor_operator.domain.procplugin import ProcPlugin, ProcPluginStatus, UnreadablePlugin


class Plugins(Protocol):
    """Asks the plugins that a hook concerns, in their order, each within its deadline.

    Nothing is raised for a plugin that crashes, hangs or talks nonsense: its failure policy says what
    that means.
    """

    async def authorize(self, question: Question) -> tuple[Vote, ...]:
        """The votes of the plugins that the Proc names and of those that an admin made mandatory for it.

        A plugin that is named and is not there, not ready, or lacks the hook votes Deny.
        """
        ...

    async def ask_gates(self, hook: Hook, question: Question) -> GateAnswer:
        """Ask the gates one after the other; the first that does not let it pass decides."""
        ...


class LoadedPlugin(Protocol):
    """One plugin, behind whatever transport. Every call may raise `PluginBroken`, and may last for ever.

    What comes back is of the right type and otherwise the plugin's own: long, or full of control
    characters.
    """

    @property
    def facts(self) -> PluginFacts:
        """What it says of itself."""
        ...

    async def vote(self, question: Question) -> Vote:
        """Ask its hook Authorize."""
        ...

    async def ask(self, hook: Hook, question: Question) -> GateAnswer:
        """Ask one of its gates."""
        ...

    async def close(self) -> None:
        """Let it go."""
        ...


class PluginLoader(Protocol):
    """Makes plugins of what ProcPlugins say."""

    async def load(self, plugin: ProcPlugin) -> LoadedPlugin:
        """Load and configure; raises `PluginBroken`, and may last for ever."""
        ...


class PluginStore(Protocol):
    """ProcPlugins in the cluster."""

    def list_plugins(self) -> AsyncIterator[ProcPlugin | UnreadablePlugin]:
        """List every one of them, page by page."""
        ...

    async def write_plugin_status(
        self, plugin: ProcPlugin | UnreadablePlugin, status: ProcPluginStatus
    ) -> None:
        """Write the status; `Conflict` when the object is no longer the one given."""
        ...
