"""Which plugins a question goes to, and which of those that it should go to are not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.plugin import Hook
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.procplugin import HookBinding, ProcPlugin, UnreadablePlugin

KnownPlugin = ProcPlugin | UnreadablePlugin


@dataclass(frozen=True, slots=True)
class Asked:
    """A plugin to ask, and how."""

    plugin: ProcPlugin
    binding: HookBinding


@dataclass(frozen=True, slots=True)
class Missing:
    """A plugin that ought to vote and cannot: for a voter that is a Deny, whatever its failure policy."""

    name: str
    message: str


def choose_plugins(
    known: Mapping[str, KnownPlugin], hook: Hook, namespace: Namespace, proc: Proc
) -> tuple[Asked | Missing, ...]:
    """Those that the Proc names and those that an admin made mandatory for it, in their order."""
    named = dict.fromkeys(proc.spec.authorization.plugins)
    mandatory = {
        one.name: None
        for one in known.values()
        if _is_mandatory(one, namespace, proc) and one.name not in named
    }
    chosen = (
        _look_at(name, known.get(name), hook, namespace, proc) for name in (*named, *mandatory)
    )
    return tuple(sorted((one for one in chosen if one is not None), key=_order))


def _is_mandatory(plugin: KnownPlugin, namespace: Namespace, proc: Proc) -> bool:
    if isinstance(plugin, UnreadablePlugin):
        # What it selects cannot be known.
        return plugin.is_mandatory
    return plugin.spec.mandatory and plugin.spec.selects(namespace, proc)


def _look_at(
    name: str, plugin: KnownPlugin | None, hook: Hook, namespace: Namespace, proc: Proc
) -> Asked | Missing | None:
    found = _ask_or_say_why_not(name, plugin, hook, namespace, proc)
    if isinstance(found, Missing) and hook is not Hook.AUTHORIZE:
        # Nothing passes the vote that it is missing from, so no gate need be held shut for it.
        return None
    is_named = name in proc.spec.authorization.plugins
    lacks_the_hook = isinstance(plugin, ProcPlugin) and plugin.spec.binding(hook) is None
    # A mandatory plugin has the hooks that its admin wanted; who names one wants its vote.
    return None if lacks_the_hook and not is_named else found


def _ask_or_say_why_not(
    name: str, plugin: KnownPlugin | None, hook: Hook, namespace: Namespace, proc: Proc
) -> Asked | Missing:
    if plugin is None:
        return Missing(name, f"there is no plugin {name}")
    if isinstance(plugin, UnreadablePlugin):
        return Missing(name, f"the plugin {name} cannot be read")
    if not plugin.spec.selects(namespace, proc):
        return Missing(name, f"the plugin {name} is not offered to this proc")
    binding = plugin.spec.binding(hook)
    if binding is None:
        return Missing(name, f"the plugin {name} does not vote: it lacks the hook {hook}")
    return Asked(plugin, binding)


def _order(one: Asked | Missing) -> tuple[int, str]:
    return (-1, one.name) if isinstance(one, Missing) else (one.binding.order, one.plugin.name)
