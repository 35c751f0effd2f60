"""Arguments against their declaration: every problem is named, all at once, and no secret is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.arguments import (
    VALUE_LIMIT_BYTES,
    arguments_for_the_record,
    find_argument_problems,
    find_schema_problem,
    find_value_problem,
)
from proctor_operator.domain.proc import ParameterSchema
from unit.builders import argument_from, parameter

SIZE = parameter("SIZE_GB", schema={"type": "integer", "minimum": 10, "maximum": 2000})
TOKEN = parameter("TOKEN", sensitive=True)
NOTE = parameter("NOTE", required=False)
MANY = tuple(parameter(f"P{number}", required=False) for number in range(5))
ALMOST_THE_LIMIT = "x" * (VALUE_LIMIT_BYTES - 1)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...], str]] = {
    "a name that is not declared": (
        (SIZE,),
        {"SIZE_GB": 20, "COLOUR": "red"},
        (),
        "argument COLOUR: the proc declares no such parameter (declared: SIZE_GB)",
    ),
    "a name that is not declared, of a proc without parameters": (
        (),
        {"COLOUR": "red"},
        (),
        "argument COLOUR: the proc declares no such parameter (declared: none)",
    ),
    "a reference whose name is not declared": (
        (NOTE,),
        {},
        (argument_from("TOKEN"),),
        "argument TOKEN: the proc declares no such parameter (declared: NOTE)",
    ),
    "a required argument that is missing": (
        (parameter("SIZE_GB", description="New size"),),
        {},
        (),
        "argument SIZE_GB: required and not given (New size)",
    ),
    "a required argument without description that is missing": (
        (SIZE,),
        {},
        (),
        "argument SIZE_GB: required and not given",
    ),
    "two references of one name": (
        (TOKEN,),
        {},
        (argument_from("TOKEN"), argument_from("TOKEN", key="other")),
        "argument TOKEN: given more than once",
    ),
    "a reference for a parameter that is not sensitive": (
        (NOTE,),
        {},
        (argument_from("NOTE"),),
        (
            "argument NOTE: a Secret reference is for sensitive parameters only; "
            "give the value in spec.arguments"
        ),
    ),
    "a plain value for a sensitive parameter": (
        (TOKEN,),
        {"TOKEN": "hunter2"},
        (),
        "argument TOKEN: sensitive; give it by reference in spec.argumentsFrom",
    ),
    "null": (
        (NOTE,),
        {"NOTE": None},
        (),
        "argument NOTE: null is not a value; leave the argument out instead",
    ),
    "a number out of range": (
        (SIZE,),
        {"SIZE_GB": 5},
        (),
        "argument SIZE_GB: the value is less than the minimum of 10 (given: 5)",
    ),
    "a value of the wrong type": (
        (SIZE,),
        {"SIZE_GB": "many"},
        (),
        'argument SIZE_GB: the value is not of type "integer" (given: "many"); in YAML, leave the quotes out',
    ),
    "a value one byte too long": (
        (NOTE,),
        {"NOTE": "x" * (VALUE_LIMIT_BYTES + 1)},
        (),
        f"argument NOTE: longer than {VALUE_LIMIT_BYTES} bytes",
    ),
    "a value whose bytes, not characters, are too many": (
        (NOTE,),
        {"NOTE": "ü" * (VALUE_LIMIT_BYTES // 2 + 1)},
        (),
        f"argument NOTE: longer than {VALUE_LIMIT_BYTES} bytes",
    ),
    "lists in lists without end": (
        (parameter("ANY"),),
        {"ANY": nested(51)},
        (),
        "argument ANY: nested deeper than 50 levels",
    ),
    "a NUL character": (
        (NOTE,),
        {"NOTE": "a\0b"},
        (),
        "argument NOTE: holds a NUL character, which no environment can carry",
    ),
    "too much in all": (
        MANY,
        {one.name: ALMOST_THE_LIMIT for one in MANY},
        (),
        f"arguments: {5 * (VALUE_LIMIT_BYTES - 1)} bytes in all, at most 131072 are allowed",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_problem_is_named_with_its_argument_and_rule(
    case: tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...], str],
) -> None:
    parameters, arguments, arguments_from, expected = case

    assert find_argument_problems(parameters, arguments, arguments_from) == (expected,)


def test_a_name_given_as_value_and_as_reference_is_a_problem() -> None:
    problems = find_argument_problems((TOKEN,), {"TOKEN": "x"}, (argument_from("TOKEN"),))

    assert "argument TOKEN: given more than once" in problems


def test_all_problems_are_told_at_once() -> None:
    problems = find_argument_problems(
        (SIZE, TOKEN, NOTE, parameter("ZONE")),
        {"SIZE_GB": 1, "NOTE": None, "COLOUR": "red", "TOKEN": "hunter2"},
        (argument_from("SIZE_GB"),),
    )

    assert [problem.split(":")[0] for problem in problems] == [
        "argument COLOUR",
        "argument SIZE_GB",
        "argument ZONE",
        "argument SIZE_GB",
        "argument SIZE_GB",
        "argument NOTE",
        "argument TOKEN",
    ]


FINE: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = {
    "nothing declared, nothing given": ((), {}, ()),
    "a value in range": ((SIZE,), {"SIZE_GB": 10}, ()),
    "a default makes it optional": ((parameter("A", default="x"),), {}, ()),
    "required: false makes it optional": ((NOTE,), {}, ()),
    "a sensitive parameter by reference": ((TOKEN,), {}, (argument_from("TOKEN"),)),
    "an empty text is a value": ((parameter("A"),), {"A": ""}, ()),
    "false is a value": ((parameter("A", schema={"type": "boolean"}),), {"A": False}, ()),
    "exactly the longest value": ((NOTE,), {"NOTE": "x" * VALUE_LIMIT_BYTES}, ()),
    "exactly as much as is allowed in all": (
        MANY,
        {one.name: "x" * VALUE_LIMIT_BYTES for one in MANY[:4]},
        (),
    ),
    "a list": ((parameter("A", schema={"type": "array"}),), {"A": ["eu", "us"]}, ()),
}


@pytest.mark.parametrize("case", FINE.values(), ids=FINE)
def test_what_fits_the_declaration_is_no_problem(
    case: tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]],
) -> None:
    assert find_argument_problems(*case) == ()


def test_a_default_does_not_make_optional_what_the_author_calls_required() -> None:
    needed = parameter("A", default="x", required=True)

    assert find_argument_problems((needed,), {}, ()) == ("argument A: required and not given",)


def test_a_long_value_is_shown_by_its_beginning_only() -> None:
    (problem,) = find_argument_problems((SIZE,), {"SIZE_GB": "y" * 500}, ())

    assert f'(given: "{"y" * 79}…)' in problem


SCHEMAS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "enum": ({"enum": ["a", "b"]}, "a", "c"),
    "pattern": ({"type": "string", "pattern": "^a+$"}, "aa", "ab"),
    "format": ({"type": "string", "format": "ipv4"}, "10.0.0.1", "10.0.0"),
    "minimum": ({"type": "number", "minimum": 1.5}, 1.5, 1.4),
    "maximum": ({"type": "integer", "maximum": 3}, 3, 4),
    "minLength": ({"type": "string", "minLength": 2}, "üü", "ü"),
    "maxLength": ({"type": "string", "maxLength": 2}, "üü", "üüü"),
    "items": ({"type": "array", "items": {"type": "integer"}}, [1], ["1"]),
    "minItems": ({"type": "array", "minItems": 1}, [1], []),
    "maxItems": ({"type": "array", "maxItems": 1}, [1], [1, 2]),
    "a boolean is no integer": ({"type": "integer"}, 1, True),
    "text is no number": ({"type": "number"}, 1, "1"),
}


@pytest.mark.parametrize("case", SCHEMAS.values(), ids=SCHEMAS)
def test_a_rule_of_the_schema_lets_one_value_through_and_not_the_other(
    case: tuple[dict[str, Any], Any, Any],
) -> None:
    rule, good, bad = case
    schema = ParameterSchema.model_validate(rule)

    assert find_value_problem(schema, good) is None
    assert find_value_problem(schema, bad) is not None


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", r"(a)\1", "a("])
def test_a_pattern_that_cannot_run_in_linear_time_or_at_all_is_refused(pattern: str) -> None:
    assert find_schema_problem(ParameterSchema(pattern=pattern)) is not None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "^(.*a){12}$", "(x+x+)+y"])
def test_a_pattern_made_to_hang_a_backtracking_engine_answers_at_once(pattern: str) -> None:
    schema = ParameterSchema(type="string", pattern=pattern)

    assert find_schema_problem(schema) is None
    assert find_value_problem(schema, "a" * 20_000 + "!") is not None


def canaries() -> st.SearchStrategy[str]:
    return st.text(st.sampled_from("qwxzk"), min_size=8, max_size=300).map(lambda x: f"7{x}7")


@given(
    sensitive=canaries(),
    undeclared=canaries(),
    nested=st.booleans(),
    schema=st.sampled_from(
        [None, {"type": "integer"}, {"enum": ["a"]}, {"pattern": "^a$"}, {"maxLength": 1}]
    ),
)
def test_no_value_of_a_sensitive_or_undeclared_argument_is_ever_shown(
    sensitive: str, undeclared: str, *, nested: bool, schema: dict[str, Any] | None
) -> None:
    parameters = (parameter("TOKEN", sensitive=True, schema=schema), SIZE)
    arguments: dict[str, Any] = {
        "TOKEN": {"deep": [sensitive]} if nested else sensitive,
        "COLOUR": [undeclared] if nested else undeclared,
        "SIZE_GB": "wrong",
    }
    references = (argument_from("TOKEN"),)

    told = "\n".join(find_argument_problems(parameters, arguments, references))
    stored = str(arguments_for_the_record(parameters, arguments, ()))
    stored += str(arguments_for_the_record((), arguments, references))

    assert sensitive not in told + stored
    assert undeclared not in told + stored
