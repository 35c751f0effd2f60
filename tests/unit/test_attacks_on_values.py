"""Values as weapons: what a name, a shell or a regular expression could be made to do with them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from proctor_operator.domain.arguments import (
    as_text,
    find_argument_problems,
    find_schema_problem,
)
from proctor_operator.domain.naming import is_refused_environment_name
from proctor_operator.domain.proc import ParameterSchema
from proctor_operator.domain.shell import find_shell_warnings
from unit.builders import parameter, proc_spec

REFUSED = (
    *("PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "ld_audit", "PYTHONPATH", "PYTHONSTARTUP"),
    *("BASH_ENV", "NODE_OPTIONS", "HTTP_PROXY", "https_proxy", "KUBERNETES_SERVICE_HOST"),
    *("PROCTOR_REQUESTER", "PROCTOR_ANYTHING", "EXECUTION_ID", "USER_EMAIL", "IMAGE_TAG"),
)


@pytest.mark.parametrize("name", REFUSED)
def test_no_parameter_is_called(name: str) -> None:
    assert is_refused_environment_name(name)


HOSTILE: dict[str, tuple[dict[str, Any], Any]] = {
    "nested repetition": ({"pattern": "^(a+)+$"}, "a" * 30_000 + "!"),
    "overlapping alternatives": ({"pattern": "^(a|a|ab)*$"}, "ab" * 15_000 + "!"),
    "repetition of nothing": ({"pattern": "^(.*)*x$"}, "y" * 30_000),
}


@pytest.mark.parametrize(("schema", "value"), HOSTILE.values(), ids=HOSTILE)
def test_no_pattern_and_no_value_hang_the_check(schema: dict[str, Any], value: Any) -> None:
    began = time.perf_counter()
    problems = find_argument_problems((parameter("A", schema=schema),), {"A": value}, ())

    assert len(problems) == 1
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "((a{1000}){1000}){1000}", "("])
def test_a_pattern_that_takes_more_than_linear_time_or_memory_is_a_mistake(pattern: str) -> None:
    assert find_schema_problem(ParameterSchema(pattern=pattern)) is not None


AS_WRITTEN: dict[str, tuple[str, Any, str]] = {
    "a number with quotes": ("integer", "5", '(given: "5"); in YAML, leave the quotes out'),
    "a boolean with quotes": ("boolean", "true", '(given: "true"); in YAML, leave the quotes out'),
    "yes, for text": ("string", True, "(given: true); in YAML, quotes make it text"),
    "1.10, for text": ("string", 1.1, "(given: 1.1); in YAML, quotes make it text"),
}


@pytest.mark.parametrize(("type_", "value", "words"), AS_WRITTEN.values(), ids=AS_WRITTEN)
def test_yaml_is_explained_to_who_wrote(type_: str, value: Any, words: str) -> None:
    (problem,) = find_argument_problems((parameter("A", schema={"type": type_}),), {"A": value}, ())

    assert problem.endswith(words)


def test_a_whole_number_with_a_fraction_of_zero_is_a_whole_number() -> None:
    size = parameter("SIZE", schema={"type": "integer"})

    assert find_argument_problems((size,), {"SIZE": 200.0}, ()) == ()
    assert as_text(200.0) == "200"
    assert as_text(0.5) == "0.5"


SHELLS: dict[str, tuple[dict[str, Any], int]] = {
    "a program with the value pasted in": ({"command": ("sh", "-c", "grow $(SIZE)")}, 1),
    "the same in args": ({"command": ("/bin/bash", "-ec"), "args": ("grow $(SIZE)",)}, 1),
    "the same in a podTemplate": (
        {
            "pod_template": {
                "spec": {
                    "containers": [{"name": "proc", "command": ["sh", "-c"], "args": ["$(SIZE)"]}]
                }
            }
        },
        1,
    ),
    "twice, told once": ({"command": ("sh", "-c", "a $(SIZE); b $(SIZE)")}, 1),
    "the shell's own variable": ({"command": ("sh", "-c", 'grow "$SIZE"')}, 0),
    "a doubled dollar": ({"command": ("sh", "-c", "grow $$(SIZE)")}, 0),
    "a variable that is no parameter": ({"command": ("sh", "-c", "grow $(HOSTNAME)")}, 0),
    "no shell": ({"command": ("/grow", "$(SIZE)")}, 0),
    "a script of the image": ({"command": ("sh", "/grow.sh", "$(SIZE)")}, 0),
    "nonsense": ({"pod_template": {"spec": {"containers": ["x", {"name": "proc"}]}}}, 0),
}


@pytest.mark.parametrize(("spec", "warnings"), SHELLS.values(), ids=SHELLS)
def test_a_shells_program_is_warned_of(spec: dict[str, Any], warnings: int) -> None:
    found = find_shell_warnings(proc_spec(parameters=(parameter("SIZE"),), **spec))

    assert len(found) == warnings
    assert all("$(SIZE)" in one for one in found)
