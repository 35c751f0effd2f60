"""Everything at once, for as long as is asked for; `make soak`.

The long lives go on for PROCTOR_SOAK_MINUTES each, the tests with kills for a quarter of it, in rounds of 20 s and
the time to come to rest: the first at least until their memory has been looked at, the others for one round.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Any, Final

import pytest

from faults.proxy import ANSWERS_LOST, Cut, Tripwire, Way, slow
from faults.stage import Stage
from faults.workload import draw
from harness.memory import LiveBytes, memory_kib
from localcluster.waiting import pause, to_stderr

MINUTES: Final = float(os.environ.get("PROCTOR_SOAK_MINUTES") or 10)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(MINUTES * 120 + 600)]
RATE: Final = float(os.environ.get("PROCTOR_SOAK_RATE") or 2)
ROUND_SECONDS: Final = 20.0
WARM_SECONDS: Final = 180.0
"""Jobs stay for two minutes after they are let go, so until then there are more of them from round to round."""
LEAST_ROUNDS: Final = 10
"""So many are looked at: what is alive goes up and down by 250 KiB with the Jobs of the last two minutes, and the
slope of a line through half as many by 3 KiB for each execution."""
MOST_KIB_FOR_WHAT_STAYS: Final = 8.0
"""Live objects. Finished executions stay in the namespace, and so in the operator's cache. One that went well
takes 5.4 KiB there (tests/unit/runtime/test_memory_of_what_is_over.py); one that failed says more of it."""
MOST_KIB_FOR_WHAT_WENT: Final = 2.0
"""Of what is gone a UID is remembered for a while (`cache.BURIED_AT_MOST`), which is a third of a KiB; the rest is
for the ups and downs. The caches alone are held to bytes, by the same test."""

Fault = Callable[[Stage], None]


@pytest.fixture
def live_bytes(tmp_path: Path) -> LiveBytes:
    """How to ask the operator what is alive in it."""
    return LiveBytes(tmp_path / "live-bytes.json")


@pytest.fixture
def stage_settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, live_bytes: LiveBytes
) -> Mapping[str, Mapping[str, Any]]:
    """Without an election one process can live through everything, and its memory be looked at."""
    for variable, value in live_bytes.environment.items():
        monkeypatch.setenv(variable, value)
    name = request.node.name
    settings: dict[str, Mapping[str, Any]] = {
        "postgres": {"deadline_seconds": 3.0},
        "election": {"enabled": "killed" in name},
    }
    return settings | ({"retention": DELETES_ALL} if "comes_and_goes" in name else {})


DELETES_ALL: Final = {"succeeded": 0, "failed": 0, "ttl_seconds": 0, "keep_seconds": 0}


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
    stage: Stage, live_bytes: LiveBytes
) -> None:
    """One process lives through all faults but kills; its memory grows by what is there, and by no more."""
    seen = _live(stage, live_bytes, lambda: None)

    _check_memory(seen, most_kib_for_each=MOST_KIB_FOR_WHAT_STAYS)


def test_what_comes_and_goes_under_everything_at_once_leaves_nothing_in_memory(
    stage: Stage, live_bytes: LiveBytes
) -> None:
    """The same with retention, which deletes whatever is over."""

    def all_go() -> None:
        stage.wait("retention deletes all", stage.is_empty)

    seen = _live(stage, live_bytes, all_go)

    _check_memory(seen, most_kib_for_each=MOST_KIB_FOR_WHAT_WENT)


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


def _live(stage: Stage, live_bytes: LiveBytes, come_to_rest: Callable[[], None]) -> list[Sight]:
    """Rounds until the time is over; what was seen after each, when the process was warm."""
    began = time.monotonic()
    seen: list[Sight] = []
    number = 0
    live_bytes.begin(stage.process().pid)
    while time.monotonic() < began + MINUTES * 60 or len(seen) < LEAST_ROUNDS:
        _play(stage, number, WITH_THE_SAME_PROCESS if number else ())
        come_to_rest()
        sight = _look(stage, live_bytes)
        if time.monotonic() >= began + WARM_SECONDS:
            seen.append(sight)
        number += 1
    return seen


@dataclass(frozen=True, slots=True)
class Sight:
    """How many executions there have been, and what was alive in the process then, by line of code."""

    executions: int
    live_kib: float
    most: Mapping[str, int]


def _look(stage: Stage, live_bytes: LiveBytes) -> Sight:
    """What is resident is told, and not judged: connections that were open together decide about it."""
    pid = stage.process().pid
    alive, most = live_bytes.count(pid)
    sight = Sight(len(stage.truths), alive / 1024, most)
    resident = memory_kib(pid, "VmRSS") / 1024
    to_stderr(
        f"soak: {sight.executions} executions, {sight.live_kib:.0f} KiB alive since the begin, "
        f"{resident:.1f} MiB resident"
    )
    return sight


def _check_memory(seen: Sequence[Sight], *, most_kib_for_each: float) -> None:
    """The slope of the line through all that was seen: a single round moves it little."""
    line = linear_regression([one.executions for one in seen], [one.live_kib for one in seen])
    count = seen[-1].executions - seen[0].executions
    to_stderr(f"soak: {line.slope:.2f} KiB for each of {count} executions")
    more = {where: size - seen[0].most.get(where, 0) for where, size in seen[-1].most.items()}
    assert line.slope <= most_kib_for_each, more
