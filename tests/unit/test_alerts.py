"""The alert rules fit the metrics that there are: names, labels, values of labels, and a page for people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from proctor_operator.adapters.metrics import PrometheusMetrics

ROOT = Path(__file__).parents[2]
GROUPS = yaml.safe_load((ROOT / "charts/proctor/files/alerts.yaml").read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"]
}
REGISTRY = PrometheusMetrics().registry
METRICS = {one.name: one for one in REGISTRY.collect()}
SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "gauge": ("",),
}
WORDS = {
    *("and", "by", "for", "group_left", "ignoring", "on", "or", "unless", "without"),
    *("histogram_quantile", "increase", "max", "min", "rate", "sum", "time", "vector"),
}
SAMPLES = {f"{one.name}{suffix}": one for one in METRICS.values() for suffix in SUFFIXES[one.type]}
# Labels that Prometheus itself adds.
SCRAPED = {"instance", "job", "le"}


def labels_of(metric: Metric) -> set[str]:
    collector = REGISTRY._names_to_collectors.get(metric.name)
    return set(getattr(collector, "_labelnames", ()))


def without_strings(expression: str) -> str:
    return re.sub(r'"[^"]*"', '""', expression)


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Each metric with the label matchers behind it."""
    found = re.findall(r"((?:proctor|process)_\w+)(?:\{([^}]*)\})?", expression)
    return [(name, dict(re.findall(r'(\w+)=~?"([^"]*)"', matchers))) for name, matchers in found]


def words_of(expression: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}|\[\w+\]", "", without_strings(expression))
    return set(re.findall(r"[a-z_][a-z0-9_]*", bare))


@pytest.mark.parametrize("alert", RULES)
def test_an_expression_names_what_there_is(alert: str) -> None:
    expression = RULES[alert]["expr"]
    named = selectors(expression)

    assert named
    assert [name for name, _ in named if name not in SAMPLES] == []
    known = SCRAPED.union(*(labels_of(SAMPLES[name]) for name, _ in named))
    assert words_of(expression) - WORDS - SAMPLES.keys() <= known
    for name, matchers in named:
        assert matchers.keys() <= labels_of(SAMPLES[name]), name
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("alert", RULES)
def test_a_histogram_is_asked_for_quantiles_by_its_buckets_only(alert: str) -> None:
    expression = RULES[alert]["expr"]
    for name, _ in selectors(expression):
        is_bucket = name.endswith("_bucket")
        assert is_bucket == ("histogram_quantile" in expression), name


def test_the_results_that_rules_match_are_those_that_the_queue_counts() -> None:
    queue = (ROOT / "operator/proctor_operator/runtime/queue.py").read_text()
    written = set(re.findall(r'result = "([a-z-]+)"', queue))
    matched = {
        word
        for rule in RULES.values()
        for name, matchers in selectors(rule["expr"])
        if name.startswith("proctor_pass")
        for word in matchers.get("result", "").split("|")
        if word
    }

    assert matched == {"retried", "timed-out", "crashed"}
    assert matched <= written


@pytest.mark.parametrize("alert", RULES)
def test_a_rule_says_how_bad_it_is_and_what_it_means(alert: str) -> None:
    rule = RULES[alert]

    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    used = set(re.findall(r"\$labels\.(\w+)", yaml.safe_dump(rule["annotations"])))
    assert used <= set(re.findall(r"by \(([\w, ]+)\)", rule["expr"])[0].split(", ") if used else ())


def test_the_page_says_of_every_alert_what_to_do() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    section = page.split("\n## Alerts\n")[1].split("\n## ")[0]
    told = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]+ \| [^|]+ \|$", section, re.MULTILINE)

    assert told == [(alert, rule["labels"]["severity"]) for alert, rule in RULES.items()]
