"""The promises, as checks on what is written. They share no rule with the operator.

I1 one Job, I2 no Job before its row, I3 no Job for what may not run, I4 one outcome that never changes,
nothing let go too early, no end while a container still runs; LEASE: nobody but the leader begins to
write. Each is checked at every write;
`settled` and `final` say what must hold in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from proctor_operator.domain.run import Outcome, RecordedRun
from simulation.api_server import (
    ADDED,
    DELETED,
    EXECUTIONS,
    JOBS,
    PROCS,
    ApiServer,
    Commit,
    Manifest,
    controller_uid,
)
from simulation.bystanders import CRASHER
from simulation.operator_process import KEEP_SECONDS, NAMESPACE
from simulation.oracle import verdict
from simulation.record_store import RecordTable
from simulation.workload import Truth

_FINALIZER: Final = "proctor.dev/record"
_TERMINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled", "TimedOut", "Refused", "Lost"})
_MOST_WRITES: Final = 15
_MOST_REQUESTS: Final = 20


class Watchdog:
    """Collects violations in `violations`; it never raises, because the operator would survive that."""

    def __init__(
        self,
        server: ApiServer,
        table: RecordTable,
        truths: dict[str, Truth],
        now: Callable[[], float],
        is_late_write: Callable[[], bool],
        *,
        has_usurper: bool,
    ) -> None:
        self._server = server
        self._table = table
        self._truths = truths
        self._now = now
        self._is_late_write = is_late_write
        self._has_usurper = has_usurper
        self._writes: dict[str, int] = {}
        self._writes_until_end: dict[str, int] = {}
        self.violations: list[str] = []
        self.finished_at: dict[str, float] = {}
        server.observe(self._on_commit)
        table.observe(self._on_record)

    def says(self, promise: str, problem: str) -> None:
        """Note a violation."""
        self.violations.append(f"{promise} at {self._now():.3f}: {problem}")

    def begins_to_write(self, actor: str, what: str) -> None:
        """Only who holds the Lease may begin; what it has begun may arrive later."""
        holder = self._server.leases.holder
        if actor != holder and not self._has_usurper:
            self.says("LEASE", f"{actor} begins to {what}, and {holder or 'nobody'} leads")

    def _on_commit(self, commit: Commit) -> None:
        plural = commit.key[0]
        uid = commit.after["metadata"]["uid"]
        if plural == JOBS:
            uid = controller_uid(commit.after) or ""
        if uid not in self._truths:
            return
        if commit.actor.startswith("operator"):
            self._count_write(uid)
        if plural == JOBS:
            self._check_job(uid, commit)
        elif plural == EXECUTIONS:
            self._check_execution(uid, commit)

    def _count_write(self, uid: str) -> None:
        self._writes[uid] = self._writes.get(uid, 0) + 1
        if self._writes[uid] == _MOST_WRITES + 1:
            self.says("I10", f"more than {_MOST_WRITES} API writes for {self._name(uid)}")

    def _check_job(self, uid: str, commit: Commit) -> None:
        truth = self._truths[uid]
        row = self._table.row_of(uid)
        name = self._name(uid)
        if commit.type == ADDED:
            self._check_new_job(truth, row, commit)
        if not _is_let_go_by_the_operator(commit):
            return
        if truth.given_up_at is not None:
            return
        if row is None or row.outcome is None:
            self.says("I4", f"the Job of {name} is let go before its outcome is recorded")
        execution = self._execution_of(truth)
        if execution is not None and not _is_over(execution):
            self.says("I4", f"the Job of {name} is let go before the final status")

    def _execution_of(self, truth: Truth) -> Manifest | None:
        found = self._server.find((EXECUTIONS, NAMESPACE, truth.plan.name))
        return found if found is not None and found["metadata"]["uid"] == truth.uid else None

    def _check_new_job(self, truth: Truth, row: RecordedRun | None, commit: Commit) -> None:
        name = truth.plan.name
        if row is not None and row.outcome is not None and self._is_late_write():
            # Nobody can call back a request that is still on its way; `unsettled` sees it stopped.
            return
        truth.job_uids.append(commit.after["metadata"]["uid"])
        # Torn away before anything noted that it had been there, it cannot be told from none by an
        # operator that did not make it itself.
        may_begin_anew = (
            truth.job_torn_at is not None
            and row is not None
            and row.job_uid is None
            and truth.first_job_maker != commit.actor
        )
        truth.first_job_maker = truth.first_job_maker or commit.actor
        if len(truth.job_uids) > 1 and not may_begin_anew:
            self.says("I1", f"a second Job for {name}: {truth.job_uids}")
        if row is None:
            self.says("I2", f"a Job for {name} without a row in the record")
        elif row.outcome is not None:
            self.says("I1", f"a Job for {name} after its end")
        if truth.repeats_a_run:
            self.says("I1", f"a Job for {name}, which has run before")
        if truth.plan.refusal is not None:
            self.says("I3", f"a Job for {name}, which is to be refused: {truth.plan.refusal}")

    def _check_execution(self, uid: str, commit: Commit) -> None:
        truth, name = self._truths[uid], self._name(uid)
        row = self._table.row_of(uid)
        before = commit.before or {}
        if before and _is_over(before) and _end_shown(before) != _end_shown(commit.after):
            self.says("I4", f"the status of {name} changes after its end")
        if _is_over(commit.after) and not (before and _is_over(before)):
            self._writes_until_end.setdefault(uid, self._writes.get(uid, 0))
            self.finished_at[name] = self._now()
            self._check_final_status(uid, commit.after, row)
        if commit.actor.startswith("operator") and _is_newly_deleted(commit):
            self._check_retention(truth, commit.after, row)
        if truth.plan.is_poison or truth.given_up_at is not None:
            return
        if _is_let_go_by_the_operator(commit) and (row is None or row.outcome is None):
            self.says("I4", f"{name} is let go before its outcome is recorded")
        if commit.type == DELETED and truth.execution_torn_at is None and row is None:
            self.says("I4", f"{name} is gone and the record knows nothing of it")

    def _check_retention(self, truth: Truth, execution: Manifest, row: RecordedRun | None) -> None:
        """What the operator deletes of itself is over, recorded, and nobody's to keep."""
        name = truth.plan.name
        if not _is_over(execution) or row is None or row.outcome is None:
            self.says("I4", f"{name} is deleted by the operator before its end is recorded")
        if truth.plan.is_kept or truth.plan.is_tracked:
            self.says("I4", f"{name} is deleted by the operator though it is to be kept")
        if self._now() - self.finished_at.get(name, self._now()) < KEEP_SECONDS - 1:
            self.says("I4", f"{name} is deleted by the operator before anybody could see its end")

    def _check_final_status(self, uid: str, execution: Manifest, row: RecordedRun | None) -> None:
        if self._truths[uid].plan.is_poison:
            return
        if row is None or row.outcome is None:
            self.says("I4", f"a final status for {self._name(uid)} without a recorded outcome")
            return
        problem = _difference(execution["status"], row)
        if problem is not None:
            self.says("I4", f"status and record of {self._name(uid)} differ: {problem}")

    def _on_record(self, before: RecordedRun | None, after: RecordedRun) -> None:
        uid = after.request.key.uid
        truth, name = self._truths.get(uid), self._name(uid)
        if truth is None:
            self.says("I2", f"a row for {uid}, which nobody asked for")
            return
        if sum(key.uid == uid for key in self._table.rows) > 1:
            self.says("I4", f"more than one row for {name}")
        if before is not None and before.outcome is not None and before != after:
            self.says("I4", f"the recorded outcome of {name} changes")
        is_new = after.outcome is not None and (before is None or before.outcome is None)
        runs = [one.pod_uid for one in truth.attempts if one.is_running]
        if is_new and runs and truth.job_torn_at is None:
            self.says("I5", f"an outcome for {name} while containers still run: {runs}")

    def _name(self, uid: str) -> str:
        return self._truths[uid].plan.name if uid in self._truths else uid

    def unsettled(self) -> list[str]:
        """What is not over yet, in words."""
        return (
            [
                problem
                for truth in self._truths.values()
                if truth.uid and truth.plan.username != CRASHER
                for problem in self._unsettled(truth)
            ]
            + [
                f"{proc['metadata']['name']}: says nothing about itself"
                for proc in self._server.list_of(PROCS)
                if not proc["status"].get("conditions")
            ]
            + [
                f"{proc['metadata']['name']}: does not tell of its executions: {proc['status']}"
                for proc in self._server.list_of(PROCS)
                if not self._tells_of_its_executions(proc)
            ]
        )

    def _tells_of_its_executions(self, proc: Manifest) -> bool:
        """How many are not over, and how the newest ended; what cannot be read, nobody counts."""
        status = proc["status"]
        executions = [
            one
            for one in self._server.list_of(EXECUTIONS)
            if one["spec"]["procRef"]["name"] == proc["metadata"]["name"]
            and "nonsense" not in one["spec"]
        ]
        live = sum(not _is_over(one) for one in executions)
        if status.get("active", 0) + status.get("queued", 0) != live:
            return False
        newest = max(executions, key=_age, default=None)
        return (
            newest is None
            or status.get("lastExecution", {}).get("phase") == newest["status"]["phase"]
        )

    def _unsettled(self, truth: Truth) -> list[str]:
        problems, name = [], truth.plan.name
        row = self._table.row_of(truth.uid)
        execution = self._execution_of(truth)
        # What was torn away before it was seen leaves no trace.
        is_traceless = truth.execution_torn_at is not None and row is None
        is_open = row is None or row.outcome is None
        is_given_up = truth.given_up_at is not None and execution is None
        if is_open and not truth.plan.is_poison and not is_traceless and not is_given_up:
            problems.append(f"{name}: no outcome in the record")
        if execution is not None and not _is_over(execution):
            problems.append(f"{name}: no final status ({execution['status']})")
        elif execution is not None and not truth.plan.is_poison and not _is_looked_at(execution):
            problems.append(f"{name}: shows an end of an earlier generation: is it in progress?")
        is_to_go = not truth.plan.is_kept and not truth.plan.is_tracked
        if execution is not None and is_to_go:
            problems.append(f"{name}: still there, though it is not to be kept")
        if execution is not None and "deletionTimestamp" in execution["metadata"]:
            problems.append(f"{name}: held although it is being deleted")
        jobs = self._server.owned_by(JOBS, truth.uid)
        if any(_FINALIZER in job["metadata"].get("finalizers", ()) for job in jobs):
            problems.append(f"{name}: its Job is still held")
        if any(attempt.is_running for attempt in truth.attempts):
            problems.append(f"{name}: a container still runs")
        return problems

    def check_final_truth(self) -> None:
        """I1 and I5, once everything is over."""
        for truth in self._truths.values():
            row = self._table.row_of(truth.uid) if truth.uid else None
            if row is None or row.outcome is None:
                continue
            if truth.repeats_a_run:
                self._check_repetition(truth, row.outcome)
                continue
            problem = verdict(truth).problem_with(row.outcome)
            if problem is not None:
                self.says("I5", f"{truth.plan.name}: {problem}")
            if row.outcome.started_at is not None and not truth.job_uids:
                self.says("I1", f"{truth.plan.name} started without a Job")

    def _check_repetition(self, truth: Truth, outcome: Outcome) -> None:
        """What has run before shows what came of it then, and says so."""
        first = self._table.row_of(truth.before.uid) if truth.before else None
        shown = (outcome.phase, outcome.exit_code, outcome.started_at, outcome.completed_at)
        was = first.outcome if first else None
        if was is None or outcome.reason != "AlreadyRun":
            self.says("I5", f"{truth.plan.name} ran before, and ends as {outcome.reason}")
        elif shown != (was.phase, was.exit_code, was.started_at, was.completed_at):
            self.says("I5", f"{truth.plan.name} ended before as {was}, and shows {outcome}")

    def check_write_budget(self, requests: int) -> None:
        """Three API writes until the final status; one more for each attempt after the first.

        `requests` counts every durable write that was sent, to the record too, changing something or not.
        """
        if requests > _MOST_REQUESTS * len(self._truths):
            self.says("I10", f"{requests} writes were sent for {len(self._truths)} executions")
        for uid, writes in self._writes_until_end.items():
            attempts = self._truths[uid].attempts
            has_waited = self._truths[uid].plan.policy in ("Queue", "Replace")
            budget = 3 + max(0, len(attempts) - 1) + has_waited
            was_stopped = any(one.was_killed for one in attempts)
            if writes > budget and not was_stopped and not self._truths[uid].plan.acts:
                self.says("I10", f"{writes} API writes until the end of {self._name(uid)}")


def _is_over(execution: Manifest) -> bool:
    return execution["status"].get("phase") in _TERMINAL


def _is_looked_at(execution: Manifest) -> bool:
    metadata, status = execution["metadata"], execution["status"]
    conditions = [one["observedGeneration"] for one in status["conditions"]]
    return {status["observedGeneration"], *conditions} == {metadata["generation"]}


def _end_shown(execution: Manifest) -> Manifest:
    """The status but for the generations that it is of, which go on when somebody cancels what is over."""
    status = execution["status"]
    conditions = [
        {name: value for name, value in one.items() if name != "observedGeneration"}
        for one in status.get("conditions", ())
    ]
    return {**status, "conditions": conditions, "observedGeneration": None}


def _age(execution: Manifest) -> tuple[str, str]:
    return execution["metadata"]["creationTimestamp"], execution["metadata"]["name"]


def _is_newly_deleted(commit: Commit) -> bool:
    before = (commit.before or {}).get("metadata", {})
    is_asked_to_go = "deletionTimestamp" in commit.after["metadata"] or commit.type == DELETED
    return is_asked_to_go and "deletionTimestamp" not in before


def _is_let_go_by_the_operator(commit: Commit) -> bool:
    before = (commit.before or {}).get("metadata", {}).get("finalizers", ())
    after = commit.after["metadata"].get("finalizers", ())
    return commit.actor.startswith("operator") and _FINALIZER in before and _FINALIZER not in after


def _difference(status: dict[str, Any], row: RecordedRun) -> str | None:
    outcome = row.outcome
    assert outcome is not None
    wanted = {
        "phase": outcome.phase.value,
        "reason": outcome.reason,
        "exitCode": outcome.exit_code,
        "number": row.number,
        "startTime": _written(outcome.started_at),
        "completionTime": _written(outcome.completed_at),
    }
    found = {name: status.get(name) for name in wanted}
    return None if found == wanted else f"{found} and {wanted}"


def _written(moment: Any) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
