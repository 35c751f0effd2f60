"""The API server stopped, slow, or doing what it is asked without an answer (F2, F6)."""

from __future__ import annotations

import pytest

from faults.proxy import ANSWERS_LOST, CLEAR, slow
from faults.stage import Stage
from faults.workload import draw
from localcluster.waiting import pause

AWAY_SECONDS = 10.0
MOST_CONNECTIONS_PER_SECOND = 5 * 32
"""Five for each worker of the queue."""


def test_an_api_server_that_goes_away_and_returns_loses_and_repeats_nothing(stage: Stage) -> None:
    stage.begin(draw(stage.random, 40, over_seconds=8, prefix="away"))
    pause(stage.random.uniform(2, 4))

    stage.cluster.stop_component("kube-apiserver", seconds=3)
    stage.note("API server stopped")
    tried_before = stage.api.accepted
    try:
        pause(AWAY_SECONDS)
        tried = stage.api.accepted - tried_before
    finally:
        stage.cluster.start_component("kube-apiserver")
    stage.note(f"API server back, the operator tried {tried} times")

    assert tried < MOST_CONNECTIONS_PER_SECOND * AWAY_SECONDS, "no storm"
    stage.settle()


@pytest.mark.soak
def test_a_slow_api_server_only_takes_longer(stage: Stage) -> None:
    stage.begin(draw(stage.random, 30, over_seconds=6, prefix="slow"))

    pause(1)
    with stage.api.behaving(slow(0.4)):
        pause(8)

    stage.settle()


def test_writes_whose_answers_are_lost_are_done_once(stage: Stage) -> None:
    # Whether it strikes between a create and its answer is a matter of chance.
    repeated = any(_a_job_is_asked_for_again(stage, attempt) for attempt in range(5))

    assert repeated, "no Job was asked for a second time: the fault has not struck"


def _a_job_is_asked_for_again(stage: Stage, attempt: int) -> bool:
    stage.api.behave(slow(0.1))  # so that at any moment many answers are on their way
    for number in range(6):
        prefix = f"lost-{attempt}-{number}"
        stage.begin(draw(stage.random, 8, over_seconds=0.2, prefix=prefix))
        pause(stage.random.uniform(0.3, 1.2))
        stage.api.change_open(ANSWERS_LOST)
        pause(0.4)
        stage.note(f"cut {stage.api.cut()} connections that had lost their answers")
    stage.api.behave(CLEAR)
    return any(
        write.user == stage.user and write.resource == "jobs" and write.code == 409
        for write in stage.settle().writes
    )
