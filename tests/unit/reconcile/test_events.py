"""What a person is told of, and what not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.conditions import Condition, ConditionStatus, ConditionType, condition
from proctor_operator.domain.event import EventType
from proctor_operator.domain.execution import Phase, ProcExecutionStatus
from proctor_operator.domain.objects import Kind
from proctor_operator.reconcile.events import (
    event_of_conditions,
    event_of_status,
    event_of_unreadable,
)
from unit.builders import EXECUTION_UID, NOW, execution, proc, unreadable


def status(
    phase: Phase = Phase.PENDING, reason: str = "", message: str = "m"
) -> ProcExecutionStatus:
    return ProcExecutionStatus(phase=phase, reason=reason, message=message)


NEW = status(reason="", message="")

CHANGES = {
    "a success": (status(Phase.RUNNING, "Started"), status(Phase.SUCCEEDED, "Completed"), None),
    "a cancel": (status(Phase.RUNNING, "Started"), status(Phase.CANCELLED, "Cancelled"), None),
    "a start": (NEW, status(Phase.RUNNING, "Started"), None),
    "nothing to say yet": (NEW, NEW, None),
    "a failure": (
        status(Phase.RUNNING, "Started"),
        status(Phase.FAILED, "OOMKilled"),
        ("ProcExecution grow-disk-x7", "OOMKilled", "Failed: m"),
    ),
    "a refusal": (
        NEW,
        status(Phase.REFUSED, "NotPermitted"),
        ("ProcExecution grow-disk-x7", "NotPermitted", "Refused: m"),
    ),
    "a time-out": (
        status(Phase.PENDING, "ErrImagePull"),
        status(Phase.TIMED_OUT, "PendingTimeout"),
        ("ProcExecution grow-disk-x7", "PendingTimeout", "TimedOut: m"),
    ),
    "a loss": (
        status(Phase.RUNNING, "Started"),
        status(Phase.LOST, "JobMissing", message=""),
        ("ProcExecution grow-disk-x7", "JobMissing", "Lost"),
    ),
    "an end that was told before": (
        status(Phase.FAILED, "OOMKilled"),
        status(Phase.FAILED, "OOMKilled", message="in other words"),
        None,
    ),
    "an image that does not come": (
        NEW,
        status(reason="ErrImagePull"),
        ("ProcExecution grow-disk-x7", "ErrImagePull", "m"),
    ),
    "the same trouble by another name": (
        status(reason="ErrImagePull"),
        status(reason="ImagePullBackOff"),
        None,
    ),
    "a Job that is not let in": (
        NEW,
        status(reason="JobForbidden"),
        ("ProcExecution grow-disk-x7", "JobForbidden", "m"),
    ),
    "the record goes away": (
        NEW,
        status(reason="RecordUnavailable"),
        (
            "Namespace apps",
            "RecordUnavailable",
            "executions in this namespace wait for the record (PostgreSQL) to be back",
        ),
    ),
    "the record stays away": (
        status(reason="RecordUnavailable"),
        status(reason="RecordUnavailable", message="still"),
        None,
    ),
    "trouble after the record came back": (
        status(reason="RecordUnavailable"),
        status(reason="Unschedulable"),
        ("ProcExecution grow-disk-x7", "Unschedulable", "m"),
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES.values(), ids=CHANGES)
def test_what_is_told_of(
    before: ProcExecutionStatus,
    after: ProcExecutionStatus,
    expected: tuple[str, str, str] | None,
) -> None:
    event = event_of_status(execution(), before, after)

    if expected is None:
        assert event is None
        return
    assert event is not None
    about = event.regarding
    assert (f"{about.kind} {about.name}", event.reason, event.message) == expected
    assert event.type is EventType.WARNING
    assert about.namespace == "apps", "that is where it can be found"
    assert about.uid == (EXECUTION_UID if about.kind == "ProcExecution" else None)


pending = st.sampled_from(
    ["RecordUnavailable", "ErrImagePull", "ImagePullBackOff", "Unschedulable", "JobForbidden"]
).map(lambda reason: status(reason=reason))
life = st.tuples(
    st.lists(pending, max_size=8),
    st.booleans(),
    st.sampled_from([one for one in Phase if one.is_terminal]),
)


@given(life)
def test_no_life_of_an_execution_is_worth_more_than_two_events(
    life: tuple[list[ProcExecutionStatus], bool, Phase],
) -> None:
    troubles, has_run, end = life
    states = [NEW, *troubles]
    # Once trouble has shown, a record that goes away is not written over it (see `decide`).
    first = next(
        (n for n, one in enumerate(states) if one.reason not in ("", "RecordUnavailable")), 0
    )
    states = [
        one for n, one in enumerate(states) if n <= first or one.reason != "RecordUnavailable"
    ]
    states += [status(Phase.RUNNING, "Started")] if has_run else []
    states += [status(end, "X"), status(end, "X")]

    events = [event_of_status(execution(), before, after) for before, after in pairwise(states)]
    about_it = [one for one in events if one and one.regarding.kind == "ProcExecution"]

    assert len(about_it) <= 2
    if not troubles and end in (Phase.SUCCEEDED, Phase.CANCELLED):
        assert about_it == []


def test_a_trouble_that_comes_and_goes_with_each_attempt_is_one_event_that_is_counted() -> None:
    attempt = [
        status(reason="Starting"),
        status(reason="Unschedulable"),
        status(reason="Starting"),
        status(reason="ImagePullBackOff"),
    ]
    states = [NEW, *(attempt * 100), status(Phase.FAILED, "BackoffLimitExceeded")]

    events = [event_of_status(execution(), before, after) for before, after in pairwise(states)]

    assert len({one.series for one in events if one}) == 3


def test_a_run_that_has_started_tells_nothing_of_its_attempts_before_the_end() -> None:
    reasons = ["Started", "ImagePullBackOff", "Started", "NodeLost"] * 100
    states = [status(Phase.RUNNING, reason) for reason in reasons]

    events = [event_of_status(execution(), before, after) for before, after in pairwise(states)]

    assert set(events) == {None}


def ready(status: ConditionStatus, reason: str, message: str = "m") -> tuple[Condition, ...]:
    return (condition(ConditionType.READY, status, reason, message, generation=1, now=NOW),)


def not_ready(reason: str = "InvalidSpec", message: str = "m") -> tuple[Condition, ...]:
    return ready(ConditionStatus.FALSE, reason, message)


def test_a_proc_that_does_not_work_is_told_once() -> None:
    event = event_of_conditions(proc(), not_ready())

    assert event is not None
    assert (event.regarding.kind, event.reason, event.message) == ("Proc", "InvalidSpec", "m")
    assert event_of_conditions(proc(conditions=not_ready()), not_ready()) is None
    assert event_of_conditions(proc(conditions=not_ready()), not_ready(message="n")) is not None


def test_a_proc_that_its_author_switched_off_is_as_it_should_be() -> None:
    assert event_of_conditions(proc(), not_ready("Suspended")) is None


def test_a_proc_that_works_is_not_told_of() -> None:
    works = ready(ConditionStatus.TRUE, "Runnable")
    assert event_of_conditions(proc(conditions=not_ready()), works) is None


def test_an_object_that_does_not_parse_is_told_with_the_field() -> None:
    event = event_of_unreadable(unreadable(Kind.PROC, problem="spec.image: required"))

    assert (event.regarding.kind, event.reason) == ("Proc", "Unreadable")
    assert event.message == "spec.image: required"
