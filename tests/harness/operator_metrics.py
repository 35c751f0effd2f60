"""What an operator counts, read from its `/metrics`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families


class OperatorMetrics:
    """What an operator's `/metrics` said at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def value(self, name: str) -> float:
        """The sum of a metric over its labels; 0 when it is not there."""
        return sum(sample.value for sample in self._samples if sample.name == name)

    def by(self, name: str, *labels: str) -> dict[str, float]:
        """A metric by some of its labels, their values joined by a blank."""
        found: defaultdict[str, float] = defaultdict(float)
        for sample in self._samples:
            if sample.name == name:
                found[" ".join(sample.labels[label] for label in labels)] += sample.value
        return dict(found)

    def requests(self) -> dict[str, float]:
        """Requests to the API server so far, by `VERB resource`."""
        return self.by("proctor_cluster_request_duration_seconds_count", "verb", "resource")

    def record_calls(self) -> dict[str, float]:
        """Uses of PostgreSQL so far, by operation."""
        return self.by("proctor_record_operation_duration_seconds_count", "operation")

    def unanswered(self) -> float:
        """Calls of API server and PostgreSQL so far that ended without an answer."""
        calls = self.by("proctor_cluster_request_duration_seconds_count", "code")
        uses = self.by("proctor_record_operation_duration_seconds_count", "result")
        return calls.get("0", 0.0) + uses.get("unavailable", 0.0)

    def passes(self) -> float:
        """Passes over objects so far."""
        return self.value("proctor_pass_duration_seconds_count")

    def watch_events(self) -> dict[str, float]:
        """Watch events so far, by resource."""
        return self.by("proctor_watch_events_total", "resource")

    def worst_stall(self) -> float:
        """The longest that the event loop has come late, in seconds, since the process began."""
        return self.value("proctor_event_loop_lag_max_seconds")


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was added to counters in between; those that did not move are left out."""
    changes = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {name: change for name, change in changes.items() if change}
