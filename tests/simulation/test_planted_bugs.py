"""The checks check something: every planted bug is caught, by the promise that it breaks."""

from __future__ import annotations

import pytest

from simulation.plans import parse_plan
from simulation.planted_bugs import BUGS, PlantedBug
from simulation.playing import check, play


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_planted_bug_is_caught(bug: PlantedBug, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = parse_plan(bug.plan)
    check(plan)

    bug.plant(monkeypatch)
    played = play(plan)

    assert [one for one in played.violations if one.startswith(f"{bug.promise} ")], played.explain()
