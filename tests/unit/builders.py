"""Objects for tests, sane unless the test says otherwise: it shows only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from proctor_operator.domain.concurrency import Occupant, SlotClaim
from proctor_operator.domain.conditions import Condition, ConditionStatus, ConditionType, condition
from proctor_operator.domain.execution import (
    ArgumentFrom,
    Phase,
    ProcExecution,
    ProcExecutionSpec,
    ProcExecutionStatus,
    ProcRef,
)
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import RECORD_FINALIZER, Namespace, Uid, job_name
from proctor_operator.domain.objects import Kind, ObjectKey, UnreadableObject
from proctor_operator.domain.plugin import Pass
from proctor_operator.domain.proc import (
    Authorization,
    ConcurrencyPolicy,
    Parameter,
    Proc,
    ProcSpec,
    SecretKeyRef,
)
from proctor_operator.domain.run import Outcome, PinnedSpec, RecordedRun, RunKey, RunRequest
from proctor_operator.domain.schedule import ProcSchedule, ProcScheduleSpec
from proctor_operator.domain.workload import ContainerEnd, JobEnd, JobFacts, PodFacts, PodPhase
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.policy import RunPolicy

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NAMESPACE = Namespace("apps")
EXECUTION_NAME = "grow-disk-x7"
EXECUTION_UID = Uid("5b1c0d6e-0000-4000-8000-000000000001")
JOB_NAME = job_name(EXECUTION_NAME, EXECUTION_UID)
JOB_UID = Uid("job-uid-1")
KEY = ObjectKey(Kind.PROC_EXECUTION, NAMESPACE, EXECUTION_NAME)


def ago(seconds: float) -> datetime:
    """That long before NOW."""
    return NOW - timedelta(seconds=seconds)


CREATED = ago(60)
STARTED = ago(30)
ENDED = ago(10)


def parameter(name: str = "SIZE_GB", **fields: Any) -> Parameter:
    return Parameter.model_validate({"name": name, **fields})


def argument_from(name: str, *, secret: str = "my-token", key: str = "t") -> ArgumentFrom:
    return ArgumentFrom(name=name, secret_key_ref=SecretKeyRef(name=secret, key=key))


def proc_spec(**fields: Any) -> ProcSpec:
    """Return a spec that the default requester may run, without parameters."""
    defaults: dict[str, Any] = {
        "description": "Grow the disk of a database replica",
        "image": "registry.example.org/dba/grow-disk:1.4",
        "authorization": Authorization(groups=("dba",)),
    }
    return ProcSpec(**{**defaults, **fields})


def proc(spec: ProcSpec | None = None, **fields: Any) -> Proc:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": "grow-disk",
        "uid": Uid("proc-uid-1"),
        "generation": 3,
        "resource_version": "100",
        "spec": spec or proc_spec(),
    }
    return Proc(**{**defaults, **fields})


def schedule(**fields: Any) -> ProcSchedule:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": "nightly",
        "uid": Uid("schedule-uid-1"),
        "generation": 1,
        "resource_version": "300",
        "creation_time": CREATED,
        "spec": ProcScheduleSpec(proc_ref=ProcRef(name="grow-disk"), cron="0 1 * * *"),
    }
    return ProcSchedule(**{**defaults, **fields})


def unreadable(kind: Kind = Kind.PROC_EXECUTION, **fields: Any) -> UnreadableObject:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": EXECUTION_NAME,
        "uid": EXECUTION_UID,
        "generation": 1,
        "resource_version": "200",
        "created_at": CREATED,
        "problem": "spec.procRef: Field required",
    }
    return UnreadableObject(kind=kind, **{**defaults, **fields})


def requester(**fields: Any) -> Requester:
    return Requester(**{"username": "alice", "groups": ("dba",), **fields})


def execution_spec(**fields: Any) -> ProcExecutionSpec:
    defaults: dict[str, Any] = {
        "proc_ref": ProcRef(name="grow-disk"),
        "requested_by": requester(),
    }
    return ProcExecutionSpec(**{**defaults, **fields})


def execution(spec: ProcExecutionSpec | None = None, **fields: Any) -> ProcExecution:
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": EXECUTION_NAME,
        "uid": EXECUTION_UID,
        "generation": 1,
        "resource_version": "200",
        "creation_time": CREATED,
        "finalizers": (RECORD_FINALIZER,),
        "spec": spec or execution_spec(),
    }
    return ProcExecution(**{**defaults, **fields})


def cancelled_execution(**fields: Any) -> ProcExecution:
    return execution(execution_spec(cancel=True), **fields)


def deleted_execution(**fields: Any) -> ProcExecution:
    return execution(**{"deletion_time": ago(1), **fields})


def says(
    type_: ConditionType,
    status: ConditionStatus = ConditionStatus.TRUE,
    reason: str = "Because",
    *,
    now: datetime = NOW,
) -> Condition:
    return condition(type_, status, reason, "", generation=1, now=now)


def final_execution_status(phase: Phase = Phase.SUCCEEDED) -> ProcExecutionStatus:
    end = ConditionType.COMPLETE if phase is Phase.SUCCEEDED else ConditionType.FAILED
    return ProcExecutionStatus(
        phase=phase, number=1, conditions=(says(ConditionType.RECORDED), says(end))
    )


def finished_execution(phase: Phase = Phase.SUCCEEDED, **fields: Any) -> ProcExecution:
    return execution(**{"status": final_execution_status(phase), **fields})


def job(**fields: Any) -> JobFacts:
    """Return the Job of the default execution, held by our finalizer, not ended."""
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": JOB_NAME,
        "uid": JOB_UID,
        "resource_version": "400",
        "created_at": ago(50),
        "owner_uid": EXECUTION_UID,
        "owner_name": EXECUTION_NAME,
        "execution_uid": EXECUTION_UID,
        "execution_created_at": CREATED,
        "finalizers": (RECORD_FINALIZER,),
    }
    return JobFacts(**{**defaults, **fields})


def complete_job(**fields: Any) -> JobFacts:
    return job(
        **{
            "end": JobEnd(succeeded=True, reason="CompletionsReached", message="", at=ENDED),
            **fields,
        }
    )


def failed_job(
    reason: str = "BackoffLimitExceeded",
    message: str = "Job has reached the specified backoff limit",
    **fields: Any,
) -> JobFacts:
    end = JobEnd(succeeded=False, reason=reason, message=message, at=ENDED)
    return job(**{"end": end, "failed_pods": 1, **fields})


def pod(**fields: Any) -> PodFacts:
    """Return a pending pod of the default Job."""
    defaults: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": f"{JOB_NAME}-abcde",
        "uid": Uid("pod-uid-1"),
        "resource_version": "500",
        "created_at": ago(45),
        "owner_uid": JOB_UID,
        "execution_uid": EXECUTION_UID,
        "node_name": "node-1",
    }
    return PodFacts(**{**defaults, **fields})


def running_pod(**fields: Any) -> PodFacts:
    return pod(**{"phase": PodPhase.RUNNING, "running_since": STARTED, **fields})


def container_end(exit_code: int = 0, **fields: Any) -> ContainerEnd:
    defaults: dict[str, Any] = {
        "reason": "Completed" if exit_code == 0 else "Error",
        "message": "",
        "started_at": STARTED,
        "finished_at": ENDED,
    }
    return ContainerEnd(exit_code=exit_code, **{**defaults, **fields})


def ended_pod(exit_code: int = 0, **fields: Any) -> PodFacts:
    phase = PodPhase.SUCCEEDED if exit_code == 0 else PodPhase.FAILED
    return pod(**{"phase": phase, "end": container_end(exit_code), **fields})


def outcome(phase: Phase = Phase.SUCCEEDED, **fields: Any) -> Outcome:
    defaults: dict[str, Any] = {
        "reason": "Completed",
        "message": "",
        "completed_at": ENDED,
        "started_at": STARTED,
        "exit_code": 0,
        "attempts": 1,
    }
    return Outcome(phase, **{**defaults, **fields})


def run_request(pinned: ProcSpec | None = None, **fields: Any) -> RunRequest:
    spec = (pinned or proc_spec()).model_dump(mode="json", by_alias=True, exclude_unset=True)
    defaults: dict[str, Any] = {
        "key": RunKey(CREATED, EXECUTION_UID),
        "namespace": NAMESPACE,
        "name": EXECUTION_NAME,
        "proc_name": "grow-disk",
        "requester": requester(),
        "reason": "",
        "arguments": {},
        "pinned": PinnedSpec("grow-disk", Uid("proc-uid-1"), 3, spec),
        "grant": "group dba",
    }
    return RunRequest(**{**defaults, **fields})


def recorded_run(request: RunRequest | None = None, **fields: Any) -> RecordedRun:
    defaults: dict[str, Any] = {"number": 7, "recorded_at": ago(55)}
    return RecordedRun(request=request or run_request(), **{**defaults, **fields})


def run_key(number: int) -> RunKey:
    """Key of another run, made so many seconds after the default one."""
    return RunKey(CREATED + timedelta(seconds=number), Uid(f"other-{number}"))


def occupant(number: int = -1, **fields: Any) -> Occupant:
    """Return another run of a group: it is older than the default one, and has a slot."""
    given = {"key": run_key(number), "name": f"run-{number}", "is_waiting": False, **fields}
    return Occupant(**given)


def slot_claim(policy: str = "Queue", **fields: Any) -> SlotClaim:
    defaults = {"group": "proc/proc-uid-1", "limit": 1, "whose": "proc 'grow-disk'"}
    return SlotClaim(**{**defaults, "policy": ConcurrencyPolicy(policy), **fields})


POLICY = RunPolicy()


def observed(execution_: ProcExecution | None = None, **fields: Any) -> ObservedExecution:
    """Return what a first look brings: the execution and its Proc, nothing read from elsewhere."""
    defaults: dict[str, Any] = {"policy": POLICY, "proc": proc(), "votes": (), "pre_launch": Pass()}
    return ObservedExecution(execution=execution_ or execution(), **{**defaults, **fields})


def recorded(execution_: ProcExecution | None = None, **fields: Any) -> ObservedExecution:
    """Return an execution whose run is in the record, without an outcome, and has no Job yet."""
    defaults: dict[str, Any] = {"run": recorded_run(), "pinned": proc_spec()}
    return observed(execution_, **{**defaults, **fields})


def running(execution_: ProcExecution | None = None, **fields: Any) -> ObservedExecution:
    """Return an execution whose Job, just read, has a running pod that the record knows of."""
    defaults: dict[str, Any] = {
        "run": recorded_run(job_uid=JOB_UID, started_at=STARTED),
        "job": job(),
        "is_job_live": True,
        "is_execution_live": True,
        "is_run_live": True,
        "pods": (running_pod(),),
    }
    given = {**defaults, **fields}
    given.setdefault("followed", frozenset(one.uid for one in given["pods"]))
    return recorded(execution_, **given)


def log_summary(tail: str | None = "done\n", **changes: Any) -> LogSummary:
    summary = LogSummary(
        is_complete=True, reason="Captured", message="1 lines, 5 bytes", size=5, lines=1, tail=tail
    )
    return replace(summary, **changes)
