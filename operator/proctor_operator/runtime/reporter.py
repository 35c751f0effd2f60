"""What was done, told to those who look on: figures, a log line at the end, an Event when a person must act."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from proctor_operator.domain.causes import cause_of
from proctor_operator.domain.conditions import Condition, shorten
from proctor_operator.domain.event import Regarding
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.objects import Kind, UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import ALREADY_RUN
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.domain.text import readable
from proctor_operator.domain.workload import JobFacts
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.events import Events
from proctor_operator.ports.metrics import ExecutionMetrics
from proctor_operator.reconcile.decision import (
    AbandonExecution,
    AbandonJob,
    Action,
    CreateJob,
    RecordOutcome,
    WriteStatus,
)
from proctor_operator.reconcile.events import (
    event_of_abandonment,
    event_of_conditions,
    event_of_status,
    event_of_unreadable,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.status import is_finished

GIVE_UP_LIMIT_BYTES: Final = 512

log = structlog.get_logger(__name__)


class Reporter:
    """Looks on; it decides nothing, and nothing waits for it."""

    def __init__(self, metrics: ExecutionMetrics, events: Events, clock: Clock) -> None:
        self._metrics = metrics
        self._events = events
        self._clock = clock

    def performed(
        self, action: Action, before: ObservedExecution, after: ObservedExecution
    ) -> None:
        """An action on an execution was done."""
        match action:
            case CreateJob() if after.own_job is not None:
                self._metrics.job_created(self._since(after.execution.creation_time))
            case RecordOutcome(_, outcome) if after.outcome is not None:
                self._metrics.outcome_recorded(self._since(outcome.completed_at))
            case WriteStatus(status):
                self._tell_of_status(before.execution, after.execution)
                if status.phase.is_terminal and not is_finished(before.execution.status):
                    self._finished(after.execution)
            case AbandonExecution(reason):
                execution = after.execution
                about = Regarding(
                    Kind.PROC_EXECUTION, execution.namespace, execution.name, execution.uid
                )
                self.abandoned(about, reason)
            case AbandonJob(job, reason):
                self.abandoned(job_as_told(job), reason)
            case _:
                pass

    def reported(self, known: Proc | ProcSchedule, wanted: tuple[Condition, ...]) -> None:
        """New conditions were written on a proc or a schedule."""
        event = event_of_conditions(known, wanted)
        if event is not None:
            self._events.tell(event)

    def abandoned(self, about: Regarding, reason: str) -> None:
        """An object was let go without its end in the record, by an admin's word."""
        said = shorten(readable(reason.encode(errors="replace")), GIVE_UP_LIMIT_BYTES)
        self._metrics.given_up()
        self._events.tell(event_of_abandonment(about, said))
        log.warning(
            "Let go without its end in the record",
            kind=about.kind,
            object=f"{about.namespace}/{about.name}",
            because=said,
        )

    def unreadable(self, known: UnreadableObject) -> None:
        """It was written on an object that it cannot be parsed."""
        self._events.tell(event_of_unreadable(known))

    def _tell_of_status(self, before: ProcExecution, after: ProcExecution) -> None:
        event = event_of_status(after, before.status, after.status)
        if event is not None:
            self._events.tell(event)

    def _finished(self, execution: ProcExecution) -> None:
        status = execution.status
        self._metrics.execution_finished(status.phase, cause_of(status.reason))
        if status.completion_time is not None and status.reason != ALREADY_RUN:
            self._metrics.final_status_written(self._since(status.completion_time))
        log.info(
            "Execution finished",
            execution=f"{execution.namespace}/{execution.name}",
            number=status.number,
            proc=execution.spec.proc_ref.name,
            phase=status.phase,
            reason=status.reason,
            exit_code=status.exit_code,
            attempts=status.attempts,
            waited_seconds=_between(execution.creation_time, status.start_time),
            ran_seconds=_between(status.start_time, status.completion_time),
            log_bytes=status.log_bytes,
            log_lines=status.log_lines,
        )

    def _since(self, moment: datetime) -> float:
        """Seconds; API times are whole ones and other machines' clocks, so never below 0."""
        return max(0.0, (self._clock.now() - moment).total_seconds())


def job_as_told(job: JobFacts) -> Regarding:
    """A Job as the object of an Event."""
    return Regarding("Job", job.namespace, job.name, job.uid, api_version="batch/v1")


def _between(earlier: datetime | None, later: datetime | None) -> float | None:
    if earlier is None or later is None:
        return None
    return (later - earlier).total_seconds()
