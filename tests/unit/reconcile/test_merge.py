"""Laying one pod template over another."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.reconcile.merge import lay_over

ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "what only one says stays": ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    "of two scalars the upper stays": ({"a": 1}, {"a": 2}, {"a": 2}),
    "maps are merged": ({"m": {"a": 1, "b": 1}}, {"m": {"b": 2}}, {"m": {"a": 1, "b": 2}}),
    "null removes": ({"a": 1, "b": 1}, {"a": None}, {"b": 1}),
    "null removes deep inside": ({"m": {"a": 1}}, {"m": {"a": None}}, {"m": {}}),
    "null over nothing is nothing": ({}, {"a": None}, {}),
    "a scalar replaces a map": ({"m": {"a": 1}}, {"m": 5}, {"m": 5}),
    "lists without a merge key are replaced": ({"args": [1, 2]}, {"args": [3]}, {"args": [3]}),
    "tolerations have no merge key": (
        {"tolerations": [{"key": "a"}]},
        {"tolerations": [{"key": "b"}]},
        {"tolerations": [{"key": "b"}]},
    ),
    "containers are merged by name, in the lower one's order": (
        {"containers": [{"name": "a", "image": "1", "tty": True}, {"name": "b"}]},
        {"containers": [{"name": "c"}, {"name": "a", "image": "2"}]},
        {"containers": [{"name": "a", "image": "2", "tty": True}, {"name": "b"}, {"name": "c"}]},
    ),
    "volume mounts are merged by path": (
        {"volumeMounts": [{"mountPath": "/a", "name": "x"}]},
        {"volumeMounts": [{"mountPath": "/a", "name": "y"}, {"mountPath": "/b", "name": "x"}]},
        {"volumeMounts": [{"mountPath": "/a", "name": "y"}, {"mountPath": "/b", "name": "x"}]},
    ),
    "ports are merged by number": (
        {"ports": [{"containerPort": 80, "name": "a"}]},
        {"ports": [{"containerPort": 80, "name": "b"}]},
        {"ports": [{"containerPort": 80, "name": "b"}]},
    ),
    "an item without a name: the upper list replaces": (
        {"containers": [{"name": "a"}, {"image": "1"}]},
        {"containers": [{"image": "2"}]},
        {"containers": [{"image": "2"}]},
    ),
    "a name that is no name: the upper list replaces": (
        {"containers": [{"name": "a"}]},
        {"containers": [{"name": {"a": 1}}]},
        {"containers": [{"name": {"a": 1}}]},
    ),
    "an item that is no map: the upper list replaces": (
        {"containers": ["a"]},
        {"containers": [{"name": "a"}]},
        {"containers": [{"name": "a"}]},
    ),
}


@pytest.mark.parametrize(("under", "over", "expected"), ROWS.values(), ids=ROWS)
def test_laying_over(under: dict[str, Any], over: dict[str, Any], expected: dict[str, Any]) -> None:
    before = deepcopy((under, over))

    assert lay_over(under, over) == expected
    assert (under, over) == before, "neither is changed"


KEYS = st.sampled_from(["containers", "env", "name", "spec", "mountPath", "args"])
FREE_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)
TEMPLATES = st.dictionaries(KEYS, FREE_JSON, max_size=4)


@given(under=TEMPLATES, over=TEMPLATES)
def test_no_template_however_odd_breaks_the_merge_and_the_upper_scalars_win(
    under: dict[str, Any], over: dict[str, Any]
) -> None:
    merged = lay_over(under, over)

    for key, value in over.items():
        if value is None:
            assert key not in merged
        elif not isinstance(value, dict | list):
            assert merged[key] == value
    for key in under.keys() - over.keys():
        assert merged[key] == under[key]
