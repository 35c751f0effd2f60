"""A rush of starts: more within a short time than anybody follows one by one."""

from __future__ import annotations

from datetime import datetime, timedelta

from proctor_operator.ports.clock import Clock
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.runtime.allowance import Allowance


class Rush:
    """Says when to tell of a start: at once, or in a rush after the policy's patience."""

    def __init__(self, policy: RunPolicy, clock: Clock) -> None:
        patience = policy.rush_patience_seconds
        self._at_once = Allowance(policy.starts_told_at_once, clock, within_seconds=patience)
        self._patience = timedelta(seconds=patience)
        self._clock = clock

    def tell_at(self) -> datetime:
        """When to tell of a start that is seen now; each call is one more start."""
        now = self._clock.now()
        return now if self._at_once.takes_one_more() else now + self._patience
