"""What every record promises of slots: the real one, and the two that stand for it in tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from localpostgres.samples import CREATED, run_outcome, run_request
from proctor_operator.domain.concurrency import (
    Forbidden,
    Granted,
    SlotClaim,
    Superseded,
    Waits,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import ConcurrencyPolicy
from proctor_operator.domain.run import PinnedSpec, RunKey, RunRequest
from proctor_operator.ports.records import Records


def nth_run(number: int) -> RunRequest:
    """A run made so many seconds after the others' beginning."""
    key = RunKey(CREATED + dt.timedelta(seconds=number), Uid(f"uid-{number}"))
    return run_request(key=key, name=f"run-{number}")


def one_claim(
    policy: ConcurrencyPolicy = ConcurrencyPolicy.QUEUE, *, limit: int = 1, group: str = "proc/p1"
) -> tuple[SlotClaim, ...]:
    """A claim of one group."""
    return (SlotClaim(group, policy, limit, "proc 'p1'"),)


async def who_waits_has_a_row_without_a_pin_and_gets_its_pin_with_its_slot(
    records: Records,
) -> None:
    first, second = nth_run(1), nth_run(2)
    await records.claim_slots(first, one_claim())
    answer = await records.claim_slots(second, one_claim())
    assert answer.run is not None
    assert answer.run.is_waiting
    assert answer.run.request.pinned is None
    assert isinstance(answer.verdict, Waits)
    assert [one.name for one in answer.verdict.holders] == ["run-1"]

    await records.record_outcome(first.key, None, run_outcome())
    newer = PinnedSpec(name="grow-disk", uid=Uid("proc-1"), generation=9, spec={"image": "b:2"})
    answer = await records.claim_slots(replace(second, pinned=newer, grant="user bob"), one_claim())

    assert isinstance(answer.verdict, Granted)
    assert answer.run is not None
    assert not answer.run.is_waiting
    assert answer.run.request.pinned == newer
    assert answer.run.request.grant == "user bob"
    assert await records.fetch_run(second.key) == answer.run


async def a_claim_that_is_repeated_finds_what_it_got_and_changes_nothing(
    records: Records,
) -> None:
    request = nth_run(1)
    first = await records.claim_slots(request, one_claim())

    again = await records.claim_slots(replace(request, reason="changed"), one_claim())

    assert again.verdict is None
    assert again.run == first.run


async def first_come_is_first_served_and_nobody_is_overtaken(records: Records) -> None:
    running, late, early = nth_run(0), nth_run(9), nth_run(5)
    for request in (running, late, early):
        await records.claim_slots(request, one_claim())
    await records.record_outcome(running.key, None, run_outcome())

    overtaking = await records.claim_slots(late, one_claim())
    served = await records.claim_slots(early, one_claim())

    assert isinstance(overtaking.verdict, Waits)
    assert [one.name for one in overtaking.verdict.ahead] == ["run-5"]
    assert isinstance(served.verdict, Granted)


async def replacing_tells_the_older_and_waits_for_its_end(records: Records) -> None:
    claims = one_claim(ConcurrencyPolicy.REPLACE)
    old, new = nth_run(1), nth_run(2)
    await records.claim_slots(old, claims)

    answer = await records.claim_slots(new, claims)
    told = await records.fetch_run(old.key)

    assert isinstance(answer.verdict, Waits)
    assert [one.name for one in answer.verdict.to_replace] == ["run-1"]
    assert told is not None
    assert told.replaced_by == "run-2"
    assert isinstance((await records.claim_slots(new, claims)).verdict, Waits)
    await records.record_outcome(old.key, None, run_outcome())
    assert isinstance((await records.claim_slots(new, claims)).verdict, Granted)


async def one_that_waits_and_is_replaced_never_gets_a_slot(records: Records) -> None:
    claims = one_claim(ConcurrencyPolicy.REPLACE)
    first, second, third = (nth_run(number) for number in (1, 2, 3))
    for request in (first, second, third):
        await records.claim_slots(request, claims)
    await records.record_outcome(first.key, None, run_outcome())

    answer = await records.claim_slots(second, claims)

    assert answer.verdict is None
    assert answer.run is not None
    assert answer.run.is_waiting
    assert answer.run.replaced_by == "run-3"
    assert isinstance((await records.claim_slots(third, claims)).verdict, Granted)


async def an_older_run_that_comes_late_does_not_replace_a_newer_one(
    records: Records,
) -> None:
    claims = one_claim(ConcurrencyPolicy.REPLACE)
    await records.claim_slots(nth_run(2), claims)

    answer = await records.claim_slots(nth_run(1), claims)

    assert isinstance(answer.verdict, Superseded)
    assert answer.verdict.by.name == "run-2"


async def who_is_forbidden_is_not_in_the_record(records: Records) -> None:
    claims = one_claim(ConcurrencyPolicy.FORBID)
    await records.claim_slots(nth_run(1), claims)

    answer = await records.claim_slots(nth_run(2), claims)

    assert isinstance(answer.verdict, Forbidden)
    assert answer.verdict.by.name == "run-1"
    assert answer.run is None
    assert await records.fetch_run(nth_run(2).key) is None


async def what_has_its_end_gets_no_slot(records: Records) -> None:
    await records.claim_slots(nth_run(1), one_claim())
    await records.claim_slots(nth_run(2), one_claim())
    await records.record_outcome(nth_run(2).key, None, run_outcome())
    await records.record_outcome(nth_run(1).key, None, run_outcome())

    answer = await records.claim_slots(nth_run(2), one_claim())

    assert answer.verdict is None
    assert isinstance(await records.fetch_place(nth_run(3).key, one_claim()), Granted)


CONTRACT: Final[tuple[Callable[[Records], Awaitable[None]], ...]] = (
    who_waits_has_a_row_without_a_pin_and_gets_its_pin_with_its_slot,
    a_claim_that_is_repeated_finds_what_it_got_and_changes_nothing,
    first_come_is_first_served_and_nobody_is_overtaken,
    replacing_tells_the_older_and_waits_for_its_end,
    one_that_waits_and_is_replaced_never_gets_a_slot,
    an_older_run_that_comes_late_does_not_replace_a_newer_one,
    who_is_forbidden_is_not_in_the_record,
    what_has_its_end_gets_no_slot,
)
