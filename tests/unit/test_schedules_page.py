"""The page on schedules tells the instants that are computed, row by row."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from proctor_operator.domain.cron import SHORTHANDS, read_cron
from proctor_operator.domain.occurrences import MOST_AT_ONCE, occurrences_between
from unit.domain.test_occurrences import timing_of

PAGE = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text()
ROW = re.compile(
    r"^\| `([A-Za-z]+/[A-Za-z_]+)` \| `([^`]+)` \| (\S+) (\S+) \| ([^|]*) \|", re.MULTILINE
)
ROWS = ROW.findall(PAGE)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("zone", "cron", "after", "until", "runs"), ROWS, ids=lambda text: text[:20]
)
def test_a_row_of_the_table_holds(zone: str, cron: str, after: str, until: str, runs: str) -> None:
    found = occurrences_between(timing_of(cron, zone), instant(after), instant(until), MOST_AT_ONCE)

    assert list(found) == [instant(one) for one in runs.split()]


def test_the_table_has_every_zone_that_is_walked() -> None:
    assert len(ROWS) == len(re.findall(r"^\| `[A-Za-z]+/", PAGE, re.MULTILINE)) == 9
    assert len({row[0] for row in ROWS}) == 5


def test_the_page_lists_the_short_forms_as_they_are() -> None:
    listed = re.search(r"^\| (`@hourly`[^|]*) \| ([^|]*) \|", PAGE, re.MULTILINE)
    assert listed is not None
    names, meanings = re.findall(r"`(@\w+)`", listed[1]), listed[2].split(", ")

    assert names == list(SHORTHANDS)
    last = ""
    for name, meaning in zip(names, meanings, strict=True):
        last = last if meaning == "the same" else meaning.strip("`")
        assert read_cron(name, "") == read_cron(last, "")
