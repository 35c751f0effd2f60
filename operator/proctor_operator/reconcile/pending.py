"""What a run waits for, and when waiting is given up (docs/outcomes.md has the table).

A run is given up at once only when nothing outside its pod could ever help: the pod's spec never changes.
What somebody may still supply (an image, a Secret, room on a node) is waited for until the time-out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, as_reason, shorten
from proctor_operator.domain.execution import Phase, ProcExecutionStatus
from proctor_operator.domain.naming import CONTAINER_NAME
from proctor_operator.domain.workload import ContainerWaiting, JobFacts, PodFacts
from proctor_operator.reconcile.observed import ObservedExecution

_NEVER_STARTS: Final = (
    # kubelet's reason, words in its message (pkg/kubelet/kuberuntime, containerd), our reason
    ("InvalidImageName", "", "InvalidImageName"),
    ("CreateContainerConfigError", "container has runAsNonRoot and image", "RunsAsRoot"),
    ("CreateContainerConfigError", "runAsUser breaks non-root policy", "RunsAsRoot"),
    ("CreateContainerError", "no command specified", "NoCommand"),
)
_PULL_FAILS: Final = frozenset({"ErrImagePull", "ImagePullBackOff"})
STARTING: Final = "Starting"
"""Reason of an execution that still waits for its container after what kept it is over."""
QUEUED: Final = "Queued"
"""Reason of an execution that waits for a slot."""
SUSPENDED: Final = "Suspended"
"""Reason of an execution whose Job somebody holds back; that is no trouble, and no time-out counts it."""
_NUMBER: Final = re.compile(r"\d+")
_CONTAINER_ID: Final = re.compile(r"[0-9a-f]{12,}")
_PENDING_TIMEOUT: Final = "PendingTimeout"
_PHASES: Final = {
    _PENDING_TIMEOUT: Phase.TIMED_OUT,
    **{reason: Phase.FAILED for *_, reason in _NEVER_STARTS},
}


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why the operator itself ends a run that cannot get any further."""

    phase: Phase
    reason: str
    message: str


def why_to_give_up(observed: ObservedExecution, job: JobFacts, now: datetime) -> GivenUp | None:
    """Whether to wait no longer, by what is known now; what was noted is carried through."""
    noted = noted_before(observed)
    if noted is not None and not _came_to_nothing(observed, noted):
        return noted
    found = _never_starts(observed.last_pod)
    if found is not None:
        reason, message = found
        return GivenUp(_PHASES[reason], reason, message)
    since = _waiting_since(observed, job)
    if since is None or (now - since).total_seconds() < pending_timeout(observed):
        return None
    return GivenUp(_PHASES[_PENDING_TIMEOUT], _PENDING_TIMEOUT, _timeout_message(observed))


def noted_before(observed: ObservedExecution) -> GivenUp | None:
    """What the status says of a run that was given up; it is noted there before the Job is deleted.

    A container may start between the two, and the Job goes all the same. But when somebody has stopped
    what did start, that is why it ended.
    """
    status = observed.execution.status
    phase = _PHASES.get(status.reason)
    if phase is None or status.phase.is_terminal:
        return None
    if observed.wants_to_stop and _has_started_since(observed, status):
        return None
    return GivenUp(phase, status.reason, status.message)


def seconds_until_given_up(
    observed: ObservedExecution, job: JobFacts, now: datetime
) -> float | None:
    """How long the newest attempt may still wait for its container; None when it does not wait."""
    since = _waiting_since(observed, job)
    if since is None:
        return None
    return max(0.0, pending_timeout(observed) - (now - since).total_seconds())


def pending_timeout(observed: ObservedExecution) -> int:
    """Seconds that an attempt of this execution may wait for its container."""
    wanted = observed.pinned.pending_timeout_seconds if observed.pinned else None
    return observed.policy.pending_timeout(wanted)


def pending_problem(observed: ObservedExecution) -> tuple[str, str] | None:
    """Why the newest pod does not start, as reason and message, when there is something to say.

    What is shown already stays as long as the news is only another number in the same sentence.
    """
    pod = observed.last_pod
    if pod is None or pod.started_at is not None or pod.has_ended:
        return None
    if pod.waiting is not None and pod.waiting.says_why:
        reason = as_reason(pod.waiting.reason, otherwise="ContainerWaiting")
        found = reason, shorten(_words_of(pod.waiting), MESSAGE_LIMIT_BYTES)
    elif pod.unschedulable is not None:
        found = "Unschedulable", shorten(pod.unschedulable, MESSAGE_LIMIT_BYTES)
    else:
        return None
    shown = observed.execution.status.reason, observed.execution.status.message
    return shown if _gist(*shown) == _gist(*found) else found


def _gist(reason: str, message: str) -> tuple[str, str]:
    """A problem without what changes at every try: attempts at a pull, ids of containers, counts of nodes."""
    if reason in _PULL_FAILS:
        return "a pull that fails", ""
    return reason, (_NUMBER if reason == "Unschedulable" else _CONTAINER_ID).sub("", message)


def _never_starts(pod: PodFacts | None) -> tuple[str, str] | None:
    """Our reason and the kubelet's words, when a container of the pod can never start.

    Without it the pod never ends either; but while the proc's own container runs it is left alone.
    """
    if pod is None or pod.has_ended or pod.waiting is None or pod.running_since is not None:
        return None
    for kubelet_reason, words, reason in _NEVER_STARTS:
        if pod.waiting.reason == kubelet_reason and words in pod.waiting.message:
            return reason, _words_of(pod.waiting)
    return None


def _waiting_since(observed: ObservedExecution, job: JobFacts) -> datetime | None:
    """Since when the newest attempt could have started; None when it has, or is held suspended."""
    pod = observed.last_pod
    if job.is_suspended:
        return None
    if pod is None:
        has_begun = observed.started_at is not None or job.failed_pods or job.succeeded_pods
        return None if has_begun else job.pending_since
    if pod.started_at is not None or pod.has_ended:
        return None
    is_first = len(observed.own_pods) == 1 and job.failed_pods == 0
    return job.pending_since if is_first else max(job.pending_since, pod.created_at)


def _came_to_nothing(observed: ObservedExecution, noted: GivenUp) -> bool:
    """Whether a container started after all, before anything was done about its waiting."""
    is_for_time = noted.reason == _PENDING_TIMEOUT
    return is_for_time and _has_started_since(observed, observed.execution.status)


def _has_started_since(observed: ObservedExecution, status: ProcExecutionStatus) -> bool:
    if status.phase is Phase.PENDING and observed.started_at is not None:
        return True
    pod = observed.last_pod
    return pod is not None and pod.started_at is not None


def _timeout_message(observed: ObservedExecution) -> str:
    message = f"no container started within {pending_timeout(observed)} s"
    problem = pending_problem(observed)
    return f"{message} ({problem[0]}: {problem[1]})" if problem else message


def _words_of(waiting: ContainerWaiting) -> str:
    if waiting.container == CONTAINER_NAME:
        return waiting.message
    return f"container {waiting.container}: {waiting.message}"
