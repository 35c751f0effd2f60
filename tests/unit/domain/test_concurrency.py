"""Who gets a slot, who waits, who is turned away, and what makes two runs compete at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.concurrency import (
    Forbidden,
    Granted,
    Occupant,
    SlotClaim,
    SlotVerdict,
    Superseded,
    Waits,
    decide_slots,
    owner_of,
    proc_claim,
    schedule_claim,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import ConcurrencyPolicy
from proctor_operator.domain.run import RunKey
from proctor_operator.domain.schedule import ScheduleConcurrency
from unit.builders import (
    argument_from,
    execution_spec,
    occupant,
    parameter,
    proc_spec,
    run_key,
    schedule,
    slot_claim,
)

ME = run_key(0)
OLDER, OLDEST, NEWER = occupant(-1), occupant(-2), occupant(1)
WAITING_OLDER = occupant(-1, is_waiting=True)


def ask(policy: str, *others: Occupant, limit: int = 1) -> SlotVerdict:
    claim = slot_claim(policy, limit=limit)
    return decide_slots(ME, (claim,), {claim.group: others})


def told(verdict: SlotVerdict) -> str:
    match verdict:
        case Granted():
            return "granted"
        case Forbidden(_, by):
            return f"forbidden by {by.name}"
        case Superseded(_, by):
            return f"superseded by {by.name}"
        case Waits(_, holders, ahead, to_replace, _):
            parts = {"holders": holders, "ahead": ahead, "to replace": to_replace}
            said = (f"{what} {' '.join(one.name for one in who)}" for what, who in parts.items())
            return "waits: " + ", ".join(one for one in said if not one.endswith(" "))


DECIDED: dict[str, tuple[SlotVerdict, str]] = {
    "an empty group has room": (ask("Queue"), "granted"),
    "it does not count itself": (ask("Queue", occupant(0, key=ME)), "granted"),
    "a full group makes it wait": (ask("Queue", OLDER), "waits: holders run--1"),
    "who is younger and runs already counts": (ask("Queue", NEWER), "waits: holders run-1"),
    "who is younger and waits does not": (ask("Queue", occupant(1, is_waiting=True)), "granted"),
    "who waited first goes first": (ask("Queue", WAITING_OLDER), "waits: ahead run--1"),
    "with room for both it goes too": (ask("Queue", WAITING_OLDER, limit=2), "granted"),
    "who was replaced while waiting is nobody to wait for": (
        ask("Queue", occupant(-1, is_waiting=True, is_replaced=True)),
        "granted",
    ),
    "who was replaced and still runs has its slot": (
        ask("Queue", occupant(-1, is_replaced=True)),
        "waits: holders run--1",
    ),
    "a full group forbids": (ask("Forbid", OLDER), "forbidden by run--1"),
    "the limit may be more than one": (ask("Forbid", OLDER, limit=2), "granted"),
    "who came first and waits forbids as well": (
        ask("Forbid", WAITING_OLDER),
        "forbidden by run--1",
    ),
    "the older one is replaced": (
        ask("Replace", OLDER),
        "waits: holders run--1, to replace run--1",
    ),
    "nobody is told twice": (
        ask("Replace", occupant(-1, is_replaced=True)),
        "waits: holders run--1",
    ),
    "only as many go as have to, the oldest first": (
        ask("Replace", OLDER, OLDEST, limit=2),
        "waits: holders run--2 run--1, to replace run--2",
    ),
    "who waits is replaced as well": (
        ask("Replace", occupant(-2, is_replaced=True), WAITING_OLDER),
        "waits: holders run--2, to replace run--1",
    ),
    "a newer one is never replaced": (ask("Replace", NEWER), "superseded by run-1"),
    "a newer one that waits has the place": (
        ask("Replace", OLDER, occupant(1, is_waiting=True)),
        "superseded by run-1",
    ),
    "beside a newer one there may be room": (
        ask("Replace", OLDER, NEWER, limit=2),
        "waits: holders run--1 run-1, to replace run--1",
    ),
}


@pytest.mark.parametrize(("verdict", "expected"), DECIDED.values(), ids=DECIDED)
def test_what_becomes_of_a_claim(verdict: SlotVerdict, expected: str) -> None:
    assert told(verdict) == expected


STRONGER = [("Forbid", "Queue"), ("Forbid", "Replace"), ("Queue", "Replace")]
KINDS: dict[str, type[Any]] = {"Forbid": Forbidden, "Queue": Waits, "Replace": Waits}


@pytest.mark.parametrize(("stronger", "weaker"), STRONGER)
@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_limits_that_are_reached_the_stronger_decides(
    stronger: str, weaker: str, *, swapped: bool
) -> None:
    first, second = slot_claim(stronger), slot_claim(weaker, group="schedule/s")
    claims = (second, first) if swapped else (first, second)

    verdict = decide_slots(ME, claims, {one.group: (OLDER,) for one in claims})

    assert isinstance(verdict, KINDS[stronger])
    assert not isinstance(verdict, Granted | Superseded)
    assert verdict.claim == first


def test_a_limit_that_is_not_reached_has_no_say() -> None:
    roomy, full = slot_claim("Forbid", limit=2), slot_claim("Queue", group="schedule/s")

    verdict = decide_slots(ME, (roomy, full), {roomy.group: (OLDER,), full.group: (OLDER,)})

    assert isinstance(verdict, Waits)


GROUPS = st.lists(
    st.builds(
        occupant,
        st.integers(-5, 5).filter(bool),
        is_waiting=st.booleans(),
        is_replaced=st.sampled_from([False, False, True]),
    ),
    max_size=8,
    unique_by=lambda one: one.key,
).map(tuple)
CLAIMS = st.builds(
    slot_claim, st.sampled_from(["Forbid", "Queue", "Replace"]), limit=st.integers(1, 3)
)


@given(claim=CLAIMS, others=GROUPS)
def test_a_slot_is_granted_only_where_one_is_free(
    claim: SlotClaim, others: tuple[Occupant, ...]
) -> None:
    holders = sum(not one.is_waiting for one in others)

    verdict = decide_slots(ME, (claim,), {claim.group: others})

    assert not (isinstance(verdict, Granted) and holders >= claim.limit)


@given(claim=CLAIMS, others=GROUPS)
def test_when_all_that_run_have_ended_somebody_always_gets_a_slot(
    claim: SlotClaim, others: tuple[Occupant, ...]
) -> None:
    me = occupant(0, key=ME, is_waiting=True)
    waiting = [me, *(one for one in others if one.is_waiting and not one.is_replaced)]

    verdicts = [decide_slots(one.key, (claim,), {claim.group: tuple(waiting)}) for one in waiting]

    assert any(isinstance(one, Granted) for one in verdicts)


def group_of(*, key: tuple[str, ...] = ("A",), proc_uid: str = "p", **fields: Any) -> str:
    parameters = (
        parameter("A", default="one", required=False),
        parameter("B", required=False),
        parameter("TOKEN", required=False, sensitive=True),
    )
    rules = {"policy": "Queue", "key": key}
    spec = proc_spec(parameters=parameters, concurrency=rules)
    claim = proc_claim("grow-disk", Uid(proc_uid), spec, execution_spec(**fields))
    assert claim is not None
    return claim.group


THE_SAME: dict[str, tuple[str, str]] = {
    "the default and the same value given": (group_of(), group_of(arguments={"A": "one"})),
    "the order of the keys": (group_of(key=("A", "B")), group_of(key=("B", "A"))),
    "values of other parameters": (group_of(), group_of(arguments={"B": "x"})),
    "a number and the text that the container would see": (
        group_of(arguments={"A": 5}),
        group_of(arguments={"A": "5"}),
    ),
    "a number with and without a fraction of nothing": (
        group_of(arguments={"A": 200}),
        group_of(arguments={"A": 200.0}),
    ),
}
NOT_THE_SAME: dict[str, tuple[str, str]] = {
    "other values": (group_of(), group_of(arguments={"A": "two"})),
    "values of one that were shifted to the other": (
        group_of(key=("A", "B"), arguments={"A": "x", "B": "y"}),
        group_of(key=("A", "B"), arguments={"A": "y", "B": "x"}),
    ),
    "an empty value and none": (group_of(key=("B",), arguments={"B": ""}), group_of(key=("B",))),
    "other procs": (group_of(), group_of(proc_uid="q")),
    "other secrets": (
        group_of(key=("TOKEN",), arguments_from=(argument_from("TOKEN"),)),
        group_of(key=("TOKEN",), arguments_from=(argument_from("TOKEN", secret="other"),)),
    ),
    "a key and none": (group_of(), group_of(key=())),
}


@pytest.mark.parametrize(("one", "other"), THE_SAME.values(), ids=THE_SAME)
def test_runs_compete_whatever_differs_by(one: str, other: str) -> None:
    assert one == other


@pytest.mark.parametrize(("one", "other"), NOT_THE_SAME.values(), ids=NOT_THE_SAME)
def test_runs_do_not_compete_with(one: str, other: str) -> None:
    assert one != other


def test_no_value_can_be_read_in_a_group() -> None:
    group = group_of(key=("A", "TOKEN"), arguments={"A": "tell-tale"})

    assert "tell-tale" not in group
    assert owner_of(group) == "p"


def test_a_proc_and_a_schedule_that_allow_all_claim_nothing() -> None:
    assert proc_claim("p", Uid("p"), proc_spec(), execution_spec()) is None
    assert schedule_claim(schedule()) is None


def test_a_schedule_lets_one_run_at_a_time() -> None:
    rules = ScheduleConcurrency(policy=ConcurrencyPolicy.FORBID)
    limited = schedule(spec=schedule().spec.model_copy(update={"concurrency": rules}))

    claim = schedule_claim(limited)

    assert claim is not None
    assert (claim.policy, claim.limit) == (ConcurrencyPolicy.FORBID, 1)
    assert owner_of(claim.group) == limited.uid


def test_two_of_the_same_second_are_served_by_their_uids() -> None:
    claim = slot_claim()
    keys = [RunKey(ME.created_at, Uid(uid)) for uid in ("b", "a")]
    waiting = tuple(Occupant(key, key.uid, is_waiting=True) for key in keys)

    verdicts = [decide_slots(key, (claim,), {claim.group: waiting}) for key in keys]

    assert [told(one) for one in verdicts] == ["waits: ahead a", "granted"]
