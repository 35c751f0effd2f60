"""Arguments as values: in the order of declaration, as text, and never expanded by Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proctor_operator.domain.arguments import (
    FromSecret,
    Plain,
    arguments_for_the_record,
    as_text,
    escape_expansion,
    resolve_arguments,
)
from proctor_operator.domain.proc import SecretKeyRef
from unit.builders import argument_from, parameter

TEXTS: dict[str, tuple[Any, str]] = {
    "text stays as it is": ("a b\n", "a b\n"),
    "text that looks like JSON stays as it is": ('"x"', '"x"'),
    "an integer": (200, "200"),
    "a fraction": (1.5, "1.5"),
    "true": (True, "true"),
    "false": (False, "false"),
    "a list": (["eu", 1], '["eu",1]'),
    "a map": ({"a": {"b": None}}, '{"a":{"b":null}}'),
    "letters beyond ASCII are not escaped": (["ü"], '["ü"]'),
}


@pytest.mark.parametrize(("value", "text"), TEXTS.values(), ids=TEXTS)
def test_a_value_reaches_the_container_as_plain_text_or_json(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_values_stand_in_the_order_of_declaration_and_defaults_fill_the_gaps() -> None:
    parameters = (
        parameter("B", default=3),
        parameter("A"),
        parameter("TOKEN", sensitive=True),
        parameter("LEFT_OUT", required=False),
        parameter("C", default="unused"),
    )

    resolved = resolve_arguments(parameters, {"C": "given", "A": [1]}, (argument_from("TOKEN"),))

    assert resolved == (
        Plain("B", "3"),
        Plain("A", "[1]"),
        FromSecret("TOKEN", SecretKeyRef(name="my-token", key="t")),
        Plain("C", "given"),
    )


def test_an_argument_that_is_not_declared_becomes_no_variable() -> None:
    assert resolve_arguments((), {"LD_PRELOAD": "/x.so"}, (argument_from("PATH"),)) == ()


def test_the_record_shows_plain_values_and_references_and_blanks_the_rest() -> None:
    parameters = (parameter("SIZE_GB"), parameter("TOKEN", sensitive=True))
    arguments: dict[str, Any] = {"SIZE_GB": 200, "TOKEN": "hunter2", "UNKNOWN": "hunter3"}

    shown = arguments_for_the_record(parameters, arguments, (argument_from("KEY"),))

    assert shown == {
        "SIZE_GB": 200,
        "TOKEN": "***",
        "UNKNOWN": "***",
        "KEY": "*** (secret my-token, key t)",
    }


NAME = re.compile(r"\$\(([^)]*)\)")


def expand(text: str, mapping: Mapping[str, str]) -> str:
    """Expand as Kubernetes does (third_party/forked/golang/expansion): left to right, once.

    `$$` stands for `$`, `$(NAME)` for a defined variable, anything else for itself.
    """
    expanded, position = "", 0
    while position < len(text):
        if text.startswith("$$", position):
            expanded += "$"
            position += 2
        elif found := NAME.match(text, position):
            expanded += mapping.get(found[1], found[0])
            position = found.end()
        else:
            expanded += text[position]
            position += 1
    return expanded


ORACLE: dict[str, tuple[str, str]] = {
    # From the table in k8s.io/kubernetes/third_party/forked/golang/expansion/expand_test.go.
    "a defined variable": ("$(VAR_A)", "A"),
    "an escaped reference": ("$$(VAR_B)_$(VAR_A)", "$(VAR_B)_A"),
    "a reference behind an escaped dollar": ("$$$(VAR_A)", "$A"),
    "an unknown variable": ("foo$(NOPE)", "foo$(NOPE)"),
    "an unfinished reference": ("$(VAR_A", "$(VAR_A"),
    "a lone dollar at the end": ("foo$", "foo$"),
    "two dollars": ("foo$$bar", "foo$bar"),
    "an empty name": ("$()", "$()"),
    "a value is not expanded again": ("$(VAR_REF)", "$(VAR_A)"),
}
VARIABLES = {"VAR_A": "A", "VAR_B": "B", "VAR_REF": "$(VAR_A)"}


@pytest.mark.parametrize(("text", "expanded"), ORACLE.values(), ids=ORACLE)
def test_the_oracle_expands_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, VARIABLES) == expanded


NAMES = st.sampled_from(["A", "VAR", "PROCTOR_NUMBER", ""])
PIECES = st.one_of(
    st.sampled_from(["$", "$$", "(", ")", "$(", "$(A)", "$$(A)", "$(VAR)", "$()"]),
    st.text(max_size=5),
)


@given(
    text=st.lists(PIECES, max_size=12).map("".join),
    mapping=st.dictionaries(NAMES, st.text(max_size=5), max_size=4),
)
@example(text="$(A)", mapping={"A": "leaked"})
@example(text="$$(A)", mapping={"A": "leaked"})
def test_what_a_requester_writes_reaches_the_container_unchanged_whatever_is_defined(
    text: str, mapping: dict[str, str]
) -> None:
    assert expand(escape_expansion(text), mapping) == text
