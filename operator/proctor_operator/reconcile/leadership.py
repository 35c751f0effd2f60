"""Who leads: from the Lease as seen, and since when by **our** monotonic clock, to the one next move.

No rule reads the times in the Lease: they are of another machine's clock. A holder counts as gone when
its claim has not changed for the Lease's whole duration while we looked on. We count ourselves as gone
earlier, from the moment *before* the last renewal that was accepted had been sent: so whoever takes over
does so when we have stopped, as long as both clocks run at about the same speed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from proctor_operator.domain.lease import Lease


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a Lease holds, in seconds: `renew_every < give_up_after < duration`."""

    duration: int = 15
    renew_every: float = 5.0
    give_up_after: float = 10.0
    look_every: float = 1.0
    """How soon a standby looks again whether the Lease is free."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a process knows of the Lease; times are seconds of its own monotonic clock."""

    identity: str
    lease: Lease | None = None
    """As last seen; None when it was not there, or nobody has looked yet."""
    claim_since: float = 0.0
    """Since when the claim has been seen unchanged: the end of the look that first saw it."""
    looked_at: float | None = None
    """When it was last seen; None when what is known is out of date."""
    renewed_at: float | None = None
    """When the last renewal that was accepted had been sent; None unless leading."""

    def saw(self, lease: Lease | None, *, now: float) -> Standing:
        """Take in what the API server said."""
        is_old_claim = (
            lease is not None and self.lease is not None and lease.claim == self.lease.claim
        )
        since = self.claim_since if is_old_claim else now
        return replace(self, lease=lease, claim_since=since, looked_at=now)

    def holds(self, lease: Lease, *, sent_at: float, now: float) -> Standing:
        """Take in that our claim was accepted; it counts from before it was sent."""
        return replace(self.saw(lease, now=now), renewed_at=sent_at)

    def must_look(self) -> Standing:
        """What is known turned out to be out of date, or may be."""
        return replace(self, looked_at=None)

    def leads(self, terms: Terms, now: float) -> bool:
        """Whether nobody else can have taken over yet."""
        return self.renewed_at is not None and now < self.renewed_at + terms.give_up_after


@dataclass(frozen=True, slots=True)
class Look:
    """Read the Lease."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Write the Lease with our name, onto the version that was seen: to take it, or to keep it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lost:
    """We led, and do not any more."""

    why: str


Move = Look | Claim | Wait | Lost
_DELETED: Final = "the Lease was deleted"


def next_move(standing: Standing, terms: Terms, now: float) -> Move:
    """Decide."""
    if standing.renewed_at is not None:
        return _as_leader(standing, terms, now, standing.renewed_at)
    return _as_standby(standing, terms, now)


def _as_leader(standing: Standing, terms: Terms, now: float, renewed_at: float) -> Move:
    if not standing.leads(terms, now):
        return Lost(f"the Lease could not be renewed for {terms.give_up_after:g} s")
    if standing.looked_at is None:
        return Look()
    if standing.lease is None:
        return Lost(_DELETED)
    if standing.lease.holder != standing.identity:
        return Lost(f"{standing.lease.holder or 'nobody'} holds the Lease")
    due = renewed_at + terms.renew_every
    return Claim() if now >= due else Wait(due - now)


def _as_standby(standing: Standing, terms: Terms, now: float) -> Move:
    if standing.looked_at is None:
        return Look()
    lease = standing.lease
    # Our own name without our knowing: the answer to a claim was lost.
    if lease is None or lease.holder in ("", standing.identity):
        return Claim()
    gone_at = standing.claim_since + (lease.duration_seconds or terms.duration)
    if now >= gone_at:
        return Claim()
    look_at = standing.looked_at + terms.look_every
    return Look() if now >= look_at else Wait(min(look_at, gone_at) - now)
