"""The status an execution should show. Conditions are the truth; the phase sums them up."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from proctor_operator.domain.conditions import (
    MESSAGE_LIMIT_BYTES,
    Condition,
    ConditionStatus,
    ConditionType,
    condition,
    is_true,
    merge,
    shorten,
    without,
)
from proctor_operator.domain.execution import (
    JobRef,
    Phase,
    PinnedProc,
    ProcExecution,
    ProcExecutionStatus,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.proc import ProcSpec
from proctor_operator.domain.run import ALREADY_RUN, Outcome, RecordedRun
from proctor_operator.reconcile.observed import ObservedExecution

_END_CONDITIONS: Final = frozenset({ConditionType.COMPLETE, ConditionType.FAILED})


def pending_status(
    observed: ObservedExecution, reason: str, message: str, now: datetime
) -> ProcExecutionStatus:
    """Pending, with a word about what it waits for."""
    statements = [
        _say(observed, now, ConditionType.RECONCILING, ConditionStatus.TRUE, reason, message)
    ]
    if isinstance(observed.run, RecordedRun):
        statements = [*_start_of_life(observed, observed.run, now), *statements]
    elif observed.run is Unseen.UNAVAILABLE or observed.record_refusal is not None:
        statements.append(
            _say(observed, now, ConditionType.RECORDED, ConditionStatus.FALSE, reason, message)
        )
    return _status(observed, Phase.PENDING, reason, message, statements)


def held_up_status(
    observed: ObservedExecution, reason: str, message: str, now: datetime
) -> ProcExecutionStatus:
    """Pending, or Running where that stands already, with what keeps it from going on."""
    if observed.execution.status.phase is not Phase.RUNNING:
        return pending_status(observed, reason, message, now)
    held_up = _say(observed, now, ConditionType.RECONCILING, ConditionStatus.TRUE, reason, message)
    return _status(observed, Phase.RUNNING, reason, message, [held_up])


def running_status(
    observed: ObservedExecution,
    run: RecordedRun,
    started_at: datetime,
    now: datetime,
    *,
    problem: tuple[str, str] | None = None,
) -> ProcExecutionStatus:
    """Running since `started_at`; `problem` is the reason and the message of what is wrong since."""
    message = "the container of the proc runs"
    doing = problem or ("Running", message)
    status = _status(
        observed,
        Phase.RUNNING,
        *(problem or ("Started", "")),
        [
            *_start_of_life(observed, run, now),
            _say(observed, now, ConditionType.STARTED, ConditionStatus.TRUE, "Started", message),
            _say(observed, now, ConditionType.RECONCILING, ConditionStatus.TRUE, *doing),
        ],
    )
    return status.model_copy(update={"start_time": started_at})


def given_up_status(
    observed: ObservedExecution, run: RecordedRun, reason: str, message: str, now: datetime
) -> ProcExecutionStatus:
    """Not over yet, but it will be, for this reason."""
    started_at = observed.started_at
    if started_at is None:
        return pending_status(observed, reason, message, now)
    return running_status(observed, run, started_at, now, problem=(reason, message))


def final_status(
    observed: ObservedExecution, run: RecordedRun, outcome: Outcome, now: datetime
) -> ProcExecutionStatus:
    """The end, from the record: written once, and never changed after."""
    has_started = outcome.started_at is not None
    statements = [*_start_of_life(observed, run, now, outcome=outcome)]
    if outcome.phase is not Phase.REFUSED:
        said = ("Started", "") if has_started else ("NotStarted", "no container ever ran")
        status = ConditionStatus.TRUE if has_started else ConditionStatus.FALSE
        statements.append(_say(observed, now, ConditionType.STARTED, status, *said))
    if has_started:
        statements.append(_logs_condition(observed, outcome, now))
    statements.extend(_end_conditions(observed, outcome, now))
    status_ = _status(observed, outcome.phase, outcome.reason, outcome.message, statements)
    log = outcome.log
    return status_.model_copy(
        update={
            "conditions": without(status_.conditions, ConditionType.RECONCILING),
            "start_time": outcome.started_at,
            "completion_time": outcome.completed_at,
            "exit_code": outcome.exit_code,
            "attempts": outcome.attempts,
            "pod_name": outcome.pod_name,
            "image_id": outcome.image_id,
            "result": outcome.result,
            "log_tail": log.tail if log else None,
            "log_bytes": log.size if log else None,
            "log_lines": log.lines if log else None,
            "log_truncated": log.dropped_lines > 0 or log.is_tail_cut if log else None,
        }
    )


def has_been_asked_since(execution: ProcExecution) -> bool:
    """Whether its spec was changed after its end: somebody cancelled what was over.

    Until the status is of that generation, kstatus takes it for in progress, and `kubectl wait` waits.
    """
    shown = execution.status.observed_generation
    return shown is not None and shown < execution.generation


def looked_at_again(execution: ProcExecution) -> ProcExecutionStatus:
    """The final status, of the generation that the execution has now; nothing else of it changes."""
    status, generation = execution.status, execution.generation
    conditions = tuple(
        replace(one, observed_generation=generation) if isinstance(one.type, ConditionType) else one
        for one in status.conditions
    )
    return status.model_copy(update={"observed_generation": generation, "conditions": conditions})


def shows_the_same(one: ProcExecutionStatus, other: ProcExecutionStatus) -> bool:
    """Whether writing `other` over `one` would change nothing but transition times."""
    conditions = {condition.type: condition for condition in one.conditions}
    if len(conditions) != len(other.conditions):
        return False
    for new in other.conditions:
        old = conditions.get(new.type)
        if old is None or not old.says_the_same_as(new):
            return False
    return one.model_copy(update={"conditions": ()}) == other.model_copy(update={"conditions": ()})


def _start_of_life(
    observed: ObservedExecution,
    run: RecordedRun,
    now: datetime,
    outcome: Outcome | None = None,
) -> list[Condition]:
    recorded = _say(
        observed,
        now,
        ConditionType.RECORDED,
        ConditionStatus.TRUE,
        "Recorded",
        f"run number {run.number}",
    )
    if outcome is None or outcome.phase is not Phase.REFUSED:
        granted = run.request.grant
        if not granted:
            return [recorded]
        by = f"allowed by {granted}"
        return [
            _say(observed, now, ConditionType.AUTHORIZED, ConditionStatus.TRUE, "Allowed", by),
            recorded,
        ]
    if outcome.reason not in ("NotPermitted", "IdentityMissing"):
        return [recorded]
    denied = _say(
        observed,
        now,
        ConditionType.AUTHORIZED,
        ConditionStatus.FALSE,
        outcome.reason,
        outcome.message,
    )
    return [denied, recorded]


def _end_conditions(
    observed: ObservedExecution, outcome: Outcome, now: datetime
) -> list[Condition]:
    said = (outcome.reason, outcome.message)
    if outcome.phase is Phase.SUCCEEDED:
        return [_say(observed, now, ConditionType.COMPLETE, ConditionStatus.TRUE, *said)]
    return [
        _say(observed, now, ConditionType.FAILED, ConditionStatus.TRUE, *said),
        _say(observed, now, ConditionType.STALLED, ConditionStatus.TRUE, *said),
    ]


def _logs_condition(observed: ObservedExecution, outcome: Outcome, now: datetime) -> Condition:
    log = outcome.log
    is_complete = log is not None and log.is_complete
    if outcome.reason == ALREADY_RUN:
        said = (ALREADY_RUN, outcome.message)
    elif log is not None:
        said = (log.reason, log.message)
    else:
        said = ("Unavailable", "nobody read the output of this run")
    status = ConditionStatus.TRUE if is_complete else ConditionStatus.FALSE
    return _say(observed, now, ConditionType.LOGS_CAPTURED, status, *said)


def _status(
    observed: ObservedExecution,
    phase: Phase,
    reason: str,
    message: str,
    statements: list[Condition],
) -> ProcExecutionStatus:
    before = observed.execution.status
    run = observed.run if isinstance(observed.run, RecordedRun) else None
    job = observed.own_job
    pod = observed.last_pod
    return before.model_copy(
        update={
            "phase": phase,
            "reason": reason,
            "message": shorten(message, MESSAGE_LIMIT_BYTES),
            "observed_generation": observed.execution.generation,
            "conditions": merge(before.conditions, statements),
            "number": run.number if run else before.number,
            "proc": _pinned(run, observed.pinned) if run else before.proc,
            "job_ref": JobRef(name=job.name, uid=job.uid) if job else before.job_ref,
            "pod_name": pod.name if pod else before.pod_name,
        }
    )


def _pinned(run: RecordedRun, spec: ProcSpec | None) -> PinnedProc | None:
    pinned = run.request.pinned
    if pinned is None or spec is None:
        return None
    return PinnedProc(uid=Uid(pinned.uid), generation=pinned.generation, image=spec.image)


def _say(
    observed: ObservedExecution,
    now: datetime,
    type_: ConditionType,
    status: ConditionStatus,
    reason: str,
    message: str,
) -> Condition:
    return condition(
        type_, status, reason, message, generation=observed.execution.generation, now=now
    )


def is_finished(status: ProcExecutionStatus) -> bool:
    """Whether the final status stands: terminal phase and its condition together."""
    return status.phase.is_terminal and (
        is_true(status.conditions, ConditionType.COMPLETE)
        or is_true(status.conditions, ConditionType.FAILED)
    )


def shown_since(status: ProcExecutionStatus) -> datetime | None:
    """When its end was shown; None where that is not said."""
    ends = (one.last_transition_time for one in status.conditions if one.type in _END_CONDITIONS)
    return max(ends, default=None)


def over_since(status: ProcExecutionStatus) -> datetime | None:
    """When it ended, but no later than that was shown: a node whose clock is ahead tells of a time to come.

    None where nobody knows.
    """
    ended, shown = status.completion_time, shown_since(status)
    return min(ended, shown) if ended is not None and shown is not None else ended
