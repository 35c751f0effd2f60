"""The rules that the chart grants, read from its source; the rendered ones are compared elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from chart import golden

RULES = (Path(__file__).parents[2] / "charts/proctor/templates/_rules.tpl").read_text()

EXPECTED = {
    "proctor.namespacedRules": golden.IN_WATCHED_NAMESPACES,
    "proctor.clusterRules": golden.IN_THE_CLUSTER,
    "proctor.ownRules": golden.IN_ITS_OWN_NAMESPACE,
    "proctor.webhookNamespacedRules": golden.WEBHOOK_IN_WATCHED_NAMESPACES,
    "proctor.webhookClusterRules": golden.WEBHOOK_IN_THE_CLUSTER,
    "proctor.certsOwnRules": golden.CERTS_IN_ITS_OWN_NAMESPACE,
    "proctor.certsClusterRules": golden.CERTS_IN_THE_CLUSTER,
    "proctor.viewerRules": golden.VIEWER,
    "proctor.runnerRules": golden.RUNNER,
    "proctor.authorRules": golden.AUTHOR,
    "proctor.adminRules": golden.ADMIN,
}


def blocks() -> dict[str, set[golden.Right]]:
    found = re.findall(r'{{- define "(.+?)" -}}\n(.*?){{- end -}}', RULES, flags=re.DOTALL)
    return {name: golden.rights_of(yaml.safe_load(text)) for name, text in found}


def test_the_chart_grants_the_golden_rights_and_no_other() -> None:
    assert blocks() == EXPECTED


@pytest.mark.parametrize(
    "forbidden",
    ["*", "secrets", "configmaps", "namespaces", "pods/exec", "impersonate", "escalate", "bind"],
)
def test_no_golden_right_is_one_that_an_operator_must_not_hold(forbidden: str) -> None:
    granted = (
        golden.IN_WATCHED_NAMESPACES
        | golden.IN_THE_CLUSTER
        | golden.IN_ITS_OWN_NAMESPACE
        | golden.WEBHOOK_IN_WATCHED_NAMESPACES
        | golden.WEBHOOK_IN_THE_CLUSTER
    )

    assert [right for right in granted if forbidden in right] == []


def test_only_the_account_of_certs_holds_a_right_on_secrets_and_on_one_alone() -> None:
    held = {
        (name, right.verb, right.name)
        for name, rights in EXPECTED.items()
        for right in rights
        if right.resource == "secrets"
    }

    assert held == {
        ("proctor.certsOwnRules", "get", "proctor-webhook-tls"),
        ("proctor.certsOwnRules", "update", "proctor-webhook-tls"),
    }


@pytest.mark.parametrize("role", [golden.VIEWER, golden.RUNNER, golden.AUTHOR])
def test_a_role_that_is_aggregated_holds_no_power_over_others_runs(role: set[golden.Right]) -> None:
    assert {right.verb for right in role} & {"execute", "cancel", "give-up", "*"} == set()
    assert [right for right in role if "/" in right.resource] == []
