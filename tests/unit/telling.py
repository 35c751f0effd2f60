"""Actions in a few words, so that a table of decisions reads as sentences."""

from __future__ import annotations

from proctor_operator.reconcile.decision import (
    Action,
    AskMayReadSecret,
    AttachLog,
    DeletePod,
    FinishLog,
    FollowLog,
    ReadJob,
    ReadProc,
    RecordJob,
    RecordOutcome,
    RecordRefusal,
    RecordStarted,
    Rest,
    WriteStatus,
)


def told(action: Action | Rest) -> str:
    """Name the action, and what matters about it."""
    name = type(action).__name__
    match action:
        case Rest(after_seconds):
            return name if after_seconds is None else f"{name} {after_seconds:g} s"
        case WriteStatus(status):
            return f"{name} {status.phase} {status.reason}".strip()
        case RecordOutcome(job_uid, outcome):
            return f"{name} {job_uid or 'without a job'}: {outcome.phase} {outcome.reason}"
        case RecordRefusal(_, outcome):
            return f"{name} {outcome.phase} {outcome.reason}"
        case ReadProc(what) | ReadJob(what) | AskMayReadSecret(what):
            return f"{name} {what}"
        case DeletePod(pod) | FollowLog(pod) | AttachLog(pod):
            return f"{name} {pod.uid}"
        case FinishLog(pods, _):
            return f"{name} {' '.join(pod.uid for pod in pods)}".strip()
        case RecordStarted(job_uid) | RecordJob(job_uid):
            return f"{name} {job_uid}"
        case _:
            return name
