"""Makes text and JSON storable: what PostgreSQL refuses for ever is replaced, never an error."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

MOST_NAME_CHARACTERS: Final = 253
"""The longest name in Kubernetes; longer text in an index could be refused by it."""

MOST_MESSAGE_BYTES: Final = 1024
MOST_RESULT_BYTES: Final = 4096
MOST_TAIL_BYTES: Final = 4096

_REPLACEMENT: Final = "\ufffd"
_REFUSED: Final = re.compile("[\x00\ud800-\udfff]")
_MOST_LEVELS: Final = 64
_TOO_DEEP: Final = "(nested too deep to be recorded)"
_EXACT: Final = 1e15
_INT64: Final = range(-(2**63), 2**63)


def clean_text(text: str) -> str:
    """Replace what a PostgreSQL text cannot hold: NUL and halves of surrogate pairs."""
    return _REFUSED.sub(_REPLACEMENT, text)


def clean_name(text: str) -> str:
    """Clean a text that is indexed, and cut it where no valid name goes on."""
    return clean_text(text)[:MOST_NAME_CHARACTERS]


def clip(text: str, most_bytes: int) -> str:
    """Clean a text and cut it to `most_bytes` of UTF-8, between characters."""
    cleaned = clean_text(text)
    if len(cleaned) * 4 <= most_bytes:
        return cleaned
    return cleaned.encode()[:most_bytes].decode(errors="ignore")


def to_json(value: object) -> str:
    """Write JSON that jsonb accepts whatever the value holds."""
    return json.dumps(_clean(value, _MOST_LEVELS), ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Any:
    """Read what `to_json` wrote; a number beyond 64 bits is a float, as in the Kubernetes API.

    jsonb keeps the value of a number, not its form: 1e20 comes back as digits only.
    """
    return json.loads(text, parse_int=_parse_whole_number)


def _parse_whole_number(digits: str) -> int | float:
    # int() refuses thousands of digits; 20 characters hold every 64-bit number.
    number = int(digits) if len(digits) <= 20 else None
    return number if number is not None and number in _INT64 else float(digits)


def _clean(value: object, levels: int) -> object:
    match value:
        case str():
            return clean_text(value)
        case dict() | list() | tuple() if levels == 0:
            return _TOO_DEEP
        case dict():
            return {clean_text(str(key)): _clean(item, levels - 1) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item, levels - 1) for item in value]
        case float() if not math.isfinite(value):
            return str(value)
        case float() if value.is_integer() and _EXACT <= abs(value) <= _INT64[-1]:
            # Its shortest digits end in made-up zeros, which jsonb would keep as a whole number.
            return int(value)
        case int() if not isinstance(value, bool) and value not in _INT64:
            return _whole_number_as_float(value)
        case _:
            return value


def _whole_number_as_float(value: int) -> float | str:
    try:
        return float(value)
    except OverflowError:
        return "(a number too large to be recorded)"
