"""The one place that names metrics (Prometheus; base units, no user input in labels).

docs/metrics.md says of each what it means and which promise it shows; a test compares the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from proctor_operator.adapters.metrics.admission import AdmissionSeries, WebhookSeries
from proctor_operator.adapters.metrics.dependencies import ClusterSeries, PluginSeries, RecordSeries
from proctor_operator.adapters.metrics.process import ProcessSeries, QueueSeries
from proctor_operator.adapters.metrics.runs import ExecutionSeries, LogSeries, ScheduleSeries
from proctor_operator.adapters.metrics.series import Series


class PrometheusMetrics(
    ProcessSeries,
    QueueSeries,
    ExecutionSeries,
    ScheduleSeries,
    ClusterSeries,
    RecordSeries,
    LogSeries,
    AdmissionSeries,
    WebhookSeries,
    PluginSeries,
):
    """The `Metrics` port, and that of the webhook, on a registry of its own."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        # One more series for each counter and histogram, and nobody here asks when one began.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library has no types here
        self._registry = CollectorRegistry()
        series = Series(self._registry)
        ProcessSeries.__init__(self, series)
        QueueSeries.__init__(self, series)
        ExecutionSeries.__init__(self, series)
        ScheduleSeries.__init__(self, series)
        ClusterSeries.__init__(self, series)
        RecordSeries.__init__(self, series, monotonic)
        LogSeries.__init__(self, series)
        AdmissionSeries.__init__(self, series)
        WebhookSeries.__init__(self, series)
        PluginSeries.__init__(self, series)

    @property
    def registry(self) -> CollectorRegistry:
        """Everything that there is to collect."""
        return self._registry

    def render(self) -> bytes:
        """Everything in the text format that Prometheus reads."""
        self.count_time_without_record()
        return generate_latest(self._registry)
