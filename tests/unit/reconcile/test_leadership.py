"""Who leads, by our clock alone; and no two at a time, whatever two clocks say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor_operator.domain.lease import Lease, new_lease
from proctor_operator.reconcile.leadership import (
    Claim,
    Look,
    Lost,
    Move,
    Standing,
    Terms,
    Wait,
    next_move,
)

TERMS = Terms(duration=15, renew_every=5.0, give_up_after=10.0, look_every=1.0)
ME, OTHER = "host_1", "host_2"
WALL = datetime(2026, 1, 1, tzinfo=UTC)


def lease(
    holder: str = OTHER, *, duration: int = 15, version: str = "1", renewed: float = 0.0
) -> Lease:
    return Lease(version, holder, duration, WALL, WALL + timedelta(seconds=renewed), 3)


def standing(
    seen: Lease | None = None, *, since: float = 100.0, looked: float | None = 100.0
) -> Standing:
    return Standing(ME, seen, claim_since=since, looked_at=looked)


def leading(
    seen: Lease | None, *, renewed: float = 100.0, looked: float | None = 100.0
) -> Standing:
    return replace(standing(seen, looked=looked), renewed_at=renewed)


@pytest.mark.parametrize(
    ("known", "now", "move"),
    [
        (standing(looked=None), 100.0, Look()),
        (standing(None), 100.0, Claim()),
        (standing(lease("")), 100.0, Claim()),
        (standing(lease(ME)), 100.0, Claim()),
        (standing(lease()), 100.0, Wait(1.0)),
        (standing(lease()), 101.0, Look()),
        (standing(lease(), looked=114.5), 114.6, Wait(0.4)),
        (standing(lease(), looked=114.5), 115.0, Claim()),
        (standing(lease(duration=60), looked=115.0), 115.0, Wait(1.0)),
        (standing(lease(duration=60), looked=159.9), 160.0, Claim()),
        (standing(lease(duration=0), looked=115.0), 115.0, Claim()),
        (leading(lease(ME)), 101.0, Wait(4.0)),
        (leading(lease(ME)), 105.0, Claim()),
        (leading(lease(ME), looked=None), 106.0, Look()),
        (leading(lease(ME)), 110.0, Lost("the Lease could not be renewed for 10 s")),
        (leading(lease(OTHER)), 101.0, Lost("host_2 holds the Lease")),
        (leading(lease("")), 101.0, Lost("nobody holds the Lease")),
        (leading(None), 101.0, Lost("the Lease was deleted")),
    ],
    ids=[
        "who has not looked looks",
        "no Lease yet: claim it",
        "let go: claim it",
        "ours without our knowing, as an answer was lost: claim it",
        "held: look again soon",
        "held, and it is time to look again",
        "held, about to run out: wait for that",
        "not renewed for its duration: claim it",
        "the duration is the one its holder wrote",
        "and when that is over: claim it",
        "a Lease without a duration has ours",
        "leading: nothing to do",
        "leading: renew when it is time",
        "leading, and a write met another version: look",
        "leading, not renewed in time: lost",
        "leading, stolen: lost",
        "leading, emptied by hand: lost",
        "leading, deleted: lost",
    ],
)
def test_one_move_follows_from_what_is_known(known: Standing, now: float, move: Move) -> None:
    found = next_move(known, TERMS, now)

    if isinstance(move, Wait):
        assert isinstance(found, Wait)
        assert found.seconds == pytest.approx(move.seconds)
    else:
        assert found == move


def test_a_claim_is_old_however_often_the_object_is_edited() -> None:
    known = standing().saw(lease(version="1"), now=100.0).saw(lease(version="2"), now=110.0)

    assert known.claim_since == 100.0
    assert known.looked_at == 110.0
    assert known.lease is not None
    assert known.lease.resource_version == "2"


@pytest.mark.parametrize(
    "renewed",
    [lease(renewed=5.0), lease("host_3"), replace(lease(), transitions=4)],
    ids=["renewed", "another holder", "taken again"],
)
def test_a_claim_that_changed_is_new(renewed: Lease) -> None:
    assert standing(lease()).saw(renewed, now=110.0).claim_since == 110.0


@pytest.mark.parametrize("years", [-10, 0, 10])
def test_the_time_that_its_holder_wrote_means_nothing(years: int) -> None:
    written = replace(lease(), renew_time=WALL + timedelta(days=365 * years))

    assert isinstance(next_move(standing(written), TERMS, 100.5), Wait)


def test_leadership_counts_from_before_the_renewal_was_sent() -> None:
    known = standing(lease("")).holds(lease(ME), sent_at=100.0, now=109.0)

    assert known.leads(TERMS, 109.9)
    assert not known.leads(TERMS, 110.0)


def test_taking_a_lease_counts_a_transition_and_renewing_does_not() -> None:
    later = WALL + timedelta(hours=1)
    taken = lease().held_by(ME, now=later, duration_seconds=20)
    renewed = taken.held_by(ME, now=later + timedelta(seconds=5), duration_seconds=20)

    assert (taken.holder, taken.transitions, taken.acquire_time) == (ME, 4, later)
    assert (renewed.transitions, renewed.acquire_time) == (4, later)
    assert renewed.renew_time == later + timedelta(seconds=5)
    assert renewed.claim != taken.claim
    assert taken.let_go(now=later).holder == ""
    assert new_lease(ME, now=WALL, duration_seconds=20).transitions == 0


short = st.floats(0.0, 1.5)


@settings(max_examples=500)
@given(
    to_server=short,
    seen_after=short,
    look=short,
    waited=st.floats(5.0, 16.0),
    zero=st.floats(0, 1e6),
)
def test_nobody_takes_over_while_the_holder_may_still_write(
    to_server: float, seen_after: float, look: float, waited: float, zero: float
) -> None:
    """Each has a monotonic clock of its own, `zero` apart; both run at the same speed."""
    renewed = lease(ME)
    holder = standing(lease(ME)).holds(renewed, sent_at=0.0, now=to_server)
    seen_at = to_server + seen_after
    other = Standing(OTHER).saw(renewed, now=zero + seen_at)
    other = other.saw(replace(renewed, resource_version="9"), now=zero + seen_at + look)
    now = seen_at + look + waited

    takes_over = next_move(other, TERMS, zero + now) == Claim()

    assert not (takes_over and holder.leads(TERMS, now))
    assert takes_over or waited < 15.1, "but at last somebody does"
