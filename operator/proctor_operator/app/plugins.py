"""Plugins as a role needs them: what is known of them, who asks them, and who keeps both true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.plugins import KubePlugins, read_plugin
from proctor_operator.adapters.plugins.python import PythonLoader
from proctor_operator.domain.naming import PROC_PLUGINS
from proctor_operator.handlers.watches import Handle, Told, plugin_handle
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.leadership import Leadership
from proctor_operator.ports.metrics import PluginMetrics
from proctor_operator.runtime.guarded import GuardedPluginStore
from proctor_operator.runtime.plugin_host import PluginHost
from proctor_operator.runtime.plugin_keeper import LIST_EVERY_SECONDS, PluginKeeper
from proctor_operator.runtime.plugin_registry import PluginRegistry


@dataclass(frozen=True, slots=True)
class PluginParts:
    """`host` is the `Plugins` port; `keeper.run()` must run beside it, `keeper.problem` is for `/readyz`."""

    host: PluginHost
    registry: PluginRegistry
    keeper: PluginKeeper

    def handles(self, told: Told) -> dict[str, Handle]:
        """What to do with watch events, by the kind's plural; lists alone would do, but later."""
        return {PROC_PLUGINS: plugin_handle(read_plugin, self.registry, told)}


@dataclass(frozen=True, slots=True)
class Writer:
    """The right to write the plugins' status: who leads, and since when."""

    leadership: Leadership
    leading: asyncio.Event


def build_plugins(
    client: KubeClient,
    *,
    clock: Clock,
    metrics: PluginMetrics,
    writer: Writer | None = None,
    list_every_seconds: float = LIST_EVERY_SECONDS,
) -> PluginParts:
    """Build them; without a `writer` (the webhook's role) nothing is ever written."""
    registry = PluginRegistry()
    host = PluginHost(registry=registry, loader=PythonLoader(), clock=clock, metrics=metrics)
    plugins = KubePlugins(client)
    keeper = PluginKeeper(
        registry=registry,
        host=host,
        store=GuardedPluginStore(plugins, writer.leadership) if writer else plugins,
        clock=clock,
        leading=writer.leading if writer else None,
        every_seconds=list_every_seconds,
    )
    return PluginParts(host, registry, keeper)
