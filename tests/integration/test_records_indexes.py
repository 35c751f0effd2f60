"""Every filter that a listing offers is served by an index, over several months with many rows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import asyncpg
import pytest

from localpostgres.fixtures import LocalDatabase, new_database
from localpostgres.server import LocalPostgres
from proctor_operator.adapters.postgres.listing import list_statement
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import Namespace
from proctor_operator.ports.records import RunFilter

MONTHS, ROWS_OF_A_MONTH = 4, 15_000
PAGE = 5
"""Small beside what a filter leaves, so that reading more than it needs shows."""

FEW = ROWS_OF_A_MONTH * MONTHS // 30

FILL = f"""
INSERT INTO proctor.executions
  (created_at, uid, namespace, name, proc_name, requester_username, requester_uid,
   requester_groups, requester_extra, requester_via, request_reason, arguments, granted_by,
   started_at, phase, phase_reason, phase_message, completed_at)
SELECT date_trunc('month', now()) + i / {ROWS_OF_A_MONTH} * interval '1 month'
         + i % {ROWS_OF_A_MONTH} * interval '2 minutes',
       i, namespace, 'name', rare || 'p' || i % 11, rare || 'u' || i % 13, '',
       '[]', '{{}}', 'API', '', '{{}}', '',
       now(), phase, left(phase, 0), left(phase, 0), CASE WHEN phase IS NOT NULL THEN now() END
FROM generate_series(0, {MONTHS * ROWS_OF_A_MONTH - 1}) AS i,
  LATERAL (SELECT CASE WHEN i < 5 THEN 'rare-' ELSE '' END) AS one(rare),
  LATERAL (SELECT CASE WHEN i BETWEEN 5 AND 6000 THEN 'retired' ELSE rare || 'n' || i % 7 END)
    AS two(namespace),
  LATERAL (SELECT CASE WHEN i % 101 = 0 THEN NULL
                       WHEN i % 17 = 0 THEN 'Failed'
                       WHEN namespace <> 'n3' AND i % 2 = 0 THEN 'TimedOut'
                       ELSE 'Succeeded' END) AS three(phase)
"""

CHOICES = {
    # One of many rows, and one of a single row at the far end, which only an index finds soon.
    # In "n3" nothing ever timed out; all that "retired" did is long ago.
    "namespace": (None, Namespace("n3"), Namespace("rare-n3"), Namespace("retired")),
    "proc_name": (None, "p3", "rare-p3"),
    "requester": (None, "u3", "rare-u3"),
    "phase": (None, Phase.FAILED, Phase.TIMED_OUT, Phase.RUNNING, Phase.LOST),
}
FILTERS = [
    RunFilter(**dict(zip(CHOICES, values, strict=True)), limit=PAGE)  # type: ignore[arg-type] # by name
    for values in product(*CHOICES.values())
]
FILTERS += [replace(wanted, before_number=MONTHS * ROWS_OF_A_MONTH // 2) for wanted in FILTERS[::7]]


@pytest.fixture(scope="module")
def filled(postgres_server: LocalPostgres, migrated_template: str) -> Iterator[LocalDatabase]:
    with new_database(postgres_server, migrated_template) as database:
        database.query(FILL)
        database.query("ANALYZE proctor.executions")
        yield database


async def plan_of(database: LocalDatabase, wanted: RunFilter) -> list[dict[str, Any]]:
    """The nodes of the plan after it ran, with the rows that each read."""
    statement, values = list_statement(wanted)
    connection = await asyncpg.connect(database.runtime_dsn)
    try:
        explained = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values
        )
    finally:
        await connection.close()
    return list(_nodes(json.loads(explained)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def rows_read(nodes: list[dict[str, Any]]) -> int:
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in nodes
        if "Relation Name" in node
    )


def _named(wanted: RunFilter) -> str:
    return (
        " ".join(str(getattr(wanted, name)) for name in CHOICES if getattr(wanted, name)) or "all"
    )


@pytest.mark.parametrize("wanted", FILTERS, ids=_named)
async def test_a_page_is_read_from_an_index(filled: LocalDatabase, wanted: RunFilter) -> None:
    nodes = await plan_of(filled, wanted)

    scanned = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
    assert set(scanned) <= {"executions_default"}, "which is empty"
    assert rows_read(nodes) <= FEW, json.dumps(nodes[0], indent=1)


@pytest.mark.parametrize(
    "wanted",
    [
        RunFilter(),
        RunFilter(namespace=Namespace("n3")),
        RunFilter(namespace=Namespace("n3"), proc_name="p3"),
        RunFilter(namespace=Namespace("n3"), phase=Phase.FAILED),
        RunFilter(proc_name="p3"),
        RunFilter(requester="u3"),
        RunFilter(phase=Phase.FAILED),
    ],
    ids=_named,
)
@pytest.mark.parametrize("before_number", [None, MONTHS * ROWS_OF_A_MONTH // 2])
async def test_what_has_an_index_of_its_own_costs_its_page_wherever_that_is(
    filled: LocalDatabase, wanted: RunFilter, before_number: int | None
) -> None:
    nodes = await plan_of(filled, replace(wanted, before_number=before_number, limit=PAGE))

    assert "Sort" not in {node["Node Type"] for node in nodes}
    assert rows_read(nodes) <= PAGE + MONTHS


async def test_a_month_outside_the_wanted_time_is_not_looked_at(filled: LocalDatabase) -> None:
    first = filled.query("SELECT date_trunc('month', now())")[0][0]
    second = (first + dt.timedelta(days=32)).replace(day=1)
    wanted = RunFilter(created_from=first, created_before=second, limit=PAGE)

    for narrowed in (wanted, replace(wanted, phase=Phase.FAILED, requester="u7")):
        nodes = await plan_of(filled, narrowed)
        relations = {node["Relation Name"] for node in nodes if "Relation Name" in node}
        assert relations <= {f"executions_{first:%Y_%m}", "executions_default"}
        assert rows_read(nodes) <= FEW


async def test_a_user_name_longer_than_an_index_takes_is_found(filled: LocalDatabase) -> None:
    # Random, so that it cannot be compressed; two that differ only beyond what the index has.
    filled.query(
        """
        UPDATE proctor.executions SET requester_username =
          (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i) || uid
        WHERE uid IN ('0', '101')
        """
    )
    name = filled.query("SELECT requester_username FROM proctor.executions WHERE uid = '101'")[0][0]

    nodes = await plan_of(filled, RunFilter(requester=name, limit=PAGE))

    assert len(name) > 30_000
    assert nodes[0]["Actual Rows"] == 1
    assert rows_read(nodes) <= FEW
