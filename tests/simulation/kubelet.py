"""Scheduler, kubelet and pod collector in one: pods start, run, end and vanish by their plan."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from math import inf
from typing import Any, Final

from simulation.api_server import PODS, Commit, Key, Manifest, timestamp
from simulation.container_log import ContainerLog
from simulation.controllers import Controller
from simulation.job_controller import has_ended
from simulation.virtual_time import VirtualClock
from simulation.workload import Attempt, End, Truth

IMAGE_ID: Final = "registry.example.org/proc@sha256:0"
_TERM_SECONDS: Final = 3.0
_HALVES: Final = 0.1


class Kubelet(Controller):
    """Writes each attempt's truth in the same moment as the pod's status."""

    name = "kubelet"

    def __init__(self, *world: Any, truths: dict[str, Truth]) -> None:
        super().__init__(*world)
        self._truths = truths
        self._term_at: dict[str, float] = {}
        self._taken_up_at: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()
        self._clock = VirtualClock()

    def keys_of(self, commit: Commit) -> Iterable[Key]:
        if commit.key[0] == PODS and commit.type != "DELETED":
            yield commit.key

    def sync(self, key: Key) -> None:
        pod = self.server.find(key)
        if pod is None:
            return
        is_being_deleted = "deletionTimestamp" in pod["metadata"]
        if has_ended(pod):
            if is_being_deleted and pod["metadata"]["deletionGracePeriodSeconds"] != 0:
                self.server.delete(key, grace=0, actor=self.name)
            return
        attempt = self._attempt_of(pod)
        if is_being_deleted:
            self._terminate(key, attempt)
        elif attempt.started_at is not None:
            self._keep_running(key, pod, attempt)
        else:
            self._start(key, pod, attempt)

    def _start(self, key: Key, pod: Manifest, attempt: Attempt) -> None:
        end = attempt.plan.end
        if end is End.UNSCHEDULABLE:
            said = {"reason": "Unschedulable", "message": "0/3 nodes are available"}
            condition = {"type": "PodScheduled", "status": "False", **said}
            self._status(key, {"conditions": [condition]})
        elif "nodeName" not in pod["spec"]:
            self.server.patch(key, {"spec": {"nodeName": "node-1"}}, actor=self.name)
        elif end is End.IMAGE_MISSING:
            self._wait_for_the_image(key, pod, attempt)
        elif end is End.WANTS_ROOT:
            said = {
                "reason": "CreateContainerConfigError",
                "message": "container has runAsNonRoot and image will run as root",
            }
            self._container(key, {"waiting": said}, startTime=timestamp(self.now))
        elif end in (End.BAD_COMMAND, End.INIT_FAILS):
            self._fail_to_start(key, attempt)
        else:
            attempt.started_at = self.now
            attempt.log = ContainerLog(self._clock.now)
            self._print(attempt)
            for seconds in attempt.plan.turns_over_after:
                self._loop.call_later(seconds, attempt.log.turn_over)
            self._container(
                key,
                {"running": {"startedAt": timestamp(self.now)}},
                phase="Running",
                startTime=timestamp(self.now),
            )

    def _fail_to_start(self, key: Key, attempt: Attempt) -> None:
        attempt.ended_by = attempt.plan.end
        attempt.ended_at = self.now
        if attempt.plan.end is End.INIT_FAILS:
            ended = {"terminated": {"exitCode": 7, "reason": "Error"}}
            init = {"name": "prepare", "state": ended}
            self._status(key, {"phase": "Failed", "initContainerStatuses": [init]})
            return
        terminated = {
            "exitCode": 128,
            "reason": "StartError",
            "startedAt": "1970-01-01T00:00:00Z",
            "finishedAt": timestamp(self.now),
        }
        self._container(key, {"terminated": terminated}, phase="Failed")

    def _wait_for_the_image(self, key: Key, pod: Manifest, attempt: Attempt) -> None:
        """The pod's deadline counts from when the kubelet took it up, started or not."""
        taken_up = self._taken_up_at.setdefault(attempt.pod_uid, self.now)
        deadline = taken_up + pod["spec"]["activeDeadlineSeconds"]
        if self.now < deadline:
            waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
            self._container(key, waiting, startTime=timestamp(taken_up))
            self.wake_at(deadline, key)
            return
        attempt.ended_by = End.TOO_LONG
        attempt.ended_at = self.now
        self._status(key, {"phase": "Failed", "reason": "DeadlineExceeded"})

    def _keep_running(self, key: Key, pod: Manifest, attempt: Attempt) -> None:
        started_at = attempt.started_at or 0.0
        deadline = started_at + pod["spec"]["activeDeadlineSeconds"]
        is_endless = attempt.plan.end is End.TOO_LONG
        ends_at = inf if is_endless else started_at + attempt.plan.seconds
        if self.now >= ends_at:
            self._end(key, attempt)
        elif self.now >= deadline:
            attempt.ended_by = End.TOO_LONG
            self._close(key, attempt, 137, "Error", phase="Failed", reason="DeadlineExceeded")
        else:
            self.wake_at(min(ends_at, deadline), key)

    def _end(self, key: Key, attempt: Attempt) -> None:
        attempt.ended_by = attempt.plan.end
        match attempt.plan.end:
            case End.SUCCESS:
                self._close(key, attempt, 0, "Completed", phase="Succeeded")
            case End.OUT_OF_MEMORY:
                self._close(key, attempt, 137, "OOMKilled", phase="Failed")
            case End.EVICTED:
                self._close(
                    key, attempt, 137, "Error", phase="Failed", reason="Evicted", message="disk"
                )
            case End.NODE_LOST:
                gone = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
                self._close(key, attempt, 137, "Error", phase="Failed", conditions=[gone])
                self.server.delete(key, grace=0, actor=self.name)
            case End.PREEMPTED:
                victim = {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "PreemptionByScheduler",
                }
                self._close(key, attempt, 143, "Error", phase="Failed", conditions=[victim])
                self.server.delete(key, actor=self.name)
            case _:
                self._close(key, attempt, attempt.plan.exit_code, "Error", phase="Failed")

    def _terminate(self, key: Key, attempt: Attempt) -> None:
        if attempt.started_at is None:
            attempt.was_killed = True
            attempt.ended_at = self.now
            self._status(key, {"phase": "Failed"})
            return
        longest = _TERM_SECONDS * self.chance.of("kubelet-term", *key).random()
        stops_at = self._term_at.setdefault(attempt.pod_uid, self.now + longest)
        if self.now < stops_at:
            self.wake_at(stops_at, key)
            return
        attempt.was_killed = True
        code = attempt.plan.exit_on_term
        said = ("Completed", "Succeeded") if code == 0 else ("Error", "Failed")
        self._close(key, attempt, code, said[0], phase=said[1])

    def _close(self, key: Key, attempt: Attempt, code: int, why: str, **status: Any) -> None:
        attempt.ended_at = self.now
        attempt.exit_code = code
        if attempt.log is not None:
            attempt.log.write(b"last words")
            attempt.log.end()
        terminated = {
            "exitCode": code,
            "reason": why,
            "startedAt": timestamp(attempt.started_at or 0.0),
            "finishedAt": timestamp(self.now),
        }
        self._container(key, {"terminated": terminated}, **status)

    def _print(self, attempt: Attempt) -> None:
        """Two lines that look alike, about once a second while it runs; now and then half a line.

        What goes on in the middle of a line looks like a line with a time.
        """
        if attempt.log is None or attempt.ended_at is not None:
            return
        line = b"line %d" % len(attempt.log.printed)
        if attempt.log.is_in_mid_line:
            line = b"2099-01-01T00:00:00Z " + line
        # A new file begins with the rest of a line, and what comes of that is two lines.
        is_half = not attempt.plan.turns_over_after and self.chance.happens(
            _HALVES, "half", attempt.pod_uid
        )
        if is_half:
            attempt.log.write_part(line)
        else:
            attempt.log.write(line, line)
        pause = self.chance.between(0.4, 1.6, "print", attempt.pod_uid)
        self._loop.call_later(pause, self._print, attempt)

    def _container(self, key: Key, state: Manifest, **status: Any) -> None:
        container = {"name": "proc", "imageID": IMAGE_ID, "state": state}
        self._status(key, {"containerStatuses": [container], **status})

    def _status(self, key: Key, status: Manifest) -> None:
        self.server.patch(key, {"status": status}, sub="status", actor=self.name)

    def _attempt_of(self, pod: Manifest) -> Attempt:
        uid = pod["metadata"]["uid"]
        for truth in self._truths.values():
            for attempt in truth.attempts:
                if attempt.pod_uid == uid:
                    return attempt
        raise LookupError(f"no execution of ours stands behind pod {pod['metadata']['name']}")
