"""The record's view of an execution: what is written before it starts, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from proctor_operator.domain.execution import Phase
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace, Uid

ALREADY_RUN: Final = "AlreadyRun"
"""Reason of an outcome that repeats an earlier run's: a GitOps tool applied the same object again."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """Identity of a run in the record; `created_at` is the object's creationTimestamp (the partition key)."""

    created_at: datetime
    uid: Uid


@dataclass(frozen=True, slots=True)
class PinnedSpec:
    """The Proc as it was when the run was recorded; a later change of the Proc does not reach it.

    `spec` is the Proc's spec as JSON: it names secrets, and never holds their values.
    """

    name: str
    uid: Uid
    generation: int
    spec: JsonObject


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; true in the sense of promise I5: from Job and Pod facts only.

    `phase` is terminal; `reason` one CamelCase word; `message` at most 1 KiB; `result` the
    termination message of the container, at most 4 KiB.
    """

    phase: Phase
    reason: str
    message: str
    completed_at: datetime
    started_at: datetime | None = None
    exit_code: int | None = None
    attempts: int | None = None
    pod_name: str | None = None
    image_id: str | None = None
    result: str | None = None
    log: LogSummary | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Everything about a run that is known before it starts.

    `arguments` has sensitive values as `***`; `pinned` is None only for a run that was refused
    before a Proc was found. `fingerprint` is a hash of the fields that the user wrote: with namespace
    and name it recognises an execution that a GitOps tool applies a second time.
    """

    key: RunKey
    namespace: Namespace
    name: str
    proc_name: str
    requester: Requester | None
    reason: str
    arguments: dict[str, JsonValue]
    pinned: PinnedSpec | None
    grant: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of a run's life; `at` by the clock of the cluster, `recorded_at` by that of the database."""

    name: str
    phase: Phase
    at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What the record holds about a run; `number` is its bigint for people and for links.

    One that `is_waiting` has no slot yet, and nothing is pinned; `replaced_by` names the execution that
    takes its place, so that it must not start, or must end.
    """

    request: RunRequest
    number: int
    recorded_at: datetime
    job_uid: Uid | None = None
    started_at: datetime | None = None
    outcome: Outcome | None = None
    is_waiting: bool = False
    replaced_by: str = ""

    def is_earlier_run_of(self, request: RunRequest) -> bool:
        """Whether this is an ended run of the same object, applied before under another UID.

        It counts when it may have done something: it had a Job, or nobody can tell (`Lost`). An empty
        fingerprint recognises nothing.
        """
        mine = self.request
        if not request.fingerprint or mine.key.uid == request.key.uid:
            return False
        if (mine.namespace, mine.name) != (request.namespace, request.name):
            return False
        if mine.fingerprint != request.fingerprint or self.outcome is None:
            return False
        if self.outcome.phase is Phase.REFUSED or self.outcome.reason == ALREADY_RUN:
            return False
        has_started = self.job_uid is not None or self.outcome.started_at is not None
        return has_started or self.outcome.phase is Phase.LOST
