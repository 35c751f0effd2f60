"""What a Proc says of its executions, from those that are there."""

from __future__ import annotations

from collections.abc import Iterable

from proctor_operator.domain.execution import Phase, ProcExecution
from proctor_operator.domain.proc import LastExecution, ProcActivity
from proctor_operator.reconcile.pending import QUEUED


def activity_of(executions: Iterable[ProcExecution], shown: ProcActivity) -> ProcActivity:
    """The summary; when all are gone the newest stays named as it was `shown`."""
    known = tuple(executions)
    live = [one for one in known if not one.status.phase.is_terminal]
    queued = sum(is_queued(one) for one in live)
    newest = max(known, key=lambda one: (one.creation_time, one.name), default=None)
    return ProcActivity(
        last_execution=_last(newest) if newest is not None else shown.last_execution,
        active=len(live) - queued,
        queued=queued,
    )


def is_queued(execution: ProcExecution) -> bool:
    """Whether it waits for a slot."""
    return execution.status.phase is Phase.PENDING and execution.status.reason == QUEUED


def _last(execution: ProcExecution) -> LastExecution:
    status = execution.status
    entered = status.completion_time or status.start_time or execution.creation_time
    return LastExecution(name=execution.name, phase=status.phase, time=entered)
