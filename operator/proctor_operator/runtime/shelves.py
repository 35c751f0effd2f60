"""Finished executions of one Proc, kept in the order in which they may have to go."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from proctor_operator.domain.execution import Phase, ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.reconcile.retention import Shelf, age


class Shelves:
    """One for each schedule and each way to end: what counts together depends on the schedule's wishes."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Uid | None, bool], list[ProcExecution]] = {}

    def put(self, execution: ProcExecution) -> None:
        """Put one in its place."""
        insort(self._rows.setdefault(_shelf_of(execution), []), execution, key=age)

    def remove(self, execution: ProcExecution) -> None:
        """Take one out again, in the state in which it was put."""
        shelf = _shelf_of(execution)
        row = self._rows.get(shelf, [])
        place = bisect_left(row, age(execution), key=age)
        if row[place : place + 1] and row[place].uid == execution.uid:
            del row[place]
        if not row:
            self._rows.pop(shelf, None)

    def shelves(self) -> tuple[Shelf, ...]:
        """All that there is. What is in them changes with the next one put or taken out."""
        return tuple(Shelf(*shelf, row) for shelf, row in self._rows.items())

    def __iter__(self) -> Iterator[ProcExecution]:
        """Every one, in no order."""
        return (one for row in self._rows.values() for one in row)

    def __len__(self) -> int:
        """So many are there."""
        return sum(map(len, self._rows.values()))


def _shelf_of(execution: ProcExecution) -> tuple[Uid | None, bool]:
    reference = execution.spec.schedule_ref
    schedule = reference.uid if reference is not None else None
    return schedule, execution.status.phase is Phase.SUCCEEDED
