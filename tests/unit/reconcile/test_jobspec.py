"""From a recorded run to its Job: the whole of it, and what no podTemplate can take away."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.execution import ScheduleRef
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import SHARD_LABEL, Namespace, Uid
from proctor_operator.domain.proc import ProcSpec
from proctor_operator.reconcile.jobspec import build_environment, build_job
from proctor_operator.reconcile.policy import PodDefaults, RunPolicy
from unit.builders import (
    EXECUTION_UID,
    JOB_NAME,
    NAMESPACE,
    argument_from,
    execution,
    execution_spec,
    parameter,
    proc_spec,
    recorded_run,
    requester,
)

FULL_PROC = proc_spec(
    command=("/grow",),
    args=("--yes",),
    parameters=(parameter("SIZE_GB"), parameter("TOKEN", sensitive=True)),
    secrets=({"name": "DB_PASSWORD", "secretKeyRef": {"name": "replica-admin", "key": "pw"}},),
    timeout_seconds=60,
    pending_timeout_seconds=30,
    retries=2,
    pod_failure_policy={"rules": [{"action": "FailJob"}]},
    resources={"requests": {"cpu": "1"}},
    service_account_name="grower",
    image_pull_secrets=({"name": "registry"},),
    node_selector={"disk": "ssd"},
    tolerations=({"key": "dedicated", "operator": "Exists"},),
    pod_template={"metadata": {"annotations": {"a": "b"}}, "spec": {"hostUsers": False}},
)
FULL_EXECUTION = execution(
    execution_spec(
        arguments={"SIZE_GB": "$(PROCTOR_NUMBER)"},
        arguments_from=(argument_from("TOKEN"),),
        schedule_ref=ScheduleRef(
            name="nightly", scheduled_time=datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
        ),
    ),
    labels={SHARD_LABEL: "11", "theirs": "x"},  # the Job's follows from the namespace
)
LABELS = {
    "proctor.dev/managed": "true",
    "proctor.dev/execution": "grow-disk-x7",
    "proctor.dev/execution-uid": EXECUTION_UID,
    "proctor.dev/proc": "grow-disk",
    "proctor.dev/shard": "14",
}
OURS = [
    {"name": "EXECUTION_ID", "value": "7"},
    {"name": "JOB_NAME", "value": "grow-disk"},
    {"name": "EXECUTION_NAME", "value": "grow-disk-x7"},
    {"name": "USER_EMAIL", "value": "alice"},
    {"name": "IMAGE_TAG", "value": "registry.example.org/dba/grow-disk:1.4"},
    {"name": "PROCTOR_EXECUTION", "value": "grow-disk-x7"},
    {"name": "PROCTOR_EXECUTION_UID", "value": EXECUTION_UID},
    {"name": "PROCTOR_NUMBER", "value": "7"},
    {"name": "PROCTOR_PROC", "value": "grow-disk"},
    {"name": "PROCTOR_NAMESPACE", "value": "apps"},
    {"name": "PROCTOR_REQUESTER", "value": "alice"},
]
FULL_JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": JOB_NAME,
        "namespace": "apps",
        "labels": LABELS,
        "annotations": {"proctor.dev/execution-created-at": "2026-11-20T09:29:00Z"},
        "finalizers": ["proctor.dev/record"],
        "ownerReferences": [
            {
                "apiVersion": "proctor.dev/v1alpha1",
                "kind": "ProcExecution",
                "name": "grow-disk-x7",
                "uid": EXECUTION_UID,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    },
    "spec": {
        "backoffLimit": 2,
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "Failed",
        "activeDeadlineSeconds": (60 + 30) * 3 + 120,
        "podFailurePolicy": {"rules": [{"action": "FailJob"}]},
        "template": {
            "metadata": {"annotations": {"a": "b"}, "labels": LABELS},
            "spec": {
                "hostUsers": False,
                "restartPolicy": "Never",
                "enableServiceLinks": False,
                "automountServiceAccountToken": True,
                "activeDeadlineSeconds": 60,
                "serviceAccountName": "grower",
                "imagePullSecrets": [{"name": "registry"}],
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                "securityContext": {
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "proc",
                        "image": "registry.example.org/dba/grow-disk:1.4",
                        "command": ["/grow"],
                        "args": ["--yes"],
                        "resources": {"requests": {"cpu": "1", "memory": "64Mi"}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                            "readOnlyRootFilesystem": True,
                        },
                        "env": [
                            {"name": "SIZE_GB", "value": "$$(PROCTOR_NUMBER)"},
                            {
                                "name": "TOKEN",
                                "valueFrom": {"secretKeyRef": {"name": "my-token", "key": "t"}},
                            },
                            {
                                "name": "DB_PASSWORD",
                                "valueFrom": {
                                    "secretKeyRef": {"name": "replica-admin", "key": "pw"}
                                },
                            },
                            *OURS,
                            {"name": "PROCTOR_SCHEDULED_TIME", "value": "2026-11-20T09:00:00Z"},
                        ],
                    }
                ],
            },
        },
    },
}


def template_of(
    spec: ProcSpec | None = None, policy: RunPolicy | None = None, **fields: Any
) -> JsonObject:
    built = build_job(
        execution(), recorded_run(), spec or proc_spec(**fields), policy or RunPolicy()
    )
    template: JsonObject = built["spec"]["template"]
    return template


def proc_container(template: JsonObject) -> JsonObject:
    (container,) = [one for one in template["spec"]["containers"] if one["name"] == "proc"]
    found: JsonObject = container
    return found


def test_the_job_of_a_full_proc_is_this() -> None:
    built = build_job(FULL_EXECUTION, recorded_run(), FULL_PROC, RunPolicy())

    assert built == FULL_JOB


def test_the_job_is_the_same_on_every_try() -> None:
    first = build_job(FULL_EXECUTION, recorded_run(), FULL_PROC, RunPolicy())
    later = FULL_EXECUTION.model_copy(update={"resource_version": "999", "generation": 2})

    assert build_job(later, recorded_run(job_uid=Uid("j")), FULL_PROC, RunPolicy()) == first


def test_values_of_requester_and_names_are_data_too() -> None:
    odd = execution(execution_spec(requested_by=requester(username="$(DB_PASSWORD)")))

    variables = {
        one["name"]: one.get("value") for one in build_environment(odd, recorded_run(), proc_spec())
    }

    assert variables["PROCTOR_REQUESTER"] == variables["USER_EMAIL"] == "$$(DB_PASSWORD)"


def meets_restricted(template: JsonObject) -> bool:
    """Whether a pod meets Pod Security "restricted" (v1.34), written down from its documentation."""
    spec = template["spec"]
    pod_context = spec.get("securityContext", {})
    hosts = [spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC", "hostProcess")]
    volumes = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"}
    volumes |= {"persistentVolumeClaim", "projected", "secret", "name"}
    if any(hosts) or any(set(one) - volumes for one in spec.get("volumes", [])):
        return False
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = container.get("securityContext", {})
        context = {**pod_context, **own}
        capabilities = own.get("capabilities", {})
        good = (
            context.get("runAsNonRoot") is True
            and context.get("runAsUser") != 0
            and context.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost")
            and own.get("allowPrivilegeEscalation") is False
            and not own.get("privileged")
            and "ALL" in capabilities.get("drop", [])
            and set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}
            and not any("hostPort" in port for port in container.get("ports", []))
        )
        if not good:
            return False
    return True


@pytest.mark.parametrize("spec", [proc_spec(), FULL_PROC], ids=["a plain proc", "a full proc"])
def test_the_pod_meets_pod_security_restricted(spec: ProcSpec) -> None:
    assert meets_restricted(template_of(spec))


def test_the_author_may_relax_the_defaults() -> None:
    relaxed = template_of(
        pod_template={
            "spec": {
                "containers": [
                    {"name": "proc", "securityContext": {"readOnlyRootFilesystem": False}}
                ]
            }
        }
    )

    context = proc_container(relaxed)["securityContext"]
    assert context["readOnlyRootFilesystem"] is False
    assert context["allowPrivilegeEscalation"] is False


OVERRIDES: dict[str, Any] = {
    "nothing": {},
    "labels": {"metadata": {"labels": {"proctor.dev/execution-uid": "forged", "theirs": "x"}}},
    "no labels": {"metadata": {"labels": None}},
    "no metadata": {"metadata": None},
    "fields of the pod": {
        "spec": {
            "restartPolicy": "Always",
            "enableServiceLinks": True,
            "automountServiceAccountToken": True,
            "activeDeadlineSeconds": 999999,
        }
    },
    "the image": {"spec": {"containers": [{"name": "proc", "image": "evil:1"}]}},
    "a variable": {
        "spec": {
            "containers": [
                {"name": "proc", "env": [{"name": "PROCTOR_REQUESTER", "value": "forged"}]}
            ]
        }
    },
    "a variable by reference": {
        "spec": {
            "containers": [
                {
                    "name": "proc",
                    "env": [
                        {"name": "PROCTOR_REQUESTER", "valueFrom": {"fieldRef": {"x": "y"}}},
                        {"name": "PROCTOR_NUMBER", "valueFrom": {"fieldRef": {"x": "y"}}},
                    ],
                }
            ]
        }
    },
    "a variable twice": {
        "spec": {
            "containers": [
                {
                    "name": "proc",
                    "env": [
                        {"name": "PROCTOR_REQUESTER", "value": "forged"},
                        {"name": "MINE", "value": "1"},
                        {"name": "PROCTOR_REQUESTER", "value": "forged again"},
                    ],
                }
            ]
        }
    },
    "no containers": {"spec": {"containers": None}},
    "containers that are none": {"spec": {"containers": [{"name": {"a": "b"}}, "x"]}},
    "variables that are none": {"spec": {"containers": [{"name": "proc", "env": ["x", 5]}]}},
    "a spec that is none": {"spec": "x"},
    "resources that are none": {"spec": {"containers": [{"name": "proc", "resources": "x"}]}},
    "limits that are none": {
        "spec": {"containers": [{"name": "proc", "resources": {"limits": 5, "requests": 5}}]}
    },
}


@pytest.mark.parametrize("pod_template", OVERRIDES.values(), ids=OVERRIDES)
def test_a_pod_template_takes_nothing_of_ours_away(pod_template: Any) -> None:
    template = template_of(pod_template=pod_template)

    assert LABELS.items() <= template["metadata"]["labels"].items()
    spec = template["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] == 3600
    assert proc_container(template)["env"][-len(OURS) :] == OURS
    assert {one["name"] for one in proc_container(template)["env"]} <= {
        "MINE",
        *(one["name"] for one in OURS),
    }
    assert proc_container(template).get("image") != "evil:1"


FREE_KEYS = st.sampled_from(
    ["metadata", "labels", "spec", "containers", "name", "env", "image", "resources", "limits"]
)
FREE_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(["proc", "x"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(FREE_KEYS, inner, max_size=3)
    ),
    max_leaves=10,
)


@given(pod_template=st.dictionaries(FREE_KEYS, FREE_JSON, max_size=4))
def test_no_pod_template_however_odd_keeps_the_job_from_being_built(
    pod_template: JsonObject,
) -> None:
    template = template_of(pod_template=pod_template)

    assert LABELS.items() <= template["metadata"]["labels"].items()
    assert proc_container(template)["env"][-len(OURS) :] == OURS


def test_what_the_author_adds_beside_ours_stays() -> None:
    template = template_of(
        pod_template={
            "metadata": {"labels": {"team": "dba"}},
            "spec": {
                "volumes": [{"name": "tmp", "emptyDir": {}}],
                "initContainers": [{"name": "fetch", "image": "fetch:1"}],
                "containers": [
                    {"name": "proc", "env": [{"name": "TZ", "value": "UTC"}]},
                    {"name": "proxy", "image": "proxy:1"},
                ],
            },
        }
    )

    assert template["metadata"]["labels"]["team"] == "dba"
    assert template["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert template["spec"]["initContainers"] == [{"name": "fetch", "image": "fetch:1"}]
    assert template["spec"]["containers"][1] == {"name": "proxy", "image": "proxy:1"}
    assert proc_container(template)["env"][0] == {"name": "TZ", "value": "UTC"}


def test_defaults_of_the_namespace_lie_below_the_proc_and_above_the_operators() -> None:
    policy = RunPolicy(
        pod_defaults=PodDefaults(
            annotations={"a": "operator", "b": "operator"},
            labels={"c": "operator"},
            image_pull_secrets=("operators",),
            resources={"requests": {"cpu": "2"}},
        ),
        pod_defaults_by_namespace={
            NAMESPACE: PodDefaults(annotations={"b": "namespace"}, image_pull_secrets=("own",)),
            Namespace("other"): PodDefaults(annotations={"b": "other"}),
        },
    )
    template = template_of(policy=policy)

    assert template["metadata"]["annotations"] == {"a": "operator", "b": "namespace"}
    assert template["metadata"]["labels"]["c"] == "operator"
    assert template["spec"]["imagePullSecrets"] == [{"name": "own"}]
    assert proc_container(template)["resources"] == {"requests": {"cpu": "2"}}


TIMES: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    # wanted -> deadline of the pod, back-off limit, deadline of the Job
    "defaults": ({}, (100, 0, 100 + 50 + 120)),
    "wanted": (
        {"timeout_seconds": 10, "pending_timeout_seconds": 5, "retries": 1},
        (10, 1, 15 * 2 + 120),
    ),
    "above the ceilings": (
        {"timeout_seconds": 9999, "pending_timeout_seconds": 9999, "retries": 99},
        (1000, 3, 1500 * 4 + 120),
    ),
}


@pytest.mark.parametrize(("wanted", "expected"), TIMES.values(), ids=TIMES)
def test_times_and_retries_have_defaults_and_ceilings(
    wanted: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    policy = replace(
        RunPolicy(),
        timeout_default=100,
        timeout_ceiling=1000,
        pending_timeout_default=50,
        pending_timeout_ceiling=500,
        retries_ceiling=3,
    )

    spec = build_job(execution(), recorded_run(), proc_spec(**wanted), policy)["spec"]

    deadline = spec["template"]["spec"]["activeDeadlineSeconds"]
    assert (deadline, spec["backoffLimit"], spec["activeDeadlineSeconds"]) == expected
