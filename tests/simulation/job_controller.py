"""The Job controller, as far as Jobs of one completion need it (Kubernetes 1.34).

Pods carry its tracking finalizer until they are counted; a failed pod is replaced only when it has
really ended (`podReplacementPolicy: Failed`), never once the Job is being deleted; a Job that is being
deleted gets its terminal condition all the same when its last pod ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from simulation.api_server import (
    ADDED,
    JOBS,
    PODS,
    Commit,
    Key,
    Manifest,
    controller_uid,
    has_condition,
    key_of,
    timestamp,
)
from simulation.controllers import Controller
from simulation.workload import Attempt, ExecutionPlan, Truth

TRACKING: Final = "batch.kubernetes.io/job-tracking"
_JOB_UID: Final = "batch.kubernetes.io/controller-uid"
_BACKOFF_SECONDS: Final = 10.0


class JobController(Controller):
    """`truths` gets an attempt for every pod that is made, by the UID of the execution."""

    name = "job-controller"

    def __init__(self, *world: Any, truths: dict[str, Truth]) -> None:
        super().__init__(*world)
        self._truths = truths
        self._last_failure: dict[str, float] = {}

    def keys_of(self, commit: Commit) -> Iterable[Key]:
        if commit.key[0] == JOBS:
            yield commit.key
        elif commit.key[0] == PODS:
            owners = commit.after["metadata"].get("ownerReferences") or ()
            yield from ((JOBS, commit.key[1], owner["name"]) for owner in owners)

    def _on_commit(self, commit: Commit) -> None:
        super()._on_commit(commit)
        truth = self._truths.get(controller_uid(commit.after) or "")
        if truth is None or commit.key[0] != JOBS:
            return
        if commit.type == ADDED:
            truth.job_made_at = commit.at
        if "deletionTimestamp" in commit.after["metadata"] and truth.job_deleted_at is None:
            truth.job_deleted_at = commit.at

    def sync(self, key: Key) -> None:
        job = self.server.find(key)
        if job is None:
            self._let_orphans_go(key)
            return
        self._let_disowned_go(job)
        pods = list(self.server.owned_by(PODS, job["metadata"]["uid"]))
        if self._count(job, pods) or has_condition(job, "Complete", "Failed"):
            return
        if "startTime" not in job["status"]:
            self._patch(job, {"startTime": timestamp(self.now)})
            return
        active = [pod for pod in pods if not has_ended(pod)]
        end = self._end_of(job)
        if end is None:
            self._replace(job, active)
        elif active:
            self._delete_pods(active)
        else:
            self._finish(job, *end)

    def _let_orphans_go(self, key: Key) -> None:
        for pod in self.server.list_of(PODS):
            owners = pod["metadata"].get("ownerReferences") or ()
            if any(owner["name"] == key[2] for owner in owners) and _is_tracked(pod):
                self._untrack(pod)

    def _let_disowned_go(self, job: Manifest) -> None:
        for pod in self.server.list_of(PODS):
            is_of_it = (pod["metadata"].get("labels") or {}).get(_JOB_UID) == job["metadata"]["uid"]
            if is_of_it and controller_uid(pod) is None and _is_tracked(pod):
                self._untrack(pod)

    def _count(self, job: Manifest, pods: list[Manifest]) -> bool:
        """Count ended pods and let them go, in one step; the real one's two steps are exact too."""
        ended = [pod for pod in pods if has_ended(pod) and _is_tracked(pod)]
        if not ended:
            return False
        counts = {
            name: job["status"].get(name, 0)
            + sum(1 for pod in ended if pod["status"]["phase"] == phase)
            for name, phase in (("succeeded", "Succeeded"), ("failed", "Failed"))
        }
        if not has_condition(job, "Complete", "Failed"):
            self._last_failure[job["metadata"]["uid"]] = self.now
            self._patch(job, counts)
        for pod in ended:
            self._untrack(pod)
        return True

    def _end_of(self, job: Manifest) -> tuple[str, str] | None:
        status, spec = job["status"], job["spec"]
        if status.get("succeeded", 0) >= spec.get("completions", 1):
            return "Complete", "CompletionsReached"
        if status.get("failed", 0) > spec.get("backoffLimit", 6):
            return "Failed", "BackoffLimitExceeded"
        return None

    def _replace(self, job: Manifest, active: list[Manifest]) -> None:
        if active or "deletionTimestamp" in job["metadata"]:
            return
        failed = job["status"].get("failed", 0)
        if failed:
            pause = _BACKOFF_SECONDS * 2 ** (failed - 1)
            ready_at = self._last_failure[job["metadata"]["uid"]] + pause
            if self.now < ready_at:
                self.wake_at(ready_at, key_of(JOBS, job))
                return
        self._create_pod(job)

    def _create_pod(self, job: Manifest) -> None:
        metadata, template = job["metadata"], job["spec"]["template"]
        # A Job without an owner is a stranger's: it runs as well, under its own UID.
        owner = controller_uid(job) or metadata["uid"]
        truth = self._truths.setdefault(owner, Truth(ExecutionPlan("strange")))
        number = len(truth.attempts)
        pod = self.server.create(
            PODS,
            {
                "metadata": {
                    **template["metadata"],
                    "labels": {**template["metadata"]["labels"], _JOB_UID: metadata["uid"]},
                    "name": f"{metadata['name']}-{number}",
                    "namespace": metadata["namespace"],
                    "finalizers": [TRACKING],
                    "ownerReferences": [
                        {"name": metadata["name"], "uid": metadata["uid"], "controller": True}
                    ],
                },
                "spec": template["spec"],
            },
            actor=self.name,
        )
        uid = pod["metadata"]["uid"]
        truth.attempts.append(Attempt(uid, truth.plan.attempt(number), made_at=self.now))

    def _delete_pods(self, pods: list[Manifest]) -> None:
        for pod in pods:
            self.server.delete(key_of(PODS, pod), actor=self.name)

    def _finish(self, job: Manifest, type_: str, reason: str) -> None:
        condition = {
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": f"Job has reached: {reason}",
            "lastTransitionTime": timestamp(self.now),
        }
        self._patch(job, {"conditions": [condition], "completionTime": timestamp(self.now)})
        truth = self._truths.get(controller_uid(job) or "")
        if truth is not None:
            truth.job_ended_at = self.now

    def _patch(self, job: Manifest, status: Manifest) -> None:
        self.server.patch(key_of(JOBS, job), {"status": status}, sub="status", actor=self.name)

    def _untrack(self, pod: Manifest) -> None:
        kept = [one for one in pod["metadata"]["finalizers"] if one != TRACKING]
        patch = {"metadata": {"finalizers": kept or None}}
        self.server.patch(key_of(PODS, pod), patch, actor=self.name)


def has_ended(pod: Manifest) -> bool:
    """Whether no container of the pod runs any more."""
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def _is_tracked(pod: Manifest) -> bool:
    return TRACKING in pod["metadata"].get("finalizers", ())
