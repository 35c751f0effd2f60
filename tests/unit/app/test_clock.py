"""The operator's clock follows the API server's, and no jump of its own machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.app.clock import SPAN_SECONDS, ClusterClock

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
ROUNDING = timedelta(microseconds=200)
"""Of floats to microseconds, a few times over."""


class Machine:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.time = START
        self.uptime = 100.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.uptime

    def lives(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.uptime += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> ClusterClock:
    return ClusterClock(machine)


def test_before_any_answer_the_machine_is_believed(clock: ClusterClock, machine: Machine) -> None:
    machine.lives(30)

    assert (clock.now(), clock.monotonic()) == (START + 30 * SECOND, 130.0)


@pytest.mark.parametrize("wrong_by", [HOUR, -HOUR, -24 * HOUR])
def test_the_api_servers_time_is_taken_and_goes_on(
    clock: ClusterClock, machine: Machine, wrong_by: timedelta
) -> None:
    clock.hear(START - wrong_by)
    machine.lives(10)

    assert clock.now() == START - wrong_by + 10 * SECOND


@dataclass
class Answer:
    """How an answer travels: `after` the one before it, with `on_its_way` seconds between there and here."""

    after: float
    on_its_way: float


TRAVELS = st.builds(Answer, st.floats(0, 30), st.floats(0, 4))


@given(
    machine_is_ahead=st.floats(-5, 5),
    began=st.floats(0, 1),
    answers=st.lists(TRAVELS, min_size=1, max_size=40),
)
def test_the_clock_is_never_ahead_of_the_api_servers(
    machine_is_ahead: float, began: float, answers: list[Answer]
) -> None:
    there = START + began * SECOND
    machine = Machine()
    machine.time = there + machine_is_ahead * SECOND
    clock = ClusterClock(machine)

    for answer in answers:
        machine.lives(answer.after)
        there += answer.after * SECOND
        said = there.replace(microsecond=0)
        machine.lives(answer.on_its_way)
        there += answer.on_its_way * SECOND
        clock.hear(said)

        assert clock.now() <= there + ROUNDING
        assert clock.now() >= said


@pytest.mark.parametrize(
    ("travels", "behind_by"),
    [
        ([(0.95, 0.0)], 0.95),
        ([(0.95, 0.0), (1.1, 0.0)], 0.05),
        ([(0.02, 0.01), (3.9, 0.0), (1.0, 2.0)], 0.03),
        ([(0.5, 0.2), (1.0, 0.2), (1.0, 0.2)], 0.7),
    ],
)
def test_the_quickest_answer_counts(travels: list[tuple[float, float]], behind_by: float) -> None:
    machine = Machine()
    clock = ClusterClock(machine)

    for after, on_its_way in travels:
        machine.lives(after)
        said = machine.time.replace(microsecond=0)
        machine.lives(on_its_way)
        clock.hear(said)

    assert abs(machine.time - clock.now() - behind_by * SECOND) <= ROUNDING


def test_a_machine_whose_clock_runs_fast_gets_no_further_ahead_in_a_day_than_in_two_spans() -> None:
    pace = 1.0001
    machine = Machine()
    clock = ClusterClock(machine)
    there = START

    for _ in range(24 * 360):
        there += 10 * SECOND
        machine.lives(10 * pace)
        clock.hear(there)

        assert clock.now() - there <= 2 * SPAN_SECONDS * (pace - 1) * SECOND + ROUNDING


def test_a_jump_of_the_machines_clock_changes_nothing(
    clock: ClusterClock, machine: Machine
) -> None:
    machine.time += HOUR
    machine.lives(10)

    assert clock.now() == START + 10 * SECOND


def test_an_answer_that_was_long_on_its_way_is_put_right_by_the_next(
    clock: ClusterClock, machine: Machine
) -> None:
    clock.hear(START - 9 * SECOND)
    machine.lives(1)
    clock.hear(START + SECOND)

    assert clock.now() == START + SECOND
