"""What a controller stands on: clock, cluster, record and election, each with connections of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.connection import Connection, open_session
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.postgres.options import PostgresOptions
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.app.clock import ClusterClock, SystemClock
from proctor_operator.app.election import build_election, seconds_to_send
from proctor_operator.app.settings import Settings
from proctor_operator.runtime.elector import Election


@dataclass(frozen=True, slots=True)
class Ground:
    """Shared by all parts. `log_client` reads logs, which may last: nothing else waits behind them."""

    clock: ClusterClock
    metrics: PrometheusMetrics
    random: Random
    client: KubeClient
    log_client: KubeClient
    pool: RecordPool
    election: Election


async def open_ground(
    settings: Settings, connection: Connection, record: PostgresOptions, stack: AsyncExitStack
) -> Ground:
    """Open it; the stack closes it."""
    clock = ClusterClock(SystemClock())
    metrics = PrometheusMetrics()
    random = Random()  # noqa: S311 - jitter, not a secret
    session = await stack.enter_async_context(open_session(connection))
    log_session = await stack.enter_async_context(open_session(connection, connections=0))
    return Ground(
        clock=clock,
        metrics=metrics,
        random=random,
        client=KubeClient(
            connection.server,
            session,
            metrics,
            deadline=settings.kubernetes.request_timeout_seconds,
            connect_deadline=seconds_to_send(settings.election),
            tell_time=clock.hear,
        ),
        log_client=KubeClient(connection.server, log_session, metrics),
        pool=await stack.enter_async_context(RecordPool(record, metrics, clock)),
        election=await build_election(
            settings.election, connection, metrics=metrics, clock=clock, random=random, stack=stack
        ),
    )
