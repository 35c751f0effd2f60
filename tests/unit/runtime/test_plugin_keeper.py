"""The keeper of plugins ends when it is told to, whatever it was about to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.plugins.python import PythonLoader
from proctor_operator.domain.procplugin import ProcPlugin, ProcPluginStatus, UnreadablePlugin
from proctor_operator.runtime.plugin_host import PluginHost
from proctor_operator.runtime.plugin_keeper import PluginKeeper
from proctor_operator.runtime.plugin_registry import PluginRegistry
from simulation.virtual_time import VirtualClock

_STEPS_UNTIL_IT_WAITS = 20


class NoPlugins:
    """A cluster without ProcPlugins."""

    async def list_plugins(self) -> AsyncIterator[ProcPlugin | UnreadablePlugin]:
        none: tuple[ProcPlugin, ...] = ()
        for plugin in none:
            yield plugin

    async def write_plugin_status(
        self, plugin: ProcPlugin | UnreadablePlugin, status: ProcPluginStatus
    ) -> None:
        raise AssertionError(f"nothing to write on {plugin.name}: {status}")


@pytest.mark.parametrize("steps", range(10))
async def test_it_ends_when_cancelled_in_any_step_after_the_election(steps: int) -> None:
    clock, metrics, registry = VirtualClock(), PrometheusMetrics(), PluginRegistry()
    host = PluginHost(registry=registry, loader=PythonLoader(), clock=clock, metrics=metrics)
    leading = asyncio.Event()
    keeper = PluginKeeper(
        registry=registry, host=host, store=NoPlugins(), clock=clock, leading=leading
    )
    keeping = asyncio.create_task(keeper.run())
    await _step(_STEPS_UNTIL_IT_WAITS)

    leading.set()
    await _step(steps)
    keeping.cancel()
    ended, _ = await asyncio.wait({keeping}, timeout=1)

    assert ended, "it went on"
    assert keeping.cancelled()


async def _step(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)
