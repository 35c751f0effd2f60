"""Slots of groups on a real server, claimed by transactions that are truly at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from harness.slot_contract import CONTRACT, nth_run, one_claim
from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import run_outcome
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.domain.concurrency import (
    Granted,
    Waits,
)
from proctor_operator.domain.proc import ConcurrencyPolicy
from proctor_operator.ports.records import Records

SLOTS = "SELECT count(*) FROM proctor.slots"


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda one: one.__name__)
async def test_the_record_promises_that(
    records: PostgresRecords, promise: Callable[[Records], Awaitable[None]]
) -> None:
    await promise(records)


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
