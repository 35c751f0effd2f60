"""Is this Proc runnable, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from proctor_operator.domain.conditions import Condition
from proctor_operator.reconcile.proc import find_proc_problem, proc_conditions
from unit.builders import NOW, parameter, proc, proc_spec

SECRET = {"name": "SECRET", "secretKeyRef": {"name": "s", "key": "k"}}

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "a name that no shell can read": (
        {"parameters": (parameter("SIZE-GB"),)},
        "'SIZE-GB' is not an environment variable name",
    ),
    "a refused parameter": (
        {"parameters": (parameter("LD_PRELOAD"),)},
        "the name LD_PRELOAD is refused: it could steer the loader, an interpreter or Proctor",
    ),
    "a refused secret": (
        {"secrets": ({**SECRET, "name": "PROCTOR_NUMBER"},)},
        "the name PROCTOR_NUMBER is refused: it could steer the loader, an interpreter or Proctor",
    ),
    "two parameters of one name": (
        {"parameters": (parameter("A"), parameter("A"))},
        "the name A is used 2 times",
    ),
    "a parameter and a secret of one name": (
        {"parameters": (parameter("SECRET"),), "secrets": (SECRET,)},
        "the name SECRET is used 2 times",
    ),
    "a default for a sensitive parameter": (
        {"parameters": (parameter("A", sensitive=True, default="hunter2"),)},
        "parameter A: a sensitive parameter has no default; its value comes from a Secret",
    ),
    "a pattern that is none": (
        {"parameters": (parameter("A", schema={"pattern": "("}),)},
        'parameter A: schema: pattern: the value is not a "regex"',
    ),
    "a pattern that looks ahead": (
        {"parameters": (parameter("A", schema={"pattern": "(?=a)"}),)},
        'parameter A: schema: pattern: the value is not a "regex"',
    ),
    "a pattern of items that is none": (
        {"parameters": (parameter("A", schema={"items": {"pattern": "("}}),)},
        'parameter A: schema: items.pattern: the value is not a "regex"',
    ),
    "a mask that is no pattern": (
        {"logs": {"mask": ["ok", "tok_("]}},
        "logs: mask 'tok_(': missing ): tok_(",
    ),
    "a mask that looks ahead": (
        {"logs": {"mask": ["(?=a)"]}},
        "logs: mask '(?=a)': invalid perl operator: (?=",
    ),
    "a mask that matches nothing at all": (
        {"logs": {"mask": ["x*"]}},
        "logs: mask 'x*': it matches the empty text",
    ),
    "a default outside its own schema": (
        {"parameters": (parameter("A", default="x", schema={"type": "integer"}),)},
        'parameter A: default: the value is not of type "integer"',
    ),
}


@pytest.mark.parametrize(("fields", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named(fields: dict[str, Any], message: str) -> None:
    problem = find_proc_problem(proc_spec(**fields))

    assert problem is not None
    assert (problem.reason, problem.message) == ("InvalidSpec", message)


def test_all_mistakes_are_named_at_once_and_no_secret_default_among_them() -> None:
    spec = proc_spec(
        parameters=(
            parameter("1A"),
            parameter("PATH"),
            parameter("B", sensitive=True, default="hunter2", schema={"type": "integer"}),
        )
    )

    problem = find_proc_problem(spec)

    assert problem is not None
    assert problem.message.count(";") >= 3 - 1
    assert all(name in problem.message for name in ("'1A'", "PATH", "parameter B"))
    assert "hunter2" not in problem.message


HONOURED: dict[str, dict[str, Any]] = {
    "Forbid": {"concurrency": {"policy": "Forbid"}},
    "Replace": {"concurrency": {"policy": "Replace", "limit": 2}},
    "Queue by a key": {
        "concurrency": {"policy": "Queue", "key": ("A",)},
        "parameters": (parameter("A"),),
    },
    "a queue of Kueue": {"queue_name": "small"},
}


@pytest.mark.parametrize("fields", HONOURED.values(), ids=HONOURED)
def test_limits_and_queues_are_honoured(fields: dict[str, Any]) -> None:
    assert find_proc_problem(proc_spec(**fields)) is None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("SIZE", "concurrency.key: the proc declares no parameter SIZE (declared: A)"),
        ("TOKEN", "concurrency.key: the parameter TOKEN is sensitive; its value is not known here"),
    ],
)
def test_a_key_is_the_name_of_a_parameter_whose_value_is_known(key: str, said: str) -> None:
    problem = find_proc_problem(
        proc_spec(
            concurrency={"policy": "Queue", "key": ("A", key)},
            parameters=(parameter("A"), parameter("TOKEN", sensitive=True)),
        )
    )

    assert problem is not None
    assert (problem.reason, problem.message) == ("InvalidSpec", said)


def test_a_sound_proc_has_no_problem() -> None:
    spec = proc_spec(
        parameters=(parameter("A", default=5, schema={"type": "integer", "maximum": 5}),),
        secrets=(SECRET,),
        concurrency={"policy": "Allow", "limit": 3},
        logs={"tail": False},
    )

    assert find_proc_problem(spec) is None


def said(conditions: tuple[Condition, ...]) -> list[str]:
    return [f"{one.type}={one.status} {one.reason}" for one in conditions]


READY: dict[str, tuple[dict[str, Any], list[str]]] = {
    "sound": ({}, ["Ready=True Runnable", "Stalled=False NothingWrong"]),
    "suspended": ({"suspend": True}, ["Ready=False Suspended", "Stalled=False NothingWrong"]),
    "mistaken": (
        {"parameters": (parameter("PATH"),)},
        ["Ready=False InvalidSpec", "Stalled=True InvalidSpec"],
    ),
    "mistaken and suspended": (
        {"parameters": (parameter("PATH"),), "suspend": True},
        ["Ready=False InvalidSpec", "Stalled=True InvalidSpec"],
    ),
}


@pytest.mark.parametrize(("fields", "expected"), READY.values(), ids=READY)
def test_a_proc_says_whether_executions_may_start(
    fields: dict[str, Any], expected: list[str]
) -> None:
    conditions = proc_conditions(proc(proc_spec(**fields), generation=9), NOW)

    assert said(conditions) == expected
    assert {one.observed_generation for one in conditions} == {9}
