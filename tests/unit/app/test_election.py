"""From settings to an election."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from random import Random

import pytest

from proctor_operator.adapters.kube.connection import Connection
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.app.clock import SystemClock
from proctor_operator.app.election import build_election, seconds_to_send
from proctor_operator.app.sections import ElectionSettings
from proctor_operator.runtime.elector import Election


async def built(**settings: bool) -> Election:
    tls = ssl.create_default_context()
    connection = Connection("https://localhost", tls, lambda: None, "proctor-system")
    async with AsyncExitStack() as stack:
        return await build_election(
            ElectionSettings(**settings),
            connection,
            metrics=PrometheusMetrics(),
            clock=SystemClock(),
            random=Random(1),
            stack=stack,
        )


async def test_who_takes_part_does_not_lead_at_first() -> None:
    election = await built()

    assert not election.leading.is_set()
    assert election.describe() == "standby (nobody leads)"


async def test_who_takes_no_part_leads() -> None:
    assert (await built(enabled=False)).leading.is_set()


async def test_two_processes_on_one_machine_are_two() -> None:
    first, second = await built(), await built()

    assert vars(first)["_standing"].identity != vars(second)["_standing"].identity


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        (ElectionSettings(), 5.0),
        (ElectionSettings(duration_seconds=6, give_up_after_seconds=4, renew_every_seconds=1), 2.0),
        (ElectionSettings(duration_seconds=60), 5.0),
        (ElectionSettings(enabled=False, duration_seconds=11), 5.0),
    ],
    ids=["the defaults", "short times", "long times", "no election"],
)
def test_a_write_that_was_allowed_leaves_before_anybody_else_may_write(
    settings: ElectionSettings, seconds: float
) -> None:
    assert seconds_to_send(settings) == seconds
