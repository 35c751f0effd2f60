"""From settings to the rules of admission."""

from __future__ import annotations

import asyncio
from typing import Final

from proctor_operator.adapters.kube.access import KubeAccess
from proctor_operator.adapters.kube.cluster import KubeCluster
from proctor_operator.adapters.kube.dry_run import KubeDryRun
from proctor_operator.adapters.postgres.denials import PostgresDenials
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.app.clock import SystemClock
from proctor_operator.app.plugins import build_plugins
from proctor_operator.app.webhook import Tools
from proctor_operator.app.wiring import postgres_options, run_policy
from proctor_operator.domain.naming import PROC_PLUGINS, PROCS, Namespace
from proctor_operator.runtime.admission import Admission
from proctor_operator.runtime.denials import DenialLog
from proctor_operator.runtime.plugin_admission import PluginAdmission
from proctor_operator.runtime.proc_admission import ProcAdmission

DENIALS_WITHIN_SECONDS: Final = 5.0
"""Time that denials get to reach the record when the process stops."""

LIST_PLUGINS_EVERY_SECONDS: Final = 5.0
"""The webhook watches nothing: this soon it knows of a plugin that was added, changed or taken away."""


async def build_admission(tools: Tools) -> Admission:
    """Build them; denials are stored in the background until the tools' stack is closed.

    Raises `SettingsError` when no record is set. One that is away hinders no verdict.
    """
    settings, metrics, clock = tools.settings, tools.metrics, SystemClock()
    pool = RecordPool(postgres_options(settings.postgres), metrics, clock)
    denials = DenialLog(
        PostgresDenials(await tools.stack.enter_async_context(pool)), metrics, clock
    )
    storing = asyncio.create_task(denials.run(), name="denials")

    async def finish() -> None:
        await denials.drain(within_seconds=DENIALS_WITHIN_SECONDS)
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)

    tools.stack.push_async_callback(finish)
    plugins = build_plugins(
        tools.client, clock=clock, metrics=metrics, list_every_seconds=LIST_PLUGINS_EVERY_SECONDS
    )
    keeping = asyncio.create_task(plugins.keeper.run(), name="plugins of the webhook")
    tools.beside.append(keeping)
    tools.checks.append(lambda: plugins.keeper.problem)

    async def let_plugins_go() -> None:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    tools.stack.push_async_callback(let_plugins_go)
    access = KubeAccess(tools.client)
    namespaces = tuple(Namespace(name) for name in settings.kubernetes.namespaces)
    return Admission(
        objects=KubeCluster(tools.client, namespaces),
        access=access,
        plugins=plugins.host,
        denials=denials,
        metrics=metrics,
        clock=clock,
        operator_accounts=settings.webhook.operator_accounts,
        reviewers={
            PROC_PLUGINS: PluginAdmission(),
            PROCS: ProcAdmission(
                access=access, dry_run=KubeDryRun(tools.client), policy=run_policy(settings)
            ),
        },
    )
