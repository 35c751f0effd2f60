"""The merge patch (RFC 7386) that turns one manifest into another."""

from __future__ import annotations

import json

from proctor_operator.domain.model import JsonObject


def merge_patch(before: JsonObject, after: JsonObject) -> JsonObject:
    """Only what differs; a key that goes is null, a list that differs comes whole."""
    patch: JsonObject = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            inner = merge_patch(old, value)
            if inner:
                patch[key] = inner
        elif key not in before or not _is_same(old, value):
            patch[key] = value
    return patch


def _is_same(one: object, other: object) -> bool:
    """Equality of JSON, however deep: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
