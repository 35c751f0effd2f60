"""Actions as frozen data: the one next thing to do about an execution.

Each is idempotent by its own key, so that a crash before or after it is harmless. The runner performs
one, lays its result into the snapshot and asks again, until the answer is `Rest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proctor_operator.domain.concurrency import Occupant, SlotClaim
from proctor_operator.domain.execution import ProcExecutionStatus
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import Outcome, RunRequest
from proctor_operator.domain.workload import JobFacts, PodFacts


@dataclass(frozen=True, slots=True)
class ReadProc:
    """Look at the Proc live."""

    name: str


@dataclass(frozen=True, slots=True)
class ReadSchedule:
    """Look at the ProcSchedule live."""

    name: str


@dataclass(frozen=True, slots=True)
class ReadExecution:
    """Look at the execution itself live: what somebody asked of it since may explain what is seen."""


@dataclass(frozen=True, slots=True)
class ReadJob:
    """Look at the Job live."""

    name: str


@dataclass(frozen=True, slots=True)
class ReadPods:
    """List the execution's pods live."""


@dataclass(frozen=True, slots=True)
class AskMayExecute:
    """Ask the API server whether the requester holds the verb `execute` on the Proc."""


@dataclass(frozen=True, slots=True)
class AskPlugins:
    """Ask the plugins that vote on who may run the Proc."""


@dataclass(frozen=True, slots=True)
class AskPreLaunch:
    """Ask the gates before the start, when everything else allows it."""


@dataclass(frozen=True, slots=True)
class AskMayReadSecret:
    """Ask the API server whether the requester may read a Secret that an argument names."""

    name: str


@dataclass(frozen=True, slots=True)
class ReadRun:
    """Look the run up in the record, because its Job shows that it has been there."""


@dataclass(frozen=True, slots=True)
class FetchEarlierRun:
    """Look in the record whether the same object has run before, under another UID."""

    request: RunRequest


@dataclass(frozen=True, slots=True)
class RecordRun:
    """Insert the run into the record, or read back what is there."""

    request: RunRequest


@dataclass(frozen=True, slots=True)
class ClaimSlots:
    """Insert the run with its slots, or without where it has to wait for them."""

    request: RunRequest
    claims: tuple[SlotClaim, ...]


@dataclass(frozen=True, slots=True)
class ReadPlace:
    """Look whether a run that waits could have its slots now."""

    claims: tuple[SlotClaim, ...]


@dataclass(frozen=True, slots=True)
class EndTheVanished:
    """Look whether those that are waited for are there at all, and record the end of who is not."""

    occupants: tuple[Occupant, ...]


@dataclass(frozen=True, slots=True)
class RecordRefusal:
    """Insert a run that never starts, with its outcome."""

    request: RunRequest
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CreateJob:
    """POST the Job; when the name is taken, look at who has it."""

    manifest: JsonObject


@dataclass(frozen=True, slots=True)
class RecordJob:
    """Note in the record which Job is the run's, when its start is long in coming."""

    job_uid: Uid


@dataclass(frozen=True, slots=True)
class RecordStarted:
    """Note in the record that the Job runs."""

    job_uid: Uid
    started_at: datetime


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Ask for the Job's deletion; our finalizer holds it, and it makes no further pod."""

    job: JobFacts


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Ask for a pod's deletion, with its grace period."""

    pod: PodFacts


@dataclass(frozen=True, slots=True)
class FollowLog:
    """Have the output of a pod read, in the background."""

    pod: PodFacts


@dataclass(frozen=True, slots=True)
class AttachLog:
    """Have it read at once: the pod is about to be stopped, and its log may go with it."""

    pod: PodFacts


@dataclass(frozen=True, slots=True)
class FinishLog:
    """Have the output of pods that have ended read to its last line, and sum it up.

    `unseen` counts pods that the Job knows of and nobody here has seen: their output is lost.
    """

    pods: tuple[PodFacts, ...]
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """Store the end, its transitions with it."""

    job_uid: Uid | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the status, if the object is still the one that was looked at."""

    status: ProcExecutionStatus


@dataclass(frozen=True, slots=True)
class ReleaseJob:
    """Take our finalizer off the Job and let Kubernetes delete it after a while, in one patch."""

    job: JobFacts


@dataclass(frozen=True, slots=True)
class ReleaseExecution:
    """Take our finalizer off the execution, which is being deleted."""


@dataclass(frozen=True, slots=True)
class AbandonJob:
    """Release the Job though its end is not in the record: an admin said so, with this reason."""

    job: JobFacts
    reason: str


@dataclass(frozen=True, slots=True)
class AbandonExecution:
    """Release the execution in the same way."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do; look again after `after_seconds`, or only when something happens."""

    after_seconds: float | None = None


Action = (
    ReadProc
    | ReadSchedule
    | ReadExecution
    | ReadJob
    | ReadPods
    | AskMayExecute
    | AskPlugins
    | AskPreLaunch
    | AskMayReadSecret
    | ReadRun
    | FetchEarlierRun
    | RecordRun
    | ClaimSlots
    | ReadPlace
    | EndTheVanished
    | RecordRefusal
    | CreateJob
    | RecordJob
    | RecordStarted
    | DeleteJob
    | DeletePod
    | FollowLog
    | AttachLog
    | FinishLog
    | RecordOutcome
    | WriteStatus
    | ReleaseJob
    | ReleaseExecution
    | AbandonJob
    | AbandonExecution
)
