"""What the real API server says of a Proc's Job before the Proc is stored, in the words of the Proc."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import LocalCluster
from proctor_operator.adapters.kube.access import KubeAccess
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.connection import load_connection, open_session
from proctor_operator.adapters.kube.dry_run import KubeDryRun
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    ReviewUid,
    TurnedAway,
)
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import PROCS, Namespace
from proctor_operator.domain.pod_security import PodSecurityLevel
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.runtime.proc_admission import ProcAdmission

TEAM = "proc-admission"
FULL = "proc-admission-full"
SOUND: dict[str, Any] = {
    "description": "Grow the disk of a database replica",
    "image": "registry.example.org/dba/grow-disk:1.4",
    "parameters": [
        {"name": "SIZE_GB", "schema": {"type": "integer"}},
        {"name": "REGION", "default": "eu"},
        {"name": "TOKEN", "sensitive": True},
    ],
    "secrets": [{"name": "DB_PASSWORD", "secretKeyRef": {"name": "admin", "key": "password"}}],
}


@pytest.fixture(scope="module", autouse=True)
def namespaces(api_cluster: LocalCluster) -> Iterator[None]:
    """One for the tests, in which ada may create Jobs, and one whose quota on Jobs is used up."""
    for name in (TEAM, FULL):
        api_cluster.kubectl("create", "namespace", name)
        api_cluster.kubectl(
            *("create", "rolebinding", "ada", "--clusterrole=edit", "--user=ada", "-n", name)
        )
    api_cluster.kubectl("create", "quota", "none", "--hard=count/jobs.batch=0", "-n", FULL)
    api_cluster.kubectl(
        *("wait", "-n", FULL, "--timeout=30s", "resourcequota/none"),
        "--for=jsonpath={.status.hard}",
    )
    yield
    for name in (TEAM, FULL):
        api_cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def admission(api_cluster: LocalCluster) -> AsyncIterator[ProcAdmission]:
    connection = load_connection(kubeconfig=api_cluster.kubeconfig, context=None)
    async with open_session(connection) as session:
        client = KubeClient(connection.server, session, PrometheusMetrics())
        yield ProcAdmission(
            access=KubeAccess(client), dry_run=KubeDryRun(client), policy=RunPolicy()
        )


def review(
    spec: dict[str, Any],
    *,
    user: str = "ada",
    namespace: str = TEAM,
    level: PodSecurityLevel = PodSecurityLevel.RESTRICTED,
) -> AdmissionRequest:
    return AdmissionRequest(
        uid=ReviewUid("0b1c0d6e-0000-4000-8000-000000000001"),
        operation=Operation.CREATE,
        resource=PROCS,
        namespace=Namespace(namespace),
        name="grow-disk",
        user=Requester(username=user, groups=("system:authenticated",)),
        object={"metadata": {"name": "grow-disk"}, "spec": {**SOUND, **spec}},
        pod_security=level,
    )


def refusal(answer: AdmissionAnswer) -> TurnedAway:
    assert isinstance(answer, TurnedAway), answer
    return answer


async def test_a_sound_proc_is_taken_and_leaves_nothing_behind(
    admission: ProcAdmission, api_cluster: LocalCluster
) -> None:
    assert await admission.validate(review({})) == Admitted()

    listed = api_cluster.kubectl("get", "jobs", "-n", TEAM, "-o", "json").stdout
    assert json.loads(listed)["items"] == []


def template(**spec: Any) -> dict[str, Any]:
    return {"podTemplate": {"spec": spec}}


def container(**fields: Any) -> dict[str, Any]:
    return template(containers=[{"name": "proc", **fields}])


PORT = {"containerPort": 0}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt field": (
        template(contianers=[]),
        'unknown field "spec.podTemplate.spec.contianers"',
    ),
    "a misspelt field of the container": (
        container(imagePullPolice="Always"),
        'unknown field "spec.podTemplate.spec.containers[proc].imagePullPolice"',
    ),
    "a field of another type": (
        template(hostNetwork="yes"),
        "spec.podTemplate.spec.hostNetwork: is a string, must be of type bool",
    ),
    "a helper without an image": (
        template(containers=[{"name": "helper"}]),
        "spec.podTemplate.spec.containers[helper].image: Required value",
    ),
    "a mount of a volume that is not there": (
        container(volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}]),
        'spec.podTemplate.spec.containers[proc].volumeMounts[scratch].name: Not found: "scratch"',
    ),
    "a request above its limit": (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
        'spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    "a request above its limit in the template": (
        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        "spec.podTemplate.spec.containers[proc].resources.requests: Invalid value",
    ),
    "a node selector that is no label": (
        {"nodeSelector": {"disk!": "ssd"}},
        "spec.nodeSelector: Invalid value",
    ),
    "a service account that cannot be a name": (
        {"serviceAccountName": "a..b"},
        'spec.serviceAccountName: Invalid value: "a..b"',
    ),
    "a secret that cannot be a name": (
        {"secrets": [{"name": "S", "secretKeyRef": {"name": "a..b", "key": "k"}}]},
        'spec.secrets[S].secretKeyRef.name: Invalid value: "a..b"',
    ),
    "a pod failure policy that makes no sense": (
        {"podFailurePolicy": {"rules": [{"action": "Retry"}]}},
        "spec.podFailurePolicy.rules[0]",
    ),
}


@pytest.mark.parametrize(("spec", "words"), REFUSED.values(), ids=REFUSED)
async def test_a_job_that_would_be_refused_is_told_by_the_fields_of_the_proc(
    admission: ProcAdmission, spec: dict[str, Any], words: str
) -> None:
    away = refusal(await admission.validate(review(spec, level=PodSecurityLevel.PRIVILEGED)))

    assert (away.reason, away.code) == ("JobRejected", 422)
    assert words in away.message
    assert "spec.template" not in away.message


async def test_several_mistakes_come_in_one_answer_pod_security_among_them(
    admission: ProcAdmission,
) -> None:
    spec = template(
        hostNetwork=True, hostPID=True, containers=[{"name": "proc"}, {"name": "helper"}]
    )

    away = refusal(await admission.validate(review(spec)))

    assert "spec.podTemplate.spec.containers[helper].image: Required value" in away.message
    assert "namespace proc-admission enforces the Pod Security level restricted: " in away.message
    assert "spec.podTemplate.spec.hostNetwork is true, must be false or left out" in away.message
    assert "spec.podTemplate.spec.hostPID is true" in away.message
    helper = "spec.podTemplate.spec.containers[helper].securityContext"
    assert f"{helper}.allowPrivilegeEscalation is not set, must be false" in away.message


async def test_what_the_level_allows_is_taken(admission: ProcAdmission) -> None:
    root = container(securityContext={"runAsNonRoot": False, "runAsUser": 0})

    answers = {
        level: await admission.validate(review(root, level=level)) for level in PodSecurityLevel
    }

    assert answers[PodSecurityLevel.PRIVILEGED] == Admitted()
    assert answers[PodSecurityLevel.BASELINE] == Admitted()
    assert refusal(answers[PodSecurityLevel.RESTRICTED]).reason == "PodSecurity"


async def test_who_may_not_create_jobs_may_not_publish_a_proc(admission: ProcAdmission) -> None:
    away = refusal(await admission.validate(review({}, user="eve")))

    assert (away.reason, away.code) == ("NotPermitted", 403)
    assert "eve may not publish procs in namespace proc-admission" in away.message
    assert "verb create, apiGroup batch, resource jobs" in away.message


async def test_a_quota_that_is_used_up_is_a_warning(admission: ProcAdmission) -> None:
    answer = await admission.validate(review({}, namespace=FULL))

    assert isinstance(answer, Admitted)
    (warning,) = answer.warnings
    assert "exceeded quota: none" in warning


async def test_pod_security_is_judged_while_a_quota_is_in_the_way(
    admission: ProcAdmission,
) -> None:
    away = refusal(await admission.validate(review(template(hostIPC=True), namespace=FULL)))

    assert away.reason == "PodSecurity"


async def test_an_account_that_may_not_try_jobs_denies_and_says_whose_right_is_missing(
    api_cluster: LocalCluster, tmp_path: Path
) -> None:
    path = api_cluster.client_kubeconfig("nobody", [], tmp_path / "kubeconfig")
    connection = load_connection(kubeconfig=path, context=None)
    async with open_session(connection) as session:
        client = KubeClient(connection.server, session, PrometheusMetrics())
        powerless = ProcAdmission(
            access=KubeAccess(client), dry_run=KubeDryRun(client), policy=RunPolicy()
        )

        away = refusal(await powerless.validate(review({})))

    assert away.reason == "OperatorNotPermitted"
    assert "the operator's own account lacks a right" in away.message
