"""Fifty pods that print much, one that prints far too much, and short runs beside them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from harness.memory import forget_the_peak, memory_kib
from harness.own_node import (
    SHORT,
    SLOWER_AT_MOST,
    captured,
    operator_on_its_own_node,
    run_short_ones,
    stored_lines,
)
from harness.running import RunningOperator, condition, execution, proc
from localcluster.waiting import wait_until
from localpostgres.server import LocalPostgres
from proctor_operator.domain.log_chunks import CHUNK_BYTES
from proctor_operator.domain.log_limits import HEAD_BYTES, TOTAL_BYTES
from proctor_operator.domain.log_lines import LINE_LIMIT_BYTES

CHATTY: Final = 50
AT_ONCE: Final = 30
"""So many of them run when the first short run begins: a node starts only a few in a second."""
BURSTS: Final = 40
LINES_PER_BURST: Final = 75
LINE: Final = "x" * 1000
FLOOD_LINES: Final = 20_000
KIB_PER_STREAM: Final = (LINE_LIMIT_BYTES + 2 * CHUNK_BYTES) // 1024
"""A line, the chunk that is gathered and the one that is being stored: all that a reader may hold."""
NODE: Final = {"containerLogMaxSize": "100Mi"}
SETTINGS: Final = {
    "follow_after_seconds": 0,
    "finish_within_seconds": 120,
    "node_file_bytes": 100 * 1024 * 1024,
}


@dataclass(frozen=True)
class Crowd:
    """What was seen while they ran: seconds from a short run's end to its outcome in the record."""

    operator: RunningOperator
    alone: list[float]
    beside: list[float]
    still_running: int
    grown_kib: int


@pytest.fixture(scope="module")
def operator(
    postgres_server: LocalPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningOperator]:
    """An operator that reads from the start, on a node that keeps whole files."""
    folder = tmp_path_factory.mktemp("floods")
    with operator_on_its_own_node(
        "floods", postgres_server, migrated_template, folder, kubelet=NODE, logs=SETTINGS
    ) as running:
        yield running


@pytest.fixture(scope="module")
def crowd(operator: RunningOperator) -> Crowd:
    """Short runs alone, then all at once."""
    chatty = (
        f"i=0; while [ $i -lt {BURSTS} ]; do i=$((i+1)); "
        f"yes {LINE} | head -n {LINES_PER_BURST}; sleep 0.5; done"
    )
    # It lives on for a moment: its output is followed, and read again at its end.
    flood = f"yes {LINE} | head -n {FLOOD_LINES} | cat -n; sleep 5"
    operator.apply(SHORT, proc("chatty", script=chatty), proc("flood", script=flood))
    alone = run_short_ones(operator, "alone")
    before = forget_the_peak(operator.pid)
    operator.apply(
        execution("flood-1", of="flood"),
        *(execution(f"chatty-{n}", of="chatty") for n in range(CHATTY)),
    )
    assert wait_until(lambda: running(operator) >= AT_ONCE, seconds=120), "they run at once"
    beside = run_short_ones(operator, "beside")
    still_running = running(operator)
    for n in range(CHATTY):
        operator.wait_for_phase(f"chatty-{n}", "Succeeded", seconds=180)
    operator.wait_for_phase("flood-1", "Succeeded", seconds=180)
    peak = memory_kib(operator.pid, "VmHWM")
    return Crowd(operator, alone, beside, still_running, peak - before)


@pytest.mark.timeout(600)
def test_short_runs_beside_fifty_chatty_ones_are_recorded_about_as_soon(crowd: Crowd) -> None:
    assert crowd.still_running > 0, "the last of the short runs had company, too"
    ratio = statistics.median(crowd.beside) / statistics.median(crowd.alone)
    assert ratio <= SLOWER_AT_MOST, f"{crowd.beside} beside, {crowd.alone} alone"


def test_memory_grows_by_what_each_reader_may_hold_and_not_by_what_is_printed(crowd: Crowd) -> None:
    # The flood was all in one second, so all that is kept of it is compared with what comes again.
    allowed = KIB_PER_STREAM * (CHATTY + 1) + 2 * TOTAL_BYTES // 1024
    printed = (CHATTY * BURSTS * LINES_PER_BURST + FLOOD_LINES) * len(LINE) // 1024
    assert printed > 1.4 * allowed, "keeping it all would be seen"
    assert crowd.grown_kib <= allowed


def test_all_that_the_chatty_ones_printed_is_there(crowd: Crowd) -> None:
    shown = crowd.operator.list("procexecutions")
    chatty = [one for one in shown if one["spec"]["procRef"]["name"] == "chatty"]

    lines = {one["status"]["logLines"] for one in chatty}
    said = {condition(one, "LogsCaptured")["reason"] for one in chatty}

    assert (len(chatty), lines, said) == (CHATTY, {BURSTS * LINES_PER_BURST}, {"Captured"})


def test_a_flood_keeps_its_beginning_and_its_end_and_counts_what_is_between(crowd: Crowd) -> None:
    done = crowd.operator.get("procexecution", "flood-1")
    numbers = [int(line.split()[1]) for line in stored_lines(crowd.operator, "flood-1")]

    # Before the gap and behind it every line is there, once.
    begin = next(
        n for n, number in enumerate(numbers, start=1) if numbers[n : n + 1] != [number + 1]
    )
    end = numbers[begin:]
    assert numbers[:begin] == list(range(1, begin + 1))
    assert end == list(range(FLOOD_LINES - len(end) + 1, FLOOD_LINES + 1))
    per_line = 8 + len(LINE)  # its number, a tab and an end
    assert HEAD_BYTES <= begin * per_line <= HEAD_BYTES + CHUNK_BYTES
    assert TOTAL_BYTES - CHUNK_BYTES <= len(numbers) * per_line <= TOTAL_BYTES
    said = condition(done, "LogsCaptured")
    dropped = FLOOD_LINES - len(numbers)
    assert (said["status"], said["reason"]) == ("True", "Truncated")
    assert done["status"]["logLines"] == FLOOD_LINES
    assert f"{dropped} of {FLOOD_LINES} lines were dropped" in said["message"]


def test_a_very_long_line_is_cut_and_the_next_one_is_there(operator: RunningOperator) -> None:
    """On this node, because a kubelet that turns a log over while it is written so fast may leave some out."""
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after it"
    operator.apply(proc("endless", script=script), execution("endless-1", of="endless"))

    done = operator.wait_for_phase("endless-1", "Succeeded")

    long, after = (line.partition(b" ")[2] for line in stored_lines(operator, "endless-1"))
    assert after == b"after it"
    assert long.endswith(b" bytes cut]")
    assert long.count(b"x") + int(long.split(b"[")[1].split()[0]) == 3_000_000
    assert captured(done) == ("True", "Truncated")


def running(operator: RunningOperator) -> int:
    shown = operator.list("procexecutions")
    return sum(one.get("status", {}).get("phase") == "Running" for one in shown)
