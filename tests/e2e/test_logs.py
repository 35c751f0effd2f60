"""Output of real pods on a node that turns its logs over every few seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, cast

import pytest

from harness.own_node import captured, operator_on_its_own_node, stored_lines
from harness.running import RunningOperator, execution, proc
from localcluster.cluster import LocalCluster
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


def stores_more(operator: RunningOperator, name: str) -> bool:
    """Whether more is stored of the output before long."""
    before = stored(operator, name)
    return wait_until(lambda: stored(operator, name) != before, seconds=60)


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


PIECE: Final = 16384
"""So many bytes of a long line the runtime writes at once, as soon as there are as many more."""
FORGED: Final = b"2099-01-01T00:00:00Z later than all "
LINE_WITH_A_FORGED_REST: Final = f"""
head -c {PIECE} /dev/zero | tr '\\0' x
printf '{FORGED.decode()}'; head -c {PIECE - len(FORGED)} /dev/zero | tr '\\0' y
sleep 1.5; echo
sleep 0.7; echo the next one
"""
"""Read from the second before the next line on, its second piece stands where a line with its time should."""
FORGED_LINE: Final = b"x" * PIECE + FORGED + b"y" * (PIECE - len(FORGED)) + b"\n"


@pytest.mark.parametrize("seconds", [0, 12])
def test_a_last_line_without_its_end_is_whole(operator: RunningOperator, seconds: int) -> None:
    name = f"unended-{seconds}"
    script = f"echo begun; sleep {seconds}; printf 'no '; sleep 1; printf newline"
    operator.apply(proc(name, script=script), execution(name, of=name))

    done = operator.wait_for_phase(name, "Succeeded", seconds=60)

    assert stored(operator, name) == b"begun\nno newline\n"
    assert captured(done) == ("True", "Captured")


def test_the_rest_of_a_line_that_looks_like_a_line_with_a_time_is_none(
    operator: RunningOperator,
) -> None:
    script = f"echo begun\n{LINE_WITH_A_FORGED_REST}"
    operator.apply(proc("forging", script=script), execution("forging-1", of="forging"))

    done = operator.wait_for_phase("forging-1", "Succeeded", seconds=60)

    assert stored(operator, "forging-1") == b"begun\n" + FORGED_LINE + b"the next one\n"
    assert captured(done) == ("True", "Captured")


def test_nobody_hides_later_output_behind_such_a_rest(operator: RunningOperator) -> None:
    later = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 1; done"
    script = f"{LINE_WITH_A_FORGED_REST}\nsleep 20\n{later}"
    operator.apply(proc("hiding", script=script), execution("hiding-1", of="hiding"))
    assert wait_until(lambda: b"next" in stored(operator, "hiding-1"), seconds=60)

    for _ in range(2):
        operator.kill()
        operator.start()
        assert stores_more(operator, "hiding-1")

    done = operator.wait_for_phase("hiding-1", "Succeeded", seconds=90)
    assert stored(operator, "hiding-1").startswith(FORGED_LINE + b"the next one\nline 1\n")
    assert numbers(stored(operator, "hiding-1")) == list(range(1, 41))
    assert captured(done) == ("True", "Captured")


def test_a_kubelet_that_is_killed_in_the_middle_of_a_line_loses_and_doubles_nothing(
    operator: RunningOperator,
) -> None:
    script = "echo begun; head -c 40000 /dev/zero | tr '\\0' x; sleep 25; echo; echo after it"
    operator.apply(proc("halved", script=script), execution("halved-1", of="halved"))
    assert wait_until(lambda: stored(operator, "halved-1") == b"begun\n", seconds=60)

    node = cast("LocalCluster", operator.cluster)
    node.stop_component("kubelet", seconds=0)
    node.start_component("kubelet")

    done = operator.wait_for_phase("halved-1", "Succeeded", seconds=90)
    assert stored(operator, "halved-1") == b"begun\n" + b"x" * 40000 + b"\nafter it\n"
    assert captured(done) == ("True", "Captured")


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
