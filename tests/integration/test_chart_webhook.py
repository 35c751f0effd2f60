"""While no webhook answers: nobody gets past admission, and clean-up goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from chart.installation import Installation, Manifest, execution, install, proc, render, schedule
from harness.requesters import ALICE
from harness.webhooks import SELECTORLESS
from localcluster.cluster import LocalCluster
from localcluster.fixtures import temporary_cluster
from localcluster.waiting import wait_until

RECORD = "proctor.dev/record"
NOT_ASKED = "failed calling webhook"
GOING = "going"


@pytest.fixture(scope="module")
def shut() -> Iterator[Installation]:
    """Objects from a better time, and since then webhook configurations with nothing behind them."""
    with temporary_cluster("api", "shut") as cluster:
        installed = install(cluster, namespace="proctor-system", team="team-a")
        cluster.kubectl("create", "namespace", GOING)
        installed.create(proc())
        for name in ("held", "owner", "touched", "kept"):
            installed.create(run(name, finalizers=[] if name == "owner" else [RECORD]))
        for name in ("plain", "recorded"):
            made = run(name, finalizers=[RECORD] if name == "recorded" else [])
            made["metadata"]["namespace"] = GOING
            installed.create(made)
        configurations = yaml.safe_dump_all(render(cluster, SELECTORLESS))
        cluster.kubectl("apply", "--server-side", "--filename=-", stdin=configurations)
        assert wait_until(lambda: NOT_ASKED in installed.refusal_of(proc("x")), seconds=30)
        yield installed


def run(name: str, *, finalizers: list[str]) -> Manifest:
    made = execution(name, requestedBy={"username": ALICE, "via": "API"})
    made["metadata"]["finalizers"] = finalizers
    return made


def patched(shut: Installation, name: str, patch: object, *flags: str, namespace: str = "") -> str:
    """What the API server says to a patch; empty when it is done."""
    kind = "--type=json" if isinstance(patch, list) else "--type=merge"
    return shut.cluster.kubectl(
        *("patch", "procexecution", name, kind, f"--patch={json.dumps(patch)}"),
        *(f"--namespace={namespace or shut.team}", *flags),
        check=False,
    ).stderr


def release(shut: Installation, name: str, *flags: str, namespace: str = "") -> str:
    """Take our finalizer off."""
    remove = [{"op": "remove", "path": "/metadata/finalizers/0"}]
    return patched(shut, name, remove, *flags, namespace=namespace)


@pytest.mark.parametrize(
    "manifest",
    [
        proc("new"),
        execution("new"),
        execution("new", requestedBy={"username": ALICE, "via": "API"}),
        schedule("new", cron="0 2 * * *"),
    ],
    ids=["a proc", "an execution", "an execution of a user", "a schedule"],
)
def test_nothing_new_gets_in(shut: Installation, manifest: Manifest) -> None:
    assert NOT_ASKED in shut.refusal_of(manifest)


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"cancel": True}},
        {"metadata": {"finalizers": []}},
        {"metadata": {"labels": {"proctor.dev/shard": "7"}}},
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1"}]
            }
        },
    ],
    ids=str,
)
def test_nothing_that_admission_looks_at_is_changed(shut: Installation, patch: Manifest) -> None:
    assert NOT_ASKED in patched(shut, "kept", patch)


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"team": "a"}}},
        {"metadata": {"annotations": {"note": "b"}}},
        {"metadata": {"finalizers": [RECORD, "example.org/other"]}},
        {"metadata": {"finalizers": [RECORD]}},
    ],
    ids=str,
)
def test_what_is_none_of_its_business_goes_on(shut: Installation, patch: Manifest) -> None:
    assert patched(shut, "touched", patch) == ""


def test_the_operator_tells_and_lets_go(shut: Installation) -> None:
    status = {"status": {"phase": "Succeeded"}}
    as_operator = f"--as={shut.user}"
    # As admin: before it patches, kubectl reads the status, which the operator may not.
    assert patched(shut, "held", status, "--subresource=status") == ""

    shut.cluster.kubectl("delete", "pexec/held", f"--namespace={shut.team}", "--wait=false")
    assert release(shut, "held", as_operator) == ""

    shut.cluster.kubectl(
        "wait", "--for=delete", "pexec/held", f"--namespace={shut.team}", "--timeout=30s"
    )


def test_the_operator_changes_no_spec_unseen(shut: Installation) -> None:
    assert NOT_ASKED in patched(shut, "kept", {"spec": {"cancel": True}}, f"--as={shut.user}")


def test_the_garbage_collector_ends_a_foreground_deletion(shut: Installation) -> None:
    team = f"--namespace={shut.team}"
    shown = shut.cluster.kubectl("get", "pexec/owner", team, "--output=json")
    uid = json.loads(shown.stdout)["metadata"]["uid"]
    owner = {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "name": "owner",
        "uid": uid,
        "blockOwnerDeletion": True,
    }
    child = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "child", "ownerReferences": [owner]},
    }
    shut.cluster.kubectl("create", team, "--filename=-", stdin=json.dumps(child))

    shut.cluster.kubectl("delete", "pexec/owner", team, "--cascade=foreground", "--timeout=60s")

    gone = shut.cluster.kubectl("get", "configmap/child", team, "--ignore-not-found")
    assert gone.stdout == ""


def test_a_namespace_is_deleted_with_what_is_in_it(shut: Installation) -> None:
    shut.cluster.kubectl("delete", "namespace", GOING, "--wait=false")
    assert wait_until(lambda: _is_being_deleted(shut, "recorded"), seconds=60)

    assert release(shut, "recorded", f"--as={shut.user}", namespace=GOING) == ""

    shut.cluster.kubectl("wait", "--for=delete", f"namespace/{GOING}", "--timeout=90s")


def _is_being_deleted(shut: Installation, name: str) -> bool:
    path = "--output=jsonpath={.metadata.deletionTimestamp}"
    return bool(shut.cluster.kubectl("get", "pexec", name, f"--namespace={GOING}", path).stdout)


def test_a_person_who_cleans_up_by_hand_must_wait(shut: Installation) -> None:
    assert NOT_ASKED in release(shut, "kept")


def test_every_webhook_is_closed_and_within_its_time(api_cluster: LocalCluster) -> None:
    for one in webhooks(render(api_cluster)):
        assert one["failurePolicy"] == "Fail"
        assert one["timeoutSeconds"] == 10
        assert one["sideEffects"] == "NoneOnDryRun"
        assert one["matchPolicy"] == "Equivalent"
        assert one["clientConfig"]["service"]["port"] == 443
        (rule,) = one["rules"]
        assert rule["apiGroups"] == ["proctor.dev"]
        assert rule["operations"] == ["CREATE", "UPDATE"]
        assert not any("*" in text or "/" in text for text in rule["resources"])


def test_each_level_of_pod_security_has_its_path(api_cluster: LocalCluster) -> None:
    found = {
        one["clientConfig"]["service"]["path"]: one["namespaceSelector"]["matchExpressions"]
        for one in webhooks(render(api_cluster))
        if one["name"].endswith("validate.procs.proctor.dev")
    }
    key = "pod-security.kubernetes.io/enforce"

    assert found == {
        "/validate/procs": [
            {"key": key, "operator": "NotIn", "values": ["baseline", "restricted"]}
        ],
        "/validate/procs/baseline": [{"key": key, "operator": "In", "values": ["baseline"]}],
        "/validate/procs/restricted": [{"key": key, "operator": "In", "values": ["restricted"]}],
    }


def test_an_operator_of_some_namespaces_is_asked_about_those(api_cluster: LocalCluster) -> None:
    only = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a"]}

    for one in webhooks(render(api_cluster, "watchNamespaces={team-a}")):
        if "procplugins" not in one["name"]:
            assert only in one["namespaceSelector"]["matchExpressions"]


def test_cert_manager_is_told_where_to_put_whom_it_trusts(api_cluster: LocalCluster) -> None:
    rendered = render(api_cluster, "webhook.certManager.enabled=true")
    (certificate,) = [one for one in rendered if one["kind"] == "Certificate"]
    annotations = [
        one["metadata"]["annotations"] for one in rendered if one["kind"].endswith("Configuration")
    ]

    assert annotations == [{"cert-manager.io/inject-ca-from": "proctor-system/proctor-webhook"}] * 2
    assert certificate["spec"]["secretName"] == "proctor-webhook-tls"
    assert certificate["spec"]["issuerRef"]["name"] == "proctor-webhook"
    assert "proctor-webhook.proctor-system.svc" in certificate["spec"]["dnsNames"]


@pytest.mark.parametrize("issuer", [(), ("webhook.certManager.issuerRef.name=ours",)])
def test_what_there_is_beside_cert_managers_own_kinds_is_taken_by_the_api_server(
    installed: Installation, issuer: tuple[str, ...]
) -> None:
    """Those kinds are not in this cluster: what cert-manager makes of them is not tried here."""
    rendered = render(installed.cluster, "webhook.certManager.enabled=true", *issuer)
    foreign = [one for one in rendered if one["apiVersion"].startswith("cert-manager.io/")]
    ours = yaml.safe_dump_all([one for one in rendered if one not in foreign])

    done = installed.cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--output=name", "--filename=-"),
        stdin=ours,
    )

    assert len(done.stdout.split()) == len(rendered) - len(foreign)
    assert {one["kind"] for one in foreign} == {"Certificate"} | (set() if issuer else {"Issuer"})


def webhooks(rendered: list[Manifest]) -> list[Manifest]:
    return [
        webhook
        for one in rendered
        if one["kind"].endswith("WebhookConfiguration")
        for webhook in one["webhooks"]
    ]
