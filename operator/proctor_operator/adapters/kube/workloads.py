"""Jobs and pods as the API server writes them, reduced to facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from proctor_operator.adapters.kube.mapping import moment, moment_of
from proctor_operator.domain.conditions import shorten
from proctor_operator.domain.naming import (
    CONTAINER_NAME,
    EXECUTION_CREATED_ANNOTATION,
    EXECUTION_UID_LABEL,
    GIVE_UP_ANNOTATION,
    Namespace,
    Uid,
)
from proctor_operator.domain.text import readable
from proctor_operator.domain.workload import (
    ContainerEnd,
    ContainerWaiting,
    JobEnd,
    JobFacts,
    PodFacts,
    PodPhase,
)

Manifest = Mapping[str, Any]

_MESSAGE_LIMIT_BYTES = 4096
_KEPT_OF_A_FILE_BYTES = 4096
_KEPT_OF_A_LOG_BYTES = 2048
_KEPT_IN_A_POD_BYTES = 12 * 1024
"""What a kubelet keeps of termination messages: of each the end, of all of a pod an equal share of each."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOBODYS_TIME = datetime(2500, 1, 1, tzinfo=UTC)
"""Far from the end of the calendar, so that a time-out may be added to what comes before."""
_JOB_UID_LABEL = "batch.kubernetes.io/controller-uid"


def read_job(manifest: Manifest) -> JobFacts:
    """Read a Job."""
    metadata = manifest["metadata"]
    status = manifest.get("status") or {}
    return JobFacts(
        namespace=Namespace(metadata["namespace"]),
        name=metadata["name"],
        uid=Uid(metadata["uid"]),
        resource_version=metadata["resourceVersion"],
        created_at=moment_of(metadata["creationTimestamp"]),
        owner_uid=_controller_uid(metadata),
        owner_name=_controller(metadata).get("name", ""),
        execution_uid=_label(metadata, EXECUTION_UID_LABEL),
        execution_created_at=_execution_created_at(metadata),
        deletion_time=moment(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        is_suspended=_is_suspended(manifest),
        begun_at=_really(status.get("startTime")),
        give_up_note=(metadata.get("annotations") or {}).get(GIVE_UP_ANNOTATION, ""),
        has_ttl=(manifest.get("spec") or {}).get("ttlSecondsAfterFinished") is not None,
        failed_pods=status.get("failed", 0),
        succeeded_pods=status.get("succeeded", 0),
        end=_job_end(status, metadata),
    )


def read_pod(manifest: Manifest) -> PodFacts:
    """Read a pod; see `PodFacts` for which container is meant where."""
    metadata = manifest["metadata"]
    spec = manifest.get("spec") or {}
    status = manifest.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    init = status.get("initContainerStatuses") or ()
    containers = status.get("containerStatuses") or ()
    container = _named(containers, CONTAINER_NAME)
    return PodFacts(
        namespace=Namespace(metadata["namespace"]),
        name=metadata["name"],
        uid=Uid(metadata["uid"]),
        resource_version=metadata["resourceVersion"],
        created_at=moment_of(metadata["creationTimestamp"]),
        owner_uid=_controller_uid(metadata),
        execution_uid=_label(metadata, EXECUTION_UID_LABEL),
        phase=_phase(status),
        reason=status.get("reason", ""),
        message=_words(status.get("message", "")),
        node_name=spec.get("nodeName"),
        deletion_time=_asked_to_go_at(metadata),
        unschedulable=_unschedulable(conditions),
        disruption=_disruption(conditions),
        image_id=container.get("imageID") or None,
        waiting=_what_waits((*init, container, *containers)),
        running_since=_running_since(container, metadata),
        end=_as_far_as_kept(_container_end(container), container, spec),
        failed_init=_first_failed(one for one in init if one["name"] not in _sidecars(spec)),
        failed_other=_first_failed(one for one in containers if one["name"] != CONTAINER_NAME),
        job_uid=_label(metadata, _JOB_UID_LABEL),
    )


def _controller(metadata: Manifest) -> Manifest:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return owner  # type: ignore[no-any-return] # a manifest inside a manifest
    return {}


def _controller_uid(metadata: Manifest) -> Uid | None:
    uid = _controller(metadata).get("uid")
    return Uid(uid) if uid else None


def _label(metadata: Manifest, name: str) -> Uid | None:
    uid = (metadata.get("labels") or {}).get(name)
    return Uid(uid) if uid else None


def _execution_created_at(metadata: Manifest) -> datetime | None:
    """What the annotation says, if it says anything: whoever may change Jobs may write there."""
    text = (metadata.get("annotations") or {}).get(EXECUTION_CREATED_ANNOTATION)
    try:
        found = moment(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _is_suspended(manifest: Manifest) -> bool:
    """Whether it is held back; it still is while its controller has not noticed the resumption."""
    if (manifest.get("spec") or {}).get("suspend"):
        return True
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Suspended" and one["status"] == "True" for one in conditions)


def _job_end(status: Manifest, metadata: Manifest) -> JobEnd | None:
    for one in status.get("conditions") or ():
        if one["type"] in ("Complete", "Failed") and one["status"] == "True":
            return JobEnd(
                succeeded=one["type"] == "Complete",
                reason=one.get("reason", ""),
                message=_words(one.get("message", "")),
                at=_really(one.get("lastTransitionTime"))
                or _really(status.get("completionTime"))
                or moment_of(metadata["creationTimestamp"]),
            )
    return None


def _named(statuses: Iterable[Manifest], name: str) -> Manifest:
    for one in statuses:
        if one["name"] == name:
            return one
    return {}


def _what_waits(statuses: Iterable[Manifest]) -> ContainerWaiting | None:
    """The first container that says why it waits, or else the first that waits."""
    found = [_container_waiting(one) for one in statuses if (one.get("state") or {}).get("waiting")]
    return next((one for one in found if one.says_why), found[0] if found else None)


def _container_waiting(status: Manifest) -> ContainerWaiting:
    waiting = status["state"]["waiting"]
    return ContainerWaiting(
        reason=waiting.get("reason", ""),
        message=_words(waiting.get("message", "")),
        container=status["name"],
    )


def _container_end(status: Manifest) -> ContainerEnd | None:
    terminated = (status.get("state") or {}).get("terminated")
    if not terminated:
        return None
    return ContainerEnd(
        exit_code=terminated["exitCode"],
        reason=terminated.get("reason", ""),
        message=_words(terminated.get("message", "")),
        started_at=_really(terminated.get("startedAt")),
        finished_at=_really(terminated.get("finishedAt")),
        container=status["name"],
    )


def _as_far_as_kept(
    end: ContainerEnd | None, status: Manifest, spec: Manifest
) -> ContainerEnd | None:
    """With a word on which ends of the message the kubelet, or our own limit, may have taken off."""
    if end is None:
        return None
    size = len(status["state"]["terminated"].get("message", "").encode(errors="replace"))
    kinds = ("containers", "initContainers", "ephemeralContainers")
    share = _KEPT_IN_A_POD_BYTES // max(1, sum(len(spec.get(kind) or ()) for kind in kinds))
    policy = _named(spec.get("containers") or (), end.container).get("terminationMessagePolicy")
    is_of_log = policy == "FallbackToLogsOnError"
    own = _KEPT_OF_A_LOG_BYTES if is_of_log else _KEPT_OF_A_FILE_BYTES
    is_shortened = len(end.message.encode()) > _MESSAGE_LIMIT_BYTES - 6 and end.message[-1] == "…"
    return replace(
        end,
        lacks_its_beginning=size >= min(own, share),
        lacks_its_end=size >= share or is_shortened,
    )


def _phase(status: Manifest) -> PodPhase:
    """The API server takes any word for it."""
    try:
        return PodPhase(status.get("phase") or "Pending")
    except ValueError:
        return PodPhase.UNKNOWN


def _running_since(container: Manifest, metadata: Manifest) -> datetime | None:
    """Not every kubelet says since when."""
    running = (container.get("state") or {}).get("running")
    if running is None:
        return None
    return _really(running.get("startedAt")) or moment_of(metadata["creationTimestamp"])


def _really(text: str | None) -> datetime | None:
    """A time that can be one: runtimes say 1970 of a container that they could not start.

    Whoever reports a status may write any year, and the API server takes it.
    """
    try:
        at = moment(text)
    except ValueError:
        return None
    return at if at is not None and _EPOCH < at < _NOBODYS_TIME else None


def _first_failed(statuses: Iterable[Manifest]) -> ContainerEnd | None:
    ends = (_container_end(one) for one in statuses)
    return next((end for end in ends if end is not None and end.exit_code != 0), None)


def _sidecars(spec: Manifest) -> set[str]:
    """Init containers that restart beside the others; the kubelet ends them when the rest is over."""
    init = spec.get("initContainers") or ()
    return {one["name"] for one in init if one.get("restartPolicy") == "Always"}


def _asked_to_go_at(metadata: Manifest) -> datetime | None:
    """When the deletion was asked for: a pod's deletionTimestamp lies its grace period after that."""
    at = moment(metadata.get("deletionTimestamp"))
    grace = _as_the_server_adds(metadata.get("deletionGracePeriodSeconds") or 0)
    return at - grace if at is not None else None


def _as_the_server_adds(seconds: int) -> timedelta:
    """In nanoseconds of 64 bits, which wrap: whoever may make or delete a pod may ask for any number."""
    nanoseconds = (seconds * 10**9 + 2**63) % 2**64 - 2**63
    return timedelta(microseconds=nanoseconds // 1000)


def _unschedulable(conditions: Mapping[str, Manifest]) -> str | None:
    scheduled = conditions.get("PodScheduled")
    if scheduled is None or scheduled["status"] != "False":
        return None
    is_so = scheduled.get("reason") == "Unschedulable"
    return _words(scheduled.get("message", "")) if is_so else None


def _disruption(conditions: Mapping[str, Manifest]) -> str | None:
    target = conditions.get("DisruptionTarget")
    if target is None or target["status"] != "True":
        return None
    return str(target.get("reason", ""))


def _words(text: str) -> str:
    """Foreign words, a container's own among them, fit for a status, a record and a terminal."""
    return shorten(readable(text.encode(errors="replace")), _MESSAGE_LIMIT_BYTES)
