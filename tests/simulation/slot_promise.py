"""SLOT: no limit is ever exceeded, nobody is overtaken, and who is turned away was so with reason.

Counted from Jobs, outcomes and the people's own plans; the operator's groups and claims are not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proctor_operator.domain.run import RecordedRun
from simulation.api_server import ADDED, JOBS, ApiServer, Commit, controller_uid
from simulation.record_store import RecordTable
from simulation.workload import Truth

Says = Callable[[str, str], None]


class SlotPromise:
    """Looks at every Job that is made and every row that changes."""

    def __init__(
        self,
        server: ApiServer,
        table: RecordTable,
        truths: dict[str, Truth],
        says: Says,
        now: Callable[[], float],
    ) -> None:
        self._table = table
        self._truths = truths
        self._says = says
        self._now = now
        self._granted_at: dict[str, float] = {}
        self._ended_at: dict[str, float] = {}
        self._made: set[str] = set()
        server.observe(self._on_commit)
        table.observe(self._on_record)

    def _on_commit(self, commit: Commit) -> None:
        uid = controller_uid(commit.after) or ""
        if commit.key[0] != JOBS or commit.type != ADDED or uid not in self._truths:
            return
        truth = self._truths[uid]
        if uid in self._ended_at:
            # A late request; that such a Job is stopped is another promise.
            return
        self._made.add(uid)
        at_once = [uid, *(one for one in self._others(truth) if self._runs(one))]
        if truth.plan.policy != "Allow" and len(at_once) > truth.plan.limit:
            self._says("SLOT", f"{len(at_once)} at once: {sorted(map(self._name, at_once))}")

    def _on_record(self, before: RecordedRun | None, after: RecordedRun) -> None:
        truth = self._truths.get(after.request.key.uid)
        if truth is None:
            return
        if after.replaced_by and truth.replaced_at is None:
            truth.replaced_at = self._now()
            self._check_successor(truth, after.replaced_by)
        was_open = before is None or before.outcome is None
        if after.outcome is not None and was_open:
            self._ended_at[truth.uid] = self._now()
            self._check_refusal(truth, after)
        elif not after.is_waiting and (before is None or before.is_waiting):
            self._check_grant(truth, after)
            self._granted_at[truth.uid] = self._now()

    def _check_grant(self, truth: Truth, row: RecordedRun) -> None:
        if truth.plan.policy != "Queue":
            return
        before_me = [
            one
            for one in self._others(truth)
            if self._waits(one) and self._place(one) < (row.request.key.created_at, truth.uid)
        ]
        have_one = [one for one in self._others(truth) if self._has_a_slot(one)]
        if before_me and len(before_me) + len(have_one) >= truth.plan.limit:
            names = sorted(map(self._name, before_me))
            self._says("SLOT", f"{truth.plan.name} overtakes {names}")

    def _check_refusal(self, truth: Truth, row: RecordedRun) -> None:
        reason = row.outcome.reason if row.outcome is not None else ""
        if reason == "Replaced" and truth.replaced_at is None:
            truth.replaced_at = self._now()
        if reason != "AlreadyRunning":
            return
        since = truth.plan.arrives_at
        others = (one for one in self._others(truth) if one in self._granted_at)
        if not any(self._ended_at.get(one, self._now()) >= since for one in others):
            self._says("SLOT", f"{truth.plan.name} is refused though nobody else was active")

    def _check_successor(self, truth: Truth, name: str) -> None:
        newer = [self._truths[one] for one in self._others(truth)]
        if not any(
            one.plan.name == name and one.plan.arrives_at >= truth.plan.arrives_at for one in newer
        ):
            self._says(
                "SLOT", f"{truth.plan.name} is replaced by {name}, which is no newer run of it"
            )

    def _others(self, truth: Truth) -> Iterator[str]:
        if truth.plan.group:
            for uid, other in self._truths.items():
                if uid != truth.uid and other.plan.group == truth.plan.group:
                    yield uid

    def _runs(self, uid: str) -> bool:
        return uid in self._made and uid not in self._ended_at

    def _has_a_slot(self, uid: str) -> bool:
        return uid in self._granted_at and uid not in self._ended_at

    def _waits(self, uid: str) -> bool:
        row, truth = self._table.row_of(uid), self._truths[uid]
        if row is None or not row.is_waiting or row.outcome is not None or row.replaced_by:
            return False
        stops = (truth.cancelled_at, truth.deleted_at, truth.execution_torn_at)
        return all(at is None for at in stops)

    def _place(self, uid: str) -> tuple[object, str]:
        row = self._table.row_of(uid)
        assert row is not None, "it waits"
        return row.request.key.created_at, uid

    def _name(self, uid: str) -> str:
        return self._truths[uid].plan.name
