"""A process that has too little of something: file descriptors, or time on its event loop (F24)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from faults.stage import Stage
from faults.workload import draw
from harness.operator_metrics import OperatorMetrics
from localcluster.waiting import pause

SOAK_SECONDS: Final = int(float(os.environ.get("PROCTOR_SOAK_MINUTES") or 10) * 60)
MOST_DESCRIPTORS: Final = 256
BLOCKED_SECONDS: Final = 0.1
EVERY_SECONDS: Final = 1.0
PER_SECOND: Final = 4


@pytest.fixture
def stage_settings() -> Mapping[str, Mapping[str, Any]]:
    """Without an election: one process is looked at, and on a busy machine it would lose its Lease."""
    return {"election": {"enabled": False}}


def test_a_process_without_a_free_file_descriptor_goes_on_when_it_has_some_again(
    stage: Stage,
) -> None:
    stage.keeper.stop_operator()
    stage.operator.launcher = ("prlimit", f"--nofile={MOST_DESCRIPTORS}")
    stage.start_operator()

    stage.begin(draw(stage.random, 40, over_seconds=8, prefix="starved"))
    pause(1)
    with connections_to_its_health_server(stage):
        stage.wait("the last descriptor", lambda: descriptors_of(stage) >= MOST_DESCRIPTORS)
        stage.note("no descriptor is left")
        pause(5)
    stage.note("descriptors are free again")

    stage.settle()
    assert stage.operator.ask("/livez")[0] == 200


@pytest.mark.parametrize("seconds", [10, pytest.param(SOAK_SECONDS, marks=pytest.mark.soak)])
@pytest.mark.timeout(SOAK_SECONDS * 2 + 600)
def test_a_loop_that_is_blocked_for_a_tenth_of_every_second_only_takes_longer(
    stage: Stage, seconds: int
) -> None:
    process = stage.process()
    stage.begin(draw(stage.random, PER_SECOND * seconds, over_seconds=seconds, prefix="slow"))
    # By the clock: a turn takes a little longer than its second, and without load nothing need move.
    load_ends_at = time.monotonic() + seconds

    passes = [passes_of(stage)]
    lives: list[tuple[int, str]] = []
    while time.monotonic() < load_ends_at:
        with stage.frozen():
            pause(BLOCKED_SECONDS)
        pause(EVERY_SECONDS - BLOCKED_SECONDS)
        lives.append(stage.operator.ask("/livez"))
        passes.append(passes_of(stage))

    stage.settle()
    assert [life for life in lives if life[0] != 200] == []
    moves = [after - before for before, after in pairwise(passes)]
    assert min(moves) > 0, f"the queue moved in every second: {moves}"
    assert stage.process() is process, "one process lived through it"


@contextmanager
def connections_to_its_health_server(stage: Stage) -> Iterator[None]:
    """Open more connections to the operator than it has descriptors, and say nothing on them."""
    assert stage.operator.process is not None, "it was started"
    address = ("127.0.0.1", stage.operator.process.health_port)
    with ExitStack() as stack:
        for _ in range(MOST_DESCRIPTORS):
            stack.enter_context(socket.create_connection(address, timeout=5))
        yield


def descriptors_of(stage: Stage) -> int:
    return len(list(Path(f"/proc/{stage.process().pid}/fd").iterdir()))


def passes_of(stage: Stage) -> float:
    return OperatorMetrics(stage.operator.ask("/metrics")[1]).passes()
