"""What the webhook server answers, and what admission turns away."""

from __future__ import annotations

from datetime import datetime

from proctor_operator.adapters.metrics.series import CALLS, Series
from proctor_operator.domain.admission import Operation
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.review import Verdict


class AdmissionSeries:
    """The port `AdmissionMetrics`."""

    def __init__(self, series: Series) -> None:
        self._denied = series.counter(
            "proctor_admission_denied_total",
            "Requests that admission turned away, by class of the reason",
            "resource",
            "cause",
        )
        self._denials = series.counter(
            "proctor_admission_denials_recorded_total",
            "Denials on their way to the record: stored, dropped or failed",
            "result",
        )

    def admission_denied(self, resource: str, cause: Cause) -> None:
        """See the port."""
        self._denied.labels(resource, cause.value).inc()

    def denial_recorded(self, result: str) -> None:
        """See the port."""
        self._denials.labels(result).inc()


class WebhookSeries:
    """The port `WebhookMetrics`."""

    def __init__(self, series: Series) -> None:
        self._reviews = series.counter(
            "proctor_webhook_reviews_total",
            "Admission reviews answered",
            "webhook",
            "resource",
            "operation",
            "verdict",
            "cause",
        )
        self._review_seconds = series.histogram(
            "proctor_webhook_review_duration_seconds",
            "From a review's arrival to its answer",
            CALLS,
            "webhook",
            "resource",
            "verdict",
        )
        self._reviews_under_way = series.gauge(
            "proctor_webhook_reviews_under_way", "Admission reviews being judged"
        )
        self._requests_refused = series.counter(
            "proctor_webhook_refused_requests_total", "Requests that were no review of ours", "code"
        )
        self._certificates = series.counter(
            "proctor_webhook_certificate_loads_total", "Certificate files read", "result"
        )
        self._certificate_expiry = series.gauge(
            "proctor_webhook_certificate_expiry_timestamp_seconds",
            "When a certificate in use expires",
            "certificate",
        )

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
