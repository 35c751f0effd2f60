"""The operator's process killed and frozen at random moments, with work under way (F1, F14)."""

from __future__ import annotations

import pytest

from faults.stage import Stage
from faults.workload import draw
from localcluster.waiting import pause

KILLS = 3
FROZEN_SECONDS = 6.0


def test_kills_at_random_moments_lose_and_repeat_nothing(stage: Stage) -> None:
    stage.begin(draw(stage.random, 60, over_seconds=12, prefix="killed"))

    for _ in range(KILLS):
        pause(stage.random.uniform(0.3, 2.5))
        stage.kill_operator()
        stage.start_operator()

    stage.settle()


@pytest.mark.soak
def test_a_frozen_process_goes_on_where_it_was(stage: Stage) -> None:
    stage.begin(draw(stage.random, 30, over_seconds=6, prefix="frozen"))

    pause(stage.random.uniform(1, 3))
    with stage.frozen():
        pause(FROZEN_SECONDS)

    stage.settle()


def test_a_namespace_deleted_while_nobody_watches_is_recorded_and_let_go(stage: Stage) -> None:
    stage.begin(draw(stage.random, 12, over_seconds=2, prefix="doomed"))
    stage.wait("all executions", stage.people_are_done)
    stage.kill_operator()

    stage.delete_the_namespace()
    stage.start_operator()

    stage.settle()
    stage.wait("the end of the namespace", stage.namespace_is_gone)
