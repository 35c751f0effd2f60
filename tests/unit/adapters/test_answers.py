"""JSON from the API server, however deep it is nested."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.adapters.kube.answers import read_json
from proctor_operator.adapters.kube.mapping import read_execution
from proctor_operator.domain.objects import UnreadableObject

DEEP = (b'[{"a":', b"}]")


def nested(levels: int, core: bytes = b'"x"', around: tuple[bytes, bytes] = DEEP) -> bytes:
    return around[0] * levels + core + around[1] * levels


def execution(name: str, value: bytes) -> bytes:
    metadata = {
        "namespace": "apps",
        "name": name,
        "uid": name,
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-20T09:30:00Z",
    }
    spec = b'{"procRef": {"name": "p"}, "arguments": {"A": ' + value + b"}}"
    return b'{"metadata": ' + json.dumps(metadata).encode() + b', "spec": ' + spec + b"}"


@pytest.mark.parametrize("value", [nested(5_000), nested(50_000, b"1", (b"[", b"]"))])
def test_one_object_of_a_list_may_be_nested_as_deep_as_it_likes(value: bytes) -> None:
    items = (execution("before", b"1"), execution("deep", value), execution("after", b"[[2]]"))

    page = read_json(b'{"items": [' + b",".join(items) + b"]}")

    before, deep, after = (read_execution(one) for one in page["items"])
    assert isinstance(deep, UnreadableObject), "it is told, and never started"
    assert (before.name, deep.name, after.name) == ("before", "deep", "after")
    assert page["items"][2]["spec"]["arguments"] == {"A": [[2]]}


def test_brackets_in_text_are_no_levels() -> None:
    text = '[{"\\' * 3000

    page = read_json(b"[" + json.dumps(text).encode() + b"," + nested(2_000) + b"]")

    assert page[0] == text


@given(
    st.recursive(
        st.text() | st.integers(-(2**53), 2**53),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_what_is_not_too_deep_is_read_as_it_is(value: Any) -> None:
    value = json.loads(json.dumps(value).encode("utf-8", "replace"))
    data = b'{"deep": ' + nested(2_000) + b', "value": ' + json.dumps(value).encode() + b"}"

    assert read_json(data)["value"] == value


@pytest.mark.parametrize("data", [b"", b"no json", b'{"a": ', nested(2_000)[:-1]])
def test_what_is_no_json_is_still_none(data: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        read_json(data)
