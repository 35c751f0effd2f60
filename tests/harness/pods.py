"""The kubelet's part, played by a test, where a cluster has no node: what it would report of a pod."""

from __future__ import annotations

import json
from typing import Any

from harness.running import Manifest, RunningOperator
from localcluster.waiting import wait_until

_BEGAN = "2026-01-01T10:00:00Z"
_ENDED = "2026-01-01T10:00:05Z"


def pod_of(operator: RunningOperator, execution: str, *, seconds: int = 30) -> Manifest:
    """The newest pod of an execution, once the Job controller has made it."""
    selector = f"proctor.dev/execution={execution}"
    found: list[Manifest] = []

    def is_there() -> bool:
        pods = operator.list("pods", selector)
        found[:] = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return bool(found)

    assert wait_until(is_there, seconds=seconds, interval=0.2), f"no pod for {execution}"
    return found[-1]


def job_of(operator: RunningOperator, execution: str, *, seconds: int = 30) -> Manifest:
    """The Job of an execution, once it is there."""
    found: list[Manifest] = []

    def is_there() -> bool:
        found[:] = operator.list("jobs", f"proctor.dev/execution={execution}")
        return bool(found)

    assert wait_until(is_there, seconds=seconds, interval=0.2), f"no job for {execution}"
    assert len(found) == 1, "exactly one Job per execution"
    return found[0]


def report_running(operator: RunningOperator, pod: Manifest) -> None:
    """The container has started."""
    _report(operator, pod, "Running", {"running": {"startedAt": _BEGAN}})


def report_ended(
    operator: RunningOperator,
    pod: Manifest,
    *,
    exit_code: int = 0,
    reason: str = "",
    message: str = "",
) -> None:
    """The container has ended."""
    state = {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason or ("Completed" if exit_code == 0 else "Error"),
            "message": message,
            "startedAt": _BEGAN,
            "finishedAt": _ENDED,
        }
    }
    _report(operator, pod, "Succeeded" if exit_code == 0 else "Failed", state)


def report_waiting(operator: RunningOperator, pod: Manifest, *, reason: str, message: str) -> None:
    """The container cannot start."""
    _report(operator, pod, "Pending", {"waiting": {"reason": reason, "message": message}})


def _report(operator: RunningOperator, pod: Manifest, phase: str, state: Manifest) -> None:
    container: dict[str, Any] = {
        "name": "proc",
        "image": pod["spec"]["containers"][0]["image"],
        "imageID": "sha256:0" if "waiting" not in state else "",
        "ready": "running" in state,
        "restartCount": 0,
        "state": state,
    }
    status = {"phase": phase, "startTime": _BEGAN, "containerStatuses": [container]}
    operator.kubectl(
        "patch",
        f"pod/{pod['metadata']['name']}",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': status})}",
    )
