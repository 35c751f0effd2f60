"""`logs.mask`: what a proc's author wants blanked, before a line is stored, shown or published.

The patterns are RE2's: no look-around, no back-references, and linear time whatever a container prints.
A line is masked on its own, so a secret that is printed over two lines is not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import re2

BLANK: Final = b"***"


class Redactor:
    """Compiled patterns; raises `re2.error` for one that `find_mask_problem` names."""

    def __init__(self, patterns: Iterable[str]) -> None:
        sources = [pattern.encode() for pattern in patterns]
        self._of_text = [re2.compile(source, _options()) for source in sources]
        self._of_bytes = [re2.compile(source, _options(is_latin=True)) for source in sources]

    def mask(self, text: bytes) -> bytes:
        """Blank every match; what is not UTF-8 is matched byte by byte first, so that no bad byte ends a match."""
        patterns = self._of_text
        if patterns and not _is_utf8(text):
            patterns = [*self._of_bytes, *patterns]
        for pattern in patterns:
            text = pattern.sub(BLANK, text)
        return text


def find_mask_problem(pattern: str) -> str | None:
    """Why a pattern cannot be used, or None."""
    try:
        compiled = re2.compile(pattern.encode(), _options())
    except re2.error as error:
        return f"mask {pattern!r}: {_words_of(error)}"
    if compiled.search(b"") is not None:
        return f"mask {pattern!r}: it matches the empty text"
    return None


def _options(*, is_latin: bool = False) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    if is_latin:
        options.encoding = re2.Options.Encoding.LATIN1
    return options


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _words_of(error: re2.error) -> str:
    said = error.args[0] if error.args else b""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
