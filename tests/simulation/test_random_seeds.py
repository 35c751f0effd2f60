"""Lives and faults drawn at random. `PROCTOR_SIMULATION_SEEDS=2000` plays more, `1000-1500` others."""

from __future__ import annotations

import os

import pytest

from simulation.drawing import random_plan
from simulation.playing import check_all

_BATCH = 50


def _seeds() -> range:
    first, _, last = os.environ.get("PROCTOR_SIMULATION_SEEDS", "400").rpartition("-")
    return range(int(first or 0), int(last))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", _seeds()[::_BATCH])
def test_random_lives_keep_every_promise_from_seed(first: int) -> None:
    last = min(first + _BATCH, _seeds().stop)
    check_all(random_plan(seed) for seed in range(first, last))
