"""Is this process worth keeping? Only what a restart would mend counts against it.

An API server or a database that is away is no reason: a new process would find them away as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SILENCE_AT_MOST_SECONDS: Final = 180.0
"""Bookmarks come about once a minute on the quietest watch."""
STANDSTILL_AT_MOST_SECONDS: Final = 300.0
"""Longer than a pass may take: workers that all wait for something are no alarm yet."""
STANDSTILL_BESIDE_A_FREE_WORKER_SECONDS: Final = 30.0
PASS_GRACE_SECONDS: Final = 60.0
"""Beyond its deadline a pass is one that does not even let itself be cancelled."""
ANSWERS_ARE_RECENT_SECONDS: Final = 90.0
"""The lists come round more often, so an API server that answers has done so by then."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What can be seen of a process; times in seconds."""

    is_working: bool = True
    standstill_seconds: float = 0.0
    """There have been ready objects for so long, and no worker took any. A long queue that moves is none."""
    free_workers: int = 1
    longest_pass_seconds: float = 0.0
    pass_deadline_seconds: float = 120.0
    silences: Mapping[str, float] = field(default_factory=dict)
    since_an_answer: float = 0.0
    """Of the API server."""
    since_no_answer: float = float("inf")
    """Since a request to it last stayed without any answer."""


def find_life_problem(signs: Signs) -> str | None:
    """Why the process should be started anew; None when it should live."""
    return _queue_problem(signs) or _watch_problem(signs)


def _queue_problem(signs: Signs) -> str | None:
    if not signs.is_working:
        return None
    too_long = signs.pass_deadline_seconds + PASS_GRACE_SECONDS
    if signs.longest_pass_seconds > too_long:
        return f"a pass has been under way for {signs.longest_pass_seconds:.0f} s"
    still = signs.standstill_seconds
    if signs.free_workers > 0 and still > STANDSTILL_BESIDE_A_FREE_WORKER_SECONDS:
        return f"no object was taken up for {still:.0f} s, although a worker is free"
    if still > STANDSTILL_AT_MOST_SECONDS:
        return f"no object was taken up for {still:.0f} s"
    return None


def _watch_problem(signs: Signs) -> str | None:
    if signs.since_an_answer > ANSWERS_ARE_RECENT_SECONDS:
        return None
    silent = {
        resource: seconds
        for resource, seconds in signs.silences.items()
        # After an outage a watch has as long to come back as it may be silent.
        if min(seconds, signs.since_no_answer) > SILENCE_AT_MOST_SECONDS
    }
    if not silent:
        return None
    quietest = max(silent, key=silent.__getitem__)
    return (
        f"the watch of {quietest} brought nothing for {silent[quietest]:.0f} s, although the API server "
        "answers"
    )
