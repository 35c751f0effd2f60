"""Laying one pod template over another, the way `kubectl patch` would.

Maps are merged, lists whose items carry a merge key are merged item by item, everything else is
replaced (the patch strategies of core/v1 PodSpec; only the lists that a podTemplate can meet here).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proctor_operator.domain.model import JsonObject

_MERGE_KEYS: Final[Mapping[str, str]] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
}


def lay_over(under: JsonObject, over: JsonObject) -> JsonObject:
    """A new map with everything of `under` that `over` does not say otherwise; a null removes."""
    merged = dict(under)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif key in merged:
            merged[key] = _merge_value(key, merged[key], value)
        else:
            merged[key] = value
    return merged


def _merge_value(key: str, under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        return lay_over(under, over)
    merge_key = _MERGE_KEYS.get(key)
    if merge_key is not None and isinstance(under, list) and isinstance(over, list):
        return _merge_list(merge_key, under, over)
    return over


def _merge_list(merge_key: str, under: list[Any], over: list[Any]) -> list[Any]:
    """Items of `under` in their order, each merged with its namesake, then what only `over` has.

    Where an item has no name to go by, `over` replaces the list: the API server says what is wrong.
    """
    if not all(_has_a_name(item, merge_key) for item in (*under, *over)):
        return over
    fresh = {item[merge_key]: item for item in over}
    merged = [
        lay_over(item, fresh.pop(item[merge_key])) if item[merge_key] in fresh else item
        for item in under
    ]
    return [*merged, *fresh.values()]


def _has_a_name(item: Any, merge_key: str) -> bool:
    return isinstance(item, dict) and isinstance(item.get(merge_key), str | int)
