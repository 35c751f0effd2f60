"""The process itself, and its queue."""

from __future__ import annotations

import platform
from importlib.metadata import version

from prometheus_client import ProcessCollector

from proctor_operator.adapters.metrics.series import LAGS, PASSES, WAITS, Series
from proctor_operator.domain.execution import Phase
from proctor_operator.ports.metrics import Vitals


class ProcessSeries:
    """The port `ProcessMetrics`."""

    def __init__(self, series: Series) -> None:
        ProcessCollector(registry=series.registry)
        build = series.gauge("proctor_build_info", "Always 1", "version", "python")
        build.labels(version("proctor-operator"), platform.python_version()).set(1)
        self._lease_held = series.gauge("proctor_lease_held", "1 on the replica that is active")
        self._lag = series.histogram(
            "proctor_event_loop_lag_seconds", "How late the event loop came to a timer", LAGS
        )
        self._lag_max = series.gauge(
            "proctor_event_loop_lag_max_seconds", "The worst of these since the process began"
        )
        self._oldest_ready = series.gauge(
            "proctor_queue_oldest_age_seconds", "Age of the key that has been ready for longest"
        )
        self._longest_pass = series.gauge(
            "proctor_queue_longest_pass_seconds", "Age of the oldest pass under way"
        )
        self._oldest_held = series.gauge(
            "proctor_finalizer_oldest_age_seconds",
            "Age of the oldest deletion that our finalizer holds up",
        )
        self._silence = series.gauge(
            "proctor_watch_silence_seconds",
            "Since the quietest watch brought an event or a bookmark",
            "resource",
        )
        self._live = series.gauge(
            "proctor_executions_live", "Executions that are not over, by phase", "phase"
        )
        self._worst_lag = 0.0

    def loop_lag(self, seconds: float) -> None:
        """See the port."""
        self._lag.observe(seconds)
        self._worst_lag = max(self._worst_lag, seconds)
        self._lag_max.set(self._worst_lag)

    def lease_held(self, *, held: bool) -> None:
        """See the port."""
        self._lease_held.set(1 if held else 0)

    def vitals(self, now: Vitals) -> None:
        """See the port."""
        self._oldest_ready.set(now.oldest_ready_seconds)
        self._longest_pass.set(now.longest_pass_seconds)
        self._oldest_held.set(now.oldest_held_seconds)
        for resource, seconds in now.watch_silences.items():
            self._silence.labels(resource).set(seconds)
        for phase in (Phase.PENDING, Phase.RUNNING):
            self._live.labels(phase.value).set(now.live_executions.get(phase, 0))


class QueueSeries:
    """The port `QueueMetrics`."""

    def __init__(self, series: Series) -> None:
        self._depth = series.gauge(
            "proctor_queue_depth", "Objects that wait for a pass or are in one"
        )
        self._waited = series.histogram(
            "proctor_queue_wait_seconds", "From ready to taken by a worker", WAITS, "kind"
        )
        self._passes = series.histogram(
            "proctor_pass_duration_seconds",
            "Duration of one pass over one object",
            PASSES,
            "kind",
            "result",
        )

    def queue_depth(self, keys: int) -> None:
        """See the port."""
        self._depth.set(keys)

    def key_waited(self, kind: str, seconds: float) -> None:
        """See the port."""
        self._waited.labels(kind).observe(seconds)

    def pass_finished(self, kind: str, result: str, seconds: float) -> None:
        """See the port."""
        self._passes.labels(kind, result).observe(seconds)
