"""Slots of groups on a real server, claimed by transactions that are truly at once."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace

import asyncpg
import pytest

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import CREATED, run_outcome, run_request
from proctor_operator.adapters.postgres.records import PostgresRecords
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

SLOTS = "SELECT count(*) FROM proctor.slots"


def nth_run(number: int) -> RunRequest:
    key = RunKey(CREATED + dt.timedelta(seconds=number), Uid(f"uid-{number}"))
    return run_request(key=key, name=f"run-{number}")


def one_claim(
    policy: ConcurrencyPolicy = ConcurrencyPolicy.QUEUE, *, limit: int = 1, group: str = "proc/p1"
) -> tuple[SlotClaim, ...]:
    return (SlotClaim(group, policy, limit, "proc 'p1'"),)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize(
    "policy", [ConcurrencyPolicy.QUEUE, ConcurrencyPolicy.FORBID, ConcurrencyPolicy.REPLACE]
)
async def test_claims_at_the_same_moment_never_get_more_slots_than_there_are(
    records: PostgresRecords, limit: int, policy: ConcurrencyPolicy
) -> None:
    claims = one_claim(policy, limit=limit)

    answers = await asyncio.gather(
        *(records.claim_slots(nth_run(number), claims) for number in range(20))
    )

    granted = [answer for answer in answers if isinstance(answer.verdict, Granted)]
    assert len(granted) == limit


async def test_who_waits_has_a_row_without_a_pin_and_gets_its_pin_with_its_slot(
    records: PostgresRecords,
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


async def test_a_claim_that_is_repeated_finds_what_it_got_and_changes_nothing(
    records: PostgresRecords,
) -> None:
    request = nth_run(1)
    first = await records.claim_slots(request, one_claim())

    again = await records.claim_slots(replace(request, reason="changed"), one_claim())

    assert again.verdict is None
    assert again.run == first.run


async def test_first_come_is_first_served_and_nobody_is_overtaken(records: PostgresRecords) -> None:
    running, late, early = nth_run(0), nth_run(9), nth_run(5)
    for request in (running, late, early):
        await records.claim_slots(request, one_claim())
    await records.record_outcome(running.key, None, run_outcome())

    overtaking = await records.claim_slots(late, one_claim())
    served = await records.claim_slots(early, one_claim())

    assert isinstance(overtaking.verdict, Waits)
    assert [one.name for one in overtaking.verdict.ahead] == ["run-5"]
    assert isinstance(served.verdict, Granted)


async def test_who_is_forbidden_leaves_no_row(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    claims = one_claim(ConcurrencyPolicy.FORBID)
    await records.claim_slots(nth_run(1), claims)

    answer = await records.claim_slots(nth_run(2), claims)

    assert isinstance(answer.verdict, Forbidden)
    assert answer.verdict.by.name == "run-1"
    assert answer.run is None
    assert database.query("SELECT name FROM proctor.executions") == [("run-1",)]


async def test_the_outcome_frees_the_slot_and_its_row_in_one_statement(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = nth_run(1)
    await records.claim_slots(request, one_claim())
    assert database.query(SLOTS) == [(1,)]

    await records.record_outcome(request.key, None, run_outcome())

    assert database.query(SLOTS) == [(0,)]
    answer = await records.claim_slots(nth_run(2), one_claim())
    assert isinstance(answer.verdict, Granted)


async def test_a_row_left_over_of_a_run_that_has_ended_holds_nothing_up(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = nth_run(1)
    await records.record_refusal(request, run_outcome())
    database.query(
        "INSERT INTO proctor.slots VALUES ('proc/p1', $1, $2) RETURNING uid",
        request.key.created_at,
        request.key.uid,
    )

    answer = await records.claim_slots(nth_run(2), one_claim())

    assert isinstance(answer.verdict, Granted)


async def test_an_outcome_stored_during_a_claim_leaves_no_slot_taken(
    records: PostgresRecords,
) -> None:
    """Another controller cancels the run while this one claims for it."""
    holder, waiting = nth_run(1), nth_run(2)
    for request in (holder, waiting):
        await records.claim_slots(request, one_claim())
    await records.record_outcome(holder.key, None, run_outcome())

    await asyncio.gather(
        records.claim_slots(waiting, one_claim()),
        records.record_outcome(waiting.key, None, run_outcome()),
    )

    assert isinstance((await records.claim_slots(nth_run(3), one_claim())).verdict, Granted)


async def test_replacing_tells_the_older_and_waits_for_its_end(records: PostgresRecords) -> None:
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


async def test_one_that_waits_and_is_replaced_never_gets_a_slot(records: PostgresRecords) -> None:
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


async def test_an_older_run_that_comes_late_does_not_replace_a_newer_one(
    records: PostgresRecords,
) -> None:
    claims = one_claim(ConcurrencyPolicy.REPLACE)
    await records.claim_slots(nth_run(2), claims)

    answer = await records.claim_slots(nth_run(1), claims)

    assert isinstance(answer.verdict, Superseded)
    assert answer.verdict.by.name == "run-2"


async def test_two_groups_at_once_are_claimed_without_a_deadlock(records: PostgresRecords) -> None:
    one, other = one_claim(group="proc/p1"), one_claim(group="schedule/s1")

    answers = await asyncio.gather(
        *(
            records.claim_slots(nth_run(number), one + other if number % 2 else other + one)
            for number in range(20)
        )
    )

    assert sum(isinstance(answer.verdict, Granted) for answer in answers) == 1


async def test_a_waiting_run_whose_limit_was_taken_back_gets_its_slot(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    await records.claim_slots(nth_run(1), one_claim())
    await records.claim_slots(nth_run(2), one_claim())

    answer = await records.claim_slots(nth_run(2), ())

    assert isinstance(answer.verdict, Granted)
    assert database.query("SELECT uid FROM proctor.slots") == [("uid-1",)]


async def test_a_place_is_looked_at_without_a_write(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    await records.claim_slots(nth_run(1), one_claim())

    place = await records.fetch_place(nth_run(2).key, one_claim())

    assert isinstance(place, Waits)
    assert database.query(SLOTS) == [(1,)]


async def test_a_run_without_a_limit_has_no_row_among_the_slots(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    await records.record_run(nth_run(1))

    assert database.query(SLOTS) == [(0,)]


async def test_the_pin_of_a_run_that_has_its_slot_is_never_written_over(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = nth_run(1)
    await records.claim_slots(request, one_claim())
    connection = await asyncpg.connect(database.runtime_dsn)

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changes"):
        await connection.execute("UPDATE proctor.executions SET proc_spec = '{}'")

    await connection.close()
