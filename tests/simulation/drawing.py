"""Plans drawn at random: the scenario and its faults all follow from one seed."""

from __future__ import annotations

from random import Random

from simulation.plans import Plan, Trouble, Weather, Window, WriteFault
from simulation.scenarios import RANDOM

_LONGEST_SECONDS = {
    Trouble.RECORD_DOWN: 60.0,
    Trouble.API_DOWN: 40.0,
    Trouble.SILENCE: 60.0,
    Trouble.TWO_CONTROLLERS: 60.0,
    Trouble.PARTITION: 60.0,
    Trouble.PAUSE: 60.0,
    Trouble.HAND_OVER: 40.0,
    Trouble.MEDDLER: 15.0,
    Trouble.CLOCK_AHEAD: 60.0,
    Trouble.CLOCK_BEHIND: 60.0,
}


def random_plan(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(f"plan {seed}")
    return Plan(
        RANDOM,
        seed=seed,
        writes=_writes(random),
        windows=_windows(random),
        weather=random.choice((Weather.CALM, Weather.ROUGH)),
        drop=tuple(sorted(random.sample(range(80), k=random.choice((0, 0, 1, 3))))),
        stale=random.choice((0, 0, 3, 12)),
    )


def _writes(random: Random) -> tuple[tuple[int, WriteFault], ...]:
    numbers = sorted(random.sample(range(40), k=random.choice((0, 1, 2, 3, 5))))
    return tuple((number, random.choice(tuple(WriteFault))) for number in numbers)


def _windows(random: Random) -> tuple[Window, ...]:
    windows = []
    for trouble in random.sample(tuple(_LONGEST_SECONDS), k=random.choice((0, 0, 1, 2))):
        start = round(random.uniform(0.0, 30.0), 1)
        end = round(start + random.uniform(3.0, _LONGEST_SECONDS[trouble]), 1)
        windows.append(Window(trouble, start, end))
    return tuple(windows)
