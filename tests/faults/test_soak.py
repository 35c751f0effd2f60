"""Everything at once, for as long as is asked for; `make soak`.

The long life goes on for PROCTOR_SOAK_MINUTES, each test with kills for a quarter of it, in rounds of 20 s
and the time to come to rest: at least four rounds of the first and one of the others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest

from faults.proxy import ANSWERS_LOST, Cut, Tripwire, Way, slow
from faults.stage import Stage
from faults.workload import draw
from harness.memory import memory_kib
from localcluster.waiting import pause, to_stderr

MINUTES: Final = float(os.environ.get("PROCTOR_SOAK_MINUTES") or 10)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(MINUTES * 120 + 600)]
RATE: Final = float(os.environ.get("PROCTOR_SOAK_RATE") or 2)
ROUND_SECONDS: Final = 20.0
WARM_ROUNDS: Final = 3
MOST_GROWTH_KIB_PER_RUN: Final = 8.0
"""Finished executions stay in the namespace, and so in the operator's cache: each is allowed so much."""

Fault = Callable[[Stage], None]


@pytest.fixture
def stage_settings(request: pytest.FixtureRequest) -> Mapping[str, Mapping[str, Any]]:
    """Without an election one process can live through everything, and its memory be looked at."""
    has_election = "killed" in request.node.name
    return {"postgres": {"deadline_seconds": 3.0}, "election": {"enabled": has_election}}


def kill(stage: Stage) -> None:
    stage.kill_operator()
    stage.start_operator()


def freeze(stage: Stage) -> None:
    with stage.frozen():
        pause(stage.random.uniform(1, 8))


def lose_answers(stage: Stage) -> None:
    stage.api.change_open(ANSWERS_LOST)
    pause(0.4)
    stage.api.cut()


def cut_the_api(stage: Stage) -> None:
    stage.api.cut()


def slow_api(stage: Stage) -> None:
    with stage.api.behaving(slow(stage.random.uniform(0.1, 1))):
        pause(8)


def stop_the_api_server(stage: Stage) -> None:
    stage.cluster.stop_component("kube-apiserver", seconds=3)
    pause(stage.random.uniform(0, 10))
    stage.cluster.start_component("kube-apiserver")


def stop_postgres(stage: Stage) -> None:
    stage.postgres.stop()
    pause(stage.random.uniform(0, 8))
    stage.postgres.start()


def kill_postgres(stage: Stage) -> None:
    stage.postgres.kill()
    stage.postgres.start()


def tear_transactions(stage: Stage) -> None:
    for cut in Cut:
        stage.wire.arm(Tripwire(Way.TO_SERVER, cut, message=b"Completed", times=2))


WITH_THE_SAME_PROCESS: Final[tuple[Fault, ...]] = (
    *(freeze, lose_answers, cut_the_api, slow_api, stop_the_api_server),
    *(stop_postgres, kill_postgres, tear_transactions),
)


def test_a_long_life_under_everything_at_once_keeps_every_promise_and_its_memory(
    stage: Stage,
) -> None:
    """One process lives through all faults but kills, and its memory is looked at."""
    memory: list[float] = []
    ended_at = time.monotonic() + MINUTES * 60
    number = 0
    while time.monotonic() < ended_at or number <= WARM_ROUNDS:
        _play(stage, number, WITH_THE_SAME_PROCESS if number else ())
        memory.append(_resident_mib(stage))
        to_stderr(f"soak: {len(stage.truths)} executions, {memory[-1]:.1f} MiB resident")
        number += 1
    _check_memory(memory, runs_per_round=RATE * ROUND_SECONDS)


@pytest.mark.parametrize("faults", [(kill,), (kill, *WITH_THE_SAME_PROCESS)], ids=["kills", "all"])
def test_a_process_killed_again_and_again_keeps_every_promise(
    stage: Stage, faults: tuple[Fault, ...]
) -> None:
    ended_at = time.monotonic() + MINUTES * 60 / 4
    number = 0
    while time.monotonic() < ended_at or number == 0:
        _play(stage, number, faults)
        number += 1


def _play(stage: Stage, number: int, faults: tuple[Fault, ...]) -> None:
    """One round of load with faults at random moments, and the judgement."""
    count = max(1, int(RATE * ROUND_SECONDS))
    stage.begin(draw(stage.random, count, over_seconds=ROUND_SECONDS, prefix=f"round-{number}"))
    with _at_least(ROUND_SECONDS):
        for fault in stage.random.sample(faults, k=min(3, len(faults))):
            pause(stage.random.uniform(0, 4))
            stage.note(f"fault: {getattr(fault, '__name__', fault)}")
            fault(stage)
    stage.settle()


@contextmanager
def _at_least(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    pause(max(0.0, seconds - (time.monotonic() - began)))


def _resident_mib(stage: Stage) -> float:
    return memory_kib(stage.process().pid, "VmRSS") / 1024


def _check_memory(memory: list[float], *, runs_per_round: float) -> None:
    warm, last = memory[WARM_ROUNDS - 1], memory[-1]
    rounds = len(memory) - WARM_ROUNDS
    growth = (last - warm) * 1024 / (rounds * runs_per_round)
    to_stderr(
        f"soak: {warm:.1f} MiB after warm-up, {last:.1f} MiB at the end: "
        f"{growth:.2f} KiB for each of {rounds * runs_per_round:.0f} executions"
    )
    assert growth <= MOST_GROWTH_KIB_PER_RUN
