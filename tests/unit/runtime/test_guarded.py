"""Nobody writes who does not lead: each action, each pass of another kind, each method of each port."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args

import pytest

from proctor_operator.domain.errors import NotLeading
from proctor_operator.domain.objects import Kind, ObjectKey, Unseen
from proctor_operator.domain.workload import JobFacts
from proctor_operator.ports.cluster import Cluster, OwnObject
from proctor_operator.ports.events import EventStore
from proctor_operator.ports.occurrences import Occurrences
from proctor_operator.ports.records import LogStore, Records
from proctor_operator.reconcile import decision
from proctor_operator.reconcile.decision import Action
from proctor_operator.reconcile.jobspec import build_job
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.runtime.cache import key_of
from proctor_operator.runtime.guarded import (
    GuardedCluster,
    GuardedEventStore,
    GuardedLogStore,
    GuardedOccurrences,
    GuardedRecords,
)
from unit.builders import (
    JOB_UID,
    NAMESPACE,
    POLICY,
    STARTED,
    deleted_execution,
    ended_pod,
    execution,
    final_execution_status,
    job,
    occupant,
    outcome,
    proc,
    proc_spec,
    recorded_run,
    run_request,
    running,
    running_pod,
    schedule,
    slot_claim,
    unreadable,
)
from unit.world import World

READS: dict[type[Any], Action] = {
    decision.ReadExecution: decision.ReadExecution(),
    decision.ReadProc: decision.ReadProc("grow-disk"),
    decision.ReadJob: decision.ReadJob(job().name),
    decision.ReadPods: decision.ReadPods(),
    decision.AskMayExecute: decision.AskMayExecute(),
    decision.AskPlugins: decision.AskPlugins(),
    decision.AskPreLaunch: decision.AskPreLaunch(),
    decision.AskMayReadSecret: decision.AskMayReadSecret("token"),
    decision.ReadRun: decision.ReadRun(),
    decision.FetchEarlierRun: decision.FetchEarlierRun(run_request()),
    decision.ReadSchedule: decision.ReadSchedule("nightly"),
    decision.ReadPlace: decision.ReadPlace((slot_claim(),)),
    decision.FollowLog: decision.FollowLog(running_pod()),
    decision.AttachLog: decision.AttachLog(ended_pod()),
    decision.FinishLog: decision.FinishLog(()),
}
"""Actions that change nothing; every other one must have its example below."""

WRITES: dict[type[Any], Action] = {
    decision.RecordRun: decision.RecordRun(run_request()),
    decision.ClaimSlots: decision.ClaimSlots(run_request(), (slot_claim(),)),
    decision.EndTheVanished: decision.EndTheVanished((occupant(),)),
    decision.RecordRefusal: decision.RecordRefusal(run_request(), outcome()),
    decision.RecordJob: decision.RecordJob(JOB_UID),
    decision.RecordStarted: decision.RecordStarted(JOB_UID, STARTED),
    decision.RecordOutcome: decision.RecordOutcome(JOB_UID, outcome()),
    decision.CreateJob: decision.CreateJob(
        build_job(execution(), recorded_run(), proc_spec(), POLICY)
    ),
    decision.DeleteJob: decision.DeleteJob(job()),
    decision.DeletePod: decision.DeletePod(running_pod()),
    decision.WriteStatus: decision.WriteStatus(final_execution_status()),
    decision.ReleaseJob: decision.ReleaseJob(job()),
    decision.ReleaseExecution: decision.ReleaseExecution(),
    decision.AbandonJob: decision.AbandonJob(job(), "the database is lost"),
    decision.AbandonExecution: decision.AbandonExecution("the database is lost"),
}

CLUSTER_READS = {
    "fetch_execution",
    "fetch_proc",
    "fetch_schedule",
    "fetch_job",
    "fetch_pods",
    "list_own",
    "changed_own",
    "list_jobs",
    "list_pods",
}
RECORD_READS = {"fetch_run", "fetch_earlier", "fetch_place"}
LOG_READS = {"log_spans", "fetch_log_chunk"}


class Leading:
    """Counts how often it is asked; says no from the question with the number `until` on."""

    def __init__(self, until: int = 0) -> None:
        self.asked = 0
        self._until = until

    def assert_leading(self) -> None:
        self.asked += 1
        if self.asked > self._until:
            raise NotLeading("somebody else holds the Lease")


def without_a_lease() -> World:
    """A world with one of everything, where somebody else leads."""
    world = World(proc(), deleted_execution(), leadership=Leading())
    world.cluster.put_job(job())
    world.cluster.put_pod(running_pod())
    world.records.runs[run_request().key] = recorded_run()
    return world


def test_every_action_has_an_example_here() -> None:
    assert set(get_args(Action)) == READS.keys() | WRITES.keys()
    assert not READS.keys() & WRITES.keys()


@pytest.mark.parametrize("action", WRITES.values(), ids=lambda action: type(action).__name__)
async def test_an_action_that_writes_is_not_performed(action: Action) -> None:
    world = without_a_lease()
    runs = dict(world.records.runs)

    with pytest.raises(NotLeading):
        await world.effects.perform(action, running(deleted_execution()))

    assert world.cluster.writes == []
    assert world.records.runs == runs


@pytest.mark.parametrize("action", READS.values(), ids=lambda action: type(action).__name__)
async def test_an_action_that_reads_needs_no_lease(action: Action) -> None:
    world = without_a_lease()

    assert isinstance(
        await world.effects.perform(action, running(deleted_execution())), ObservedExecution
    )


async def test_a_pass_that_loses_the_lease_stops_before_its_next_write() -> None:
    world = World(proc(), execution(), leadership=Leading(until=1))

    with pytest.raises(NotLeading):
        await world.pass_over()

    assert world.records.runs, "the first write was still allowed"
    assert world.cluster.writes == [], "the second, of the Job, was not"


@pytest.mark.parametrize(
    "known",
    [
        proc(),
        schedule(),
        schedule(spec=schedule().spec.model_copy(update={"cron": "* * * * *"})),
        unreadable(),
        unreadable(Kind.PROC),
        unreadable(
            deletion_time=deleted_execution().deletion_time, finalizers=execution().finalizers
        ),
    ],
    ids=[
        "a proc",
        "a schedule",
        "one that is due",
        "an unreadable execution",
        "an unreadable proc",
        "one deleted",
    ],
)
async def test_nothing_is_said_on_any_object(known: OwnObject) -> None:
    world = World(known, leadership=Leading())

    with pytest.raises(NotLeading):
        await world.pass_over(key_of(known))

    assert world.cluster.writes == []


@pytest.mark.parametrize(
    "orphan",
    [job(), job(deletion_time=STARTED), job(deletion_time=STARTED, execution_uid=None)],
    ids=["to stop", "to record", "to release"],
)
async def test_an_orphaned_job_is_left_alone(orphan: JobFacts) -> None:
    world = World(leadership=Leading())
    world.cluster.put_job(orphan)
    if orphan.execution_uid is not None:
        world.cluster.put_pod(ended_pod() if orphan.deletion_time else running_pod())
        world.records.runs[run_request().key] = recorded_run(job_uid=JOB_UID)
        world.logs.data[ended_pod().name] = b""
    runs = dict(world.records.runs)

    with pytest.raises(NotLeading):
        await world.pass_over(ObjectKey(Kind.ORPHANED_JOB, NAMESPACE, orphan.name))

    assert world.cluster.writes == []
    assert world.records.runs == runs


@pytest.mark.parametrize(
    ("port", "guarded", "reads"),
    [
        (Cluster, GuardedCluster, CLUSTER_READS),
        (Records, GuardedRecords, RECORD_READS),
        (LogStore, GuardedLogStore, LOG_READS),
        (Occurrences, GuardedOccurrences, {"fetch_progress", "find_execution"}),
        (EventStore, GuardedEventStore, set[str]()),
    ],
    ids=["cluster", "records", "logs", "occurrences", "events"],
)
async def test_every_method_of_a_port_that_is_not_known_to_read_asks_first(
    port: type[Any], guarded: Callable[..., Any], reads: set[str]
) -> None:
    methods = {name: one for name, one in vars(port).items() if inspect.isfunction(one)}
    methods = {name: one for name, one in methods.items() if not name.startswith("_")}
    assert reads <= methods.keys()
    for name, method in methods.items():
        inner, leading = Recorder(), Leading()
        await call(getattr(guarded(inner, leading), name), method)
        assert (leading.asked, inner.called) == ((0, [name]) if name in reads else (1, [])), name


class Recorder:
    """Stands behind a guard and notes what gets through."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*_: Any, **__: Any) -> Any:
            self.called.append(name)
            return Unseen.NOT_READ if name.startswith(("list_", "changed_")) else nothing()

        return answer


async def nothing() -> None: ...


async def call(bound: Callable[..., Any], method: Callable[..., Any]) -> None:
    """Call with a placeholder for each parameter; a refusal by the guard is fine."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    positional = [object() for one in parameters if one.kind is not one.KEYWORD_ONLY]
    named = {one.name: object() for one in parameters if one.kind is one.KEYWORD_ONLY}
    try:
        answer = bound(*positional, **named)
        if inspect.isawaitable(answer):
            await answer
    except NotLeading:
        return
