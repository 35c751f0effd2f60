"""Recognising an object that was applied before: the newest run that may have done something."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import CREATED, JOB, STARTED, refusal, run_outcome, run_request
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.adapters.postgres.statements import SELECT_EARLIER
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import ALREADY_RUN, Outcome, RunKey, RunRequest


def applied(name: str, **changes: Any) -> RunRequest:
    return run_request(key=RunKey(CREATED, Uid(name)), **changes)


async def end(
    records: PostgresRecords, request: RunRequest, outcome: Outcome, *, job: Uid | None = JOB
) -> None:
    await records.record_run(request)
    await records.record_outcome(request.key, job, outcome)


async def test_the_newest_ended_run_of_the_same_object_is_found(records: PostgresRecords) -> None:
    await end(records, applied("first"), run_outcome())
    await end(records, applied("second"), run_outcome(phase=Phase.SUCCEEDED))

    earlier = await records.fetch_earlier(applied("third"))

    assert earlier is not None
    assert earlier.request.key.uid == "second"
    assert earlier.is_earlier_run_of(applied("third"))


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": Namespace("other")},
        {"name": "other"},
        {"fingerprint": "other"},
        {"fingerprint": ""},
        {"key": RunKey(CREATED, Uid("first"))},
    ],
)
async def test_another_object_and_the_run_itself_are_not(
    records: PostgresRecords, changes: dict[str, Any]
) -> None:
    await end(records, applied("first"), run_outcome())

    assert await records.fetch_earlier(replace(applied("second"), **changes)) is None


async def test_an_empty_fingerprint_recognises_nothing(records: PostgresRecords) -> None:
    await end(records, applied("first", fingerprint=""), run_outcome())

    assert await records.fetch_earlier(applied("second", fingerprint="")) is None


NOT_STARTED = run_outcome(phase=Phase.CANCELLED, started_at=None)


@pytest.mark.parametrize(
    ("outcome", "job", "counts"),
    [
        (run_outcome(), JOB, True),
        (run_outcome(phase=Phase.TIMED_OUT, started_at=None), JOB, True),
        (NOT_STARTED, JOB, True),
        (run_outcome(), None, True),
        (replace(NOT_STARTED, phase=Phase.LOST), None, True),
        (NOT_STARTED, None, False),
        (run_outcome(reason=ALREADY_RUN), JOB, False),
        (run_outcome(phase=Phase.REFUSED), JOB, False),
    ],
)
async def test_a_run_counts_when_it_may_have_done_something(
    records: PostgresRecords, outcome: Outcome, job: Uid | None, *, counts: bool
) -> None:
    await end(records, applied("first"), outcome, job=job)

    earlier = await records.fetch_earlier(applied("second"))

    first = await records.fetch_run(applied("first").key)
    assert first is not None
    assert earlier == (first if counts else None)
    # The fakes of other tests ask the domain, which must say the same.
    assert first.is_earlier_run_of(applied("second")) is counts


async def test_neither_a_refusal_nor_a_run_under_way_counts(records: PostgresRecords) -> None:
    await records.record_refusal(applied("refused"), refusal())
    await records.record_run(applied("running"))
    await records.record_started(applied("running").key, JOB, STARTED)

    assert await records.fetch_earlier(applied("next")) is None


async def test_an_index_finds_it_in_every_month(database: LocalDatabase) -> None:
    database.query(
        """
        INSERT INTO proctor.executions
          (created_at, uid, namespace, name, proc_name, request_reason, arguments, granted_by,
           fingerprint, phase, phase_reason, phase_message, completed_at, job_uid)
        SELECT now() + (i % 3) * interval '1 month', i, 'apps', 'name-' || i % 100, 'p', '', '{}',
               '', i % 50, 'Failed', '', '', now(), 'j'
        FROM generate_series(1, 20000) AS i
        """
    )
    database.query("ANALYZE proctor.executions")
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        rows = await connection.fetch(f"EXPLAIN {SELECT_EARLIER}", "apps", "name-7", "7", "new")
    finally:
        await connection.close()
    plan = "\n".join(row[0] for row in rows)

    assert plan.count("fingerprint_number_idx") >= 4, plan
    assert "Seq Scan" not in plan
    assert "Sort  " not in plan
