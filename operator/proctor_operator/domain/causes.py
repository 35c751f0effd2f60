"""Whose doing an outcome was: reasons summed up in a handful of classes, for metrics and alerts.

Reasons that Kubernetes gives are open-ended; a label must not be.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from proctor_operator.domain.run import ALREADY_RUN


class Cause(StrEnum):
    """Where to look first when many runs end alike."""

    NONE = "None"
    """It succeeded."""
    PROGRAM = "Program"
    """What runs in the container."""
    IMAGE = "Image"
    """The image cannot be pulled or started."""
    RESOURCES = "Resources"
    """Memory, disk, room on a node, priority."""
    NODE = "Node"
    """A node went away, or what ran on it did."""
    TIME = "Time"
    """A time-out."""
    PERSON = "Person"
    """Somebody stopped, deleted or removed it."""
    REQUEST = "Request"
    """It was asked for wrongly, or by the wrong person."""
    PROC = "Proc"
    """The proc is missing, switched off or mistaken."""
    CLUSTER = "Cluster"
    """The API server or a controller refused or lost something."""
    REPETITION = "Repetition"
    """A GitOps tool applied again what had run: the outcome of then is shown, nothing ran."""
    LIMIT = "Limit"
    """The limit of runs at a time was reached, and its policy refused it or put a newer one in its place."""
    OTHER = "Other"
    """A reason that no class names."""


_CLASSES: Final[dict[Cause, tuple[str, ...]]] = {
    Cause.NONE: ("Completed",),
    Cause.PROGRAM: (
        "NonZeroExitCode",
        "InitContainerFailed",
        "OtherContainerFailed",
        "PodFailurePolicy",
    ),
    Cause.IMAGE: (
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "RunsAsRoot",
        "NoCommand",
        "StartError",
    ),
    Cause.RESOURCES: ("OOMKilled", "Evicted", "Preempted", "Unschedulable"),
    Cause.NODE: ("NodeLost", "NodeShutdown", "ContainerStatusUnknown"),
    Cause.TIME: ("DeadlineExceeded", "PendingTimeout"),
    Cause.PERSON: ("Cancelled", "Deleted", "ExecutionRemoved", "JobDeleted", "PodDeleted"),
    Cause.REQUEST: (
        "IdentityMissing",
        "ImmutableSpec",
        "InvalidArguments",
        "InvalidSchedule",
        "NotPermitted",
        "NotStamped",
        "StampGiven",
        "UnexpectedRequest",
        "Unreadable",
    ),
    Cause.PROC: ("InvalidSpec", "PodSecurity", "ProcNotFound", "ProcNotReady", "ProcSuspended"),
    Cause.CLUSTER: (
        "AdmissionUnavailable",
        "BackoffLimitExceeded",
        "JobFailed",
        "JobMissing",
        "JobRejected",
        "NameTaken",
        "OperatorNotPermitted",
        "PodFailed",
    ),
    Cause.REPETITION: (ALREADY_RUN,),
    Cause.LIMIT: ("AlreadyRunning", "Replaced"),
}
_CAUSE_OF: Final = {reason: cause for cause, reasons in _CLASSES.items() for reason in reasons}


def cause_of(reason: str) -> Cause:
    """Class of a status reason."""
    return _CAUSE_OF.get(reason, Cause.OTHER)
