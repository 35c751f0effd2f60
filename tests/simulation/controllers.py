"""What the simulated controllers have in common: woken by commits, late by chance, one step at a time."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable

from simulation.api_server import ApiServer, Commit, Key
from simulation.chance import Chance


class Controller(ABC):
    """Level-based like the real ones. It never dies: crashes are for the operator."""

    name: str
    slowest_seconds: float = 0.6

    def __init__(self, server: ApiServer, chance: Chance) -> None:
        self.server = server
        self.chance = chance
        self._woken: set[Key] = set()
        server.observe(self._on_commit)

    @abstractmethod
    def keys_of(self, commit: Commit) -> Iterable[Key]:
        """Which objects to look at because of a commit."""

    @abstractmethod
    def sync(self, key: Key) -> None:
        """Look at one object and do the next thing about it."""

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return asyncio.get_running_loop().time()

    def wake(self, key: Key) -> None:
        """Look at an object soon."""
        if key in self._woken:
            return
        self._woken.add(key)
        delay = self.chance.between(0.01, self.slowest_seconds, self.name, *key)
        asyncio.get_running_loop().call_later(delay, self._fire, key)

    def wake_at(self, when: float, key: Key) -> None:
        """Look at an object at a time."""
        asyncio.get_running_loop().call_at(max(when, self.now), self.sync, key)

    def _on_commit(self, commit: Commit) -> None:
        for key in self.keys_of(commit):
            self.wake(key)

    def _fire(self, key: Key) -> None:
        self._woken.discard(key)
        self.sync(key)
