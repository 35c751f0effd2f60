"""The plugin on the page "Writing an auth plugin" works as it is printed there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from proctor_plugin import ProctorPlugin
from proctor_plugin.testing import check_contract, sample_requests

PAGE = Path(__file__).parents[3] / "docs" / "writing-an-auth-plugin.md"
CODE, TEST = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def printed() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "on_call"}
    exec(CODE + TEST, names)
    return names


async def test_the_printed_plugin_passes_the_printed_test() -> None:
    await printed()["test_it_keeps_the_contract"]()


@pytest.mark.parametrize(("groups", "answer"), [(("on-call",), "Allow"), ((), "NoOpinion")])
async def test_the_printed_plugin_knows_who_is_on_call(
    groups: tuple[str, ...], answer: str
) -> None:
    plugin: ProctorPlugin = printed()["OnCallPlugin"]()
    request = sample_requests()[0]
    who = request.principal.model_copy(update={"groups": groups})

    verdict = await plugin.authorize(request.model_copy(update={"principal": who, "dry_run": True}))

    assert verdict.answer == answer


def test_the_plugin_is_a_dozen_lines() -> None:
    assert len([line for line in CODE.splitlines() if line.strip()]) <= 12


async def test_the_page_passes_nothing_that_the_contract_tests_would_not() -> None:
    await check_contract(printed()["OnCallPlugin"])
