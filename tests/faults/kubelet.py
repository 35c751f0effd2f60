"""The kubelet's part, played quickly: every pod starts, runs and ends as its execution's fate has it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from faults.admin import PODS, Admin, Manifest, Round
from faults.workload import Truth
from localcluster.apiclient import ApiError

_NOT_FOUND: Final = 404
_OVER: Final = frozenset({"Succeeded", "Failed"})


@dataclass(slots=True)
class _Pod:
    seen_at: float
    started_at: float | None = None
    started: str = ""
    has_ended: bool = False


class Kubelet(Round):
    """Reports on the pods of executions whose truths it knows, and notes what it reported.

    As a real one it keeps its containers to itself while the API server is away, and reports later.
    """

    def __init__(self, admin: Admin, truths: Mapping[str, Truth]) -> None:
        super().__init__("kubelet", interval=0.1)
        self._admin = admin
        self._truths = truths
        self._pods: dict[str, _Pod] = {}

    def work(self) -> None:
        """Look at every pod once."""
        for manifest in self._admin.list(PODS):
            truth = self._truths.get(manifest["metadata"]["labels"].get("proctor.dev/execution"))
            if truth is not None and manifest["status"]["phase"] not in _OVER:
                self._look_at(manifest, truth)

    def _look_at(self, manifest: Manifest, truth: Truth) -> None:
        uid = manifest["metadata"]["uid"]
        truth.pods.add(uid)
        pod = self._pods.setdefault(uid, _Pod(time.monotonic()))
        now, fate = time.monotonic(), truth.fate
        if pod.started_at is None:
            if now - pod.seen_at < fate.starts_after:
                return
            pod.started_at, pod.started = now, _timestamp()
        if now - pod.started_at < fate.runs_for:
            if manifest["status"]["phase"] != "Running":
                self._report(manifest, "Running", {"running": {"startedAt": pod.started}})
            return
        self._end(manifest, truth, pod)

    def _end(self, manifest: Manifest, truth: Truth, pod: _Pod) -> None:
        code = truth.fate.exit_code
        state = {
            "terminated": {
                "exitCode": code,
                "reason": "Error" if code else "Completed",
                "startedAt": pod.started,
                "finishedAt": _timestamp(),
            }
        }
        truth.may_have_ended = True
        if self._report(manifest, "Failed" if code else "Succeeded", state):
            truth.exit_codes[manifest["metadata"]["uid"]] = code

    def _report(self, manifest: Manifest, phase: str, state: Manifest) -> bool:
        """Write the pod's status; False when the pod is gone."""
        image = manifest["spec"]["containers"][0]["image"]
        container = {
            "name": "proc",
            "image": image,
            "imageID": "sha256:0",
            "ready": "running" in state,
            "restartCount": 0,
            "state": state,
        }
        status = {"phase": phase, "startTime": _timestamp(), "containerStatuses": [container]}
        patch = {"metadata": {"uid": manifest["metadata"]["uid"]}, "status": status}
        try:
            self._admin.patch(PODS, manifest["metadata"]["name"], patch, sub="status")
        except ApiError as problem:
            # 409: another pod bears the name now.
            if problem.status in (_NOT_FOUND, 409):
                return False
            raise
        return True


def _timestamp() -> str:
    now = datetime.now(UTC)  # noqa: TID251 - a kubelet's clock
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
