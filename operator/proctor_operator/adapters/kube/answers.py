"""The API server's JSON, however deep what users wrote in it is nested.

Free values of our kinds (`arguments`, `default`, `podTemplate`) may be nested deeper than any parser of
JSON follows, and the API server takes them. One such object must not make a whole list, or the watch of
its kind, unreadable (I11). So what lies too deep becomes null; what is left is still deeper than anything
that our models accept, so that nothing is ever started with it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

_LEVELS_READ: Final = 900
"""orjson follows 1024."""
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_OPENS: Final = (b"[", b"{")
_CLOSES: Final = (b"]", b"}")


def read_json(data: bytes) -> Any:
    """Parse an answer; raises `orjson.JSONDecodeError` for what is no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        shallow = _without_what_lies_too_deep(data)
        if shallow is None:
            raise
        return orjson.loads(shallow)


def _without_what_lies_too_deep(data: bytes) -> bytes | None:
    """None when nothing does."""
    kept, position, level = [], 0, 0
    for token in _TOKEN.finditer(data):
        if token.group() in _OPENS:
            level += 1
            if level == _LEVELS_READ + 1:
                kept.append(data[position : token.start()])
        elif token.group() in _CLOSES:
            level -= 1
            if level == _LEVELS_READ:
                kept.append(b"null")
                position = token.end()
    return b"".join((*kept, data[position:])) if kept else None
