"""The record's promises on a real server: idempotent, one number, the first outcome stays."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import (
    COMPLETED,
    CREATED,
    JOB,
    STARTED,
    CountedCalls,
    SystemClock,
    refusal,
    run_outcome,
    run_request,
)
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.domain.errors import RecordRejected
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import PinnedSpec, RunKey
from proctor_operator.ports.records import RecordReader, Records

TRANSITIONS = "SELECT transition, phase, at FROM proctor.transitions ORDER BY at, transition"


def test_the_adapter_is_what_the_ports_ask_for(records: PostgresRecords) -> None:
    both: tuple[Records, RecordReader] = (records, records)

    assert len(both) == 2


async def test_a_recorded_run_reads_back_as_it_was_given(records: PostgresRecords) -> None:
    request = run_request()

    recorded = await records.record_run(request)

    assert recorded.request == request
    assert (recorded.job_uid, recorded.started_at, recorded.outcome) == (None, None, None)
    assert await records.fetch_run(request.key) == recorded


async def test_recording_again_returns_what_is_there_and_uses_up_no_number(
    records: PostgresRecords,
) -> None:
    request = run_request()
    first = await records.record_run(request)
    later_pin = PinnedSpec(name="grow-disk", uid=Uid("proc-1"), generation=5, spec={"image": "b:2"})

    again = await records.record_run(replace(request, pinned=later_pin, reason="changed"))
    other = await records.record_run(run_request())

    assert again == first
    assert other.number == first.number + 1


async def test_racing_callers_get_one_row_and_one_number(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()

    recorded = await asyncio.gather(*(records.record_run(request) for _ in range(40)))

    assert len({run.number for run in recorded}) == 1
    assert database.query("SELECT count(*) FROM proctor.executions") == [(1,)]
    assert database.query(TRANSITIONS) == [("Recorded", "Pending", recorded[0].recorded_at)]


async def test_a_run_that_a_racing_transaction_inserts_meanwhile_is_read_back(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    blocker = await asyncpg.connect(database.runtime_dsn)
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute(
        """
        INSERT INTO proctor.executions
          (created_at, uid, namespace, name, proc_name, request_reason, arguments, granted_by)
        VALUES ($1, $2, 'apps', 'other', 'proc', 'theirs', '{}', '')
        """,
        request.key.created_at,
        request.key.uid,
    )
    waiting = asyncio.create_task(records.record_run(request))
    await database.until_a_session_waits_for_a_lock()

    await transaction.commit()
    await blocker.close()

    assert (await waiting).request.reason == "theirs"


async def test_the_first_start_stays(database: LocalDatabase, records: PostgresRecords) -> None:
    request = run_request()
    await records.record_run(request)

    await records.record_started(request.key, JOB, STARTED)
    await records.record_started(request.key, Uid("job-2"), COMPLETED)

    stored = await records.fetch_run(request.key)
    assert stored is not None
    assert (stored.job_uid, stored.started_at) == (JOB, STARTED)
    assert ("Started", "Running", STARTED) in database.query(TRANSITIONS)


async def test_a_job_may_be_noted_before_its_start_and_the_first_note_stays(
    records: PostgresRecords,
) -> None:
    request = run_request()
    await records.record_run(request)

    await records.record_job(request.key, JOB)
    await records.record_job(request.key, Uid("job-2"))
    noted = await records.fetch_run(request.key)
    await records.record_started(request.key, JOB, STARTED)
    started = await records.fetch_run(request.key)

    assert noted is not None
    assert started is not None
    assert (noted.job_uid, noted.started_at) == (JOB, None)
    assert (started.job_uid, started.started_at) == (JOB, STARTED)


async def test_no_job_is_noted_for_a_run_that_has_ended_or_was_never_recorded(
    records: PostgresRecords,
) -> None:
    request = run_request()
    await records.record_refusal(request, refusal())

    await records.record_job(request.key, JOB)
    with pytest.raises(RecordRejected):
        await records.record_job(run_request().key, JOB)

    stored = await records.fetch_run(request.key)
    assert stored is not None
    assert stored.job_uid is None


async def test_the_first_outcome_stays_for_ever(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    recorded = await records.record_run(request)
    await records.record_started(request.key, JOB, STARTED)

    first = await records.record_outcome(request.key, JOB, run_outcome())
    second = await records.record_outcome(
        request.key, Uid("job-2"), run_outcome(phase=Phase.SUCCEEDED, exit_code=0)
    )

    assert first == second == run_outcome()
    assert sorted(database.query(TRANSITIONS)) == [
        ("Ended", "Failed", COMPLETED),
        ("Recorded", "Pending", recorded.recorded_at),
        ("Started", "Running", STARTED),
    ]


async def test_racing_outcomes_leave_one_that_everybody_is_told(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    await records.record_run(request)
    phases = [Phase.FAILED, Phase.SUCCEEDED, Phase.TIMED_OUT, Phase.CANCELLED] * 6

    told = await asyncio.gather(
        *(records.record_outcome(request.key, JOB, run_outcome(phase=phase)) for phase in phases)
    )

    assert len(set(told)) == 1
    ended = "SELECT phase FROM proctor.transitions WHERE transition = 'Ended'"
    assert database.query(ended) == [(told[0].phase,)]


async def test_an_outcome_notes_a_start_that_was_not_noted(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    await records.record_run(request)

    await records.record_outcome(request.key, JOB, run_outcome())

    stored = await records.fetch_run(request.key)
    assert stored is not None
    assert (stored.job_uid, stored.started_at) == (JOB, STARTED)
    assert ("Started", "Running", STARTED) in database.query(TRANSITIONS)


async def test_an_outcome_keeps_the_start_that_was_noted(records: PostgresRecords) -> None:
    request = run_request()
    await records.record_run(request)
    await records.record_started(request.key, JOB, STARTED)

    stored = await records.record_outcome(request.key, None, run_outcome(started_at=COMPLETED))

    run = await records.fetch_run(request.key)
    assert run is not None
    assert (stored.started_at, run.job_uid) == (STARTED, JOB)


async def test_a_run_that_ended_without_a_start_has_none(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    await records.record_run(request)

    await records.record_outcome(request.key, None, refusal(phase=Phase.CANCELLED))
    await records.record_started(request.key, JOB, STARTED)

    stored = await records.fetch_run(request.key)
    assert stored is not None
    assert (stored.job_uid, stored.started_at) == (None, None)
    kinds = "SELECT transition FROM proctor.transitions ORDER BY transition"
    assert database.query(kinds) == [("Ended",), ("Recorded",)]


async def test_a_refusal_is_recorded_with_its_outcome(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request(pinned=None, requester=None)

    recorded = await records.record_refusal(request, refusal())

    assert (recorded.request, recorded.outcome) == (request, refusal())
    assert ("Ended", "Refused", COMPLETED) in database.query(TRANSITIONS)


async def test_a_refusal_does_not_touch_a_run_that_is_there(records: PostgresRecords) -> None:
    request = run_request()
    first = await records.record_run(request)

    assert await records.record_refusal(request, refusal()) == first


async def test_an_outcome_and_its_transition_are_stored_both_or_neither(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    request = run_request()
    await records.record_run(request)
    database.query("ALTER TABLE proctor.transitions ADD CHECK (transition <> 'Ended')")

    with pytest.raises(RecordRejected):
        await records.record_outcome(request.key, JOB, run_outcome())

    stored = await records.fetch_run(request.key)
    assert stored is not None
    assert stored.outcome is None


async def test_a_run_that_is_not_recorded_cannot_start_or_end(records: PostgresRecords) -> None:
    key = run_request().key

    with pytest.raises(RecordRejected, match="not in the record"):
        await records.record_started(key, JOB, STARTED)
    with pytest.raises(RecordRejected, match="not in the record"):
        await records.record_outcome(key, JOB, run_outcome())
    assert await records.fetch_run(key) is None


async def test_a_phase_that_is_not_an_end_is_no_outcome(records: PostgresRecords) -> None:
    request = run_request()
    await records.record_run(request)

    with pytest.raises(RecordRejected, match="not an outcome"):
        await records.record_outcome(request.key, JOB, run_outcome(phase=Phase.RUNNING))


async def test_a_time_without_zone_is_refused(records: PostgresRecords) -> None:
    key = RunKey(created_at=dt.datetime(2026, 11, 1), uid=Uid("u"))  # noqa: DTZ001 - the point

    with pytest.raises(RecordRejected, match="no time zone"):
        await records.record_run(run_request(key=key))


@pytest.mark.parametrize("year", [1, 1970, 2019, 2099, 9999])
async def test_a_run_of_any_month_can_be_recorded_and_ended(
    records: PostgresRecords, year: int
) -> None:
    key = RunKey(created_at=CREATED.replace(year=year), uid=Uid("restored"))

    recorded = await records.record_run(run_request(key=key))
    await records.record_outcome(key, JOB, run_outcome())

    assert recorded.request.key == key
    found = await records.find_run(recorded.number)
    assert found is not None
    assert found.outcome == run_outcome()


async def test_every_call_is_counted_with_its_result(
    records: PostgresRecords, calls: CountedCalls
) -> None:
    request = run_request()
    await records.record_run(request)
    with pytest.raises(RecordRejected):
        await records.record_started(run_request().key, JOB, STARTED)

    assert calls.recorded == [("record_run", "ok"), ("record_started", "rejected")]


async def test_the_contract_holds_without_prepared_statements(database: LocalDatabase) -> None:
    options = replace(database.options(), statement_cache_size=0, session_settings=False)
    request = run_request()

    async with RecordPool(options, CountedCalls(), SystemClock()) as pool:
        records = PostgresRecords(pool)
        recorded = await asyncio.gather(*(records.record_run(request) for _ in range(20)))
        await records.record_started(request.key, JOB, STARTED)
        stored = await records.record_outcome(request.key, JOB, run_outcome())
        in_transaction = await pool.run("look", _is_in_transaction)

    assert len({run.number for run in recorded}) == 1
    assert stored == run_outcome()
    # What keeps the steps of an unnamed statement on one server behind a transaction pooler.
    assert in_transaction


async def test_who_reuses_plans_has_each_statement_planned_for_any_key(
    database: LocalDatabase,
) -> None:
    options = replace(database.options(), reuses_plans=True, max_connections=1)

    async with RecordPool(options, CountedCalls(), SystemClock()) as pool:
        records = PostgresRecords(pool)
        for _ in range(3):
            request = run_request()
            await records.record_run(request)
            await records.record_started(request.key, JOB, STARTED)
            assert await records.record_outcome(request.key, JOB, run_outcome()) == run_outcome()
        plans = await pool.run("look", _plans)

    assert plans == (9, 0)


async def _plans(connection: Any) -> tuple[int, int]:
    """How often plans for any value were used, and how often one was made for the call."""
    row = await connection.fetchrow(
        "SELECT sum(generic_plans)::int, sum(custom_plans)::int FROM pg_prepared_statements"
        " WHERE statement LIKE $1",
        "%proctor.executions%",
    )
    return tuple(row)


async def _is_in_transaction(connection: Any) -> bool:
    return bool(connection.is_in_transaction())
