"""Merge patches (RFC 7386), to the letter: what is no map is replaced, a null removes, lists are replaced."""

from __future__ import annotations

from typing import Any

from proctor_operator.domain.model import JsonObject


def merge(target: Any, patch: JsonObject) -> JsonObject:
    """Return `target` with the patch laid over it; both stay as they are."""
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged
