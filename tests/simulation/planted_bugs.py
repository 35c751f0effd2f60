"""Bugs of many classes, put into the operator on purpose: the checks must catch every one.

Each replaces a function or a method of the real code, so that a rule that moves away breaks the test
rather than leaving it empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

import pytest

from proctor_operator.adapters.kube import cluster as kube_cluster
from proctor_operator.adapters.kube.mapping import read_execution, status_patch
from proctor_operator.app import clock
from proctor_operator.domain import concurrency, log_lines
from proctor_operator.domain.concurrency import Granted
from proctor_operator.domain.errors import NotLeading
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import RecordedRun, RunKey
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.reconcile import execution as ladder
from proctor_operator.reconcile import failure, jobspec, outcome, pending, request, running, slots
from proctor_operator.reconcile.decision import (
    AbandonExecution,
    Action,
    CreateJob,
    DeletePod,
    RecordOutcome,
    RecordRun,
    ReleaseExecution,
    ReleaseJob,
    Rest,
    WriteStatus,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.outcome import classify_stopped_job
from proctor_operator.reconcile.refusal import Refusal
from proctor_operator.reconcile.retention import HistoryLimits
from proctor_operator.reconcile.status import final_status, running_status
from proctor_operator.runtime import (
    cache,
    effects,
    elector,
    log_capture,
    log_reading,
    orphans,
    queue,
    resync,
    retention,
    run_log,
    runner,
    slot_effects,
)
from simulation import lease_store, record_store, watch_streams

Plant = Callable[[pytest.MonkeyPatch], None]
Bend = Callable[[Action | Rest, ObservedExecution, datetime], Action | Rest]


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """`promise` is the one that must be seen broken when `plan` is played."""

    plant: Plant
    plan: str
    promise: str


def bent(bend: Bend) -> Plant:
    """Change what the ladder says."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        decide: Callable[..., Action | Rest] = vars(runner)["decide"]
        patch.setattr(runner, "decide", lambda seen, now: bend(decide(seen, now), seen, now))

    return plant


def job_before_record(
    action: Action | Rest, seen: ObservedExecution, now: datetime
) -> Action | Rest:
    if isinstance(action, RecordRun) and seen.own_job is None and isinstance(seen.proc, Proc):
        run = RecordedRun(action.request, 0, now)
        return CreateJob(jobspec.build_job(seen.execution, run, seen.proc.spec, seen.policy))
    return action


def status_before_outcome(
    action: Action | Rest, seen: ObservedExecution, now: datetime
) -> Action | Rest:
    if isinstance(action, RecordOutcome) and isinstance(seen.run, RecordedRun):
        return WriteStatus(final_status(seen, seen.run, action.outcome, now))
    return action


def job_let_go_early(
    action: Action | Rest, seen: ObservedExecution, now: datetime
) -> Action | Rest:
    del now
    job = seen.own_job
    if isinstance(action, RecordOutcome) and job is not None and job.is_held:
        return ReleaseJob(job)
    return action


def execution_let_go_early(
    action: Action | Rest, seen: ObservedExecution, now: datetime
) -> Action | Rest:
    del now
    is_held = seen.execution.is_being_deleted and seen.execution.is_held
    return ReleaseExecution() if isinstance(action, RecordOutcome) and is_held else action


def success_when_the_log_ends(
    action: Action | Rest, seen: ObservedExecution, now: datetime
) -> Action | Rest:
    del now
    if isinstance(action, RecordOutcome) and isinstance(seen.log, LogSummary):
        outcome = replace(action.outcome, phase=Phase.SUCCEEDED, reason="Completed", exit_code=0)
        return RecordOutcome(action.job_uid, outcome)
    return action


def pods_forgotten_on_cancel(
    action: Action | Rest, seen: ObservedExecution, now: datetime
) -> Action | Rest:
    if isinstance(action, DeletePod) and isinstance(seen.job, JobFacts):
        return RecordOutcome(seen.job.uid, classify_stopped_job(seen, seen.job, now))
    return action


def job_made_again(action: Action | Rest, seen: ObservedExecution, now: datetime) -> Action | Rest:
    del now
    if isinstance(action, RecordOutcome) and isinstance(seen.job, Unseen):
        run, pinned = seen.run, seen.pinned
        if isinstance(run, RecordedRun) and pinned is not None:
            return CreateJob(jobspec.build_job(seen.execution, run, pinned, seen.policy))
    return action


def random_job_names(patch: pytest.MonkeyPatch) -> None:
    numbers = count()
    patch.setattr(jobspec, "job_name", lambda name, _: f"{name}-{next(numbers)}")


def labels_taken_for_parentage(patch: pytest.MonkeyPatch) -> None:
    read_job: Callable[[Any], JobFacts] = vars(kube_cluster)["read_job"]

    def trusting(manifest: Any) -> JobFacts:
        job = read_job(manifest)
        return replace(job, owner_uid=job.execution_uid)

    patch.setattr(kube_cluster, "read_job", trusting)
    patch.setattr(watch_streams, "read_job", trusting)


def conflicts_ignored(patch: pytest.MonkeyPatch) -> None:
    async def write_status(self: Any, execution: Any, status: Any) -> Any:
        patch = {"status": status_patch(execution.status, status)}
        where = (kube_cluster.EXECUTION_RESOURCE, execution.namespace, execution.name)
        return read_execution(await self._client.patch(*where, patch, sub="status"))

    patch.setattr(kube_cluster.KubeCluster, "write_status", write_status)


def what_is_not_kept_is_taken_off(patch: pytest.MonkeyPatch) -> None:
    """As if the status in memory were all that there is."""
    write = kube_cluster.KubeCluster.write_status

    async def whole(self: Any, execution: Any, status: Any) -> Any:
        stored = await self.fetch_execution(execution.namespace, execution.name)
        before = execution.model_copy(update={"status": stored.status})
        return await write(self, before, status)

    patch.setattr(kube_cluster.KubeCluster, "write_status", whole)


def key_of_the_record_changes(patch: pytest.MonkeyPatch) -> None:
    numbers = count(1)
    patch.setattr(
        request, "RunKey", lambda at, uid: RunKey(at + timedelta(seconds=next(numbers)), uid)
    )


def last_outcome_wins(patch: pytest.MonkeyPatch) -> None:
    def note_outcome(self: Any, key: Any, job_uid: Any, outcome: Any) -> Any:
        del job_uid
        self._store(self.rows[key], replace(self.rows[key], outcome=outcome))
        return outcome

    patch.setattr(record_store.RecordTable, "note_outcome", note_outcome)


def outcome_from_memory(patch: pytest.MonkeyPatch) -> None:
    """The status shows what this process would have recorded, not what is recorded."""
    original = effects.ExecutionEffects.perform

    async def perform(self: Any, action: Action, seen: ObservedExecution) -> ObservedExecution:
        after = await original(self, action, seen)
        if isinstance(action, RecordOutcome) and isinstance(after.run, RecordedRun):
            return replace(after, run=replace(after.run, outcome=action.outcome))
        return after

    patch.setattr(effects.ExecutionEffects, "perform", perform)


def runs_without_a_record(patch: pytest.MonkeyPatch) -> None:
    original = effects.ExecutionEffects.perform

    async def perform(self: Any, action: Action, seen: ObservedExecution) -> ObservedExecution:
        after = await original(self, action, seen)
        if not isinstance(action, RecordRun) or after.run is not Unseen.UNAVAILABLE:
            return after
        assert isinstance(seen.proc, Proc)
        run = RecordedRun(action.request, 0, seen.execution.creation_time)
        return replace(after, run=run, pinned=seen.proc.spec)

    patch.setattr(effects.ExecutionEffects, "perform", perform)


def anybody_may_run(patch: pytest.MonkeyPatch) -> None:
    find_refusal: Callable[..., Any] = vars(ladder)["find_refusal"]

    def lenient(seen: ObservedExecution) -> Any:
        answer = find_refusal(seen)
        is_denial = isinstance(answer, Refusal) and answer.reason == "NotPermitted"
        return None if is_denial else answer

    patch.setattr(ladder, "find_refusal", lenient)


def never_finished(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ladder, "is_finished", lambda _: False)


def never_pending_too_long(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ladder, "why_to_give_up", lambda *_: None)


def status_written_every_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(running, "shows_the_same", lambda *_: False)


def job_without_our_finalizer(patch: pytest.MonkeyPatch) -> None:
    def build_job(*given: Any) -> Any:
        manifest = jobspec.build_job(*given)
        del manifest["metadata"]["finalizers"]
        return manifest

    patch.setattr(ladder, "build_job", build_job)


def first_attempt_decides(patch: pytest.MonkeyPatch) -> None:
    first = property(lambda seen: seen.own_pods[0] if seen.own_pods else None)
    patch.setattr(ObservedExecution, "last_pod", first)


def lists_only_once(patch: pytest.MonkeyPatch) -> None:
    async def run(self: Any) -> None:
        await self.list_own_objects()
        await self.list_workloads()
        self.has_listed.set()
        await asyncio.sleep(1e6)

    patch.setattr(resync.Resync, "run", run)


def changes_not_asked_for(patch: pytest.MonkeyPatch) -> None:
    async def catch_up(self: Any) -> None:
        self._rounds_to_a_list -= 1

    patch.setattr(resync.Resync, "catch_up", catch_up)


def orphans_forgotten(patch: pytest.MonkeyPatch) -> None:
    async def run(*_: Any) -> None:
        return None

    patch.setattr(orphans.OrphanRunner, "run", run)


def an_error_ends_the_worker(patch: pytest.MonkeyPatch) -> None:
    async def one_pass(self: Any, key: Any) -> None:
        self._succeeded(key, await self._work(key))

    patch.setattr(queue.WorkQueue, "_pass", one_pass)


def a_worker_sticks_to_its_key(patch: pytest.MonkeyPatch) -> None:
    original = queue.WorkQueue._pass

    async def one_pass(self: Any, key: Any) -> None:
        await original(self, key)
        while key in self._failures:
            await asyncio.sleep(1.0)
            await original(self, key)

    patch.setattr(queue.WorkQueue, "_pass", one_pass)


def limits_of_a_proc_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HistoryLimits, "with_wishes", lambda *_: HistoryLimits(0, 0, 0))


def deleted_at_once(patch: pytest.MonkeyPatch) -> None:
    plan: Callable[..., Any] = vars(retention)["plan_retention"]

    def hasty(*given: Any, now: datetime, **_: Any) -> Any:
        return plan(*given, keep_seconds=0, now=now)

    patch.setattr(retention, "plan_retention", hasty)


def repetitions_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ladder, "find_repetition", lambda _: None)


def fingerprint_by_uid(patch: pytest.MonkeyPatch) -> None:
    """As if something went into it that is not the user's."""
    numbers = count()
    patch.setattr(slots, "fingerprint_of", lambda _: f"v1:{next(numbers)}")


def released_by_name(patch: pytest.MonkeyPatch) -> None:
    take_off: Callable[..., Any] = vars(kube_cluster)["_take_off_our_finalizer"]
    patch.setattr(
        kube_cluster, "_take_off_our_finalizer", lambda uid, names: take_off(uid, names)[1:]
    )


def jobs_that_went_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cache.ObjectCache, "has_lost_its_job", lambda *_: False)


def given_up_without_a_word(patch: pytest.MonkeyPatch) -> None:
    def hasty(seen: ObservedExecution) -> Any:
        return AbandonExecution("") if seen.execution.is_being_deleted else None

    patch.setattr(ladder, "find_abandonment", hasty)


def guard_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(elector.Elector, "assert_leading", lambda _: None)


def guard_by_flag(patch: pytest.MonkeyPatch) -> None:
    """Leadership is a flag that the elector's own task takes down, when it gets round to it."""

    def assert_leading(self: Any) -> None:
        if self._standing.renewed_at is None:
            raise NotLeading("no flag")

    patch.setattr(elector.Elector, "assert_leading", assert_leading)


def lease_judged_by_the_wall_clock(patch: pytest.MonkeyPatch) -> None:
    original = elector.Elector._look

    async def look(self: Any, sent_at: float) -> None:
        await original(self, sent_at)
        lease = self._standing.lease
        if lease is None or lease.renew_time is None:
            return
        age = (self._clock.now() - lease.renew_time).total_seconds()
        if age >= lease.duration_seconds:
            self._standing = replace(self._standing, claim_since=float("-inf"))

    patch.setattr(elector.Elector, "_look", look)


def lease_taken_without_its_version(patch: pytest.MonkeyPatch) -> None:
    original = lease_store.LeaseStore.replace

    def replace_any(self: Any, key: Any, manifest: Any) -> Any:
        version = self.get(key)["metadata"]["resourceVersion"]
        metadata = {**manifest["metadata"], "resourceVersion": version}
        return original(self, key, {**manifest, "metadata": metadata})

    patch.setattr(lease_store.LeaseStore, "replace", replace_any)


def lines_stored_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log_lines.Overlap, "is_new", lambda *_: True)


def gaps_overlooked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log_reading.Reading, "_is_unproven_at", lambda *_: False)


def strange_chunks_taken_for_ours(patch: pytest.MonkeyPatch) -> None:
    async def append_log(self: Any, *given: Any) -> bool:
        await self._store.append_log(*given)
        return True

    patch.setattr(run_log._PatientStore, "append_log", append_log)


def unread_logs_taken_for_whole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log_capture, "problem_with", lambda *_: None)


def the_machine_is_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clock.ClusterClock, "hear", lambda *_: None)


def whose_deletion_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcome, "noted_before", lambda _: None)


def whoever_is_left_decides(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outcome, "_pod_that_failed", lambda seen, *_: seen.last_pod)


def everything_may_start_some_day(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pending, "_NEVER_STARTS", ())


def orphaned_pods_are_nobodys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PodFacts, "is_of", lambda pod, job: pod.owner_uid == job.uid)


def exit_codes_of_stopped_pods_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(failure, "_was_deleted_before_its_end", lambda _: False)


def reasons_of_pods_ignored(patch: pytest.MonkeyPatch) -> None:
    why = failure.why_the_pod_failed
    patch.setattr(failure, "why_the_pod_failed", lambda pod: why(replace(pod, reason="")))


def slots_counted_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """Look first, write then: what another claim does in between goes unseen."""
    original = record_store.SimulatedRecords.claim_slots

    async def claim_slots(self: Any, asked: Any, claims: Any) -> Any:
        if isinstance(await self.fetch_place(asked.key, claims), Granted):
            return await original(self, asked, ())
        return await original(self, asked, claims)

    patch.setattr(record_store.SimulatedRecords, "claim_slots", claim_slots)


def slots_freed_when_the_stop_is_asked_for(patch: pytest.MonkeyPatch) -> None:
    """As if who was told to go were gone."""
    ask: Callable[..., Any] = vars(concurrency)["_ask_one"]

    def hasty(me: Any, claim: Any, occupants: Any) -> Any:
        return ask(me, claim, tuple(one for one in occupants if not one.is_replaced))

    patch.setattr(concurrency, "_ask_one", hasty)


def whoever_asks_first_is_served(patch: pytest.MonkeyPatch) -> None:
    ask: Callable[..., Any] = vars(concurrency)["_ask_one"]

    def pushing(me: Any, claim: Any, occupants: Any) -> Any:
        return ask(me, claim, tuple(one for one in occupants if not one.is_waiting))

    patch.setattr(concurrency, "_ask_one", pushing)


def who_was_torn_away_keeps_its_place(patch: pytest.MonkeyPatch) -> None:
    async def is_there(*_: Any) -> bool:
        return True

    patch.setattr(slot_effects.SlotEffects, "_is_there", is_there)


def the_end_is_written_over(
    action: Action | Rest, seen: ObservedExecution, now: datetime
) -> Action | Rest:
    if isinstance(action, ReleaseJob) and isinstance(seen.run, RecordedRun):
        return WriteStatus(running_status(seen, seen.run, now, now))
    return action


BUGS: Final[dict[str, PlantedBug]] = {
    "slots are counted outside the transaction": PlantedBug(
        slots_counted_outside_the_transaction, "queued-at-once", "SLOT"
    ),
    "a slot is free when its run is told to stop": PlantedBug(
        slots_freed_when_the_stop_is_asked_for, "replaced", "SLOT"
    ),
    "a limit is not the same for a second controller": PlantedBug(
        slots_counted_outside_the_transaction, "forbidden-at-once windows=usurper:0-60", "SLOT"
    ),
    "the line is overtaken": PlantedBug(
        whoever_asks_first_is_served, "one-comes-as-one-ends", "SLOT"
    ),
    "who was torn away keeps its place in line": PlantedBug(
        who_was_torn_away_keeps_its_place, "torn-out-of-the-line", "I9"
    ),
    "the clock of the machine is believed": PlantedBug(
        the_machine_is_believed, "success windows=clock-ahead:0-60", "I5"
    ),
    "whose deletion it was is forgotten": PlantedBug(
        whose_deletion_is_forgotten, "never-starts", "I5"
    ),
    "an earlier attempt decides when the last one is gone": PlantedBug(
        whoever_is_left_decides, "second-never-starts writes=11:crash-after", "I5"
    ),
    "what can never start is waited for": PlantedBug(
        everything_may_start_some_day, "never-will", "I9"
    ),
    "orphaned pods are nobody's": PlantedBug(
        orphaned_pods_are_nobodys, "job-orphaned windows=silence:4-8", "I5"
    ),
    "the exit code of a deleted pod is believed": PlantedBug(
        exit_codes_of_stopped_pods_believed, "pod-deleted", "I5"
    ),
    "a deadline is taken for a failure": PlantedBug(reasons_of_pods_ignored, "deadline", "I5"),
    "the end is written over": PlantedBug(bent(the_end_is_written_over), "success", "I4"),
    "the Job has another name on every try": PlantedBug(
        random_job_names, "success writes=2:crash-after", "I1"
    ),
    "a Job that the cache misses is made again": PlantedBug(
        bent(job_made_again), "job-torn-away", "I1"
    ),
    "the Job comes before its row": PlantedBug(bent(job_before_record), "success", "I2"),
    "a run starts while the record is down": PlantedBug(
        runs_without_a_record, "success windows=record-down:0-20", "I2"
    ),
    "the record's key is not the same on every try": PlantedBug(
        key_of_the_record_changes, "success", "I4"
    ),
    "anybody may run anything": PlantedBug(anybody_may_run, "not-permitted", "I3"),
    "what a GitOps tool applies again runs again": PlantedBug(
        repetitions_not_noticed, "applied-again", "I1"
    ),
    "the same manifest has another fingerprint each time": PlantedBug(
        fingerprint_by_uid, "applied-again", "I1"
    ),
    "a finalizer is taken off whoever bears the name": PlantedBug(
        released_by_name, "applied-again-by-hand writes=9:late", "I4"
    ),
    "a Job that went is forgotten": PlantedBug(
        jobs_that_went_are_forgotten, "job-torn-away-at-once", "I1"
    ),
    "an object is given up without a word": PlantedBug(
        given_up_without_a_word, "delete-before-start windows=record-down:0-40", "I4"
    ),
    "retention does not ask the Proc": PlantedBug(limits_of_a_proc_ignored, "success", "I4"),
    "retention does not wait": PlantedBug(deleted_at_once, "not-kept", "I4"),
    "the final status comes before the outcome": PlantedBug(
        bent(status_before_outcome), "success", "I4"
    ),
    "the Job is let go before the outcome": PlantedBug(bent(job_let_go_early), "success", "I4"),
    "the execution is let go before the outcome": PlantedBug(
        bent(execution_let_go_early), "delete-while-running", "I4"
    ),
    "a status is written over a newer one": PlantedBug(
        conflicts_ignored, "success writes=4:late", "I4"
    ),
    "what is not kept in memory is taken off the object": PlantedBug(
        what_is_not_kept_is_taken_off, "cancel-after-end", "I4"
    ),
    "a second outcome replaces the first": PlantedBug(
        last_outcome_wins, "never-starts windows=usurper:0-60", "I4"
    ),
    "the status shows an outcome from memory": PlantedBug(
        outcome_from_memory, "success writes=6:meddled", "I4"
    ),
    "what has finished is worked on again": PlantedBug(never_finished, "success", "I9"),
    "labels are taken for parentage": PlantedBug(labels_taken_for_parentage, "name-taken", "I5"),
    "a log that ended means success": PlantedBug(bent(success_when_the_log_ends), "failure", "I5"),
    "a cancel forgets the pods": PlantedBug(
        bent(pods_forgotten_on_cancel), "cancel-while-running", "I5"
    ),
    "the first attempt decides": PlantedBug(first_attempt_decides, "retries-used-up", "I5"),
    "the Job lacks our finalizer": PlantedBug(
        job_without_our_finalizer, "delete-in-foreground", "I5"
    ),
    "lines are stored again after a break": PlantedBug(lines_stored_again, "long", "I6"),
    "a log that was turned over is taken for whole": PlantedBug(
        gaps_overlooked, "turned-over windows=api-down:12-20", "I6"
    ),
    "somebody else's chunk is taken for ours": PlantedBug(
        strange_chunks_taken_for_ours, "success writes=5:meddled", "I6"
    ),
    "a log that went with its pod is taken for whole": PlantedBug(
        unread_logs_taken_for_whole, "node-lost windows=silence:3-18", "I6"
    ),
    "pending has no end": PlantedBug(never_pending_too_long, "never-starts", "I9"),
    "lists do not come round": PlantedBug(lists_only_once, "success windows=silence:3-20", "I9"),
    "only whole lists find what no event told": PlantedBug(
        changes_not_asked_for, "success windows=silence:0.5-20", "I9"
    ),
    "orphaned Jobs stay held": PlantedBug(orphans_forgotten, "execution-torn-away", "I9"),
    "nobody asks who leads": PlantedBug(
        guard_forgotten, "success writes=1:stands-still windows=two-controllers:0.9-90", "LEASE"
    ),
    "who leads is a flag, not a time": PlantedBug(
        guard_by_flag, "success writes=1:stands-still windows=two-controllers:0.9-90", "LEASE"
    ),
    "a Lease runs out by the wall clock": PlantedBug(
        lease_judged_by_the_wall_clock, "success seed=1 windows=partition:0.5-60.5", "LEASE"
    ),
    "a Lease is taken whatever its version": PlantedBug(
        lease_taken_without_its_version,
        "success writes=1:crash-after windows=two-controllers:0.5-60,two-controllers:0.6-60",
        "LEASE",
    ),
    "the status is written on every pass": PlantedBug(status_written_every_time, "success", "I10"),
    "an error ends the worker": PlantedBug(an_error_ends_the_worker, "poison-among-others", "I11"),
    "a worker sticks to a poison object": PlantedBug(
        a_worker_sticks_to_its_key, "poison-among-others", "I9"
    ),
}
