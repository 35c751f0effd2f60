"""Masks: what an author wants blanked is blanked, whatever stands around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.redaction import Redactor, find_mask_problem

MASKED: dict[str, tuple[tuple[str, ...], bytes, bytes]] = {
    "nothing to mask": ((), b"tok_abc", b"tok_abc"),
    "every match": (("tok_[a-z]+",), b"tok_a, tok_b.", b"***, ***."),
    "several patterns": (("a+", "b+"), b"aab c", b"****** c"),
    "beside NUL and colours": (("tok_[a-z]+",), b"\0\x1b[31mtok_a\x1b[0m", b"\0\x1b[31m***\x1b[0m"),
    "beside bytes that are no text": (("tok_[a-z]+",), b"\xfftok_a\xfe", b"\xff***\xfe"),
    "through bytes that are no text": (("password=.*",), b"password=a\xffb", b"***"),
    "letters beyond ASCII": (("p\u00e4ssw=\\w+",), "p\u00e4ssw=x y".encode(), b"*** y"),
    "without regard to case": (("(?i)token=\\S+",), b"TOKEN=x y", b"*** y"),
}


@pytest.mark.parametrize("case", MASKED.values(), ids=MASKED)
def test_a_mask_blanks(case: tuple[tuple[str, ...], bytes, bytes]) -> None:
    patterns, printed, kept = case

    assert Redactor(patterns).mask(printed) == kept


@given(before=st.binary(), secret=st.from_regex(rb"tok_[a-z]{4}\Z"), after=st.binary())
def test_no_bytes_around_a_secret_save_it(before: bytes, secret: bytes, after: bytes) -> None:
    assert secret not in Redactor(["tok_[a-z]{4}"]).mask(before + secret + after)


def test_a_pattern_that_backtracks_elsewhere_takes_linear_time() -> None:
    assert Redactor(["^(a+)+$"]).mask(b"a" * 100_000 + b"b") == b"a" * 100_000 + b"b"


PROBLEMS: dict[str, str | None] = {
    "tok_[a-z0-9]+": None,
    "(": "mask '(': missing ): (",
    "(?<=x)y": "mask '(?<=x)y': invalid perl operator: (?<",
    r"(a)\1": r"mask '(a)\\1': invalid escape sequence: \1",
    "a*": "mask 'a*': it matches the empty text",
}


@pytest.mark.parametrize(("pattern", "problem"), PROBLEMS.items(), ids=PROBLEMS)
def test_a_pattern_that_cannot_work_is_named(pattern: str, problem: str | None) -> None:
    said = find_mask_problem(pattern)

    assert said is None if problem is None else said is not None and said.startswith(problem[:20])
