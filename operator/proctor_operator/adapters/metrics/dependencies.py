"""What passes between the operator and what it depends on: API server, record, plugins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from proctor_operator.adapters.metrics.series import CALLS, Series


class ClusterSeries:
    """The port `ClusterMetrics`."""

    def __init__(self, series: Series) -> None:
        self._cluster_calls = series.histogram(
            "proctor_cluster_request_duration_seconds",
            "Requests to the API server; code 0 is no answer, verb WATCH its time until the first byte",
            CALLS,
            "verb",
            "resource",
            "code",
        )
        self._watch_events = series.counter(
            "proctor_watch_events_total", "Events received from watches", "resource"
        )
        self._findings = series.counter(
            "proctor_resync_findings_total",
            "Changes that a list found and no watch told of",
            "kind",
        )
        self._illegible = series.counter(
            "proctor_resync_illegible_total",
            "Objects that a list passed over because they cannot be read",
            "resource",
        )
        self._events = series.counter(
            "proctor_kubernetes_events_total", "Kubernetes Events for people", "result"
        )

    def cluster_call(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """See the port."""
        self._cluster_calls.labels(verb, resource, str(code)).observe(seconds)

    def watch_event(self, resource: str) -> None:
        """See the port."""
        self._watch_events.labels(resource).inc()

    def resync_finding(self, kind: str) -> None:
        """See the port."""
        self._findings.labels(kind).inc()

    def object_illegible(self, resource: str) -> None:
        """See the port."""
        self._illegible.labels(resource).inc()

    def kubernetes_event(self, result: str) -> None:
        """See the port."""
        self._events.labels(result).inc()


class RecordSeries:
    """The port `RecordMetrics`; `monotonic` times the outages."""

    def __init__(self, series: Series, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._record_away_since: float | None = None
        self._record_calls = series.histogram(
            "proctor_record_operation_duration_seconds",
            "Uses of the record in PostgreSQL",
            CALLS,
            "operation",
            "result",
        )
        self._record_available = series.gauge(
            "proctor_record_available", "1 when the last use of the record got an answer"
        )
        self._record_away = series.counter(
            "proctor_record_unavailable_seconds_total", "Time that the record was away"
        )
        self._record_months = series.gauge(
            "proctor_record_partition_months_ahead",
            "Months after this one that have their partitions; -1 when this one has none",
        )

    def record_call(self, operation: str, result: str, seconds: float) -> None:
        """See the port."""
        self._record_calls.labels(operation, result).observe(seconds)
        self.count_time_without_record()
        if result != "unavailable":
            self._record_away_since = None
        elif self._record_away_since is None:
            self._record_away_since = self._monotonic()
        self._record_available.set(1 if self._record_away_since is None else 0)

    def record_months_ahead(self, months: int) -> None:
        """See the port."""
        self._record_months.set(months)

    def count_time_without_record(self) -> None:
        """Count an outage under way as far as it has come."""
        if self._record_away_since is not None:
            now = self._monotonic()
            self._record_away.inc(now - self._record_away_since)
            self._record_away_since = now


class PluginSeries:
    """The port `PluginMetrics`."""

    def __init__(self, series: Series) -> None:
        self._plugin_calls = series.counter(
            "proctor_plugin_calls_total", "Questions to plugins", "plugin", "hook", "result"
        )
        self._plugin_seconds = series.histogram(
            "proctor_plugin_call_seconds", "Time until a plugin answered", CALLS, "plugin", "hook"
        )
        self._plugin_circuit = series.gauge(
            "proctor_plugin_circuit_open", "1 while a plugin is left alone", "plugin"
        )
        self._plugin_cache = series.counter(
            "proctor_plugin_cache_hits_total", "Votes that were known already", "plugin"
        )

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
