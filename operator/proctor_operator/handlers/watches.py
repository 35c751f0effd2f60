"""Kopf's watches: every event goes to the informer and nothing else happens here.

Only `on.event`: Kopf's other handlers keep progress in annotations and finalizers of their own, which
cost writes and can be edited by users (docs/adr/0001). An error in an `on.event` handler is logged and
dropped by Kopf, so these do nothing that can fail but parse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import kopf

from proctor_operator.domain.naming import (
    GROUP,
    MANAGED_LABEL,
    PROC_EXECUTIONS,
    PROC_PLUGINS,
    PROC_SCHEDULES,
    PROCS,
    VERSION,
    Namespace,
    Uid,
)
from proctor_operator.domain.plugin_choice import KnownPlugin
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.runtime.informer import Informer
from proctor_operator.runtime.plugin_registry import PluginRegistry

Manifest = Mapping[str, Any]
Handle = Callable[[Manifest], None]
"""Takes one watch event; waits for nothing."""

JOBS: Final = "jobs"
PODS: Final = "pods"
WATCHED: Final = (PROCS, PROC_EXECUTIONS, PROC_SCHEDULES, JOBS, PODS)
_GROUP_VERSIONS: Final = {JOBS: ("batch", "v1"), PODS: ("", "v1")}
MANAGED_SELECTOR: Final = f"{MANAGED_LABEL}=true"


Told = Callable[[str, Uid], None]
"""Takes the resource that a watch told of, and the object's UID."""


@dataclass(frozen=True, slots=True)
class Readers:
    """How manifests become domain values; the Kubernetes adapter knows."""

    proc: Callable[[Manifest], OwnObject]
    execution: Callable[[Manifest], OwnObject]
    schedule: Callable[[Manifest], OwnObject]
    job: Callable[[Manifest], JobFacts]
    pod: Callable[[Manifest], PodFacts]


def event_handles(informer: Informer, readers: Readers, told: Told) -> dict[str, Handle]:
    """What is done with an event of each kind, by the kind's plural; `told` hears of each that could be read."""
    return {
        PROCS: _own_objects(PROCS, readers.proc, informer, told),
        PROC_EXECUTIONS: _own_objects(PROC_EXECUTIONS, readers.execution, informer, told),
        PROC_SCHEDULES: _own_objects(PROC_SCHEDULES, readers.schedule, informer, told),
        JOBS: _jobs(readers.job, informer, told),
        PODS: _pods(readers.pod, informer, told),
    }


def plugin_handle(
    read: Callable[[Manifest], KnownPlugin], registry: PluginRegistry, told: Told
) -> Handle:
    """What is done with an event of a ProcPlugin: these belong to the cluster, and to no work queue."""

    def handle(event: Manifest) -> None:
        known = read(event["object"])
        told(PROC_PLUGINS, known.uid)
        if event["type"] == "DELETED":
            registry.missed(known)
        else:
            registry.saw(known)

    return handle


def register(registry: kopf.OperatorRegistry, handles: Mapping[str, Handle]) -> None:
    """Watch our kinds, our Jobs and our pods.

    Objects usually take a shorter way to the same functions (adapters/kube/diverting); what cannot be read
    comes by this one.
    """
    for plural, handle in handles.items():
        group, version = _GROUP_VERSIONS.get(plural, (GROUP, VERSION))
        kopf.on.event(group, version, plural, registry=registry, id=plural)(_by_way_of_kopf(handle))


def _by_way_of_kopf(handle: Handle) -> Callable[..., Any]:
    async def on_event(event: Manifest, **_: Any) -> None:
        handle(event)

    return on_event


def _own_objects(
    plural: str, read: Callable[[Manifest], OwnObject], informer: Informer, told: Told
) -> Handle:
    def handle(event: Manifest) -> None:
        metadata = event["object"]["metadata"]
        uid = Uid(metadata["uid"])
        if event["type"] != "DELETED" and informer.knows(uid, metadata["resourceVersion"]):
            # The answer to our own write has said it all: two of three events of an execution are such.
            told(plural, uid)
            return
        known = read(event["object"])
        told(plural, known.uid)
        if event["type"] == "DELETED":
            informer.missed(known)
        else:
            informer.saw(known)

    return handle


def _jobs(read: Callable[[Manifest], JobFacts], informer: Informer, told: Told) -> Handle:
    def handle(event: Manifest) -> None:
        metadata = event["object"]["metadata"]
        if event["type"] != "DELETED" and informer.knows_job(
            Namespace(metadata["namespace"]), metadata["name"], metadata["resourceVersion"]
        ):
            told(JOBS, Uid(metadata["uid"]))
            return
        job = read(event["object"])
        told(JOBS, job.uid)
        if event["type"] == "DELETED":
            informer.missed_job(job)
        else:
            informer.saw_job(job)

    return handle


def _pods(read: Callable[[Manifest], PodFacts], informer: Informer, told: Told) -> Handle:
    def handle(event: Manifest) -> None:
        pod = read(event["object"])
        told(PODS, pod.uid)
        if event["type"] == "DELETED":
            informer.missed_pod(pod)
        else:
            informer.saw_pod(pod)

    return handle
