"""Slots of groups in memory, as the record's port promises them: for records that are no database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from proctor_operator.domain.concurrency import (
    Granted,
    Occupant,
    SlotClaim,
    SlotVerdict,
    Waits,
    decide_slots,
)
from proctor_operator.domain.run import RecordedRun, RunKey, RunRequest
from proctor_operator.ports.records import SlotAnswer

Store = Callable[[RecordedRun | None, RecordedRun], None]
Insert = Callable[[RunRequest, bool], RecordedRun]
"""The request, and whether it waits."""


class SlotBook:
    """Who is in which group; whether somebody has a slot, the rows tell."""

    def __init__(self) -> None:
        self._groups: dict[RunKey, tuple[str, ...]] = {}

    def place(
        self, rows: Mapping[RunKey, RecordedRun], key: RunKey, claims: tuple[SlotClaim, ...]
    ) -> SlotVerdict:
        """What a claim would come to."""
        occupants: dict[str, tuple[Occupant, ...]] = {}
        for one in claims:
            members = (other for other, groups in self._groups.items() if one.group in groups)
            active = (rows[other] for other in members if other in rows)
            occupants[one.group] = tuple(_occupant(row) for row in active if row.outcome is None)
        return decide_slots(key, claims, occupants)

    def claim(
        self,
        rows: Mapping[RunKey, RecordedRun],
        request: RunRequest,
        claims: tuple[SlotClaim, ...],
        *,
        insert: Insert,
        store: Store,
    ) -> SlotAnswer:
        """Decide and write, with nobody in between."""
        row = rows.get(request.key)
        if row is not None and (row.outcome or row.replaced_by or not row.is_waiting):
            return SlotAnswer(None, row)
        verdict = self.place(rows, request.key, claims)
        if isinstance(verdict, Granted):
            if row is None:
                insert(request, False)
            else:
                store(row, replace(row, request=request, is_waiting=False))
        elif isinstance(verdict, Waits):
            if row is None:
                insert(replace(request, pinned=None), True)
            for one in verdict.to_replace:
                store(rows[one.key], replace(rows[one.key], replaced_by=request.name))
        else:
            return SlotAnswer(verdict, row)
        self._groups[request.key] = tuple(one.group for one in claims)
        return SlotAnswer(verdict, rows[request.key])


def _occupant(row: RecordedRun) -> Occupant:
    request = row.request
    return Occupant(request.key, request.name, row.is_waiting, is_replaced=bool(row.replaced_by))
