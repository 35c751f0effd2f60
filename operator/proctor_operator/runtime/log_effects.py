"""Reading the output of runs."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from proctor_operator.domain.errors import Fault, RecordUnavailable
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.run import RunKey
from proctor_operator.reconcile.decision import AttachLog, FinishLog, FollowLog
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.runtime.log_capture import LogCapture, LogWishes

LogAction = FollowLog | AttachLog | FinishLog


class LogEffects:
    """What is read goes into the record by itself; a pass waits for the end only."""

    def __init__(self, capture: LogCapture) -> None:
        self._capture = capture

    async def perform(self, action: LogAction, observed: ObservedExecution) -> ObservedExecution:
        """Do it; what is known now."""
        key = RunKey(observed.execution.creation_time, observed.execution.uid)
        wishes = _wishes(observed)
        match action:
            case FollowLog(pod):
                self._capture.follow(key, wishes, pod)
                return replace(observed, followed=observed.followed | {pod.uid})
            case AttachLog(pod):
                await self._capture.attach(key, wishes, pod)
                # Also where it did not come to that: a stop waits for no log.
                return replace(
                    observed,
                    followed=observed.followed | {pod.uid},
                    attached=observed.attached | {pod.uid},
                )
            case FinishLog(pods, unseen):
                try:
                    summary = await self._capture.finish(key, wishes, pods, unseen=unseen)
                except RecordUnavailable:
                    return replace(observed, run=Unseen.UNAVAILABLE)
                return replace(observed, log=summary or Unseen.UNAVAILABLE)
            case _:
                assert_never(action)


def _wishes(observed: ObservedExecution) -> LogWishes:
    if observed.pinned is None:
        raise Fault("what the proc wants of its output is not known")
    return LogWishes(observed.pinned.logs.mask, tail=observed.pinned.logs.tail)
