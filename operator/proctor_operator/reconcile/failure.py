"""Why a pod failed, from its own facts: what stopped it from outside comes before what it said itself."""

from __future__ import annotations

from signal import Signals
from typing import Final

from proctor_operator.domain.conditions import as_reason
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.workload import ContainerEnd, JobEnd, PodFacts

Words = tuple[Phase, str, str]
"""Phase, reason, message."""

OUT_OF_MEMORY: Final = "OOMKilled"
_POD_FAILURE_POLICY: Final = "PodFailurePolicy"
_DEADLINE: Final = "DeadlineExceeded"
_UNKNOWN_END: Final = "ContainerStatusUnknown"
_CANNOT_START: Final = frozenset({"StartError", "ContainerCannotRun"})
_POD_REASONS: Final = {
    # the kubelet's reason on a pod that it puts out: ours
    "Evicted": "Evicted",
    "Preempting": "Preempted",
    "Terminated": "NodeShutdown",
    "NodeShutdown": "NodeShutdown",
}
_KILLED_BY_THE_KERNEL: Final = 137


def why_it_failed(end: JobEnd, pod: PodFacts | None) -> Words:
    """By the pod that decided, or by the Job's own word where the pod tells nothing."""
    if end.reason == _DEADLINE:
        # Its last pod, if one ran, was deleted because of that.
        return Phase.TIMED_OUT, _DEADLINE, "the job ran into its deadline"
    found = why_the_pod_failed(pod) if pod is not None else None
    if end.reason == _POD_FAILURE_POLICY and (found is None or found[0] is Phase.FAILED):
        # The author's own rule ended it, and the Job's message names it.
        return Phase.FAILED, _POD_FAILURE_POLICY, "; ".join((end.message, *(found or ())[2:]))
    if found is not None:
        return found
    return Phase.FAILED, as_reason(end.reason, otherwise="JobFailed"), end.message


def why_the_pod_failed(pod: PodFacts) -> Words | None:
    """None when it does not tell."""
    if pod.reason == _DEADLINE:
        return Phase.TIMED_OUT, _DEADLINE, _deadline_message(pod)
    if pod.reason in _POD_REASONS:
        return Phase.FAILED, _POD_REASONS[pod.reason], pod.message
    disrupted = _why_it_was_disrupted(pod)
    if disrupted is not None:
        return Phase.FAILED, *disrupted
    if _was_deleted_before_its_end(pod):
        when = "before it started" if pod.started_at is None else "while it ran"
        return Phase.FAILED, "PodDeleted", f"somebody deleted the pod {pod.name!r} {when}"
    return _why_a_container_failed(pod)


def how_it_exited(code: int) -> str:
    """An exit code in words; above 128 it is, by custom, the number of a signal."""
    try:
        return f"code {code} ({Signals(code - 128).name})"
    except ValueError:
        return f"code {code}"


def _why_it_was_disrupted(pod: PodFacts) -> tuple[str, str] | None:
    if pod.is_driven_off:
        return "NodeLost", f"the node {pod.node_name} was lost, or a taint drove its pods off"
    match pod.disruption:
        case "DeletionByPodGC":
            return "NodeLost", f"the node {pod.node_name} went away"
        case "PreemptionByScheduler":
            return "Preempted", "a pod of higher priority took its place"
        case "EvictionByEvictionAPI":
            return "Evicted", f"the node {pod.node_name} was drained (through the eviction API)"
    return None


def _why_a_container_failed(pod: PodFacts) -> Words | None:
    if pod.failed_init is not None and pod.started_at is None:
        said = f"init container {_how_it_failed(pod.failed_init)}"
        return Phase.FAILED, "InitContainerFailed", said
    if pod.end is not None and pod.end.exit_code != 0:
        return Phase.FAILED, *_why_the_proc_failed(pod, pod.end)
    if pod.failed_other is not None:
        said = f"container {_how_it_failed(pod.failed_other)}; the proc's own ended well"
        return Phase.FAILED, "OtherContainerFailed", said
    if not pod.reason:
        return None
    return Phase.FAILED, as_reason(pod.reason, otherwise="PodFailed"), pod.message


def _why_the_proc_failed(pod: PodFacts, end: ContainerEnd) -> tuple[str, str]:
    if end.started_at is None and end.reason in _CANNOT_START:
        return "StartError", end.message or "the container runtime could not start the container"
    if end.started_at is None and end.reason == _UNKNOWN_END:
        return (
            _UNKNOWN_END,
            f"the node {pod.node_name} lost sight of the container: its end is unknown",
        )
    if end.reason == OUT_OF_MEMORY:
        return OUT_OF_MEMORY, out_of_memory_message(end)
    return "NonZeroExitCode", f"the container exited with {how_it_exited(end.exit_code)}"


def out_of_memory_message(end: ContainerEnd) -> str:
    """The kernel may take one process of many, and the rest live on and exit as they like."""
    if end.exit_code == _KILLED_BY_THE_KERNEL:
        return "the container used more memory than its limit"
    return (
        "a process of the container was killed because the container used more memory than its "
        f"limit; the container itself went on and exited with {how_it_exited(end.exit_code)}"
    )


def _how_it_failed(end: ContainerEnd) -> str:
    if end.started_at is None and end.reason in _CANNOT_START:
        return f"{end.container} could not be started: {end.message}"
    because = " (OOMKilled)" if end.reason == OUT_OF_MEMORY else ""
    return f"{end.container} exited with {how_it_exited(end.exit_code)}{because}"


def _deadline_message(pod: PodFacts) -> str:
    if pod.started_at is None:
        return "the attempt used up its time-out before a container started"
    return "the attempt ran longer than its time-out"


def _was_deleted_before_its_end(pod: PodFacts) -> bool:
    """Whether its deletion was asked for before a container decided its end, in whole seconds."""
    if pod.deletion_time is None:
        return False
    decided = (pod.failed_init, pod.end, pod.failed_other)
    ends = [end.finished_at for end in decided if end is not None and end.finished_at is not None]
    return not ends or pod.deletion_time <= max(ends)
