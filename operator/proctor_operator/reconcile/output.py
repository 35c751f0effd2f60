"""Step 6: whose output is to be read next, while a run goes on and when it is over."""

from __future__ import annotations

from typing import Final

from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.workload import PodFacts
from proctor_operator.reconcile.decision import Action, AttachLog, FinishLog, FollowLog, Rest
from proctor_operator.reconcile.logs import count_unseen
from proctor_operator.reconcile.observed import ObservedExecution

LOG_RETRY_SECONDS: Final = 5.0


def log_to_read(observed: ObservedExecution) -> Action | None:
    """While it runs: each attempt's output is read; at once where somebody stops the pod."""
    if observed.pinned is None:
        # What it wants blanked is not known.
        return None
    for pod in observed.own_pods:
        if pod.started_at is not None and pod.uid not in observed.followed:
            return FollowLog(pod)
    stopped = tuple(
        pod
        for pod in observed.own_pods
        # A node that does not answer gives no log either.
        if pod.deletion_time is not None and not pod.is_driven_off
    )
    silent = pod_to_attach_to(observed, stopped)
    return AttachLog(silent) if silent is not None else None


def pod_to_attach_to(observed: ObservedExecution, pods: tuple[PodFacts, ...]) -> PodFacts | None:
    """The first of these pods that runs without its log being read."""
    if observed.pinned is None:
        return None
    return next((pod for pod in pods if pod.is_running and pod.uid not in observed.attached), None)


def last_lines(observed: ObservedExecution, pods: tuple[PodFacts, ...]) -> Action | Rest | None:
    """At the end: the summary of the output belongs to the outcome."""
    if observed.log is Unseen.UNAVAILABLE:
        return Rest(after_seconds=LOG_RETRY_SECONDS)
    if observed.log is not Unseen.NOT_READ or observed.pinned is None:
        return None
    if observed.started_at is None:
        return None
    return FinishLog(
        tuple(pod for pod in pods if pod.started_at is not None),
        unseen=count_unseen(observed.own_job, observed.own_pods),
    )
