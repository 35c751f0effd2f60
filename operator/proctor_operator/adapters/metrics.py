"""The one place that names metrics (Prometheus; base units, no user input in labels).

docs/metrics.md says of each what it means and which promise it shows; a test compares the two.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from proctor_operator.domain.admission import Operation
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.occurrence import OccurrenceState
from proctor_operator.domain.review import Verdict
from proctor_operator.ports.metrics import Vitals

_CALLS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PASSES: Final = (*_CALLS, 30.0, 60.0, 120.0)
_WAITS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_DELAYS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0, 3600.0)
_LAGS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class PrometheusMetrics:
    """The `Metrics` port on a registry of its own; `monotonic` times the record's outages."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        # One more series for each counter and histogram, and nobody here asks when one began.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library has no types here
        self._monotonic = monotonic
        self._registry = CollectorRegistry()
        self._record_away_since: float | None = None
        self._worst_lag = 0.0
        self._describe_the_process()
        self._describe_the_queue()
        self._describe_executions()
        self._describe_the_cluster()
        self._describe_the_record()
        self._describe_logs()
        self._describe_admission()
        self._describe_the_webhook()
        self._describe_plugins()

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self._registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self._registry)

    def _histogram(
        self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(name, meaning, labels, buckets=buckets, registry=self._registry)

    def _describe_the_process(self) -> None:
        ProcessCollector(registry=self._registry)
        build = self._gauge("proctor_build_info", "Always 1", "version", "python")
        build.labels(version("proctor-operator"), platform.python_version()).set(1)
        self._lease_held = self._gauge("proctor_lease_held", "1 on the replica that is active")
        self._lag = self._histogram(
            "proctor_event_loop_lag_seconds", "How late the event loop came to a timer", _LAGS
        )
        self._lag_max = self._gauge(
            "proctor_event_loop_lag_max_seconds", "The worst of these since the process began"
        )

    def _describe_the_queue(self) -> None:
        self._depth = self._gauge(
            "proctor_queue_depth", "Objects that wait for a pass or are in one"
        )
        self._oldest_ready = self._gauge(
            "proctor_queue_oldest_age_seconds", "Age of the key that has been ready for longest"
        )
        self._longest_pass = self._gauge(
            "proctor_queue_longest_pass_seconds", "Age of the oldest pass under way"
        )
        self._waited = self._histogram(
            "proctor_queue_wait_seconds", "From ready to taken by a worker", _WAITS, "kind"
        )
        self._passes = self._histogram(
            "proctor_pass_duration_seconds",
            "Duration of one pass over one object",
            _PASSES,
            "kind",
            "result",
        )

    def _describe_executions(self) -> None:
        self._live = self._gauge(
            "proctor_executions_live", "Executions that are not over, by phase", "phase"
        )
        self._finished = self._counter(
            "proctor_execution_outcome_total",
            "Executions by outcome and class of its reason",
            "outcome",
            "cause",
        )
        self._job_delay = self._histogram(
            "proctor_execution_job_delay_seconds", "From creation to the Job", _DELAYS
        )
        self._record_delay = self._histogram(
            "proctor_execution_record_delay_seconds", "From the end to the outcome's row", _DELAYS
        )
        self._status_delay = self._histogram(
            "proctor_execution_status_delay_seconds", "From the end to the final status", _DELAYS
        )
        self._oldest_held = self._gauge(
            "proctor_finalizer_oldest_age_seconds",
            "Age of the oldest deletion that our finalizer holds up",
        )
        self._given_up = self._counter(
            "proctor_finalizer_given_up_total",
            "Objects let go without a recorded end, by an admin's word",
        )
        self._occurrences = self._counter(
            "proctor_schedule_occurrences_total", "Planned times, by what came of them", "result"
        )
        self._lateness = self._histogram(
            "proctor_schedule_lateness_seconds",
            "From the time at which an occurrence was to start to its execution",
            _DELAYS,
        )
        self._retired = self._counter(
            "proctor_retention_deletions_total", "Executions deleted by retention"
        )

    def _describe_the_cluster(self) -> None:
        self._cluster_calls = self._histogram(
            "proctor_cluster_request_duration_seconds",
            "Requests to the API server; code 0 is no answer, verb WATCH its time until the first byte",
            _CALLS,
            "verb",
            "resource",
            "code",
        )
        self._watch_events = self._counter(
            "proctor_watch_events_total", "Events received from watches", "resource"
        )
        self._silence = self._gauge(
            "proctor_watch_silence_seconds",
            "Since the quietest watch brought an event or a bookmark",
            "resource",
        )
        self._findings = self._counter(
            "proctor_resync_findings_total",
            "Changes that a list found and no watch told of",
            "kind",
        )
        self._events = self._counter(
            "proctor_kubernetes_events_total", "Kubernetes Events for people", "result"
        )

    def _describe_the_record(self) -> None:
        self._record_calls = self._histogram(
            "proctor_record_operation_duration_seconds",
            "Uses of the record in PostgreSQL",
            _CALLS,
            "operation",
            "result",
        )
        self._record_available = self._gauge(
            "proctor_record_available", "1 when the last use of the record got an answer"
        )
        self._record_away = self._counter(
            "proctor_record_unavailable_seconds_total", "Time that the record was away"
        )

        self._record_months = self._gauge(
            "proctor_record_partition_months_ahead",
            "Months after this one that have their partitions; -1 when this one has none",
        )

    def _describe_logs(self) -> None:
        self._log_bytes = self._counter("proctor_log_captured_bytes_total", "Output that was kept")
        self._log_dropped = self._counter(
            "proctor_log_dropped_lines_total", "Lines of output left out beyond a limit"
        )
        self._log_streams = self._gauge("proctor_log_streams", "Logs being followed")

    def _describe_admission(self) -> None:
        self._denied = self._counter(
            "proctor_admission_denied_total",
            "Requests that admission turned away, by class of the reason",
            "resource",
            "cause",
        )
        self._denials = self._counter(
            "proctor_admission_denials_recorded_total",
            "Denials on their way to the record: stored, dropped or failed",
            "result",
        )

    def _describe_the_webhook(self) -> None:
        self._reviews = self._counter(
            "proctor_webhook_reviews_total",
            "Admission reviews answered",
            "webhook",
            "resource",
            "operation",
            "verdict",
            "cause",
        )
        self._review_seconds = self._histogram(
            "proctor_webhook_review_duration_seconds",
            "From a review's arrival to its answer",
            _CALLS,
            "webhook",
            "resource",
            "verdict",
        )
        self._reviews_under_way = self._gauge(
            "proctor_webhook_reviews_under_way", "Admission reviews being judged"
        )
        self._requests_refused = self._counter(
            "proctor_webhook_refused_requests_total", "Requests that were no review of ours", "code"
        )
        self._certificates = self._counter(
            "proctor_webhook_certificate_loads_total", "Certificate files read", "result"
        )
        self._certificate_expiry = self._gauge(
            "proctor_webhook_certificate_expiry_timestamp_seconds",
            "When a certificate in use expires",
            "certificate",
        )

    def _describe_plugins(self) -> None:
        self._plugin_calls = self._counter(
            "proctor_plugin_calls_total", "Questions to plugins", "plugin", "hook", "result"
        )
        self._plugin_seconds = self._histogram(
            "proctor_plugin_call_seconds", "Time until a plugin answered", _CALLS, "plugin", "hook"
        )
        self._plugin_circuit = self._gauge(
            "proctor_plugin_circuit_open", "1 while a plugin is left alone", "plugin"
        )
        self._plugin_cache = self._counter(
            "proctor_plugin_cache_hits_total", "Votes that were known already", "plugin"
        )

    @property
    def registry(self) -> CollectorRegistry:
        """Everything that there is to collect."""
        return self._registry

    def render(self) -> bytes:
        """Everything in the text format that Prometheus reads."""
        self._count_time_without_record()
        return generate_latest(self._registry)

    def queue_depth(self, keys: int) -> None:
        """See the port."""
        self._depth.set(keys)

    def key_waited(self, kind: str, seconds: float) -> None:
        """See the port."""
        self._waited.labels(kind).observe(seconds)

    def pass_finished(self, kind: str, result: str, seconds: float) -> None:
        """See the port."""
        self._passes.labels(kind, result).observe(seconds)

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

    def cluster_call(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """See the port."""
        self._cluster_calls.labels(verb, resource, str(code)).observe(seconds)

    def record_call(self, operation: str, result: str, seconds: float) -> None:
        """See the port."""
        self._record_calls.labels(operation, result).observe(seconds)
        self._count_time_without_record()
        if result != "unavailable":
            self._record_away_since = None
        elif self._record_away_since is None:
            self._record_away_since = self._monotonic()
        self._record_available.set(1 if self._record_away_since is None else 0)

    def record_months_ahead(self, months: int) -> None:
        """See the port."""
        self._record_months.set(months)

    def watch_event(self, resource: str) -> None:
        """See the port."""
        self._watch_events.labels(resource).inc()

    def resync_finding(self, kind: str) -> None:
        """See the port."""
        self._findings.labels(kind).inc()

    def log_bytes_captured(self, count: int) -> None:
        """See the port."""
        self._log_bytes.inc(count)

    def log_lines_dropped(self, count: int) -> None:
        """See the port."""
        self._log_dropped.inc(count)

    def log_streams(self, open_now: int) -> None:
        """See the port."""
        self._log_streams.set(open_now)

    def review_answered(
        self, path: str, operation: Operation | None, verdict: Verdict, cause: Cause, seconds: float
    ) -> None:
        """See the port."""
        _, webhook, resource, *_ = path.split("/")
        told = "unknown" if operation is None else operation.value
        self._reviews.labels(webhook, resource, told, verdict.value, cause.value).inc()
        self._review_seconds.labels(webhook, resource, verdict.value).observe(seconds)

    def reviews_under_way(self, count: int) -> None:
        """See the port."""
        self._reviews_under_way.set(count)

    def request_refused(self, code: int) -> None:
        """See the port."""
        self._requests_refused.labels(str(code)).inc()

    def certificate_loaded(self, result: str) -> None:
        """See the port."""
        self._certificates.labels(result).inc()

    def certificate_expires(self, certificate: str, at: datetime) -> None:
        """See the port."""
        self._certificate_expiry.labels(certificate).set(at.timestamp())

    def plugin_called(self, plugin: str, hook: str, result: str, seconds: float) -> None:
        """See the port."""
        self._plugin_calls.labels(plugin, hook, result).inc()
        self._plugin_seconds.labels(plugin, hook).observe(seconds)

    def plugin_circuit(self, plugin: str, *, is_open: bool) -> None:
        """See the port."""
        self._plugin_circuit.labels(plugin).set(1 if is_open else 0)

    def plugin_cache_hit(self, plugin: str) -> None:
        """See the port."""
        self._plugin_cache.labels(plugin).inc()

    def plugin_gone(self, plugin: str) -> None:
        """See the port. Counters go on, should it come back; a gauge would say what is no more."""
        with suppress(KeyError):
            self._plugin_circuit.remove(plugin)

    def kubernetes_event(self, result: str) -> None:
        """See the port."""
        self._events.labels(result).inc()

    def admission_denied(self, resource: str, cause: Cause) -> None:
        """See the port."""
        self._denied.labels(resource, cause.value).inc()

    def denial_recorded(self, result: str) -> None:
        """See the port."""
        self._denials.labels(result).inc()

    def loop_lag(self, seconds: float) -> None:
        """See the port."""
        self._lag.observe(seconds)
        self._worst_lag = max(self._worst_lag, seconds)
        self._lag_max.set(self._worst_lag)

    def lease_held(self, *, held: bool) -> None:
        """See the port."""
        self._lease_held.set(1 if held else 0)

    def occurrences_handled(self, state: OccurrenceState, count: int) -> None:
        """See the port."""
        self._occurrences.labels(state).inc(count)

    def occurrence_started(self, seconds: float) -> None:
        """See the port."""
        self._lateness.observe(seconds)

    def retention_deleted(self, count: int) -> None:
        """See the port."""
        self._retired.inc(count)

    def given_up(self) -> None:
        """See the port."""
        self._given_up.inc()

    def vitals(self, now: Vitals) -> None:
        """See the port."""
        self._oldest_ready.set(now.oldest_ready_seconds)
        self._longest_pass.set(now.longest_pass_seconds)
        self._oldest_held.set(now.oldest_held_seconds)
        for resource, seconds in now.watch_silences.items():
            self._silence.labels(resource).set(seconds)
        for phase in (Phase.PENDING, Phase.RUNNING):
            self._live.labels(phase.value).set(now.live_executions.get(phase, 0))

    def _count_time_without_record(self) -> None:
        if self._record_away_since is not None:
            now = self._monotonic()
            self._record_away.inc(now - self._record_away_since)
            self._record_away_since = now
