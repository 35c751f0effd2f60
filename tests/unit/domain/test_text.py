"""What containers print, made fit for a status."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.text import newest_lines, readable

TEXTS = {
    "plain text": (b"a b\n", "a b\n"),
    "tabs stay": (b"a\tb", "a\tb"),
    "line ends of Windows": (b"a\r\nb\r\n", "a\nb\n"),
    "a lone carriage return is written out": (b"safe\revil", "safe\\revil"),
    "an escape sequence is written out": (b"\x1b[2Jgone", "\\x1b[2Jgone"),
    "the one-byte escape of C1 is written out": ("\x9b2J".encode(), "\\x9b2J"),
    "NUL": (b"a\0b", "a\\x00b"),
    "delete": (b"\x7f", "\\x7f"),
    "a line separator that is no newline": ("a\u2028b".encode(), "a\\u2028b"),
    "bytes that are no UTF-8": (b"\xff\xfe", "\ufffd\ufffd"),
    "letters beyond ASCII stay": ("Grüße 你好".encode(), "Grüße 你好"),
}


@pytest.mark.parametrize(("data", "text"), TEXTS.values(), ids=TEXTS)
def test_what_a_terminal_would_obey_is_written_out(data: bytes, text: str) -> None:
    assert readable(data) == text


@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_no_control_character_survives_but_newline_and_tab(data: bytes) -> None:
    controls = {one for one in readable(data) if unicodedata.category(one) == "Cc"}

    assert controls <= {"\n", "\t"}


LINES = {
    "all of it fits": ("a\nb\n", 4, ("a\nb\n", False)),
    "the oldest line is left out": ("aa\nbb\ncc\n", 7, ("bb\ncc\n", True)),
    "a line that would be cut is left out whole": ("aaaa\nbb\n", 6, ("bb\n", True)),
    "one long line is cut": ("aaaaaaaa", 3, ("aaa", True)),
    "one long line with its end is cut": ("aaaaaaaa\n", 3, ("aa\n", True)),
    "a character is never split": ("üüü", 3, ("ü", True)),
    "nothing": ("", 0, ("", False)),
}


@pytest.mark.parametrize(("text", "limit", "kept"), LINES.values(), ids=LINES)
def test_the_newest_whole_lines_are_kept(text: str, limit: int, kept: tuple[str, bool]) -> None:
    assert newest_lines(text, limit) == kept


@given(text=st.text(st.sampled_from("ab\nü你"), max_size=80), limit=st.integers(0, 60))
def test_the_newest_lines_are_bounded_and_begin_at_a_line_start(text: str, limit: int) -> None:
    kept, is_cut = newest_lines(text, limit)

    assert len(kept.encode()) <= limit
    assert text.endswith(kept)
    assert is_cut == (kept != text)
    # Unless the last line alone does not fit.
    if is_cut and "\n" in kept.rstrip("\n"):
        assert text.removesuffix(kept).endswith("\n")
