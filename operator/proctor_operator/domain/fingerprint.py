"""A hash of what a user wrote into an execution: the same whenever the same manifest is applied again."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from pydantic import JsonValue

from proctor_operator.domain.execution import ProcExecutionSpec

_VERSION: Final = "v1"
_EXACT_INTEGERS: Final = 2**53


def fingerprint_of(spec: ProcExecutionSpec) -> str:
    """Return `v1:` and a SHA-256 over procRef, arguments, argumentsFrom, reason, scheduleRef and rerunOf.

    Nothing that is stamped goes in (who asked may change, and so may the Proc), and not `cancel`. What
    is left out counts as empty, so a later field changes no older fingerprint. What is stored must be
    found by every later release: another way to compute it needs another prefix.
    """
    written: dict[str, JsonValue] = {
        "procRef": spec.proc_ref.name,
        "arguments": _canonical(spec.arguments),
        "argumentsFrom": {
            one.name: [one.secret_key_ref.name, one.secret_key_ref.key]
            for one in spec.arguments_from
        },
        "reason": spec.reason,
        # Its UID and time are the operator's; of the whole a user writes the name alone.
        "scheduleRef": spec.schedule_ref.name if spec.schedule_ref else "",
        "rerunOf": [spec.rerun_of.name, spec.rerun_of.uid or ""] if spec.rerun_of else [],
    }
    said = {name: value for name, value in written.items() if value}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"{_VERSION}:{hashlib.sha256(text.encode()).hexdigest()}"


def _canonical(value: JsonValue) -> JsonValue:
    """One form for each number: 200.0 and 2e2 are 200, whatever wrote them."""
    if isinstance(value, dict):
        return {name: _canonical(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_canonical(one) for one in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_INTEGERS:
        return int(value)
    return value
