"""Scripts into which Kubernetes would put a requester's value, and commands where that is harmless."""

from __future__ import annotations

from typing import Any

import pytest

from proctor_operator.domain.shell import find_shell_warnings
from unit.builders import parameter, proc_spec

IN_TEMPLATE = "spec.podTemplate.spec.containers[proc].args[0]"
DANGEROUS: dict[str, tuple[dict[str, Any], str]] = {
    "sh -c": ({"command": ("sh", "-c", "echo $(SIZE)")}, "spec.command[2] contains $(SIZE)"),
    "a script in args": (
        {"command": ("/bin/bash", "-ec"), "args": ("echo $(SIZE) $(NAME) $(SIZE)",)},
        "spec.args[0] contains $(SIZE), $(NAME)",
    ),
    "a wrapper": (
        {"command": ("env", "A=1", "dash", "-c"), "args": ("$(NAME)", "x")},
        "spec.args[0] contains $(NAME)",
    ),
    "the image's own command": ({"args": ("-c", "$(NAME)")}, "spec.args[1] contains $(NAME)"),
    "options around the script": (
        {"command": ("bash", "-ce", "-o", "pipefail", "--", "$(NAME)")},
        "spec.command[5] contains $(NAME)",
    ),
    "a template": (
        {
            "command": ("sh", "-c"),
            "pod_template": {"spec": {"containers": [{"name": "proc", "args": ["$(NAME)"]}]}},
        },
        f"{IN_TEMPLATE} contains $(NAME)",
    ),
    "behind an escaped one": (
        {"command": ("sh", "-c", "echo $$(SIZE) $$$(NAME)")},
        "spec.command[2] contains $(NAME)",
    ),
}
HARMLESS: dict[str, dict[str, Any]] = {
    "a plain argument": {"command": ("grow", "--size=$(SIZE)")},
    "a positional parameter of the script": {"command": ("sh", "-c", 'echo "$1"', "x", "$(SIZE)")},
    "a variable of the shell": {"command": ("sh", "-c", 'echo "$SIZE"')},
    "an escaped reference": {"command": ("sh", "-c", "echo $$(SIZE)")},
    "what is no parameter": {"command": ("sh", "-c", "echo $(date) $(OTHER)")},
    "a flag of another program": {"command": ("tar", "-c", "$(NAME)")},
    "a flag without a script": {"command": ("sh", "-c")},
    "no command": {},
    "a template of an odd shape": {"pod_template": {"spec": {"containers": "none"}}},
}


def warnings(fields: dict[str, Any]) -> tuple[str, ...]:
    parameters = (parameter("SIZE"), parameter("NAME"))
    return find_shell_warnings(proc_spec(parameters=parameters, **fields))


@pytest.mark.parametrize(("fields", "words"), DANGEROUS.values(), ids=DANGEROUS)
def test_a_script_that_takes_a_value_in_is_warned_of(fields: dict[str, Any], words: str) -> None:
    (said,) = warnings(fields)

    assert said.startswith(f"{words}: Kubernetes puts the value into the script before the shell")


@pytest.mark.parametrize("fields", HARMLESS.values(), ids=HARMLESS)
def test_what_no_shell_reads_as_a_script_draws_no_warning(fields: dict[str, Any]) -> None:
    assert warnings(fields) == ()
