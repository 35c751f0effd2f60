"""When a process is worth keeping, and when it should be started anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.runtime.liveness import Signs, find_life_problem

LIVES = {
    "a quiet one": Signs(),
    "a standby, which takes up nothing": Signs(is_working=False, standstill_seconds=10_000),
    "a long queue that moves": Signs(free_workers=0, standstill_seconds=0.4),
    "workers that all wait for something slow": Signs(
        free_workers=0, standstill_seconds=170, longest_pass_seconds=119
    ),
    "a pass about to be ended": Signs(longest_pass_seconds=150),
    "watches that hear a bookmark a minute": Signs(silences={"jobs": 75.0, "pods": 61.0}),
    "silent watches while the API server does not answer": Signs(
        silences={"jobs": 900.0}, since_an_answer=100.0, since_no_answer=1.0
    ),
    "silent watches a moment after an outage": Signs(
        silences={"jobs": 900.0}, since_an_answer=1.0, since_no_answer=30.0
    ),
}
DEATHS = {
    "a queue that does not move although a worker is free": (
        Signs(free_workers=1, standstill_seconds=31),
        "no object was taken up for 31 s, although a worker is free",
    ),
    "workers that all hang": (
        Signs(free_workers=0, standstill_seconds=301),
        "no object was taken up for 301 s",
    ),
    "a pass that does not let itself be ended": (
        Signs(longest_pass_seconds=181),
        "a pass has been under way for 181 s",
    ),
    "one watch that is dead among others that live": (
        Signs(silences={"jobs": 12.0, "pods": 181.0}),
        "the watch of pods brought nothing for 181 s, although the API server answers",
    ),
    "a watch that did not come back after an outage": (
        Signs(silences={"jobs": 900.0}, since_an_answer=1.0, since_no_answer=200.0),
        "the watch of jobs brought nothing for 900 s, although the API server answers",
    ),
}


@pytest.mark.parametrize("signs", LIVES.values(), ids=LIVES)
def test_these_live(signs: Signs) -> None:
    assert find_life_problem(signs) is None


@pytest.mark.parametrize(("signs", "problem"), DEATHS.values(), ids=DEATHS)
def test_these_are_started_anew(signs: Signs, problem: str) -> None:
    assert find_life_problem(signs) == problem


@given(silence=st.floats(0, 1e6), answer=st.floats(90.01, 1e6))
def test_an_api_server_that_is_away_kills_nobody(silence: float, answer: float) -> None:
    signs = Signs(silences={"jobs": silence}, since_an_answer=answer)
    assert find_life_problem(signs) is None
