"""Snapshots of every kind, and a world that answers actions as it likes, for Hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from proctor_operator.domain.concurrency import (
    Forbidden,
    Granted,
    SlotVerdict,
    Superseded,
    Waits,
)
from proctor_operator.domain.execution import JobRef, Phase, ProcExecutionStatus, ScheduleRef
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import RECORD_FINALIZER, Uid
from proctor_operator.domain.objects import Kind, UnreadableObject, Unseen
from proctor_operator.domain.plugin import Defer, Deny, GateAnswer, Opinion, Pass, Vote
from proctor_operator.domain.proc import ConcurrencyPolicy
from proctor_operator.domain.run import RecordedRun
from proctor_operator.domain.schedule import ProcSchedule, ScheduleConcurrency
from proctor_operator.domain.workload import ContainerWaiting, PodPhase
from proctor_operator.reconcile.decision import (
    AbandonExecution,
    AbandonJob,
    Action,
    AskMayExecute,
    AskMayReadSecret,
    AskPlugins,
    AskPreLaunch,
    AttachLog,
    ClaimSlots,
    CreateJob,
    DeleteJob,
    DeletePod,
    EndTheVanished,
    FetchEarlierRun,
    FinishLog,
    FollowLog,
    ReadExecution,
    ReadJob,
    ReadPlace,
    ReadPods,
    ReadProc,
    ReadRun,
    ReadSchedule,
    RecordJob,
    RecordOutcome,
    RecordRefusal,
    RecordRun,
    RecordStarted,
    ReleaseExecution,
    ReleaseJob,
    WriteStatus,
)
from proctor_operator.reconcile.observed import ObservedExecution
from unit import builders as a

VOTES = st.sampled_from([(), (Vote("gate", Opinion.DENY, "no"),)])
GATES: st.SearchStrategy[GateAnswer] = st.sampled_from(
    [Pass(), Deny("freeze", "Frozen", "no"), Defer("freeze", "Frozen", "later", 30.0)]
)
STRANGER = Uid("somebody")
FORBIDS = ScheduleConcurrency(policy=ConcurrencyPolicy.FORBID)
MAYBE = st.booleans()
VOTES = st.sampled_from([(), (Vote("gate", Opinion.DENY, "no"),)])
STATUSES = st.sampled_from(
    [
        ProcExecutionStatus(),
        ProcExecutionStatus(reason="Queued"),
        ProcExecutionStatus(phase=Phase.SUCCEEDED),
        ProcExecutionStatus(phase=Phase.RUNNING, job_ref=JobRef(name=a.JOB_NAME, uid=a.JOB_UID)),
        *(a.final_execution_status(phase) for phase in Phase if phase.is_terminal),
    ]
)
SPECS = st.builds(
    a.execution_spec,
    cancel=MAYBE,
    requested_by=st.sampled_from([None, a.requester(), a.requester(groups=())]),
    arguments=st.sampled_from([{}, {"A": 1}]),
    arguments_from=st.sampled_from([(), (a.argument_from("TOKEN"),)]),
    schedule_ref=st.sampled_from([None, ScheduleRef(name="nightly", uid=a.schedule().uid)]),
)
EXECUTIONS = st.builds(
    a.execution,
    SPECS,
    status=STATUSES,
    deletion_time=st.sampled_from([None, a.ago(1)]),
    finalizers=st.sampled_from([(), (RECORD_FINALIZER,)]),
    annotations=st.sampled_from([{}, {"proctor.dev/give-up": "the database is lost"}]),
    labels=st.sampled_from([{}, {"kustomize.toolkit.fluxcd.io/name": "apps"}]),
)
PROC_SPECS = st.builds(
    a.proc_spec,
    suspend=MAYBE,
    concurrency=st.sampled_from([{"policy": one} for one in ("Allow", "Forbid", "Queue")]),
    parameters=st.sampled_from([(), (a.parameter("TOKEN", sensitive=True),)]),
    pending_timeout_seconds=st.sampled_from([None, 60]),
    logs=st.sampled_from([{"tail": True}, {"tail": False}]),
)
PROCS = st.one_of(
    st.builds(a.proc, PROC_SPECS),
    st.just(a.unreadable(Kind.PROC)),
    st.just(Unseen.ABSENT),
)
SCHEDULES: st.SearchStrategy[ProcSchedule | UnreadableObject | Unseen] = st.sampled_from(
    [
        Unseen.ABSENT,
        a.schedule(),
        a.schedule(uid=STRANGER),
        a.schedule(spec=a.schedule().spec.model_copy(update={"concurrency": FORBIDS})),
        a.unreadable(Kind.PROC_SCHEDULE),
    ]
)
_CLAIM, _OTHER = a.slot_claim(), a.occupant()
VERDICTS: st.SearchStrategy[SlotVerdict] = st.sampled_from(
    [
        Granted(),
        Waits(_CLAIM, (_OTHER,)),
        Waits(_CLAIM, (_OTHER,), replaced=(_OTHER,)),
        Waits(_CLAIM, (_OTHER,), to_replace=(_OTHER,), replaced=(_OTHER,)),
        Forbidden(_CLAIM, _OTHER),
        Superseded(_CLAIM, _OTHER),
    ]
)
JOBS = st.builds(
    replace,
    st.sampled_from([a.job(), a.complete_job(), a.failed_job()]),
    owner_uid=st.sampled_from([a.EXECUTION_UID, a.EXECUTION_UID, STRANGER]),
    created_at=st.sampled_from([a.ago(50), a.ago(5000)]),
    is_suspended=MAYBE,
    deletion_time=st.sampled_from([None, a.ago(3)]),
    finalizers=st.sampled_from([(), (RECORD_FINALIZER,)]),
    give_up_note=st.sampled_from(["", "the database is lost"]),
)
JOB_ANSWERS = st.one_of(JOBS, st.just(Unseen.ABSENT))
PODS = st.lists(
    st.builds(
        replace,
        st.sampled_from(
            [
                a.pod(),
                a.pod(waiting=ContainerWaiting("ImagePullBackOff", "m" * 3000)),
                a.running_pod(),
                a.ended_pod(0),
                a.ended_pod(3),
                a.pod(phase=PodPhase.FAILED, reason="Evicted"),
            ]
        ),
        uid=st.sampled_from([Uid("p1"), Uid("p2"), Uid("p3")]),
        owner_uid=st.sampled_from([a.JOB_UID, a.JOB_UID, STRANGER]),
        created_at=st.sampled_from([a.ago(45), a.ago(20)]),
        deletion_time=st.sampled_from([None, a.ago(3)]),
        is_gone=MAYBE,
    ),
    max_size=3,
    unique_by=lambda pod: pod.uid,
).map(tuple)
OUTCOMES = st.one_of(
    st.none(), st.builds(a.outcome, st.sampled_from([p for p in Phase if p.is_terminal]))
)
RUNS = st.builds(
    a.recorded_run,
    job_uid=st.sampled_from([None, a.JOB_UID]),
    started_at=st.sampled_from([None, a.STARTED]),
    outcome=OUTCOMES,
    is_waiting=st.sampled_from([False, False, True]),
    replaced_by=st.sampled_from(["", "", "a-newer-one"]),
)
LOGS: st.SearchStrategy[LogSummary | Unseen] = st.sampled_from(
    [Unseen.UNAVAILABLE, a.log_summary()]
)
POD_UIDS = st.frozensets(st.sampled_from([Uid("p1"), Uid("p2"), Uid("p3")]))


def _with_run(seen: ObservedExecution, run: Any, pinned: Any) -> ObservedExecution:
    known = pinned if isinstance(run, RecordedRun) else None
    return replace(seen, run=run, pinned=known, is_run_live=True)


@st.composite
def snapshots(draw: st.DrawFn) -> ObservedExecution:
    """Draw what a pass may know at its beginning, and more: sense is not required of it."""
    seen = ObservedExecution(
        execution=draw(EXECUTIONS),
        policy=a.POLICY,
        votes=draw(st.none() | VOTES),
        pre_launch=draw(st.none() | GATES),
        proc=draw(st.one_of(PROCS, st.just(Unseen.NOT_READ))),
        is_proc_live=draw(MAYBE),
        schedule=draw(st.one_of(SCHEDULES, st.just(Unseen.NOT_READ))),
        job=draw(st.one_of(JOB_ANSWERS, st.just(Unseen.NOT_READ))),
        is_job_live=draw(MAYBE),
        has_seen_job=draw(st.sampled_from([False, False, True])),
        is_execution_live=draw(MAYBE),
        job_refusal=draw(st.sampled_from([None, None, None, "image: Required value"])),
        pods=draw(PODS),
        are_pods_live=draw(MAYBE),
        holds_execute=draw(st.sampled_from([None, True, False])),
        followed=draw(POD_UIDS),
        attached=draw(POD_UIDS),
        log=draw(st.one_of(LOGS, st.just(Unseen.NOT_READ))),
    )
    if seen.is_proc_live and seen.proc is Unseen.NOT_READ:
        seen = replace(seen, is_proc_live=False)
    run = draw(st.one_of(RUNS, st.sampled_from(list(Unseen))))
    seen = _with_run(seen, run, draw(st.one_of(st.none(), PROC_SPECS)))
    return replace(seen, is_run_live=draw(MAYBE))


def answered(seen: ObservedExecution, action: Action, draw: st.DrawFn) -> ObservedExecution:
    """Perform the action in a world that answers what it likes, faults of the record included."""
    match action:
        case (
            ReadRun()
            | FetchEarlierRun()
            | RecordRun()
            | RecordRefusal()
            | RecordJob()
            | RecordStarted()
            | RecordOutcome()
        ):
            if draw(st.integers(0, 9)) == 0:
                return replace(seen, run=Unseen.UNAVAILABLE)
            return _recorded(seen, action, draw)
        case ClaimSlots() | ReadPlace() | EndTheVanished():
            return _in_line(seen, action, draw)
        case CreateJob() | DeleteJob() | DeletePod() | WriteStatus() | ReleaseJob() | AbandonJob():
            return _written(seen, action, draw)
        case ReleaseExecution() | AbandonExecution():
            released = seen.execution.model_copy(update={"finalizers": ()})
            return replace(seen, execution=released)
        case _:
            return _looked(seen, action, draw)


def _looked(
    seen: ObservedExecution,
    action: ReadProc
    | ReadSchedule
    | ReadExecution
    | ReadJob
    | ReadPods
    | AskMayExecute
    | AskPlugins
    | AskPreLaunch
    | AskMayReadSecret
    | FollowLog
    | AttachLog
    | FinishLog,
    draw: st.DrawFn,
) -> ObservedExecution:
    match action:
        case ReadProc():
            return replace(seen, proc=draw(PROCS), is_proc_live=True)
        case ReadSchedule():
            return replace(seen, schedule=draw(SCHEDULES), is_schedule_live=True)
        case ReadExecution():
            return replace(seen, is_execution_live=True)
        case ReadJob():
            return replace(seen, job=draw(JOB_ANSWERS), is_job_live=True)
        case ReadPods():
            return replace(seen, pods=draw(PODS), are_pods_live=True)
        case AskMayExecute() | AskPlugins() | AskPreLaunch() | AskMayReadSecret():
            return _asked(seen, action, draw)
        case FollowLog(pod):
            return replace(seen, followed=seen.followed | {pod.uid})
        case AttachLog(pod):
            return replace(seen, attached=seen.attached | {pod.uid})
        case FinishLog():
            return replace(seen, log=draw(LOGS))


def _asked(
    seen: ObservedExecution,
    action: AskMayExecute | AskPlugins | AskPreLaunch | AskMayReadSecret,
    draw: st.DrawFn,
) -> ObservedExecution:
    match action:
        case AskMayExecute():
            return replace(seen, holds_execute=draw(MAYBE))
        case AskPlugins():
            return replace(seen, votes=draw(VOTES))
        case AskPreLaunch():
            return replace(seen, pre_launch=draw(GATES))
        case AskMayReadSecret(name):
            return replace(seen, reads_secrets={**seen.reads_secrets, name: draw(MAYBE)})


def _in_line(
    seen: ObservedExecution, action: ClaimSlots | ReadPlace | EndTheVanished, draw: st.DrawFn
) -> ObservedExecution:
    match action:
        case ReadPlace():
            return replace(seen, place=draw(VERDICTS))
        case EndTheVanished():
            place = draw(st.sampled_from([seen.place, Unseen.NOT_READ]))
            return replace(seen, place=place, are_occupants_there=True)
        case ClaimSlots(request):
            verdict = draw(VERDICTS)
            seen = replace(seen, place=verdict)
            if isinstance(verdict, Forbidden | Superseded):
                return seen
            if isinstance(verdict, Waits):
                waiting = a.recorded_run(replace(request, pinned=None), is_waiting=True)
                verdict = replace(verdict, to_replace=())
                return _with_run(replace(seen, place=verdict), waiting, None)
            return _with_run(seen, a.recorded_run(request), draw(PROC_SPECS))


def _recorded(
    seen: ObservedExecution,
    action: ReadRun
    | FetchEarlierRun
    | RecordRun
    | RecordRefusal
    | RecordJob
    | RecordStarted
    | RecordOutcome,
    draw: st.DrawFn,
) -> ObservedExecution:
    match action:
        case ReadRun():
            run = draw(st.one_of(RUNS, st.just(Unseen.ABSENT)))
        case FetchEarlierRun():
            return replace(seen, earlier=draw(st.one_of(RUNS, st.just(Unseen.ABSENT))))
        case RecordRun(request):
            run = draw(st.one_of(RUNS, st.just(a.recorded_run(request))))
        case RecordRefusal(request, outcome):
            run = draw(st.one_of(RUNS, st.just(a.recorded_run(request, outcome=outcome))))
        case RecordJob(job_uid):
            assert isinstance(seen.run, RecordedRun)
            return replace(seen, run=replace(seen.run, job_uid=job_uid))
        case RecordStarted(job_uid, started_at):
            assert isinstance(seen.run, RecordedRun)
            return replace(seen, run=replace(seen.run, job_uid=job_uid, started_at=started_at))
        case RecordOutcome(_, outcome):
            assert isinstance(seen.run, RecordedRun)
            return replace(seen, run=replace(seen.run, outcome=outcome))
    return _with_run(seen, run, draw(PROC_SPECS))


def _written(
    seen: ObservedExecution,
    action: CreateJob | DeleteJob | DeletePod | WriteStatus | ReleaseJob | AbandonJob,
    draw: st.DrawFn,
) -> ObservedExecution:
    match action:
        case CreateJob():
            refusal = draw(st.sampled_from([None, "invalid"]))
            return replace(seen, job_refusal=refusal, job=seen.job if refusal else draw(JOBS))
        case DeleteJob(job):
            return replace(seen, job=replace(job, deletion_time=a.NOW))
        case DeletePod(pod):
            rest = tuple(one for one in seen.pods if one.uid != pod.uid)
            return replace(seen, pods=(*rest, replace(pod, deletion_time=a.NOW)))
        case WriteStatus(status):
            return replace(seen, execution=seen.execution.model_copy(update={"status": status}))
        case ReleaseJob(job) | AbandonJob(job):
            return replace(seen, job=replace(job, finalizers=()))
