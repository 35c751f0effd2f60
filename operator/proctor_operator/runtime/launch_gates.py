"""The gates before a start, asked no sooner than they wanted to be asked again."""

from __future__ import annotations

from dataclasses import replace

from proctor_operator.domain.plugin import Defer, GateAnswer, Hook, Question
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.plugins import Plugins


class LaunchGates:
    """Remembers who said "not now", and until when: a pass may come for any reason in between.

    A restart forgets it and asks once more, which is the same question.
    """

    def __init__(self, plugins: Plugins, clock: Clock) -> None:
        self._plugins = plugins
        self._clock = clock
        self._deferred: dict[str, tuple[float, Defer]] = {}

    async def ask(self, question: Question) -> GateAnswer:
        """Ask, or repeat what was said while it still stands."""
        now = self._clock.monotonic()
        until, said = self._deferred.get(question.invocation, (now, None))
        if said is not None and now < until:
            return replace(said, after_seconds=until - now)
        self._forget_the_past(now)
        answer = await self._plugins.ask_gates(Hook.PRE_LAUNCH, question)
        if isinstance(answer, Defer):
            self._deferred[question.invocation] = now + answer.after_seconds, answer
        return answer

    def _forget_the_past(self, now: float) -> None:
        """Those that were never asked about again are gone, or will be asked about anew."""
        for invocation in [one for one, (until, _) in self._deferred.items() if until <= now]:
            del self._deferred[invocation]
