"""Randomness that depends on the seed and on who asks, never on what others asked before."""

from __future__ import annotations

from random import Random


class Chance:
    """One stream of random numbers per name, so that one more object changes nobody else's delays."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[tuple[str, ...], Random] = {}

    def of(self, *name: str) -> Random:
        """The stream of that name."""
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Random("/".join((str(self._seed), *name)))
        return stream

    def between(self, low: float, high: float, *name: str) -> float:
        """A number from the stream of that name."""
        return low + (high - low) * self.of(*name).random()

    def happens(self, probability: float, *name: str) -> bool:
        """Whether something of that probability happens this time; asks nobody when it cannot."""
        return probability > 0 and self.of(*name).random() < probability
