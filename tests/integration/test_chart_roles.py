"""The operator's rights: as the chart renders them, and as the API server grants them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from chart import golden
from chart.golden import Right
from chart.installation import CHART, KINDS, Installation, Manifest, render
from localcluster.cluster import LocalCluster
from localcluster.waiting import wait_until

HOME = "proctor-system"
PEOPLE = {"proctor-viewer", "proctor-runner", "proctor-author", "proctor-admin"}
SECOND = "second"

NEVER = [
    ("get", "secrets"),
    ("list", "secrets"),
    ("watch", "secrets"),
    ("get", "configmaps"),
    ("create", "configmaps"),
    ("create", "procs.proctor.dev"),
    ("patch", "procs.proctor.dev"),
    ("execute", "procs.proctor.dev"),
    ("update", "procexecutions.proctor.dev"),
    ("deletecollection", "procexecutions.proctor.dev"),
    ("patch", "procschedules.proctor.dev"),
    ("create", "pods"),
    ("patch", "pods"),
    ("create", "pods/exec"),
    ("create", "pods/ephemeralcontainers"),
    ("deletecollection", "jobs.batch"),
    ("create", "serviceaccounts/token"),
    ("impersonate", "users"),
    ("bind", "clusterroles.rbac.authorization.k8s.io"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("list", "namespaces"),
    ("list", "customresourcedefinitions.apiextensions.k8s.io"),
    ("patch", "validatingwebhookconfigurations.admissionregistration.k8s.io"),
    ("delete", "validatingadmissionpolicies.admissionregistration.k8s.io"),
    ("get", "nodes/proxy"),
    ("list", "leases.coordination.k8s.io"),
]


@pytest.fixture(scope="module")
def second(installed: Installation) -> Installation:
    """A second release in the same cluster, by Helm itself, that serves one namespace only."""
    for namespace in (SECOND, "team-b"):
        installed.cluster.kubectl("create", "namespace", namespace)
    installed.cluster.helm(
        *("install", "proctor", str(CHART), f"--namespace={SECOND}"),
        *("--set=crds.install=false", "--set=admissionPolicies.install=false"),
        *("--set=webhook.install=false", "--set=userRoles.create=false"),
        "--set=watchNamespaces={team-b}",
    )
    return Installation(installed.cluster, SECOND, account="proctor", team="team-b")


def test_for_the_whole_cluster_one_cluster_role_holds_the_golden_rights(
    api_cluster: LocalCluster,
) -> None:
    assert rights_by_account(render(api_cluster)) == {
        ("proctor", None): golden.IN_THE_CLUSTER | golden.IN_WATCHED_NAMESPACES,
        ("proctor", HOME): golden.IN_ITS_OWN_NAMESPACE,
        ("proctor-webhook", None): golden.WEBHOOK_IN_THE_CLUSTER
        | golden.WEBHOOK_IN_WATCHED_NAMESPACES,
        ("proctor-certs", None): golden.CERTS_IN_THE_CLUSTER,
        ("proctor-certs", HOME): golden.CERTS_IN_ITS_OWN_NAMESPACE,
    }


def test_for_some_namespaces_each_has_a_role_and_only_reviews_are_cluster_wide(
    api_cluster: LocalCluster,
) -> None:
    assert rights_by_account(render(api_cluster, "watchNamespaces={team-a,team-b}")) == {
        ("proctor", None): golden.IN_THE_CLUSTER,
        ("proctor", "team-a"): golden.IN_WATCHED_NAMESPACES,
        ("proctor", "team-b"): golden.IN_WATCHED_NAMESPACES,
        ("proctor", HOME): golden.IN_ITS_OWN_NAMESPACE,
        ("proctor-webhook", None): golden.WEBHOOK_IN_THE_CLUSTER,
        ("proctor-webhook", "team-a"): golden.WEBHOOK_IN_WATCHED_NAMESPACES,
        ("proctor-webhook", "team-b"): golden.WEBHOOK_IN_WATCHED_NAMESPACES,
        ("proctor-certs", None): golden.CERTS_IN_THE_CLUSTER,
        ("proctor-certs", HOME): golden.CERTS_IN_ITS_OWN_NAMESPACE,
    }


@pytest.mark.parametrize(
    "settings", [("webhook.certManager.enabled=true",), ("webhook.clientConfig.caBundle=YQ==",)]
)
def test_where_others_make_the_certificate_nobody_has_a_right_on_secrets(
    api_cluster: LocalCluster, settings: tuple[str, ...]
) -> None:
    rendered = render(api_cluster, *settings)

    assert {account for account, _ in rights_by_account(rendered)} == {"proctor", "proctor-webhook"}
    assert [one for one in rendered if one["kind"] == "Secret"] == []


def test_without_the_webhook_nothing_of_it_is_there(api_cluster: LocalCluster) -> None:
    rendered = render(api_cluster, "webhook.install=false")

    assert {account for account, _ in rights_by_account(rendered)} == {"proctor"}
    kinds = {one["kind"] for one in rendered}
    assert not kinds & {
        *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
        *("Service", "Secret", "NetworkPolicy"),
    }


def test_roles_for_people_hold_the_golden_rights_and_go_where_they_are_safe(
    api_cluster: LocalCluster,
) -> None:
    found = {
        one["metadata"]["name"]: (golden.rights_of(one["rules"]), aggregated_into(one))
        for one in render(api_cluster)
        if one["kind"] == "ClusterRole" and one["metadata"]["name"] in PEOPLE
    }
    seen = golden.VIEWER
    run = seen | golden.RUNNER
    author = run | golden.AUTHOR

    assert found == {
        "proctor-viewer": (seen, ["view"]),
        "proctor-runner": (run, ["edit"]),
        "proctor-author": (author, ["admin"]),
        "proctor-admin": (author | golden.ADMIN, []),
    }


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("view", "list procs", "create procexecutions"),
        ("edit", "create procexecutions", "create procs"),
        ("edit", "create procschedules", "execute procs"),
        ("edit", "delete procexecutions", "cancel procexecutions"),
        ("edit", "get procs", "give-up procexecutions"),
        ("admin", "create procs", "execute procs"),
        ("admin", "create procexecutions", "give-up procexecutions"),
        ("proctor-admin", "execute procs", "patch procexecutions/status"),
    ],
)
def test_people_get_what_their_role_says_through_the_api_server(
    installed: Installation, role: str, may: str, may_not: str
) -> None:
    person = f"--user=somebody-with-{role}"
    made = f"{role}-{may.replace(' ', '-')}"
    team = f"--namespace={installed.team}"
    installed.cluster.kubectl("create", "rolebinding", made, f"--clusterrole={role}", person, team)

    def answer(right: str) -> str:
        verb, resource = right.split()
        return can_i(installed, verb, f"{resource}.proctor.dev", user=f"somebody-with-{role}")

    assert wait_until(lambda: answer(may) == "yes", seconds=20)
    assert answer(may_not) == "no"


@pytest.mark.parametrize("settings", [(), ("watchNamespaces={team-a,team-b}",)])
def test_every_role_of_an_account_is_bound_to_it_and_no_role_for_people_is_bound(
    api_cluster: LocalCluster, settings: tuple[str, ...]
) -> None:
    rendered = render(api_cluster, *settings)
    made = {place(one) for one in rendered if one["kind"] in ("Role", "ClusterRole")}
    bound = {
        (one["roleRef"]["kind"], one["metadata"].get("namespace"), one["roleRef"]["name"])
        for one in rendered
        if one["kind"].endswith("Binding") and "roleRef" in one
    }

    assert made - bound == {("ClusterRole", None, name) for name in PEOPLE}
    assert bound - made == set()


def test_the_chart_renders_no_kind_but_these(api_cluster: LocalCluster) -> None:
    kinds = [one["kind"] for one in render(api_cluster)]

    assert sorted(kinds) == sorted(
        [
            *["CustomResourceDefinition"] * 4,
            *["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] * 5,
            *["ServiceAccount"] * 3,
            *["ClusterRole"] * (3 + len(PEOPLE)),
            *["ClusterRoleBinding"] * 3,
            *["Role", "RoleBinding"] * 2,
            *["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
            *["Service", "Secret", "NetworkPolicy"],
        ]
    )


def test_rights_can_be_granted_by_somebody_else(api_cluster: LocalCluster) -> None:
    settings = (
        *("rbac.create=false", "userRoles.create=false"),
        *("serviceAccount.create=false", "serviceAccount.name=other"),
        *("webhook.serviceAccount.create=false", "webhook.serviceAccount.name=hook"),
        *("certs.serviceAccount.create=false", "certs.serviceAccount.name=certs"),
    )
    kinds = {one["kind"] for one in render(api_cluster, *settings)}

    assert {kind for kind in kinds if "Role" in kind or "Account" in kind} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_the_chart_carries_the_kinds_as_they_are_and_keeps_them(
    api_cluster: LocalCluster, kind: str
) -> None:
    source = yaml.safe_load((CHART.parents[1] / "crds" / f"{kind}.yaml").read_text())
    (rendered,) = (
        one
        for one in render(api_cluster)
        if one["metadata"]["name"] == f"{kind}.proctor.dev"
        and one["kind"] == "CustomResourceDefinition"
    )

    assert rendered["spec"] == source["spec"]
    assert rendered["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("watchNamespace=team-a", "watchNamespace"),
        ("watchNamespaces={Team A}", "pattern"),
        ("crds.install=maybe", "boolean"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_it(
    api_cluster: LocalCluster, setting: str, words: str
) -> None:
    answer = api_cluster.helm("template", "proctor", str(CHART), f"--set={setting}", check=False)

    assert answer.returncode != 0
    assert words in answer.stderr


def test_the_account_holds_exactly_the_golden_rights_everywhere(installed: Installation) -> None:
    everywhere = golden.IN_WATCHED_NAMESPACES | golden.IN_THE_CLUSTER

    assert rights_in(installed, installed.team) == everywhere
    assert rights_in(installed, "default") == everywhere
    assert rights_in(installed, installed.namespace) == everywhere | golden.IN_ITS_OWN_NAMESPACE


def test_an_account_for_one_namespace_holds_its_rights_there_only(second: Installation) -> None:
    there = golden.IN_WATCHED_NAMESPACES | golden.IN_THE_CLUSTER

    assert rights_in(second, second.team) == there
    assert rights_in(second, "default") == golden.IN_THE_CLUSTER
    assert rights_in(second, SECOND) == golden.IN_THE_CLUSTER | golden.IN_ITS_OWN_NAMESPACE


@pytest.mark.parametrize(("verb", "resource"), NEVER)
def test_the_account_may_not(installed: Installation, verb: str, resource: str) -> None:
    assert can_i(installed, verb, resource) == "no"


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("patch", "procexecutions.proctor.dev/status"), ("create", "jobs.batch"), ("get", "pods/log")],
)
def test_the_account_may(installed: Installation, verb: str, resource: str) -> None:
    assert can_i(installed, verb, resource) == "yes"


def rights_by_account(rendered: list[Manifest]) -> dict[tuple[str, str | None], set[Right]]:
    """What each account is granted, by the namespace it is granted in; None is the whole cluster."""
    roles = {place(one): one for one in rendered if one["kind"] in ("Role", "ClusterRole")}
    granted: dict[tuple[str, str | None], set[Right]] = {}
    for binding in rendered:
        if "roleRef" not in binding:
            continue
        kind, namespace, _ = place(binding)
        role = roles[kind.removesuffix("Binding"), namespace, binding["roleRef"]["name"]]
        (subject,) = binding["subjects"]
        assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", HOME)
        assert (subject["name"], namespace) not in granted
        granted[subject["name"], namespace] = golden.rights_of(role["rules"])
    return granted


def aggregated_into(role: Manifest) -> list[str]:
    """The cluster's own roles that take this one in."""
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return [label.removeprefix(prefix) for label in role["metadata"]["labels"] if prefix in label]


def place(manifest: Manifest) -> tuple[str, str | None, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace"), metadata["name"]


def rights_in(installation: Installation, namespace: str) -> set[Right]:
    """What the account may do in a namespace, beyond what every account may."""
    account = rules_review(installation, installation.user, namespace)
    anybody = rules_review(installation, "system:serviceaccount:default:default", namespace)
    return account - anybody


def rules_review(installation: Installation, user: str, namespace: str) -> set[Right]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    # Without validation: for that kubectl would list the cluster's kinds in the account's name.
    done = installation.cluster.kubectl(
        *("create", f"--as={user}", "--validate=false", "--output=json", "--filename=-"),
        stdin=json.dumps(review),
    )
    rules: list[dict[str, Any]] = json.loads(done.stdout)["status"]["resourceRules"]
    return golden.rights_of(rules)


def can_i(installation: Installation, verb: str, resource: str, *, user: str = "") -> str:
    name, _, subresource = resource.partition("/")
    return installation.cluster.kubectl(
        *("auth", "can-i", verb, name, f"--subresource={subresource}"),
        *(f"--namespace={installation.team}", f"--as={user or installation.user}"),
        check=False,
    ).stdout.strip()
