"""Every test that the page of promises names is there, and every promise names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()
NAMED = re.findall(r"`T/([a-z0-9_/]+\.py)::([a-z0-9_]+)`", PAGE)
PROMISES = re.findall(r"^## (I\d+: .*?)$(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "function"), NAMED)
def test_the_named_test_is_there(file: str, function: str) -> None:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert function in {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize(("promise", "text"), PROMISES, ids=[promise for promise, _ in PROMISES])
def test_every_promise_says_its_limits_and_names_its_tests(promise: str, text: str) -> None:
    assert "*Limits.*" in text, promise
    assert "*Tests.* `T/" in text, promise


def test_there_are_promises_and_every_word_of_code_with_a_test_is_one_of_them() -> None:
    assert len(PROMISES) >= 8
    assert PAGE.count("::test_") == len(NAMED)
