"""What the runtime counts and measures; the adapter gives the figures their names.

User input is never a label, and seconds are the unit of time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from proctor_operator.domain.admission import Operation
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.occurrence import OccurrenceState
from proctor_operator.domain.review import Verdict


@dataclass(frozen=True, slots=True)
class Vitals:
    """How things stand at one moment: what is read off rather than counted. Ages are in seconds."""

    oldest_ready_seconds: float = 0.0
    """Age of the key that has been ready for longest; 0 when none is."""
    longest_pass_seconds: float = 0.0
    """Age of the oldest pass under way."""
    watch_silences: Mapping[str, float] = field(default_factory=dict)
    """By resource: since its quietest stream brought an event or a bookmark."""
    live_executions: Mapping[Phase, int] = field(default_factory=dict)
    """Executions that are not over, by phase."""
    oldest_held_seconds: float = 0.0
    """Age of the oldest wish to delete an execution that our finalizer still holds."""


class QueueMetrics(Protocol):
    """How the work queue moves."""

    def queue_depth(self, keys: int) -> None:
        """Keys that wait or are being worked on."""
        ...

    def key_waited(self, kind: str, seconds: float) -> None:
        """A key was taken by a worker, so long after it was ready."""
        ...

    def pass_finished(self, kind: str, result: str, seconds: float) -> None:
        """One pass over one object: `done`, `waiting`, `stopped`, `retried`, `timed-out`, `crashed`."""
        ...


class ExecutionMetrics(Protocol):
    """What becomes of executions, and how soon."""

    def job_created(self, seconds: float) -> None:
        """An execution got its Job, so long after its own creation."""
        ...

    def outcome_recorded(self, seconds: float) -> None:
        """The end of a run is in the record, so long after it."""
        ...

    def final_status_written(self, seconds: float) -> None:
        """The end of a run shows in its status, so long after it."""
        ...

    def execution_finished(self, phase: Phase, cause: Cause) -> None:
        """An execution reached its outcome."""
        ...

    def retention_deleted(self, count: int) -> None:
        """Executions were deleted because they were old enough."""
        ...

    def given_up(self) -> None:
        """An object was let go without its end in the record, by an admin's word."""
        ...


class ScheduleMetrics(Protocol):
    """What becomes of planned times, and how soon."""

    def occurrences_handled(self, state: OccurrenceState, count: int) -> None:
        """So many planned times were started, skipped or missed."""
        ...

    def occurrence_started(self, seconds: float) -> None:
        """The execution of a planned time is there, so long after it was to start."""
        ...


class ClusterMetrics(Protocol):
    """What passes between the operator and the API server."""

    def cluster_call(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """One answer of the API server; `code` 0 when there was none."""
        ...

    def watch_event(self, resource: str) -> None:
        """One event from a watch."""
        ...

    def resync_finding(self, kind: str) -> None:
        """A list found what no watch had told of; 0 in health."""
        ...

    def object_illegible(self, resource: str) -> None:
        """A list passed over an object that its reader fails on; once for each list that has it."""
        ...

    def kubernetes_event(self, result: str) -> None:
        """An Event for people: `sent`, `failed`, or `dropped` because there were too many."""
        ...


class RecordMetrics(Protocol):
    """Uses of the record."""

    def record_call(self, operation: str, result: str, seconds: float) -> None:
        """One use of the database: `ok`, `unavailable`, `rejected` (it answered no) or `failed`."""
        ...

    def record_months_ahead(self, months: int) -> None:
        """Partitions are there for so many months after this one; -1: not for this one either."""
        ...


class LogMetrics(Protocol):
    """Output that is kept."""

    def log_bytes_captured(self, count: int) -> None:
        """Bytes of containers' output were stored."""
        ...

    def log_lines_dropped(self, count: int) -> None:
        """Lines of output were left out, beyond a limit."""
        ...

    def log_streams(self, open_now: int) -> None:
        """Log streams that are being followed."""
        ...


class WebhookMetrics(Protocol):
    """What the webhook server answers."""

    def review_answered(
        self, path: str, operation: Operation | None, verdict: Verdict, cause: Cause, seconds: float
    ) -> None:
        """One review was answered; the path is one of ours, the operation None where it could not be read."""
        ...

    def reviews_under_way(self, count: int) -> None:
        """So many are being judged."""
        ...

    def request_refused(self, code: int) -> None:
        """A request got an HTTP error: it was no review, came to no path of ours, or there were too many."""
        ...

    def certificate_loaded(self, result: str) -> None:
        """Certificate files were read at the start or had changed: `loaded`, or `broken` and passed over."""
        ...

    def certificate_expires(self, certificate: str, at: datetime) -> None:
        """The `serving` certificate in use, or the first one of the `client-ca`, is good until then."""
        ...


class PluginMetrics(Protocol):
    """Calls of plugins. A plugin's name is an admin's, so it may be a label."""

    def plugin_called(self, plugin: str, hook: str, result: str, seconds: float) -> None:
        """One question: its answer's name, or `timeout`, `error`, `garbage`, `circuit-open`, `not-ready`."""
        ...

    def plugin_circuit(self, plugin: str, *, is_open: bool) -> None:
        """Whether a plugin is left alone because it failed too often."""
        ...

    def plugin_cache_hit(self, plugin: str) -> None:
        """A vote was known already."""
        ...

    def plugin_gone(self, plugin: str) -> None:
        """There is no such plugin any more."""
        ...


class ProcessMetrics(Protocol):
    """The process itself."""

    def loop_lag(self, seconds: float) -> None:
        """The event loop came back to a timer so much too late."""
        ...

    def lease_held(self, *, held: bool) -> None:
        """Whether this replica is the active one."""
        ...

    def vitals(self, now: Vitals) -> None:
        """How things stand."""
        ...


class AdmissionMetrics(Protocol):
    """What admission turns away."""

    def admission_denied(self, resource: str, cause: Cause) -> None:
        """A request was turned away; a dry run counts as well."""
        ...

    def denial_recorded(self, result: str) -> None:
        """A denial on its way to the record: `stored`, `dropped` (too many wait) or `failed`."""
        ...


class Metrics(
    QueueMetrics,
    ExecutionMetrics,
    ScheduleMetrics,
    ClusterMetrics,
    RecordMetrics,
    LogMetrics,
    AdmissionMetrics,
    PluginMetrics,
    ProcessMetrics,
    Protocol,
):
    """All that the controller counts; whoever counts one kind of thing asks for that part only."""
