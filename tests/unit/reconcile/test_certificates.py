"""What is done about the webhook's certificate, from what is found and the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proctor_operator.domain.certificate import (
    Certificate,
    Holding,
    ServingPair,
    Trust,
    Unusable,
)
from proctor_operator.reconcile.certificates import (
    CertificatePolicy,
    Issue,
    Nothing,
    Step,
    Store,
    WriteBundle,
    decide_certificates,
    lifetime,
)

NAMES = frozenset({"hook.ns.svc"})
POLICY = CertificatePolicy(NAMES, life=timedelta(days=90))
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def pair(name: str, *, age: float, names: frozenset[str] = NAMES) -> ServingPair:
    begin = NOW - timedelta(days=age)
    return ServingPair(
        Certificate(name, begin, begin + timedelta(days=90), names), f"key of {name}"
    )


def authority(name: str, *, age: float) -> Certificate:
    return pair(name, age=age).certificate


def trust(bundle: str, kind: str = "mutating") -> Trust:
    return Trust(kind, "1", (bundle, bundle))


FRESH = pair("fresh", age=1)
OLD = pair("old", age=61)
NEXT = pair("next", age=1)
A, B = authority("a", age=1), authority("b", age=61)
GONE = authority("gone", age=91)

ROWS: dict[str, tuple[Holding, Trust, Step]] = {
    "nothing there": (
        Holding(Unusable("no certificate"), None, ()),
        trust(""),
        Issue("no certificate", at_once=True, authorities=()),
    ),
    "all is well": (
        Holding(FRESH, None, (A,)),
        trust("a"),
        Nothing(until=NOW - timedelta(days=1) + timedelta(days=60)),
    ),
    "two thirds of its life are over": (
        Holding(OLD, None, (B,)),
        trust("b"),
        Issue("due for renewal", at_once=False, authorities=(B,)),
    ),
    "due, and the bundle is wrong as well": (
        Holding(OLD, None, (B,)),
        trust(""),
        Issue("due for renewal", at_once=False, authorities=(B,)),
    ),
    "due, and the next one waits for trust": (
        Holding(OLD, NEXT, (B, A)),
        trust("b"),
        WriteBundle(trust("b"), "ba"),
    ),
    "due, and the next one is trusted": (
        Holding(OLD, NEXT, (B, A)),
        trust("ba"),
        Store("the next certificate serves", Holding(NEXT, None, (B, A))),
    ),
    "due, and the next one is due, too": (
        Holding(OLD, pair("next", age=61), (B,)),
        trust("b"),
        Issue("due for renewal", at_once=False, authorities=(B,)),
    ),
    "due, and the next one is for others": (
        Holding(OLD, pair("next", age=1, names=frozenset({"x"})), (B,)),
        trust("b"),
        Issue("due for renewal", at_once=False, authorities=(B,)),
    ),
    "not due, with a next one of no use": (
        Holding(FRESH, Unusable("it cannot be read"), (A,)),
        trust("a"),
        Store("a next certificate of no use is dropped", Holding(FRESH, None, (A,))),
    ),
    "expired": (
        Holding(pair("gone", age=91), NEXT, (GONE, A)),
        trust("gonea"),
        Issue("it expired at 2026-11-27T00:00:00Z", at_once=True, authorities=(A,)),
    ),
    "from the future": (
        Holding(pair("early", age=-1), None, (A,)),
        trust("a"),
        Issue("it is valid from 2026-11-29T00:00:00Z only", at_once=True, authorities=(A,)),
    ),
    "for another name": (
        Holding(pair("other", age=1, names=frozenset({"x"})), None, (A,)),
        trust("a"),
        Issue("it is not for hook.ns.svc", at_once=True, authorities=(A,)),
    ),
    "an authority whose time is over": (
        Holding(FRESH, None, (GONE, A)),
        trust("gonea"),
        Store("authorities whose time is over left", Holding(FRESH, None, (A,))),
    ),
    "a bundle that somebody changed": (
        Holding(FRESH, None, (A,)),
        trust("else"),
        WriteBundle(trust("else"), "a"),
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_one_step_follows_from_what_is_found(row: tuple[Holding, Trust, Step]) -> None:
    holding, found, step = row

    assert decide_certificates(holding, (found,), POLICY, now=NOW) == step


def test_the_second_configuration_is_put_right_when_the_first_one_is() -> None:
    trusts = (trust("a"), trust("", kind="validating"))

    step = decide_certificates(Holding(FRESH, None, (A,)), trusts, POLICY, now=NOW)

    assert step == WriteBundle(trusts[1], "a")


def test_one_wrong_webhook_of_a_configuration_is_enough() -> None:
    mixed = Trust("mutating", "1", ("a", ""))

    step = decide_certificates(Holding(FRESH, None, (A,)), (mixed,), POLICY, now=NOW)

    assert step == WriteBundle(mixed, "a")


def test_a_certificate_begins_an_hour_ago_and_lives_as_long_as_it_should() -> None:
    begin, end = lifetime(POLICY, NOW + timedelta(microseconds=7))

    assert begin == NOW - timedelta(hours=1)
    assert end - begin == timedelta(days=90)
