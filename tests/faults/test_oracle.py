"""The oracle finds what it is there for: a history that keeps the promises, and one for each way to break one."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from faults.oracle import Limits, unsettled, violations
from faults.witness import ApiWrite, History, RowVersion, parse_audit_line
from faults.workload import Fate, Stop, Truth

BEGAN = datetime(2026, 1, 1, 10, tzinfo=UTC)
OPERATOR = "system:serviceaccount:proctor-system:proctor"
ROW: dict[str, Any] = {"number": 7, "phase": None, "phase_reason": None, "exit_code": None}
END: dict[str, Any] = {
    "phase": "Failed",
    "phase_reason": "NonZeroExitCode",
    "phase_message": "",
    "exit_code": 3,
}
STATUS: dict[str, Any] = {
    "phase": "Failed",
    "reason": "NonZeroExitCode",
    "exitCode": 3,
    "number": 7,
}


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def job(seconds: float, verb: str = "create", uid: str = "j1", *, held: bool = True) -> ApiWrite:
    metadata = {
        "uid": uid,
        "ownerReferences": [{"uid": "u1", "controller": True}],
        "finalizers": ["proctor.dev/record"] if held else [],
    }
    return ApiWrite(at(seconds), OPERATOR, verb, "jobs", "one-abc", 200, {}, {"metadata": metadata})


def status(seconds: float, **changes: Any) -> ApiWrite:
    stored = {"metadata": {"uid": "u1"}, "status": STATUS | changes}
    return ApiWrite(at(seconds), OPERATOR, "patch", "procexecutions/status", "one", 200, {}, stored)


def stored_as(version: int, write: ApiWrite) -> ApiWrite:
    """The same with the resourceVersion that the object had then."""
    metadata = write.stored["metadata"] | {"resourceVersion": str(version)}
    return replace(write, stored=write.stored | {"metadata": metadata})


def row(seconds: float, operation: str = "UPDATE", **values: Any) -> RowVersion:
    return RowVersion(operation, "u1", ROW | values, at(seconds))


TRUTH = Truth(Fate("one", exit_code=3), uid="u1", pods={"p1"}, exit_codes={"p1": 3})
TRUTH.may_have_ended = True
GOOD = History((job(2), status(5), job(6, "patch", held=False)), (row(1, "INSERT"), row(4, **END)))

Spoil = Callable[[History], History]


def writes(*more: ApiWrite) -> Spoil:
    return lambda good: replace(good, writes=(*good.writes, *more))


def versions(*instead: RowVersion) -> Spoil:
    return lambda good: replace(good, versions=instead)


def found(history: History, truth: Truth = TRUTH, limits: Limits | None = None) -> list[str]:
    return [one.promise for one in violations(history, [truth], operator=OPERATOR, limits=limits)]


def test_a_good_history_breaks_nothing() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("spoil", "promise"),
    [
        (writes(job(3, uid="j2")), "I1"),
        (writes(replace(job(3, "update", uid="j2"), user="job-controller")), "I1"),
        (writes(replace(job(3, uid="j2"), stored={"metadata": {"uid": "j2"}})), "I1"),
        (versions(row(2.1, "INSERT"), row(4, **END)), "I2"),
        (versions(), "I2"),
        (versions(row(1, "INSERT"), row(1.5, "INSERT"), row(4, **END)), "I4"),
        (versions(row(1, "INSERT"), row(4, **END), row(4.5, "DELETE", **END)), "I4"),
        (versions(row(1, "INSERT"), row(4, **END), row(8, **END | {"exit_code": 4})), "I4"),
        (versions(row(1, "INSERT"), row(5.5, **END)), "I4"),
        (writes(status(9, reason="Other")), "I4"),
        (writes(replace(status(9, phase="Running"), user="somebody")), "I4"),
        (writes(job(3, "patch", held=False)), "I4"),
        (versions(row(1, "INSERT"), row(4, **END | {"phase": "Succeeded"})), "I5"),
        (versions(row(1, "INSERT"), row(4, **END | {"exit_code": None})), "I5"),
        (writes(*(job(7, "patch", held=False) for _ in range(20))), "I10"),
    ],
    ids=[
        "a second Job",
        "a second Job that only its controller's writes show",
        "a Job of nobody",
        "a row that was committed after its Job was asked for",
        "a Job without a row",
        "two rows",
        "a row that was deleted",
        "an outcome that changed",
        "a final status before the outcome",
        "a final status that changed",
        "a run that goes on after its end",
        "a Job let go before the outcome",
        "an outcome that is not true",
        "an exit code that is not recorded",
        "many writes",
    ],
)
def test_a_broken_promise_is_found(spoil: Spoil, promise: str) -> None:
    assert promise in found(spoil(GOOD))


def test_an_end_may_be_shown_of_a_later_generation_and_as_nothing_else() -> None:
    def shown(version: int, *, of: int, reason: str = "NonZeroExitCode") -> ApiWrite:
        failed = {"type": "Failed", "status": "True", "reason": reason, "observedGeneration": of}
        return stored_as(version, status(5 + version, conditions=[failed], observedGeneration=of))

    good = replace(GOOD, writes=(GOOD.writes[0], shown(1, of=1), GOOD.writes[2]))
    assert found(writes(shown(2, of=2))(good)) == []
    assert "I4" in found(writes(shown(2, of=2, reason="Another"))(good))


def test_a_request_that_waited_shows_what_was_stored_meanwhile() -> None:
    deleted = replace(
        stored_as(3, status(3)), user="alice", verb="delete", resource="procexecutions"
    )
    marked = stored_as(1, status(3.5, phase="Running"))
    history = replace(GOOD, writes=(job(2), deleted, marked, stored_as(2, status(5))))

    assert found(history) == []


def test_an_early_final_status_is_found_whoever_wrote_afterwards() -> None:
    early = (stored_as(2, status(3)), replace(stored_as(3, status(5)), user="alice"))

    assert found(replace(GOOD, writes=(job(2), *early))) == ["I4"]


def test_what_status_and_record_say_must_agree() -> None:
    assert found(replace(GOOD, writes=(job(2), status(5, exitCode=0)))) == ["I4"]


def test_writes_that_failed_count_as_tried() -> None:
    tries = (replace(job(3), code=409, stored={}, sent=job(3).stored) for _ in range(5))

    assert found(writes(*tries)(GOOD), limits=Limits(tried=5)) == ["I10"]


def test_a_stop_leaves_room_for_two_truths_only_where_the_end_may_have_come() -> None:
    cancelled = END | {"phase": "Cancelled", "phase_reason": "Cancelled", "exit_code": None}
    said = status(5, phase="Cancelled", reason="Cancelled", exitCode=None)
    history = History((job(2), said), (row(1, "INSERT"), row(4, **cancelled)))
    stopped = Truth(Fate("one", exit_code=3, stop=Stop.CANCEL), uid="u1", was_stopped=True)

    assert found(history, stopped) == []
    assert found(GOOD, replace(stopped, may_have_ended=True)) == []
    assert "I5" in found(GOOD, stopped), "nothing ended by itself"
    assert "I5" in found(history), "nobody stopped it"


def test_the_operator_deletes_what_is_over_and_not_to_stay() -> None:
    def deleted(seconds: float) -> Spoil:
        asked = replace(status(seconds), verb="delete", resource="procexecutions")
        return writes(stored_as(9, asked))

    may_go = replace(TRUTH, is_under_retention=True)

    assert found(deleted(9)(GOOD), may_go) == []
    assert found(deleted(9)(GOOD)) == ["I4"]
    assert found(deleted(3)(GOOD), may_go) == ["I4"]


def test_words_of_others_on_the_status_are_theirs() -> None:
    foreign = [{"type": "Reviewed", "status": "True"}]

    assert found(writes(status(9, conditions=foreign))(GOOD)) == []


def execution(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"uid": "u1"} | metadata, "status": {"phase": "Failed"}}


def test_what_is_over_is_settled() -> None:
    assert unsettled([execution()], [], {"u1": ROW | END}, [TRUTH]) == []


@pytest.mark.parametrize(
    ("executions", "jobs", "rows", "said"),
    [
        ([execution()], [], {}, "has no outcome in the record"),
        ([execution()], [], {"u1": ROW}, "has no outcome in the record"),
        ([execution()], [job(1).stored], {"u1": ROW | END}, "has a Job that is still held"),
        ([], [], {"u1": ROW | END}, "is gone, though nobody deleted it"),
        (
            [execution(deletionTimestamp="x")],
            [],
            {"u1": ROW | END},
            "is held though it is being deleted",
        ),
        ([execution() | {"status": {"phase": "Running"}}], [], {"u1": ROW | END}, "shows Running"),
    ],
)
def test_what_is_not_over_is_said(
    executions: list[Any], jobs: list[Any], rows: dict[str, Any], said: str
) -> None:
    assert [one.problem for one in unsettled(executions, jobs, rows, [TRUTH])] == [said]


def test_a_line_of_the_audit_log_is_read() -> None:
    line = json.dumps(
        {
            "requestReceivedTimestamp": "2026-01-01T10:00:00.500000Z",
            "user": {"username": OPERATOR},
            "verb": "create",
            "objectRef": {"resource": "jobs", "namespace": "n"},
            "responseStatus": {"code": 409},
            "requestObject": {"metadata": {"name": "one-abc"}},
            "responseObject": {"kind": "Status"},
        }
    )

    read = parse_audit_line(line.encode())

    assert (read.received_at, read.user, read.verb) == (at(0.5), OPERATOR, "create")
    assert (read.resource, read.name, read.code) == ("jobs", "one-abc", 409)
    assert (read.was_done, read.stored) == (False, {})


@pytest.mark.parametrize("module", ["oracle", "witness", "workload", "kubelet", "proxy", "admin"])
def test_the_judge_and_the_witnesses_share_no_code_with_the_operator(module: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text())
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert [name for name in imported if name.startswith("proctor_operator")] == []
