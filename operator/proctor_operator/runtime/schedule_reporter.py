"""What was done about schedules, told: figures, a log line, an Event when a person must act."""

from __future__ import annotations

import structlog

from proctor_operator.domain.model import format_timestamp
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.occurrence import Claim, OccurrenceState
from proctor_operator.domain.occurrences import Timing, read_timing, starting_time
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.events import Events
from proctor_operator.ports.metrics import ScheduleMetrics
from proctor_operator.reconcile.events import (
    event_of_conditions,
    event_of_missed,
    event_of_skipped,
)
from proctor_operator.reconcile.observed_schedule import ObservedSchedule
from proctor_operator.reconcile.schedule_decision import (
    MarkMissed,
    MarkStarted,
    PassOver,
    ScheduleAction,
    SkipOccurrence,
    WriteScheduleStatus,
)

log = structlog.get_logger(__name__)


class ScheduleReporter:
    """Looks on; it decides nothing, and nothing waits for it."""

    def __init__(self, metrics: ScheduleMetrics, events: Events, clock: Clock) -> None:
        self._metrics = metrics
        self._events = events
        self._clock = clock

    def performed(
        self, action: ScheduleAction, before: ObservedSchedule, after: ObservedSchedule
    ) -> None:
        """An action on a schedule was done."""
        match action:
            case WriteScheduleStatus(status):
                event = event_of_conditions(before.schedule, status.conditions)
                if event is not None:
                    self._events.tell(event)
            case PassOver() | SkipOccurrence() | MarkStarted() | MarkMissed():
                # Where somebody else was faster it is theirs to tell.
                if not isinstance(after.progress, Unseen):
                    self._came_of(action, before)
            case _:
                pass

    def _came_of(
        self, action: PassOver | SkipOccurrence | MarkStarted | MarkMissed, before: ObservedSchedule
    ) -> None:
        match action:
            case MarkStarted(claim, _):
                self._metrics.occurrences_handled(OccurrenceState.STARTED, 1)
                self._metrics.occurrence_started(self._lateness(before, claim))
            case SkipOccurrence(claim, why):
                self._metrics.occurrences_handled(OccurrenceState.SKIPPED, 1)
                self._events.tell(event_of_skipped(before.schedule, claim, why))
                self._log("Occurrence skipped", before, claim, reason=why.reason)
            case MarkMissed(claim):
                self._metrics.occurrences_handled(OccurrenceState.MISSED, 1)
                self._events.tell(event_of_missed(before.schedule, 1, claim.instant))
                self._log("Occurrence missed", before, claim)
            case PassOver(missed):
                self._metrics.occurrences_handled(OccurrenceState.MISSED, missed.count)
                if not before.is_switched_off:
                    self._events.tell(event_of_missed(before.schedule, missed.count, missed.until))

    def _log(
        self, event: str, observed: ObservedSchedule, claim: Claim, reason: str | None = None
    ) -> None:
        schedule = observed.schedule
        log.info(
            event,
            schedule=f"{schedule.namespace}/{schedule.name}",
            planned=format_timestamp(claim.instant),
            reason=reason,
        )

    def _lateness(self, observed: ObservedSchedule, claim: Claim) -> float:
        timing = read_timing(observed.schedule.spec, observed.schedule.uid)
        planned = claim.instant
        if isinstance(timing, Timing):
            planned = starting_time(timing, planned)
        return max(0.0, (self._clock.now() - planned).total_seconds())
