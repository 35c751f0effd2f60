"""Judges a history by the promises. It knows what happened and what was true, and no rule of the operator.

I1 one Job, I2 no Job before its row, I4 one outcome that never changes and is the same in record and
status, I5 the outcome is true, I10 few writes. I9 (all comes to rest) is for who waits: `unsettled`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from faults.witness import ApiWrite, History, Manifest, RowVersion
from faults.workload import NEVER, Fate, Stop, Truth

_CONDITIONS: Final = frozenset(
    {
        *("Authorized", "Recorded", "Started", "LogsCaptured", "Complete", "Failed"),
        *("Reconciling", "Stalled"),
    }
)
"""Those of an execution; what others say on it is theirs."""
_TERMINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled", "TimedOut", "Refused", "Lost"})
_FINALIZER: Final = "proctor.dev/record"
_SAME: Final = {
    "phase": "phase",
    "reason": "phase_reason",
    "message": "phase_message",
    "exitCode": "exit_code",
    "podName": "pod_name",
    "number": "number",
}
"""Fields of the status, and the columns that must agree with them."""
_OUTCOME_COLUMNS: Final = (
    *("phase", "phase_reason", "phase_message", "completed_at", "exit_code", "attempts"),
    *("pod_name", "image_id", "result"),
)

Words = tuple[str, str]
"""Phase and reason."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many writes one execution may cost: those that were done, and those that were tried."""

    done: int = 15
    tried: int = 60


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise; `name` is the execution's."""

    promise: str
    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.promise} {self.name}: {self.problem}"


@dataclass(frozen=True, slots=True)
class _Case:
    """All that is known of one execution."""

    truth: Truth
    jobs: tuple[ApiWrite, ...]
    own: tuple[ApiWrite, ...]
    versions: tuple[RowVersion, ...]

    @property
    def job_uids(self) -> set[str]:
        """Every Job that was ever there: also one whose creation the API server answered with an error,
        as it does when whoever asked is gone.
        """
        return {one.stored["metadata"]["uid"] for one in self.jobs if one.stored}

    @property
    def asked_for_jobs(self) -> tuple[ApiWrite, ...]:
        return tuple(one for one in self.jobs if one.verb == "create")

    @property
    def ended(self) -> RowVersion | None:
        """The first version of the row that has an outcome."""
        return next((one for one in self.versions if one.row["phase"] is not None), None)


def violations(
    history: History, truths: Iterable[Truth], *, operator: str, limits: Limits | None = None
) -> list[Violation]:
    """Judge all; `operator` is the user name under which the operator writes."""
    known = [truth for truth in truths if truth.uid]
    found = list(_strangers(history, {truth.uid for truth in known}))
    for case in _cases(history, known):
        for promise, problem in _problems(case, operator, limits or Limits()):
            found.append(Violation(promise, case.truth.fate.name, problem))
    return found


def unsettled(
    executions: Iterable[Manifest],
    jobs: Iterable[Manifest],
    rows: Mapping[str, Manifest],
    truths: Iterable[Truth],
) -> list[Violation]:
    """What is not over yet (I9), from what the API server and the record hold at this moment."""
    by_uid = {one["metadata"]["uid"]: one for one in executions}
    held = {_owner(job) for job in jobs if _FINALIZER in job["metadata"].get("finalizers", ())}
    return [
        Violation("I9", truth.fate.name, problem)
        for truth in truths
        if (problem := _why_unsettled(truth, by_uid.get(truth.uid), rows.get(truth.uid), held))
    ]


def _why_unsettled(
    truth: Truth, execution: Manifest | None, row: Manifest | None, held: set[str]
) -> str:
    if not truth.uid:
        return "was never created"
    if row is None or row["phase"] is None:
        return "has no outcome in the record"
    if truth.uid in held:
        return "has a Job that is still held"
    if execution is None:
        was_deleted = truth.fate.stop is Stop.DELETE or truth.lost_its_namespace
        may_be_gone = was_deleted or truth.is_under_retention
        return "" if may_be_gone else "is gone, though nobody deleted it"
    if execution["metadata"].get("deletionTimestamp"):
        return "is held though it is being deleted"
    if execution["status"].get("phase") not in _TERMINAL:
        return f"shows {execution['status'].get('phase')}"
    return ""


def _cases(history: History, truths: Iterable[Truth]) -> Iterator[_Case]:
    jobs: dict[str, list[ApiWrite]] = {}
    owners: dict[str, str] = {}
    own: dict[str, list[ApiWrite]] = {}
    for write in history.writes:
        if write.resource in ("jobs", "jobs/status"):
            owner = _owner(write.stored) or _owner(write.sent) or owners.get(write.name, "")
            owners.setdefault(write.name, owner)
            jobs.setdefault(owner, []).append(write)
        elif write.resource.startswith("procexecutions"):
            own.setdefault(write.name, []).append(write)
    versions: dict[str, list[RowVersion]] = {}
    for version in history.versions:
        versions.setdefault(version.uid, []).append(version)
    for truth in truths:
        yield _Case(
            truth,
            tuple(jobs.get(truth.uid, ())),
            tuple(own.get(truth.fate.name, ())),
            tuple(versions.get(truth.uid, ())),
        )


def _strangers(history: History, uids: set[str]) -> Iterator[Violation]:
    """Jobs and rows of nobody whom anybody created."""
    for write in history.writes:
        is_job = write.resource == "jobs" and bool(write.stored)
        if is_job and _owner(write.stored) not in uids:
            yield Violation("I1", write.name, "a Job of no execution that is known")
    for version in history.versions:
        if version.uid not in uids:
            yield Violation("I2", version.uid, "a row of no execution that is known")


def _problems(case: _Case, operator: str, limits: Limits) -> Iterator[tuple[str, str]]:
    yield from _one_job(case)
    yield from _row_before_job(case)
    yield from _record_is_final(case)
    yield from _status_is_final(case)
    yield from _let_go_after_the_end(case, operator)
    yield from _deleted_after_the_end(case, operator)
    yield from _true_outcome(case)
    yield from _few_writes(case, operator, limits)


def _one_job(case: _Case) -> Iterator[tuple[str, str]]:
    uids = case.job_uids
    if len(uids) > 1:
        yield "I1", f"{len(uids)} Jobs were created: {sorted(uids)}"
    if case.truth.pods and not uids:
        yield "I1", "it had a pod, and no Job"


def _row_before_job(case: _Case) -> Iterator[tuple[str, str]]:
    if not case.asked_for_jobs:
        return
    inserted = [one for one in case.versions if one.operation == "INSERT"]
    asked_at = case.asked_for_jobs[0].received_at
    if not inserted:
        yield "I2", "a Job without a row"
    elif inserted[0].committed_at > asked_at:
        yield "I2", f"its Job was asked for at {asked_at}, its row is of {inserted[0].committed_at}"


def _record_is_final(case: _Case) -> Iterator[tuple[str, str]]:
    inserted = sum(one.operation == "INSERT" for one in case.versions)
    if inserted > 1:
        yield "I4", f"{inserted} rows"
    if any(one.operation == "DELETE" for one in case.versions):
        yield "I4", "its row was deleted"
    outcomes = [_outcome(one.row) for one in case.versions if one.row["phase"] is not None]
    if any(one != outcomes[0] for one in outcomes):
        yield "I4", f"its recorded outcome changed: {outcomes}"


def _status_is_final(case: _Case) -> Iterator[tuple[str, str]]:
    done = [one for one in case.own if one.was_done and _is_of(one.stored, case.truth.uid)]
    # A request may have waited for those that came after it, and shows what they have stored.
    stored = sorted(done, key=lambda one: int(one.stored["metadata"].get("resourceVersion", 0)))
    ends = [one for one in stored if one.stored["status"].get("phase") in _TERMINAL]
    if not ends:
        return
    final = _own_words(ends[0].stored["status"])
    for later in stored[stored.index(ends[0]) :]:
        now = _own_words(later.stored["status"])
        if now != final:
            yield "I4", f"its final status changed from {final} to {now}"
    if case.ended is None or case.ended.committed_at > ends[0].received_at:
        yield "I4", "its final status came before its outcome was recorded"
        return
    for shown, column in _SAME.items():
        if _nothing(final.get(shown)) != _nothing(case.ended.row.get(column)):
            said = f"{shown} {final.get(shown)!r} in the status"
            yield "I4", f"{said}, {case.ended.row.get(column)!r} in the record"


def _let_go_after_the_end(case: _Case, operator: str) -> Iterator[tuple[str, str]]:
    for write in (*case.jobs, *case.own):
        if write.user != operator or write.verb != "patch" or not write.was_done:
            continue
        if "/" in write.resource or _FINALIZER in write.stored["metadata"].get("finalizers", ()):
            continue
        if case.ended is None or case.ended.committed_at > write.received_at:
            yield "I4", f"{write.resource} let go before the outcome was recorded"


def _deleted_after_the_end(case: _Case, operator: str) -> Iterator[tuple[str, str]]:
    for write in case.own:
        if write.user != operator or write.verb != "delete" or not write.was_done:
            continue
        if not case.truth.is_under_retention:
            yield "I4", "the operator deleted it, though it was to stay"
        if case.ended is None or case.ended.committed_at > write.received_at:
            yield "I4", "the operator deleted it before its outcome was recorded"


def _true_outcome(case: _Case) -> Iterator[tuple[str, str]]:
    if case.ended is None:
        return
    row = case.ended.row
    said = (row["phase"], row["phase_reason"])
    allowed = _allowed(case.truth)
    if said not in allowed:
        yield "I5", f"recorded as {said}, true is {sorted(allowed)}; {case.truth}"
    codes = set(case.truth.exit_codes.values())
    if row["exit_code"] is not None and row["exit_code"] != case.truth.fate.exit_code:
        yield "I5", f"exit code {row['exit_code']} recorded, {codes or 'none'} was true"
    # Nothing holds the pods of a namespace that is deleted: who was away then finds none.
    is_undisturbed = case.truth.fate.stop is None and not case.truth.lost_its_namespace
    if codes and is_undisturbed and row["exit_code"] is None:
        yield "I5", f"no exit code recorded, {codes} was true"


def _allowed(truth: Truth) -> set[Words]:
    """What may be said of the end; a stop and an end at one moment leave room for two truths."""
    own_end = _own_end(truth.fate)
    stopped = set[Words]()
    if truth.lost_its_namespace or (truth.was_stopped and truth.fate.stop is Stop.DELETE):
        stopped.add(("Cancelled", "Deleted"))
    if truth.was_stopped and truth.fate.stop is Stop.CANCEL:
        stopped.add(("Cancelled", "Cancelled"))
    return {own_end, *stopped} if truth.may_have_ended or not stopped else stopped


def _own_end(fate: Fate) -> Words:
    if fate.starts_after == NEVER:
        return ("TimedOut", "PendingTimeout")
    return ("Failed", "NonZeroExitCode") if fate.exit_code else ("Succeeded", "Completed")


def _few_writes(case: _Case, operator: str, limits: Limits) -> Iterator[tuple[str, str]]:
    tried = [one for one in (*case.jobs, *case.own) if one.user == operator]
    done = sum(one.was_done for one in tried)
    if done > limits.done:
        yield "I10", f"{done} writes, {limits.done} are allowed"
    if len(tried) > limits.tried:
        yield "I10", f"{len(tried)} writes tried, {limits.tried} are allowed"


def _owner(manifest: Manifest) -> str:
    """UID of the controller of an object."""
    references: list[dict[str, Any]] = manifest.get("metadata", {}).get("ownerReferences", [])
    return next((str(one["uid"]) for one in references if one.get("controller")), "")


def _is_of(manifest: Manifest, uid: str) -> bool:
    return bool(manifest.get("metadata", {}).get("uid") == uid)


def _own_words(status: Manifest) -> Manifest:
    """The status without what others have written into it, and without the generations that it is of.

    These go on when somebody cancels what is over.
    """
    conditions = [
        {name: value for name, value in one.items() if name != "observedGeneration"}
        for one in status.get("conditions", [])
        if one["type"] in _CONDITIONS
    ]
    return status | {"conditions": conditions, "observedGeneration": None}


def _outcome(row: Manifest) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in _OUTCOME_COLUMNS)


def _nothing(value: object) -> object:
    """An empty text in the record is an absent field in the status."""
    return None if value == "" else value
