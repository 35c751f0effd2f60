"""What a person must act on: from two states of an object to at most one Event.

A run that goes well tells nothing, and neither does one that a person stopped. An execution has
one when it cannot start, one more for a trouble that comes when that is over, and one when it ends badly.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from proctor_operator.domain.conditions import Condition, ConditionStatus, ConditionType
from proctor_operator.domain.event import Event, EventAction, EventType, Regarding
from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.model import format_timestamp
from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.objects import Kind, UnreadableObject
from proctor_operator.domain.occurrence import Claim, Skip
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.reconcile.pending import QUEUED, STARTING, SUSPENDED

_AS_IT_SHOULD_BE: Final = frozenset({Phase.SUCCEEDED, Phase.CANCELLED})
_RECORD_AWAY: Final = "RecordUnavailable"
_NO_TROUBLE: Final = frozenset({"", STARTING, QUEUED, SUSPENDED})
_SAYS_NO_TROUBLE: Final = _NO_TROUBLE | {_RECORD_AWAY}
_WANTED: Final = "Suspended"
"""A proc that its author switched off is not ready, and nobody must act."""


def event_of_status(
    execution: ProcExecution, before: ProcExecutionStatus, after: ProcExecutionStatus
) -> Event | None:
    """What to tell when the status of an execution changes."""
    if after.phase.is_terminal:
        return None if before.phase.is_terminal else _of_the_end(execution, after)
    if after.phase is not Phase.PENDING or after.reason in _NO_TROUBLE:
        return None
    if after.reason == _RECORD_AWAY:
        return None if before.reason == _RECORD_AWAY else _of_the_record(execution.namespace)
    if before.reason not in _SAYS_NO_TROUBLE:
        return None
    return _warning(_execution(execution), after.reason, after.message, EventAction.START)


def event_of_conditions(known: Proc | ProcSchedule, wanted: Iterable[Condition]) -> Event | None:
    """What to tell when a proc or a schedule is found not to work."""
    kind = Kind.PROC if isinstance(known, Proc) else Kind.PROC_SCHEDULE
    now = _not_ready(wanted)
    before = _not_ready(known.conditions)
    if now is None or now.reason == _WANTED:
        return None
    if before is not None and (before.reason, before.message) == (now.reason, now.message):
        return None
    if now.reason == _RECORD_AWAY:
        return _of_the_record(known.namespace)
    about = Regarding(kind, known.namespace, known.name, known.uid)
    return _warning(about, now.reason, now.message, EventAction.CHECK)


def event_of_skipped(schedule: ProcSchedule, claim: Claim, why: Skip) -> Event:
    """What to tell when an occurrence could have been started, and was not."""
    message = f"the run planned for {format_timestamp(claim.instant)} is skipped: {why.message}"
    return _warning(_schedule(schedule), why.reason, message, EventAction.START)


def event_of_missed(schedule: ProcSchedule, count: int, newest: datetime) -> Event:
    """What to tell when planned times passed while nothing could start them."""
    planned = format_timestamp(newest)
    times = f"{count} planned times, the last {planned}," if count > 1 else f"the time {planned}"
    message = f"{times} passed without a run, and spec.catchUp starts none for it"
    return _warning(_schedule(schedule), "OccurrenceMissed", message, EventAction.START)


def event_of_abandonment(about: Regarding, reason: str) -> Event:
    """What to tell when an admin's word let an object go without its end in the record."""
    message = f"let go without its end in the record, as asked for: {reason}"
    return _warning(about, "GivenUp", message, EventAction.RELEASE)


def event_of_unreadable(known: UnreadableObject) -> Event:
    """What to tell when an object does not parse."""
    about = Regarding(known.kind, known.namespace, known.name, known.uid)
    return _warning(about, "Unreadable", known.problem, EventAction.READ)


def _of_the_end(execution: ProcExecution, status: ProcExecutionStatus) -> Event | None:
    if status.phase in _AS_IT_SHOULD_BE:
        return None
    said = f"{status.phase}: {status.message}" if status.message else status.phase.value
    return _warning(_execution(execution), status.reason, said, EventAction.RUN)


def _of_the_record(namespace: Namespace) -> Event:
    """One for the namespace: a thousand executions that wait for one database are one story."""
    message = "executions in this namespace wait for the record (PostgreSQL) to be back"
    return _warning(Regarding.whole(namespace), _RECORD_AWAY, message, EventAction.START)


def _execution(execution: ProcExecution) -> Regarding:
    return Regarding(Kind.PROC_EXECUTION, execution.namespace, execution.name, execution.uid)


def _schedule(schedule: ProcSchedule) -> Regarding:
    return Regarding(Kind.PROC_SCHEDULE, schedule.namespace, schedule.name, schedule.uid)


def _not_ready(conditions: Iterable[Condition]) -> Condition | None:
    return next(
        (
            one
            for one in conditions
            if one.type is ConditionType.READY and one.status is ConditionStatus.FALSE
        ),
        None,
    )


def _warning(about: Regarding, reason: str, message: str, action: EventAction) -> Event:
    return Event(about, EventType.WARNING, reason, message, action)
