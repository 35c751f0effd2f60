"""Listing and finding runs: filters, order, continuation, and the indexes that carry them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import pytest

from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import (
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
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import RunKey
from proctor_operator.ports.records import RunFilter

APPS, OTHER, BULK = Namespace("apps"), Namespace("other"), Namespace("bulk-1")


@pytest.fixture
async def history(module_database: LocalDatabase) -> AsyncIterator[PostgresRecords]:
    """Six runs `a` to `f`, in this order of numbers; their months differ."""
    options = module_database.options()
    async with RecordPool(options, CountedCalls(), SystemClock()) as pool:
        records = PostgresRecords(pool)
        if await records.find_run(Uid("a")) is None:
            await _fill(records)
        yield records


async def _fill(records: PostgresRecords) -> None:
    bob = Requester(username="bob")
    requests = [
        run_request(key=key("a"), namespace=APPS, proc_name="grow"),
        run_request(key=key("b", months_ago=20), namespace=APPS, proc_name="grow", requester=bob),
        run_request(key=key("c", months_ago=1), namespace=OTHER, proc_name="grow"),
        run_request(key=key("d"), namespace=APPS, proc_name="shrink"),
        run_request(key=key("e", months_ago=-2), namespace=APPS, proc_name="grow"),
    ]
    for request in requests:
        await records.record_run(request)
    await records.record_refusal(run_request(key=key("f"), namespace=APPS), refusal())
    await records.record_outcome(requests[0].key, JOB, run_outcome())
    await records.record_started(requests[3].key, JOB, STARTED)


def key(name: str, *, months_ago: int = 0) -> RunKey:
    return RunKey(created_at=CREATED - dt.timedelta(days=30 * months_ago), uid=Uid(name))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RunFilter(), "fedcba"),
        (RunFilter(limit=2), "fe"),
        (RunFilter(namespace=APPS), "fedba"),
        (RunFilter(namespace=OTHER), "c"),
        (RunFilter(namespace=Namespace("none")), ""),
        (RunFilter(proc_name="grow"), "ecba"),
        (RunFilter(namespace=APPS, proc_name="grow"), "eba"),
        (RunFilter(requester="bob"), "b"),
        (RunFilter(phase=Phase.FAILED), "a"),
        (RunFilter(phase=Phase.REFUSED), "f"),
        (RunFilter(phase=Phase.RUNNING), "d"),
        (RunFilter(phase=Phase.PENDING), "ecb"),
        (RunFilter(namespace=APPS, proc_name="grow", requester="bob", phase=Phase.PENDING), "b"),
        (RunFilter(namespace=Namespace("apps\0")), ""),
        (RunFilter(created_from=CREATED), "feda"),
        (RunFilter(created_before=CREATED), "cb"),
        (RunFilter(created_from=key("c", months_ago=1).created_at, created_before=CREATED), "c"),
    ],
)
async def test_a_listing_has_what_matches_newest_first(
    history: PostgresRecords, wanted: RunFilter, found: str
) -> None:
    assert "".join(run.request.key.uid for run in await history.list_runs(wanted)) == found


async def test_a_listing_goes_on_where_it_ended(history: PostgresRecords) -> None:
    pages, before = [], None
    while page := await history.list_runs(RunFilter(namespace=APPS, before_number=before, limit=2)):
        pages.append("".join(run.request.key.uid for run in page))
        before = page[-1].number

    assert pages == ["fe", "db", "a"]


async def test_a_run_is_found_by_number_and_by_uid_whatever_its_month(
    history: PostgresRecords,
) -> None:
    for run in await history.list_runs(RunFilter()):
        assert await history.find_run(run.number) == run
        assert await history.find_run(run.request.key.uid) == run


@pytest.mark.parametrize("unknown", [0, -1, 2**40, 2**70, Uid("nobody"), Uid("a\0"), Uid("")])
async def test_a_run_that_nobody_recorded_is_not_found(
    history: PostgresRecords, unknown: int | Uid
) -> None:
    assert await history.find_run(unknown) is None


async def test_a_limit_that_makes_no_sense_is_refused(history: PostgresRecords) -> None:
    with pytest.raises(RecordRejected):
        await history.list_runs(RunFilter(limit=-1))


async def test_a_row_of_a_newer_release_is_named_and_not_misread(
    database: LocalDatabase, records: PostgresRecords
) -> None:
    recorded = await records.record_refusal(run_request(), refusal())
    database.query("ALTER TABLE proctor.executions DISABLE TRIGGER ALL")
    database.query("UPDATE proctor.executions SET phase = 'Paused'")

    with pytest.raises(RecordRejected, match=f"run {recorded.number} .*Paused"):
        await records.find_run(recorded.number)
