"""Figures out of measurements: spreads, rates, shares. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """How values spread: percentiles by the nearest rank, so that each is a value that was measured."""

    count: int
    p50: float
    p90: float
    p99: float
    longest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread; raises ValueError when there is nothing to spread."""
        if not values:
            raise ValueError("no values")
        ranked = sorted(values)
        return cls(len(ranked), *(_at(ranked, share) for share in (0.5, 0.9, 0.99, 1.0)))


def _at(ranked: Sequence[float], share: float) -> float:
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def between(begins: Mapping[str, float], ends: Mapping[str, float]) -> list[float]:
    """Seconds from begin to end of everything that has both; news that overtook another counts as 0."""
    return [max(0.0, ends[name] - begin) for name, begin in begins.items() if name in ends]


def median(values: Sequence[float]) -> float:
    """The value in the middle, of an even number the mean of the two."""
    ranked = sorted(values)
    middle = len(ranked) // 2
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2


def each(totals: Mapping[str, float], count: int) -> dict[str, float]:
    """Totals divided among `count`."""
    return {name: total / count for name, total in totals.items()}
