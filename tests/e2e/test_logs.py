"""Output of real pods on a node that turns its logs over every few seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import pytest

from harness.own_node import captured, operator_on_its_own_node, stored_lines
from harness.running import RunningOperator, execution, proc
from localcluster.waiting import wait_until
from localpostgres.server import LocalPostgres

COUNTING: Final = """
i=0
while [ $i -lt {count} ]; do
  i=$((i+1)); echo line $i {fill}
  [ $((i % {each})) != 0 ] || sleep {pause}
done
"""
SOAK_SECONDS: Final = min(600, int(float(os.environ.get("PROCTOR_SOAK_MINUTES") or 10) * 60))
"""In a longer time it prints more than is kept."""
SOAK: Final = (pytest.mark.soak, pytest.mark.timeout(SOAK_SECONDS * 2 + 300))
NODE: Final = {
    "containerLogMaxSize": "64Ki",
    "containerLogMaxFiles": 3,
    "containerLogMonitorInterval": "3s",
}
SETTINGS: Final = {"follow_after_seconds": 0, "node_file_bytes": 65536}
"""The operator knows how its nodes are, and therefore follows every run from its start."""


@pytest.fixture(scope="module")
def operator(
    postgres_server: LocalPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningOperator]:
    folder = tmp_path_factory.mktemp("logs")
    with operator_on_its_own_node(
        "logs", postgres_server, migrated_template, folder, kubelet=NODE, logs=SETTINGS
    ) as running:
        yield running


def numbered(count: int, *, each: int, pause: float, fill: str = "x") -> str:
    """A script that prints lines, and sleeps after every few of them."""
    return COUNTING.format(count=count, each=each, pause=pause, fill=fill)


def stored(operator: RunningOperator, name: str) -> bytes:
    """What the record holds of the output of an execution, without times."""
    lines = stored_lines(operator, name)
    return b"".join(line.partition(b" ")[2] + b"\n" for line in lines)


def numbers(output: bytes) -> list[int]:
    """The numbers of the lines that `numbered` printed."""
    return [int(line.split()[1]) for line in output.splitlines() if line.startswith(b"line")]


@pytest.mark.parametrize("seconds", [15, pytest.param(SOAK_SECONDS, marks=SOAK)])
def test_no_line_is_lost_or_doubled_while_the_log_is_turned_over(
    operator: RunningOperator, seconds: int
) -> None:
    count = seconds * 400
    script = numbered(count, each=40, pause=0.1, fill="x" * 50)
    name = f"turning-{seconds}"
    operator.apply(proc(name, script=script), execution(name, of=name))

    done = operator.wait_for_phase(name, "Succeeded", seconds=2 * seconds + 90)

    assert numbers(stored(operator, name)) == list(range(1, count + 1))
    assert captured(done) == ("True", "Captured")
    assert done["status"]["logLines"] == count
    assert done["status"]["logTail"].endswith(f"line {count} {'x' * 50}\n")


def test_an_operator_that_is_killed_takes_up_where_the_record_ends(
    operator: RunningOperator,
) -> None:
    script = numbered(60, each=1, pause=0.2)
    operator.apply(proc("patient", script=script), execution("patient-1", of="patient"))
    assert wait_until(lambda: stored(operator, "patient-1") != b"", seconds=60)

    operator.kill()
    operator.start()

    done = operator.wait_for_phase("patient-1", "Succeeded", seconds=90)
    assert numbers(stored(operator, "patient-1")) == list(range(1, 61))
    assert captured(done) == ("True", "Captured")


def test_a_log_that_is_turned_over_while_no_operator_is_there_says_so(
    operator: RunningOperator,
) -> None:
    # Long enough for the next operator to be elected while it runs.
    script = numbered(9000, each=20, pause=0.1, fill="x" * 90)
    operator.apply(proc("unwatched", script=script), execution("unwatched-1", of="unwatched"))
    assert wait_until(lambda: stored(operator, "unwatched-1") != b"", seconds=60)
    operator.kill()
    pod = operator.list("pods", "proctor.dev/execution=unwatched-1")[0]["metadata"]["name"]
    last = numbers(stored(operator, "unwatched-1"))[-1]

    def is_turned_over() -> bool:
        first = numbers(operator.kubectl("logs", pod, "--limit-bytes=120").encode())
        return bool(first) and first[0] > last

    is_turned = wait_until(is_turned_over, seconds=60, interval=0.3)
    operator.start()

    assert is_turned
    done = operator.wait_for_phase("unwatched-1", "Succeeded", seconds=120)
    kept = numbers(stored(operator, "unwatched-1"))
    assert captured(done) == ("False", "MayBeIncomplete")
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (1, 9000)


def test_the_last_words_of_a_cancelled_run_are_there(operator: RunningOperator) -> None:
    script = "trap 'echo last words; exit 1' TERM; echo begun; sleep 60 & wait $!"
    operator.apply(proc("chatting", script=script), execution("chatting-1", of="chatting"))
    operator.wait_for_phase("chatting-1", "Running")

    operator.kubectl(
        "patch", "pexec/chatting-1", "--type=merge", '--patch={"spec":{"cancel":true}}'
    )

    done = operator.wait_for_phase("chatting-1", "Cancelled")
    assert stored(operator, "chatting-1") == b"begun\nlast words\n"
    assert captured(done) == ("True", "Captured")


def test_the_last_words_of_a_pod_that_somebody_deletes_are_there(operator: RunningOperator) -> None:
    script = "trap 'echo last words; exit 1' TERM; echo begun; sleep 60 & wait $!"
    operator.apply(proc("deleted", script=script), execution("deleted-1", of="deleted"))
    operator.wait_for_phase("deleted-1", "Running")

    operator.kubectl("delete", "pod", "--selector=proctor.dev/execution=deleted-1", "--wait=false")

    done = operator.wait_for_phase("deleted-1", "Failed")
    assert stored(operator, "deleted-1") == b"begun\nlast words\n"
    assert captured(done) == ("True", "Captured")


def test_any_bytes_survive(operator: RunningOperator) -> None:
    script = r"printf 'red \033[31m nul \000 bad \377\376 do\rne\n\n\001'"
    operator.apply(proc("bytes", script=script), execution("bytes-1", of="bytes"))

    operator.wait_for_phase("bytes-1", "Succeeded")

    assert stored(operator, "bytes-1") == b"red \x1b[31m nul \0 bad \xff\xfe do\rne\n\n\x01\n"


def test_a_very_long_line_is_cut_and_the_next_one_is_there(operator: RunningOperator) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after it"
    operator.apply(proc("endless", script=script), execution("endless-1", of="endless"))

    done = operator.wait_for_phase("endless-1", "Succeeded")

    long, after = stored(operator, "endless-1").splitlines()
    assert after == b"after it"
    assert long.endswith(b" bytes cut]")
    assert long.count(b"x") + int(long.split(b"[")[1].split()[0]) == 3_000_000
    assert captured(done) == ("True", "Truncated")


def test_what_is_masked_is_nowhere(operator: RunningOperator) -> None:
    script = "echo the token is tok_5''ecret; echo tok_5''ecret > /dev/termination-log"
    masked = {"mask": ["tok_[a-z0-9]+"]}
    operator.apply(proc("secret", script=script, logs=masked), execution("secret-1", of="secret"))

    done = operator.wait_for_phase("secret-1", "Succeeded")

    assert done["status"]["logTail"] == "the token is ***\n"
    assert done["status"]["result"] == "***\n"
    assert stored(operator, "secret-1") == b"the token is ***\n"
    assert "5ecret" not in str(operator.recorded("secret-1"))
    assert "5ecret" not in operator.log.read_text()
