"""Votes that are known for a short while, so that a burst of requests is one question."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Final

from proctor_operator.domain.plugin import Opinion, Question, Vote
from proctor_operator.domain.procplugin import ProcPlugin
from proctor_operator.ports.clock import Clock

ALLOW_SECONDS: Final = 30.0
OTHERWISE_SECONDS: Final = 5.0
VOTES_AT_MOST: Final = 4096


class VerdictCache:
    """By a hash of everything that a verdict may depend on: arguments are not kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._votes: OrderedDict[bytes, tuple[float, Vote]] = OrderedDict()

    def find(self, plugin: ProcPlugin, question: Question) -> Vote | None:
        """The vote, if it was cast not long ago."""
        until, vote = self._votes.get(_key(plugin, question), (float("-inf"), None))
        return vote if self._clock.monotonic() < until else None

    def keep(self, plugin: ProcPlugin, question: Question, vote: Vote) -> None:
        """Remember an answer; a failure is none."""
        seconds = ALLOW_SECONDS if vote.opinion is Opinion.ALLOW else OTHERWISE_SECONDS
        key = _key(plugin, question)
        self._votes[key] = (self._clock.monotonic() + seconds, vote)
        self._votes.move_to_end(key)
        while len(self._votes) > VOTES_AT_MOST:
            self._votes.popitem(last=False)


def _key(plugin: ProcPlugin, question: Question) -> bytes:
    who, proc = question.requester, question.proc
    parts = (
        (plugin.uid, plugin.generation),
        (who.username, who.uid, sorted(who.groups), who.via),
        sorted((key, list(values)) for key, values in who.extra.items()),
        # Labels do not count as a new generation, and are shown to plugins.
        (question.namespace, proc.name, proc.uid, proc.generation, sorted(proc.labels.items())),
        question.is_dry_run,
        dict(question.arguments),
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
