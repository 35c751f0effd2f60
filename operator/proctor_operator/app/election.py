"""From settings to an election."""

from __future__ import annotations

import socket
import uuid
from contextlib import AsyncExitStack
from random import Random
from typing import Final

from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.connection import Connection, open_session
from proctor_operator.adapters.kube.leases import KubeLeases
from proctor_operator.app.sections import ElectionSettings
from proctor_operator.domain.naming import Namespace
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.metrics import Metrics
from proctor_operator.reconcile.leadership import Terms
from proctor_operator.runtime.elector import Election, Elector, Unopposed

_CONNECT_SECONDS: Final = 5.0


async def build_election(
    settings: ElectionSettings,
    connection: Connection,
    *,
    metrics: Metrics,
    clock: Clock,
    random: Random,
    stack: AsyncExitStack,
) -> Election:
    """Build it, with a session of its own: however many requests wait, a renewal does not."""
    if not settings.enabled:
        return Unopposed(metrics)
    session = await stack.enter_async_context(open_session(connection))
    client = KubeClient(
        connection.server, session, metrics, deadline=settings.give_up_after_seconds
    )
    namespace = Namespace(settings.namespace or connection.namespace)
    return Elector(
        leases=KubeLeases(client, namespace, settings.lease),
        clock=clock,
        metrics=metrics,
        terms=Terms(
            duration=settings.duration_seconds,
            renew_every=settings.renew_every_seconds,
            give_up_after=settings.give_up_after_seconds,
        ),
        identity=_new_identity(),
        random=random,
    )


def seconds_to_send(settings: ElectionSettings) -> float:
    """How long a write that was allowed may wait for its connection.

    Others take over no sooner than this after we last led, so a process that stood still meanwhile
    sends nothing that is out of date: its time to connect has run out before it can.
    """
    if not settings.enabled:
        return _CONNECT_SECONDS
    return min(_CONNECT_SECONDS, settings.duration_seconds - settings.give_up_after_seconds)


def _new_identity() -> str:
    """The host's name, which is the pod's, and what tells this process from the one before it there."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
