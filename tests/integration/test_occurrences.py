"""One contract for what is noted of schedules: on a real database, and on the table that other tests use."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import run_request
from proctor_operator.adapters.postgres.occurrences import PostgresOccurrences
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.domain.errors import RecordRejected
from proctor_operator.domain.identity import Requester, Via
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.occurrence import Claim, PassedOver, Progress, ScheduleKey, Skip
from proctor_operator.domain.run import RunKey
from proctor_operator.ports.occurrences import Occurrences
from unit.fakes import FakeOccurrences

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = ScheduleKey(Uid("schedule-1"), Namespace("apps"), "nightly")
NAMESAKE = replace(KEY, uid=Uid("schedule-2"))
PROGRESS = Progress(
    timing="every minute",
    is_suspended=False,
    handled_until=NOON - MINUTE,
    asked="bob",
    asked_since=NOON - timedelta(days=3),
)
CLAIM = Claim(NOON, "nightly-1")
LATER = Claim(NOON + MINUTE, "nightly-2")
WHY = Skip("NameTaken", "somebody has it")


@pytest.fixture(params=["PostgreSQL", "in memory"])
def occurrences(record_pool: RecordPool, request: pytest.FixtureRequest) -> Occurrences:
    """Each of them in turn."""
    return PostgresOccurrences(record_pool) if request.param == "PostgreSQL" else FakeOccurrences()


async def test_nothing_is_known_of_a_new_schedule(occurrences: Occurrences) -> None:
    assert await occurrences.fetch_progress(KEY.uid) is None
    assert not await occurrences.claim(KEY, CLAIM)
    assert not await occurrences.skip(KEY, CLAIM, WHY)
    assert not await occurrences.pass_over(KEY, PassedOver(NOON, 1, (NOON,)))
    assert not await occurrences.mark_started(KEY, CLAIM, Uid("run-1"))
    assert not await occurrences.mark_missed(KEY, CLAIM)
    assert await occurrences.fetch_progress(KEY.uid) is None


async def test_what_is_begun_comes_back_and_may_be_begun_anew(occurrences: Occurrences) -> None:
    await occurrences.begin(KEY, PROGRESS)
    first = await occurrences.fetch_progress(KEY.uid)
    other = replace(
        PROGRESS, timing="hourly", is_suspended=True, last_occurrence=NOON, missed=4, asked="eve"
    )
    await occurrences.begin(KEY, other)

    assert first == PROGRESS
    assert await occurrences.fetch_progress(KEY.uid) == other
    assert await occurrences.fetch_progress(NAMESAKE.uid) is None


async def test_a_claim_is_taken_once_and_stays_open_until_it_is_marked(
    occurrences: Occurrences,
) -> None:
    await occurrences.begin(KEY, PROGRESS)

    taken = [await occurrences.claim(KEY, CLAIM) for _ in range(2)]
    open_then = await occurrences.fetch_progress(KEY.uid)
    marked = [await occurrences.mark_started(KEY, CLAIM, Uid(f"run-{n}")) for n in range(2)]

    moved = replace(PROGRESS, handled_until=NOON, last_occurrence=NOON)
    assert taken == [True, False]
    assert open_then == replace(moved, open_claims=(CLAIM,))
    assert marked == [True, False]
    assert await occurrences.fetch_progress(KEY.uid) == moved
    assert not await occurrences.claim(KEY, CLAIM)


async def test_of_many_at_once_one_gets_the_claim(occurrences: Occurrences) -> None:
    await occurrences.begin(KEY, PROGRESS)

    answers = await asyncio.gather(*(occurrences.claim(KEY, CLAIM) for _ in range(8)))

    assert sorted(answers) == [False] * 7 + [True]


async def test_what_was_claimed_before_a_later_one_stays_open(occurrences: Occurrences) -> None:
    await occurrences.begin(KEY, PROGRESS)
    await occurrences.claim(KEY, CLAIM)
    assert await occurrences.claim(KEY, LATER)

    progress = await occurrences.fetch_progress(KEY.uid)

    assert progress is not None
    assert progress.open_claims == (CLAIM, LATER)
    assert not await occurrences.pass_over(KEY, PassedOver(NOON, 1, (NOON,)))


async def test_an_instant_that_has_its_row_is_not_started_again_wherever_it_is_begun(
    occurrences: Occurrences,
) -> None:
    await occurrences.begin(KEY, PROGRESS)
    await occurrences.claim(KEY, CLAIM)
    await occurrences.mark_started(KEY, CLAIM, Uid("run-1"))
    await occurrences.begin(KEY, PROGRESS)

    assert not await occurrences.claim(KEY, CLAIM)
    progress = await occurrences.fetch_progress(KEY.uid)
    assert progress is not None
    assert (progress.handled_until, progress.open_claims) == (NOON, ())


async def test_a_namesake_has_occurrences_of_its_own(occurrences: Occurrences) -> None:
    for key in (KEY, NAMESAKE):
        await occurrences.begin(key, PROGRESS)

        assert await occurrences.claim(key, CLAIM)


async def test_an_occurrence_is_skipped_claimed_or_not(occurrences: Occurrences) -> None:
    await occurrences.begin(KEY, PROGRESS)
    await occurrences.claim(KEY, CLAIM)

    assert await occurrences.skip(KEY, CLAIM, WHY)
    assert await occurrences.skip(KEY, LATER, WHY)

    progress = await occurrences.fetch_progress(KEY.uid)
    assert progress is not None
    assert (progress.handled_until, progress.open_claims) == (LATER.instant, ())
    assert not await occurrences.mark_started(KEY, CLAIM, Uid("run-1"))


async def test_missed_times_are_counted_in_all_ways(occurrences: Occurrences) -> None:
    await occurrences.begin(KEY, PROGRESS)
    passed = PassedOver(NOON - timedelta(seconds=1), 5, (NOON - timedelta(seconds=1),))
    assert await occurrences.pass_over(KEY, passed)
    assert not await occurrences.pass_over(KEY, passed)
    await occurrences.claim(KEY, CLAIM)
    assert await occurrences.mark_missed(KEY, CLAIM)
    assert not await occurrences.mark_missed(KEY, CLAIM)

    progress = await occurrences.fetch_progress(KEY.uid)

    assert progress == replace(PROGRESS, handled_until=NOON, last_occurrence=NOON, missed=6)


async def test_rows_say_what_came_of_it(database: LocalDatabase, record_pool: RecordPool) -> None:
    occurrences = PostgresOccurrences(record_pool)
    await occurrences.begin(KEY, PROGRESS)
    await occurrences.claim(KEY, CLAIM)
    await occurrences.mark_started(KEY, CLAIM, Uid("run-1"))
    await occurrences.skip(KEY, LATER, WHY)
    third = LATER.instant + MINUTE
    await occurrences.pass_over(KEY, PassedOver(third, 1, (third,)))
    await occurrences.claim(KEY, Claim(third + MINUTE, "nightly-4"))

    rows = database.query(
        "SELECT namespace, schedule_name, execution_name, state, reason, message, execution_uid "
        "FROM proctor.occurrences ORDER BY created_at"
    )

    assert rows == [
        ("apps", "nightly", "nightly-1", "Started", "", "", "run-1"),
        ("apps", "nightly", "nightly-2", "Skipped", "NameTaken", "somebody has it", None),
        ("apps", "nightly", "", "Missed", "", "", None),
        ("apps", "nightly", "nightly-4", "Claimed", "", "", None),
    ]


async def test_the_run_of_a_claim_is_found_though_its_object_is_gone(
    records: PostgresRecords, record_pool: RecordPool
) -> None:
    planned = Requester(username="bob", via=Via.SCHEDULE)
    made = RunKey(NOON + timedelta(seconds=2), Uid("run-1"))
    before = RunKey(NOON - timedelta(days=1), Uid("run-0"))
    for key in (before, made):
        await records.record_run(
            run_request(key=key, namespace=KEY.namespace, name="nightly-1", requester=planned)
        )
    by_hand = run_request(namespace=KEY.namespace, name="nightly-2")
    await records.record_run(replace(by_hand, key=RunKey(NOON + MINUTE, Uid("run-2"))))
    occurrences = PostgresOccurrences(record_pool)

    assert await occurrences.find_execution(KEY, CLAIM) == "run-1"
    assert await occurrences.find_execution(KEY, LATER) is None, "somebody else made that"
    elsewhere = replace(KEY, namespace=Namespace("other"))
    assert await occurrences.find_execution(elsewhere, CLAIM) is None


async def test_a_time_without_a_zone_is_refused(record_pool: RecordPool) -> None:
    occurrences = PostgresOccurrences(record_pool)
    await occurrences.begin(KEY, PROGRESS)

    with pytest.raises(RecordRejected, match="has no time zone"):
        await occurrences.claim(KEY, Claim(NOON.replace(tzinfo=None), "x"))


async def test_a_hostile_name_is_stored_as_far_as_it_can_be(record_pool: RecordPool) -> None:
    occurrences = PostgresOccurrences(record_pool)
    await occurrences.begin(KEY, PROGRESS)

    assert await occurrences.skip(KEY, CLAIM, Skip("Bad\x00", "\ud800" + "x" * 5000))
