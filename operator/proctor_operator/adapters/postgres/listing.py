"""Builds the statement for a page of a listing: only the wanted conditions, so that an index serves it.

With `namespace = $1 ORDER BY number DESC` PostgreSQL may well walk down all numbers and hope for a row
of the namespace soon; where they are all old it reads everything. So the indexes that begin with a
filter's column end with the number negated: what is filtered is ordered by that, which the index on the
number alone cannot do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proctor_operator.adapters.postgres.cleaning import clean_name, clean_text
from proctor_operator.adapters.postgres.statements import SELECT_RUNS
from proctor_operator.domain.execution import Phase

if TYPE_CHECKING:
    from proctor_operator.ports.records import RunFilter

_INDEXED_CHARACTERS: Final = 200

Condition = tuple[str, object]
"""The left side and the operator, and the value on the right."""


def list_statement(wanted: RunFilter) -> tuple[str, list[object]]:
    """Return the SQL and its values for the runs that match, newest first."""
    equal, unfinished = _equal(wanted), _unfinished(wanted.phase)
    is_filtered = bool(equal or unfinished)
    compared = [*equal, *_bounds(wanted, is_filtered=is_filtered)]
    conditions = [f"{left} ${place}" for place, (left, _) in enumerate(compared, start=1)]
    conditions += unfinished
    lines = [SELECT_RUNS]
    if conditions:
        lines.append("WHERE " + " AND ".join(conditions))
    lines.append("ORDER BY -number" if is_filtered else "ORDER BY number DESC")
    lines.append(f"LIMIT ${len(compared) + 1}")
    return "\n".join(lines), [*(value for _, value in compared), wanted.limit]


def _equal(wanted: RunFilter) -> list[Condition]:
    """What an index may begin with."""
    conditions: list[Condition] = []
    if wanted.namespace is not None:
        conditions.append(("namespace =", clean_name(wanted.namespace)))
    if wanted.proc_name is not None:
        conditions.append(("proc_name =", clean_name(wanted.proc_name)))
    if wanted.requester is not None:
        conditions += _by_requester(clean_text(wanted.requester))
    if wanted.phase is not None and wanted.phase.is_terminal:
        conditions.append(("phase =", wanted.phase.value))
    return conditions


def _by_requester(name: str) -> list[Condition]:
    # The index has the beginning of a name; a shorter one is all there.
    begins = ("left(requester_username, 200) =", name[:_INDEXED_CHARACTERS])
    if len(name) < _INDEXED_CHARACTERS:
        return [begins]
    return [begins, ("requester_username =", name)]


def _bounds(wanted: RunFilter, *, is_filtered: bool) -> list[Condition]:
    conditions: list[Condition] = []
    if wanted.created_from is not None:
        conditions.append(("created_at >=", wanted.created_from))
    if wanted.created_before is not None:
        conditions.append(("created_at <", wanted.created_before))
    if wanted.before_number is not None and is_filtered:
        conditions.append(("-number >", -wanted.before_number))
    elif wanted.before_number is not None:
        conditions.append(("number <", wanted.before_number))
    return conditions


def _unfinished(phase: Phase | None) -> list[str]:
    # The record has a phase only at the end; before it, the start tells.
    match phase:
        case Phase.PENDING:
            return ["phase IS NULL", "started_at IS NULL"]
        case Phase.RUNNING:
            return ["phase IS NULL", "started_at IS NOT NULL"]
        case _:
            return []
