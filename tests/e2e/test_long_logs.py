"""Output by the gibibyte and by the minute, on a node with the settings that nodes have; `make soak`."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import pytest

from harness.memory import forget_the_peak, memory_kib
from harness.own_node import (
    SAYS_WHEN_IT_ENDS,
    SHORT,
    SLOWER_AT_MOST,
    captured,
    operator_on_its_own_node,
    run_short_ones,
    seconds_to_the_record,
    stored_lines,
)
from harness.running import Manifest, RunningOperator, condition, execution, proc
from localcluster.waiting import to_stderr, wait_until
from localpostgres.server import LocalPostgres
from proctor_operator.domain.log_chunks import CHUNK_BYTES
from proctor_operator.domain.log_limits import HEAD_BYTES, TOTAL_BYTES
from proctor_operator.domain.log_lines import LINE_LIMIT_BYTES, text_of

MINUTES: Final = float(os.environ.get("PROCTOR_SOAK_MINUTES") or 10)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(MINUTES * 120 + 900)]
LINE_BYTES: Final = 100
FLOOD_LINES: Final = 1024**3 // LINE_BYTES
RECORDED_WITHIN_SECONDS: Final = 60
"""I4, however much there is to read."""
KIB_AT_MOST: Final = (LINE_LIMIT_BYTES + 2 * CHUNK_BYTES + 2 * TOTAL_BYTES) // 1024
"""What a reader holds, and all that is kept of a flood compared with what comes again."""
LINES_PER_BURST: Final = 500
BURSTS_PER_SECOND: Final = 8
CHATTY_LINES: Final = int(MINUTES * 60) * BURSTS_PER_SECOND * LINES_PER_BURST


@pytest.fixture(scope="module")
def operator(
    postgres_server: LocalPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningOperator]:
    folder = tmp_path_factory.mktemp("long-logs")
    with operator_on_its_own_node(
        "long-logs", postgres_server, migrated_template, folder
    ) as running:
        running.apply(SHORT)
        yield running


@dataclass(frozen=True)
class Printed:
    """A run that is over, the numbers of its lines in the record, and what it cost.

    A line that is written while the node turns the file over becomes two: the second has no number.
    """

    done: Manifest
    kept: list[int]
    kept_bytes: int
    seconds_to_the_record: float
    grown_kib: int


def test_a_gibibyte_at_once_is_cut_honestly_and_holds_nobody_up(operator: RunningOperator) -> None:
    # Eight digits and a tab come before each.
    filler = "x" * (LINE_BYTES - 10)
    flood = f"yes {filler} | head -n {FLOOD_LINES} | cat -n; {SAYS_WHEN_IT_ENDS}"
    operator.apply(proc("flood", script=flood))
    alone = run_short_ones(operator, "alone")

    before = forget_the_peak(operator.pid)
    operator.apply(execution("flood-1", of="flood"))
    operator.wait_for_phase("flood-1", "Running")
    beside = run_short_ones(operator, "beside")
    was_running = operator.get("procexecution", "flood-1")["status"]["phase"] == "Running"
    printed = at_its_end(operator, "flood-1", before, seconds=600)

    assert was_running, "the short runs had company"
    ratio = statistics.median(beside) / statistics.median(alone)
    assert ratio <= SLOWER_AT_MOST, f"{beside} beside, {alone} alone"
    assert printed.seconds_to_the_record <= RECORDED_WITHIN_SECONDS
    assert printed.grown_kib <= KIB_AT_MOST
    assert captured(printed.done) == ("False", "MayBeIncomplete")
    assert HEAD_BYTES < printed.kept_bytes <= TOTAL_BYTES
    assert is_in_order_and_once(printed.kept)


def test_what_is_printed_for_ten_minutes_is_all_read_and_its_newest_part_kept(
    operator: RunningOperator,
) -> None:
    """A third of what a reader may read, past many turns of the node's files."""
    filler = "x" * (LINE_BYTES - 10)
    chatty = (
        f"i=0; while [ $i -lt {CHATTY_LINES} ]; do "
        f"seq $((i+1)) $((i+{LINES_PER_BURST})) | sed 's/$/ {filler}/'; "
        f"i=$((i+{LINES_PER_BURST})); sleep {1 / BURSTS_PER_SECOND}; done; {SAYS_WHEN_IT_ENDS}"
    )
    before = forget_the_peak(operator.pid)
    operator.apply(proc("chatty", script=chatty), execution("chatty-1", of="chatty"))
    printed = at_its_end(operator, "chatty-1", before, seconds=MINUTES * 120 + 60)

    assert printed.seconds_to_the_record <= RECORDED_WITHIN_SECONDS
    assert printed.grown_kib <= KIB_AT_MOST
    assert captured(printed.done) == ("True", "Truncated")
    assert printed.done["status"]["logLines"] == CHATTY_LINES
    dropped = CHATTY_LINES - len(printed.kept)
    said = condition(printed.done, "LogsCaptured")["message"]
    assert f"{dropped} of {CHATTY_LINES} lines were dropped" in said
    assert TOTAL_BYTES - CHUNK_BYTES <= printed.kept_bytes <= TOTAL_BYTES
    assert (printed.kept[0], printed.kept[-1]) == (1, CHATTY_LINES)
    assert is_in_order_and_once(printed.kept)
    assert sum(after != one + 1 for one, after in pairwise(printed.kept)) == 1, "one gap"


def at_its_end(operator: RunningOperator, name: str, before_kib: int, *, seconds: float) -> Printed:
    """Wait for the end of a run, and look at what is left of it."""

    def is_over() -> bool:
        status = operator.get("procexecution", name)["status"]
        resident = memory_kib(operator.pid, "VmRSS") - before_kib
        to_stderr(f"soak: {name} {status['phase']}, {resident / 1024:.1f} MiB more than before")
        return bool(status["phase"] == "Succeeded")

    assert wait_until(is_over, seconds=seconds, interval=5)
    done = operator.get("procexecution", name)
    lines = [text_of(line) for line in stored_lines(operator, name)]
    printed = Printed(
        done=done,
        kept=[int(number) for line in lines if (number := line.split()[0]).isdigit()],
        kept_bytes=sum(len(line) + 1 for line in lines),
        seconds_to_the_record=seconds_to_the_record(operator, name, done),
        grown_kib=memory_kib(operator.pid, "VmHWM") - before_kib,
    )
    to_stderr(
        f"soak: {name} recorded after {printed.seconds_to_the_record:.1f} s, at most "
        f"{printed.grown_kib / 1024:.1f} MiB more, {len(printed.kept)} lines kept: "
        f"{condition(done, 'LogsCaptured')['message']}"
    )
    return printed


def is_in_order_and_once(numbers: list[int]) -> bool:
    return all(one < after for one, after in pairwise(numbers))
