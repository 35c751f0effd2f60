"""Who may suspend a schedule, and who may let it go on. Here it is always Alice's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from proctor_operator.domain.admission import AdmissionAnswer, Operation, TurnedAway
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import PROC_SCHEDULES
from proctor_operator.domain.proc import Proc
from proctor_operator.ports.access import EVERY_EXECUTION
from unit.builders import parameter, proc, proc_spec
from unit.reviews import ALICE, AS_OPERATOR, EVE, Gatehouse, merged, review

BOB = Requester(username="bob", groups=("dba",))
NAMESAKE = EVE.model_copy(update={"username": ALICE.username})
OFF = {"suspend": True}
ON = {"suspend": False}


async def change(
    house: Gatehouse,
    user: Requester,
    spec: dict[str, Any],
    *,
    before: dict[str, Any],
    written_for: Proc | None = None,
) -> AdmissionAnswer:
    """What is answered to that change of Alice's schedule; `written_for` is the proc as it was then."""
    whole = {"procRef": {"name": "grow-disk"}, "cron": "0 1 * * *", **before}
    manifest = {"metadata": {"name": "nightly"}, "spec": whole}
    created = review(manifest, resource=PROC_SCHEDULES, name="nightly")
    old = await Gatehouse(written_for or proc()).stored(created)
    changed = merged(old, {"spec": spec})
    answer, _ = await house.submit(
        replace(created, object=changed, old_object=old, operation=Operation.UPDATE, user=user)
    )
    return answer


def executor(house: Gatehouse) -> None:
    house.access.executors.add(EVE.username)


def canceller(house: Gatehouse) -> None:
    house.access.cancellers.add((EVE.username, EVERY_EXECUTION))


def canceller_of_one(house: Gatehouse) -> None:
    house.access.cancellers.add((EVE.username, "grow-1"))


def nothing(_: Gatehouse) -> None: ...


CHANGES: dict[str, tuple[Requester, Callable[[Gatehouse], None], dict[str, Any], bool]] = {
    "its author switches it off": (ALICE, nothing, OFF, True),
    "whom the proc names switches it off": (BOB, nothing, OFF, True),
    "somebody with the verb execute switches it off": (EVE, executor, OFF, True),
    "somebody with the verb cancel switches it off": (EVE, canceller, OFF, True),
    "the operator switches it off": (AS_OPERATOR, nothing, OFF, True),
    "somebody else switches it off": (EVE, nothing, OFF, False),
    "somebody of the author's name switches it off": (NAMESAKE, nothing, OFF, False),
    "who may cancel one run switches it off": (EVE, canceller_of_one, OFF, False),
    "whom the proc names switches it on": (BOB, nothing, ON, True),
    "somebody with the verb execute switches it on": (EVE, executor, ON, True),
    "somebody with the verb cancel switches it on": (EVE, canceller, ON, False),
    "somebody else switches it on": (EVE, nothing, ON, False),
    "somebody with the verb cancel switches it off and moves it": (
        *(EVE, canceller),
        {**OFF, "cron": "0 3 * * *"},
        False,
    ),
}


@pytest.mark.parametrize(("user", "given", "spec", "may"), CHANGES.values(), ids=CHANGES)
async def test_when(
    user: Requester, given: Callable[[Gatehouse], None], spec: dict[str, Any], *, may: bool
) -> None:
    house = Gatehouse(proc())
    given(house)
    before = {"suspend": not spec["suspend"]}

    answer = await change(house, user, spec, before=before)

    assert isinstance(answer, TurnedAway) is not may, answer
    if isinstance(answer, TurnedAway):
        assert (answer.reason, answer.code) == ("NotPermitted", 403)


async def test_a_refusal_to_switch_off_says_who_may() -> None:
    answer = await change(Gatehouse(proc()), EVE, OFF, before=ON)

    assert isinstance(answer, TurnedAway)
    assert answer.message.startswith("spec.suspend: only the schedule's author, somebody who may")
    assert "not among those who may run" in answer.message


GONE: dict[str, tuple[Requester, Callable[[Gatehouse], None], bool]] = {
    "its author": (ALICE, nothing, True),
    "somebody with the verb cancel": (EVE, canceller, True),
    "somebody with the verb execute": (EVE, executor, False),
    "somebody else": (BOB, nothing, False),
}


@pytest.mark.parametrize(("user", "given", "may"), GONE.values(), ids=GONE)
async def test_whose_proc_is_gone_is_switched_off_by(
    user: Requester, given: Callable[[Gatehouse], None], *, may: bool
) -> None:
    house = Gatehouse()
    given(house)

    answer = await change(house, user, OFF, before=ON)

    assert isinstance(answer, TurnedAway) is not may, answer


async def test_what_it_runs_may_be_wrong_when_it_is_switched_off() -> None:
    declaring = proc(proc_spec(parameters=(parameter("NOTE"),)))
    before = {**ON, "arguments": {"NOTE": "x"}}

    answers = [
        await change(Gatehouse(proc()), BOB, spec, before=before, written_for=declaring)
        for spec in (OFF, {**OFF, "cron": "0 3 * * *"})
    ]

    assert [isinstance(answer, TurnedAway) for answer in answers] == [False, True]
