"""The alert rules as the chart renders them."""

from __future__ import annotations

import yaml

from chart.installation import CHART, render
from localcluster.cluster import LocalCluster


def test_the_rules_are_rendered_when_asked_for_and_word_for_word(api_cluster: LocalCluster) -> None:
    asked = ("alerts.create=true", "alerts.labels.release=prometheus")
    (rule,) = [one for one in render(api_cluster, *asked) if one["kind"] == "PrometheusRule"]

    assert rule["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert "app.kubernetes.io/name" in rule["metadata"]["labels"]


def test_nobody_gets_rules_for_an_operator_of_prometheus_that_is_not_there(
    api_cluster: LocalCluster,
) -> None:
    assert [one for one in render(api_cluster) if one["kind"] == "PrometheusRule"] == []
