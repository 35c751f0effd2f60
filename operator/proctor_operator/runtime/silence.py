"""How long each watch has been silent: a stream that brings nothing for minutes is dead, whatever it says."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from proctor_operator.ports.clock import Clock


class WatchSilence:
    """The `WatchActivity` port. Knows every stream there should be, so one that never opens is missed too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard_at: dict[tuple[str, str], float] = {}
        self._refused_at: dict[tuple[str, str], float] = {}

    def expect(self, resources: Collection[str], namespaces: Collection[str]) -> None:
        """Watching begins: of these kinds, in these namespaces or, with none, in all of them."""
        now = self._clock.monotonic()
        for resource in resources:
            for namespace in namespaces or ("",):
                self._heard_at[resource, namespace] = now

    def heard(self, resource: str, namespace: str) -> None:
        """See the port."""
        self._heard_at[resource, namespace] = self._clock.monotonic()

    def refused(self, resource: str, namespace: str) -> None:
        """See the port."""
        self._refused_at[resource, namespace] = self._clock.monotonic()

    def silences(self) -> dict[str, float]:
        """Seconds since the quietest stream of each kind was heard."""
        return self._longest(self._heard_at)

    def unexplained_silences(self) -> dict[str, float]:
        """The same, but for streams that are refused: those are silent for a reason."""
        never = float("-inf")
        last = {
            one: max(at, self._refused_at.get(one, never)) for one, at in self._heard_at.items()
        }
        return self._longest(last)

    def _longest(self, since: Mapping[tuple[str, str], float]) -> dict[str, float]:
        now = self._clock.monotonic()
        longest: dict[str, float] = {}
        for (resource, _), at in since.items():
            longest[resource] = max(longest.get(resource, 0.0), now - at)
        return longest
