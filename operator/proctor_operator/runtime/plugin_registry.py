"""The ProcPlugins of the cluster: a small cache of their own, for they are in no namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from proctor_operator.domain.plugin import Hook, Question
from proctor_operator.domain.plugin_choice import (
    Asked,
    KnownPlugin,
    Missing,
    choose_plugins,
)


class PluginRegistry:
    """Fed by a watch and by lists; nothing depends on an event having arrived."""

    def __init__(self) -> None:
        self._known: dict[str, KnownPlugin] = {}
        self.has_listed = asyncio.Event()
        """Until then nobody knows which plugins are mandatory."""
        self.changed = asyncio.Event()
        """Set with every change; whoever acts on it clears it."""

    @property
    def known(self) -> Mapping[str, KnownPlugin]:
        """All of them, by name."""
        return self._known

    def saw(self, plugin: KnownPlugin) -> None:
        """Take in what a watch brought, unless a newer state is here."""
        old = self._known.get(plugin.name)
        if old is not None and old.uid == plugin.uid and not _is_newer(plugin, old):
            return
        self._known[plugin.name] = plugin
        self.changed.set()

    def missed(self, plugin: KnownPlugin) -> None:
        """Forget one that is gone, unless it is another by now."""
        old = self._known.get(plugin.name)
        if old is not None and old.uid == plugin.uid:
            del self._known[plugin.name]
            self.changed.set()

    def replace_all(self, listed: Iterable[KnownPlugin]) -> None:
        """Take in a whole list."""
        there = {one.name: one for one in listed}
        for old in tuple(self._known.values()):
            if old.name not in there:
                self.missed(old)
        for one in there.values():
            self.saw(one)
        self.has_listed.set()

    def choose(self, hook: Hook, question: Question) -> tuple[Asked | Missing, ...]:
        """Whom a question goes to."""
        return choose_plugins(self._known, hook, question.namespace, question.proc)


def _is_newer(new: KnownPlugin, old: KnownPlugin) -> bool:
    if new.resource_version.isdigit() and old.resource_version.isdigit():
        return int(new.resource_version) > int(old.resource_version)
    return new.resource_version != old.resource_version
