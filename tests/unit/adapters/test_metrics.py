"""The metrics: named as Prometheus asks, bounded, and each explained on its page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.domain.admission import Operation
from proctor_operator.domain.causes import Cause, cause_of
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.review import Verdict
from proctor_operator.ports.metrics import Vitals

ROOT = Path(__file__).parents[3]
# https://prometheus.io/docs/practices/naming/
UNITS = ("seconds", "bytes", "ratio", "info", "total")
COUNTED_THINGS = {
    "proctor_queue_depth",
    "proctor_executions_live",
    "proctor_lease_held",
    "proctor_log_streams",
    "proctor_plugin_circuit_open",
    "proctor_record_available",
    "proctor_record_partition_months_ahead",
    "proctor_webhook_reviews_under_way",
}


class Watch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


def ours(metrics: PrometheusMetrics) -> list[Metric]:
    return [one for one in metrics.registry.collect() if one.name.startswith("proctor_")]


def full_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def value(metrics: PrometheusMetrics, sample: str, **labels: str) -> float | None:
    metrics.render()
    return metrics.registry.get_sample_value(sample, labels)


def label_names(metrics: PrometheusMetrics, name: str) -> tuple[str, ...]:
    collector = metrics.registry._names_to_collectors[name]
    found: tuple[str, ...] = collector._labelnames  # type: ignore[attr-defined] # no public way before a sample
    return found


def test_names_follow_the_conventions_of_prometheus(metrics: PrometheusMetrics) -> None:
    for metric in ours(metrics):
        name = full_name(metric)
        assert re.fullmatch(r"proctor(_[a-z0-9]+)+", name), name
        if name not in COUNTED_THINGS:
            assert name.endswith(UNITS), f"{name} names no base unit"
        assert name.endswith("_total") == (metric.type == "counter"), name
        assert not re.search(r"milli|micro|_ms|minutes|hours|kilo|mega|_(kb|mb)\b", name), name
        assert metric.type not in name.split("_"), f"{name} names its type"
        assert metric.documentation.strip(), name


def test_there_are_the_process_s_own_metrics(metrics: PrometheusMetrics) -> None:
    names = {one.name for one in metrics.registry.collect()}

    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_open_fds"} <= names


def test_the_page_names_every_metric_with_type_and_labels_and_no_other(
    metrics: PrometheusMetrics,
) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(proctor_\w+)` \| (\w+) \| ([^|]*)\| [^|]+\|", page, re.MULTILINE)
    told = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]

    assert told == sorted(
        (full_name(one), one.type, label_names(metrics, one.name)) for one in ours(metrics)
    )


def test_everything_can_be_counted_and_read_back(metrics: PrometheusMetrics) -> None:
    metrics.queue_depth(3)
    metrics.key_waited("Proc", 0.2)
    metrics.pass_finished("Proc", "done", 0.1)
    metrics.job_created(1.0)
    metrics.outcome_recorded(1.0)
    metrics.final_status_written(1.0)
    metrics.execution_finished(Phase.FAILED, Cause.PROGRAM)
    metrics.cluster_call("GET", "jobs", 200, 0.1)
    metrics.record_call("fetch_run", "ok", 0.1)
    metrics.watch_event("jobs")
    metrics.resync_finding("jobs")
    metrics.object_illegible("jobs")
    metrics.kubernetes_event("sent")
    metrics.log_bytes_captured(10)
    metrics.log_lines_dropped(2)
    metrics.log_streams(4)
    metrics.lease_held(held=True)
    metrics.retention_deleted(5)
    metrics.given_up()
    metrics.review_answered(
        "/validate/procs/baseline", Operation.CREATE, Verdict.DENIED, Cause.REQUEST, 0.1
    )
    metrics.reviews_under_way(1)
    metrics.request_refused(404)
    metrics.certificate_loaded("loaded")
    metrics.certificate_expires("serving", datetime(2027, 1, 1, tzinfo=UTC))
    metrics.vitals(Vitals(1.0, 2.0, {"jobs": 3.0}, {Phase.RUNNING: 4}, 5.0))

    families = {one.name for one in text_string_to_metric_families(metrics.render().decode())}

    assert families == {one.name for one in metrics.registry.collect()}
    assert value(metrics, "proctor_execution_outcome_total", outcome="Failed", cause="Program") == 1
    assert value(metrics, "proctor_executions_live", phase="Running") == 4
    assert value(metrics, "proctor_executions_live", phase="Pending") == 0
    assert value(metrics, "proctor_lease_held") == 1
    assert value(metrics, "proctor_log_captured_bytes_total") == 10


def test_the_worst_lag_stays_known(metrics: PrometheusMetrics) -> None:
    for seconds in (0.01, 0.4, 0.02):
        metrics.loop_lag(seconds)

    assert value(metrics, "proctor_event_loop_lag_max_seconds") == 0.4
    assert value(metrics, "proctor_event_loop_lag_seconds_bucket", le="0.25") == 2


def test_time_without_the_record_is_counted_while_it_is_away() -> None:
    watch = Watch()
    metrics = PrometheusMetrics(monotonic=watch)
    metrics.record_call("check", "ok", 0.1)
    assert value(metrics, "proctor_record_available") == 1

    metrics.record_call("check", "unavailable", 0.1)
    watch.seconds += 7
    assert value(metrics, "proctor_record_available") == 0
    assert value(metrics, "proctor_record_unavailable_seconds_total") == 7

    watch.seconds += 5
    metrics.record_call("check", "unavailable", 0.1)
    watch.seconds += 1
    metrics.record_call("record_run", "rejected", 0.1)
    watch.seconds += 100
    assert value(metrics, "proctor_record_available") == 1, "a refusal is an answer"
    assert value(metrics, "proctor_record_unavailable_seconds_total") == 13


def test_every_reason_that_ends_an_execution_has_a_class() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text()
    ends = "|".join(phase.value for phase in Phase if phase.is_terminal)
    reasons = re.findall(rf"^\| `(\w+)` \| [^|]*\b(?:{ends})\b", glossary, re.MULTILINE)
    reasons = [one for one in reasons if one not in {phase.value for phase in Phase}]

    assert len(reasons) > 15
    assert [one for one in reasons if cause_of(one) is Cause.OTHER] == []


def test_a_reason_that_kubernetes_invents_is_no_new_label() -> None:
    assert cause_of("SomethingNew") is Cause.OTHER


def test_the_page_explains_every_cause() -> None:
    page = (
        (ROOT / "docs" / "observability.md").read_text().split("\n## Causes\n")[1].split("\n## ")[0]
    )

    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [one.value for one in Cause]
