"""What becomes of runs, planned times and output."""

from __future__ import annotations

from proctor_operator.adapters.metrics.series import DELAYS, Series
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.occurrence import OccurrenceState


class ExecutionSeries:
    """The port `ExecutionMetrics`."""

    def __init__(self, series: Series) -> None:
        self._finished = series.counter(
            "proctor_execution_outcome_total",
            "Executions by outcome and class of its reason",
            "outcome",
            "cause",
        )
        self._job_delay = series.histogram(
            "proctor_execution_job_delay_seconds", "From creation to the Job", DELAYS
        )
        self._record_delay = series.histogram(
            "proctor_execution_record_delay_seconds", "From the end to the outcome's row", DELAYS
        )
        self._status_delay = series.histogram(
            "proctor_execution_status_delay_seconds", "From the end to the final status", DELAYS
        )
        self._given_up = series.counter(
            "proctor_finalizer_given_up_total",
            "Objects let go without a recorded end, by an admin's word",
        )
        self._retired = series.counter(
            "proctor_retention_deletions_total", "Executions deleted by retention"
        )

    def job_created(self, seconds: float) -> None:
        """See the port."""
        self._job_delay.observe(seconds)

    def outcome_recorded(self, seconds: float) -> None:
        """See the port."""
        self._record_delay.observe(seconds)

    def final_status_written(self, seconds: float) -> None:
        """See the port."""
        self._status_delay.observe(seconds)

    def execution_finished(self, phase: Phase, cause: Cause) -> None:
        """See the port."""
        self._finished.labels(phase.value, cause.value).inc()

    def retention_deleted(self, count: int) -> None:
        """See the port."""
        self._retired.inc(count)

    def given_up(self) -> None:
        """See the port."""
        self._given_up.inc()


class ScheduleSeries:
    """The port `ScheduleMetrics`."""

    def __init__(self, series: Series) -> None:
        self._occurrences = series.counter(
            "proctor_schedule_occurrences_total", "Planned times, by what came of them", "result"
        )
        self._lateness = series.histogram(
            "proctor_schedule_lateness_seconds",
            "From the time at which an occurrence was to start to its execution",
            DELAYS,
        )

    def occurrences_handled(self, state: OccurrenceState, count: int) -> None:
        """See the port."""
        self._occurrences.labels(state).inc(count)

    def occurrence_started(self, seconds: float) -> None:
        """See the port."""
        self._lateness.observe(seconds)


class LogSeries:
    """The port `LogMetrics`."""

    def __init__(self, series: Series) -> None:
        self._log_bytes = series.counter("proctor_log_captured_bytes_total", "Output that was kept")
        self._log_dropped = series.counter(
            "proctor_log_dropped_lines_total", "Lines of output left out beyond a limit"
        )
        self._log_streams = series.gauge("proctor_log_streams", "Logs being followed")

    def log_bytes_captured(self, count: int) -> None:
        """See the port."""
        self._log_bytes.inc(count)

    def log_lines_dropped(self, count: int) -> None:
        """See the port."""
        self._log_dropped.inc(count)

    def log_streams(self, open_now: int) -> None:
        """See the port."""
        self._log_streams.set(open_now)
