"""The hash by which an execution is recognised that is applied a second time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.execution import (
    ProcExecutionSpec,
    ProcRef,
    RerunOf,
    ScheduleRef,
)
from proctor_operator.domain.fingerprint import fingerprint_of
from proctor_operator.domain.identity import Canceller
from proctor_operator.domain.naming import Uid
from unit.builders import argument_from, execution_spec, requester

GROW: dict[str, Any] = {
    "arguments": {"SIZE_GB": 200, "REGIONS": ["eu", "us"]},
    "arguments_from": (argument_from("TOKEN"),),
    "reason": "INC-1234",
}


def grow(**changes: Any) -> ProcExecutionSpec:
    return execution_spec(**{**GROW, **changes})


def test_it_never_changes_between_releases() -> None:
    """What older releases have stored must still be found: a change here needs another prefix."""
    assert fingerprint_of(execution_spec()) == (
        "v1:ad14f6fa573063d03ba433ecb3a3519a7ff4a54ae36051e5fc9357ee2ba2253d"
    )
    assert fingerprint_of(
        grow(
            schedule_ref=ScheduleRef(name="nightly"),
            rerun_of=RerunOf(name="grow-1", uid=Uid("u1")),
        )
    ) == ("v1:5120478e145902725159d83653682cd03b181563a3277696c37196ccdc57dd88")


THE_SAME: dict[str, dict[str, Any]] = {
    "who asked is stamped": {"requested_by": requester(username="bob", groups=())},
    "so is what admission looked at": {"proc_uid": Uid("p1"), "proc_generation": 7},
    "cancel does not make it another request": {
        "cancel": True,
        "cancelled_by": Canceller(username="bob"),
    },
    "the order of arguments is nobody's wish": {
        "arguments": {"REGIONS": ["eu", "us"], "SIZE_GB": 200}
    },
    "a number is a number however it is written": {
        "arguments": {"SIZE_GB": 2e2, "REGIONS": ["eu", "us"]}
    },
}


@pytest.mark.parametrize("changes", THE_SAME.values(), ids=THE_SAME)
def test_it_stays_when_nothing_changes_that_a_user_wrote(changes: dict[str, Any]) -> None:
    assert fingerprint_of(grow(**changes)) == fingerprint_of(grow())


def test_the_uid_and_time_of_an_occurrence_are_the_operators_and_do_not_count() -> None:
    named = grow(schedule_ref=ScheduleRef(name="nightly"))
    stamped = ScheduleRef(
        name="nightly", uid=Uid("s1"), scheduled_time=datetime(2027, 1, 1, tzinfo=UTC)
    )

    assert fingerprint_of(grow(schedule_ref=stamped)) == fingerprint_of(named)


ANOTHER: dict[str, dict[str, Any]] = {
    "proc": {"proc_ref": ProcRef(name="shrink-disk")},
    "value": {"arguments": {"SIZE_GB": 201, "REGIONS": ["eu", "us"]}},
    "type of a value": {"arguments": {"SIZE_GB": "200", "REGIONS": ["eu", "us"]}},
    "order in a list": {"arguments": {"SIZE_GB": 200, "REGIONS": ["us", "eu"]}},
    "one argument more": {"arguments": {**GROW["arguments"], "DRY_RUN": False}},
    "secret": {"arguments_from": (argument_from("TOKEN", secret="other"),)},
    "key of a secret": {"arguments_from": (argument_from("TOKEN", key="other"),)},
    "reason": {"reason": "INC-1235"},
    "schedule": {"schedule_ref": ScheduleRef(name="nightly")},
    "rerun": {"rerun_of": RerunOf(name="grow-1")},
}


@pytest.mark.parametrize("changes", ANOTHER.values(), ids=ANOTHER)
def test_another_wish_is_another_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint_of(grow(**changes)) != fingerprint_of(grow())


JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(arguments=st.dictionaries(st.text(min_size=1), JSON, max_size=4))
def test_any_arguments_have_one_and_the_order_never_matters(arguments: dict[str, Any]) -> None:
    turned = dict(reversed(arguments.items()))

    found = fingerprint_of(grow(arguments=arguments))

    assert found == fingerprint_of(grow(arguments=turned))
    assert len(found) == len("v1:") + 64
