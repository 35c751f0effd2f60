"""From a recorded run to its Job: what the author wrote, laid over safe defaults, with ours on top."""

from __future__ import annotations

from typing import Any, Final

from proctor_operator.domain.arguments import (
    FromSecret,
    ResolvedArgument,
    escape_expansion,
    resolve_arguments,
)
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.model import JsonObject, format_timestamp
from proctor_operator.domain.naming import (
    API_VERSION,
    CONTAINER_NAME,
    EXECUTION_CREATED_ANNOTATION,
    EXECUTION_LABEL,
    EXECUTION_UID_LABEL,
    MANAGED_LABEL,
    PROC_LABEL,
    QUEUE_LABEL,
    RECORD_FINALIZER,
    SHARD_LABEL,
    job_name,
    label_value,
    shard_of,
)
from proctor_operator.domain.proc import ProcSpec, SecretKeyRef
from proctor_operator.domain.run import RecordedRun
from proctor_operator.reconcile.merge import lay_over
from proctor_operator.reconcile.policy import PodDefaults, RunPolicy

TTL_AFTER_RELEASE_SECONDS: Final = 120
_BACKSTOP_SLACK_SECONDS: Final = 120

_RESTRICTED_POD: Final[JsonObject] = {
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_RESTRICTED_CONTAINER: Final[JsonObject] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
_MODEST_RESOURCES: Final[JsonObject] = {"requests": {"cpu": "50m", "memory": "64Mi"}}


def build_job(
    execution: ProcExecution, run: RecordedRun, proc: ProcSpec, policy: RunPolicy
) -> JsonObject:
    """Build the one Job of an execution, the same on every try.

    The pod meets the Pod Security level "restricted" unless the author's podTemplate relaxes it; ours
    always: no restart, our labels, our environment, no service links.
    """
    labels = _labels(execution, run)
    timeout = policy.timeout(proc.timeout_seconds)
    retries = policy.retries(proc.retries)
    pending = policy.pending_timeout(proc.pending_timeout_seconds)
    spec: JsonObject = {
        "backoffLimit": retries,
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "Failed",
        "activeDeadlineSeconds": (timeout + pending) * (retries + 1) + _BACKSTOP_SLACK_SECONDS,
        "template": _pod_template(execution, run, proc, policy, labels=labels, timeout=timeout),
    }
    if proc.pod_failure_policy is not None:
        spec["podFailurePolicy"] = proc.pod_failure_policy
    queue: dict[str, str] = {}
    if proc.queue_name is not None:
        # Kueue's webhook would suspend it too, but Kueue may be down, and nothing may slip past a quota.
        spec["suspend"] = True
        queue[QUEUE_LABEL] = proc.queue_name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(execution.name, execution.uid),
            "namespace": execution.namespace,
            "labels": labels | queue,
            "annotations": {
                EXECUTION_CREATED_ANNOTATION: format_timestamp(execution.creation_time)
            },
            "finalizers": [RECORD_FINALIZER],
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "ProcExecution",
                    "name": execution.name,
                    "uid": execution.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": spec,
    }


def build_environment(
    execution: ProcExecution, run: RecordedRun, proc: ProcSpec
) -> list[JsonObject]:
    """Arguments and secrets first, ours last: of two entries of one name the kubelet takes the last."""
    spec = execution.spec
    resolved = resolve_arguments(proc.parameters, spec.arguments, spec.arguments_from)
    requester = spec.requested_by.username if spec.requested_by else ""
    scheduled = spec.schedule_ref.scheduled_time if spec.schedule_ref else None
    ours = {
        "EXECUTION_ID": str(run.number),
        "JOB_NAME": run.request.proc_name,
        "EXECUTION_NAME": execution.name,
        "USER_EMAIL": requester,
        "IMAGE_TAG": proc.image,
        "PROCTOR_EXECUTION": execution.name,
        "PROCTOR_EXECUTION_UID": execution.uid,
        "PROCTOR_NUMBER": str(run.number),
        "PROCTOR_PROC": run.request.proc_name,
        "PROCTOR_NAMESPACE": execution.namespace,
        "PROCTOR_REQUESTER": requester,
    }
    if scheduled is not None:
        ours["PROCTOR_SCHEDULED_TIME"] = format_timestamp(scheduled)
    return [
        *(_argument_variable(argument) for argument in resolved),
        *(_secret_variable(secret.name, secret.secret_key_ref) for secret in proc.secrets),
        *({"name": name, "value": escape_expansion(value)} for name, value in ours.items()),
    ]


def _labels(execution: ProcExecution, run: RecordedRun) -> dict[str, str]:
    return {
        MANAGED_LABEL: "true",
        EXECUTION_LABEL: label_value(execution.name),
        EXECUTION_UID_LABEL: execution.uid,
        PROC_LABEL: label_value(run.request.proc_name),
        SHARD_LABEL: shard_of(execution.namespace),
    }


def _pod_template(
    execution: ProcExecution,
    run: RecordedRun,
    proc: ProcSpec,
    policy: RunPolicy,
    *,
    labels: dict[str, str],
    timeout: int,
) -> JsonObject:
    defaults = policy.defaults_for(execution.namespace)
    authored = lay_over(proc.pod_template or {}, _template_of_the_proc(proc))
    template = lay_over(_default_template(defaults, limited=_limited_resources(authored)), authored)
    environment = build_environment(execution, run, proc)
    return lay_over(
        _without_variables(template, {variable["name"] for variable in environment}),
        {
            "metadata": {"labels": labels},
            "spec": {
                "restartPolicy": "Never",
                "enableServiceLinks": False,
                "automountServiceAccountToken": proc.service_account_name is not None,
                "activeDeadlineSeconds": timeout,
                "containers": [{"name": CONTAINER_NAME, "env": environment}],
            },
        },
    )


def _without_variables(template: JsonObject, names: set[str]) -> JsonObject:
    """Take these variables out of the proc's container, so that none stands there twice.

    Merged with a `valueFrom`, ours would be invalid; of two of one name the kubelet takes the last.
    """

    def cleaned(container: Any) -> Any:
        is_ours = isinstance(container, dict) and container.get("name") == CONTAINER_NAME
        if not is_ours or not isinstance(container.get("env"), list):
            return container
        kept = [
            variable
            for variable in container["env"]
            if not (isinstance(variable, dict) and variable.get("name") in names)
        ]
        return {**container, "env": kept}

    spec = template.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("containers"), list):
        return template
    containers = [cleaned(container) for container in spec["containers"]]
    return {**template, "spec": {**spec, "containers": containers}}


def _limited_resources(authored: JsonObject) -> set[str]:
    """Resources of the proc's container that the author limits; an unstated request is then the limit.

    A request of ours could be above it, which the API server refuses.
    """
    for container in authored["spec"]["containers"]:
        if isinstance(container, dict) and container.get("name") == CONTAINER_NAME:
            resources = container.get("resources")
            limits = resources.get("limits") if isinstance(resources, dict) else None
            return set(limits) if isinstance(limits, dict) else set()
    return set()


def _default_resources(defaults: PodDefaults, limited: set[str]) -> JsonObject:
    resources = dict(defaults.resources) or _MODEST_RESOURCES
    requests = resources.get("requests") or {}
    kept = {name: amount for name, amount in requests.items() if name not in limited}
    return {**resources, "requests": kept}


def _default_template(defaults: PodDefaults, *, limited: set[str]) -> JsonObject:
    spec: JsonObject = {
        "securityContext": _RESTRICTED_POD,
        "containers": [
            {
                "name": CONTAINER_NAME,
                "securityContext": _RESTRICTED_CONTAINER,
                "resources": _default_resources(defaults, limited),
            }
        ],
    }
    if defaults.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in defaults.image_pull_secrets]
    return {
        "metadata": {"annotations": dict(defaults.annotations), "labels": dict(defaults.labels)},
        "spec": spec,
    }


def _template_of_the_proc(proc: ProcSpec) -> JsonObject:
    container: dict[str, Any] = {"name": CONTAINER_NAME, "image": proc.image}
    if proc.command:
        container["command"] = list(proc.command)
    if proc.args:
        container["args"] = list(proc.args)
    if proc.resources is not None:
        container["resources"] = proc.resources
    spec: JsonObject = {"containers": [container]}
    if proc.service_account_name is not None:
        spec["serviceAccountName"] = proc.service_account_name
    if proc.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": one.name} for one in proc.image_pull_secrets]
    if proc.node_selector:
        spec["nodeSelector"] = dict(proc.node_selector)
    if proc.tolerations:
        spec["tolerations"] = [dict(one) for one in proc.tolerations]
    return {"spec": spec}


def _argument_variable(argument: ResolvedArgument) -> JsonObject:
    if isinstance(argument, FromSecret):
        return _secret_variable(argument.name, argument.secret_key_ref)
    return {"name": argument.name, "value": escape_expansion(argument.text)}


def _secret_variable(name: str, reference: SecretKeyRef) -> JsonObject:
    return {
        "name": name,
        "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}},
    }
