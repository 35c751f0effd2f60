"""What the benchmark creates: a Proc, executions of it, and raw Jobs with the very same pods."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from harness.running import execution, proc
from localcluster.kwok import FOREVER, RUN_SECONDS_ANNOTATION

Manifest = dict[str, Any]
PROC = "grow-disk"
PROC_BY_VERB = "grow-disk-by-verb"
ENDLESS_PROC = "replicate"
CHEAP_PROC = "tick"


def a_proc(run_seconds: int) -> Manifest:
    """A Proc of a usual size, whose pods run for so long."""
    return _proc(PROC, str(run_seconds), authorization={"groups": ["dba"]})


def a_proc_by_verb() -> Manifest:
    """The same, but only the verb `execute` allows it."""
    return _proc(PROC_BY_VERB, "1", authorization={"rbac": "Required"})


def the_verb_for(group: str, namespace: str) -> list[Manifest]:
    """The verb `execute` on that Proc, for a group."""
    rbac = "rbac.authorization.k8s.io"
    metadata = {"name": "run-by-verb", "namespace": namespace}
    rule = {
        "apiGroups": ["proctor.dev"],
        "resources": ["procs"],
        "resourceNames": [PROC_BY_VERB],
        "verbs": ["execute"],
    }
    return [
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": metadata["name"]},
            "subjects": [{"apiGroup": rbac, "kind": "Group", "name": group}],
        },
    ]


def an_endless_proc() -> Manifest:
    """The same, but its pods run until they are deleted."""
    return _proc(ENDLESS_PROC, FOREVER, authorization={"groups": ["dba"]})


def a_cheap_proc() -> Manifest:
    """The same, but its pods end at once."""
    return _proc(CHEAP_PROC, "0", authorization={"groups": ["dba"]})


def an_execution(name: str, of: str = PROC) -> Manifest:
    """An execution with the stamp, finalizer and label that admission will give."""
    manifest = execution(name, of=of, arguments={"SIZE_GB": 200, "REGIONS": ["eu", "us"]})
    manifest["metadata"]["labels"] = {"proctor.dev/shard": "3"}
    manifest["spec"]["reason"] = "INC-1234"
    return manifest


def a_schedule(name: str, due: datetime) -> Manifest:
    """A schedule of the cheap Proc that is due then, and not again within a day."""
    run = an_execution(name, CHEAP_PROC)
    return {
        "apiVersion": run["apiVersion"],
        "kind": "ProcSchedule",
        "metadata": {"name": name, "labels": run["metadata"]["labels"]},
        "spec": {
            **{key: run["spec"][key] for key in ("procRef", "arguments", "requestedBy")},
            "cron": f"{due:%-M %-H} * * *",
        },
    }


def a_cron_job(job: Mapping[str, Any], name: str, due: datetime) -> Manifest:
    """A CronJob that is due then and whose Jobs are like this one."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name},
        "spec": {
            "schedule": f"{due:%-M %-H} * * *",
            "timeZone": "Etc/UTC",
            "jobTemplate": {"spec": a_job_like(job, name)["spec"]},
        },
    }


def a_job_like(job: Mapping[str, Any], name: str) -> Manifest:
    """A raw Job with the spec of an execution's Job: the same pod, nothing of the operator's."""
    template = job["spec"]["template"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            **{key: value for key, value in job["spec"].items() if key not in _DEFAULTED},
            "template": {
                "metadata": {"annotations": template["metadata"]["annotations"]},
                "spec": template["spec"],
            },
        },
    }


_DEFAULTED = ("selector", "manualSelector", "template", "suspend")


def _proc(name: str, run_seconds: str, *, authorization: Manifest) -> Manifest:
    return proc(
        name,
        script="exec grow-disk",
        parameters=[
            {"name": "SIZE_GB", "schema": {"type": "integer", "minimum": 10, "maximum": 2000}},
            {"name": "REGIONS", "schema": {"type": "array", "items": {"type": "string"}}},
            {"name": "DRY_RUN", "default": "no"},
        ],
        authorization=authorization,
        podTemplate={"metadata": {"annotations": {RUN_SECONDS_ANNOTATION: run_seconds}}},
    )
