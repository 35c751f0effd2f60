"""Foreign bytes made fit for a status: valid UTF-8, no control characters, a bounded size."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def readable(data: bytes) -> str:
    r"""Decode what a container printed; what a terminal would obey is written out instead (`\\x1b`).

    Carriage returns before a newline are dropped, invalid UTF-8 becomes U+FFFD. Control characters
    in a status could forge a terminal's output for whoever reads it (CVE-2021-25743).
    """
    text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
    return _CONTROL.sub(_written_out, text)


def one_line(text: str, limit: int) -> str:
    """A foreign message on one line of at most `limit` characters, without what no eye can see.

    Control and format characters (bidirectional overrides among them), lone surrogates and what Unicode
    has not assigned become blanks, and runs of blanks become one.
    """
    seen = "".join(
        " " if unicodedata.category(character)[0] in "CZ" else character
        for character in text[: 4 * limit]
    )
    line = " ".join(seen.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def newest_lines(text: str, limit_bytes: int) -> tuple[str, bool]:
    """The end of `text` that fits into `limit_bytes` of UTF-8, and whether anything was cut.

    It begins at the start of a line, unless the last line alone is longer.
    """
    encoded = text.encode()
    if len(encoded) <= limit_bytes:
        return text, False
    return whole_lines(encoded[len(encoded) - limit_bytes :].decode(errors="ignore")), True


def whole_lines(text: str) -> str:
    """Return `text` without its first line, which may have lost its beginning, if another follows."""
    first_line_end = text.find("\n")
    return text[first_line_end + 1 :] if 0 <= first_line_end < len(text) - 1 else text


def _written_out(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
