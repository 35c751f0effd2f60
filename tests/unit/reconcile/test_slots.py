"""The ladder where a limit counts the run: claiming, waiting, being turned away, being replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proctor_operator.domain.concurrency import Forbidden, Granted, Superseded, Waits
from proctor_operator.domain.execution import (
    Phase,
    ProcExecution,
    ProcExecutionStatus,
    ScheduleRef,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.plugin import Defer
from proctor_operator.domain.proc import ConcurrencyPolicy
from proctor_operator.domain.schedule import ScheduleConcurrency
from proctor_operator.reconcile.decision import ClaimSlots, WriteStatus
from proctor_operator.reconcile.events import event_of_status
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.slots import groups_of
from unit.builders import (
    JOB_NAME,
    NOW,
    cancelled_execution,
    deleted_execution,
    execution,
    execution_spec,
    observed,
    occupant,
    proc,
    proc_spec,
    recorded,
    recorded_run,
    run_request,
    running,
    schedule,
    slot_claim,
)
from unit.telling import told

QUEUE = proc_spec(concurrency={"policy": "Queue"})
LIMITED = proc(QUEUE)
CLAIM = slot_claim()
WAITING = recorded_run(run_request(pinned=None), is_waiting=True)
SHOWS_IT = execution(status=ProcExecutionStatus(reason="Queued"))
FULL = Waits(CLAIM, (occupant(),))
REF = ScheduleRef(name="nightly", uid=schedule().uid)


def new(**fields: Any) -> ObservedExecution:
    return observed(**{"proc": LIMITED, **fields})


def waiting(shown: ProcExecution = SHOWS_IT, **fields: Any) -> ObservedExecution:
    return observed(shown, **{"proc": LIMITED, "run": WAITING, **fields})


def limited_schedule(policy: str) -> Any:
    rules = ScheduleConcurrency(policy=ConcurrencyPolicy(policy))
    return schedule(spec=schedule().spec.model_copy(update={"concurrency": rules}))


def scheduled(**fields: Any) -> ObservedExecution:
    return observed(execution(execution_spec(schedule_ref=REF)), **fields)


NEXT: dict[str, tuple[ObservedExecution, str]] = {
    "a limit is claimed in the record's own transaction": (new(), "ClaimSlots"),
    "without a limit there is nothing to claim": (observed(), "RecordRun"),
    "checks come before the claim": (
        new(proc=proc(QUEUE.model_copy(update={"suspend": True}))),
        "RecordRefusal Refused ProcSuspended",
    ),
    "no room is a refusal where the policy says so": (
        new(place=Forbidden(CLAIM, occupant())),
        "RecordRefusal Refused AlreadyRunning",
    ),
    "one whose place is taken is cancelled": (
        new(place=Superseded(CLAIM, occupant(1))),
        "RecordRefusal Cancelled Replaced",
    ),
    "a run of a schedule asks for its schedule": (scheduled(), "ReadSchedule"),
    "and claims what that one limits": (
        scheduled(schedule=limited_schedule("Forbid")),
        "ClaimSlots",
    ),
    "a schedule that allows all limits nothing": (scheduled(schedule=schedule()), "RecordRun"),
    "nor does one that is gone": (
        scheduled(schedule=Unseen.ABSENT, is_schedule_live=True),
        "RecordRun",
    ),
    "nor one of the same name that was made anew": (
        scheduled(schedule=schedule(uid=Uid("another")), is_schedule_live=True),
        "RecordRun",
    ),
    "who says that it waits asks the record first, and nobody else": (
        waiting(run=Unseen.NOT_READ, votes=None),
        "ReadRun",
    ),
    "who waits looks whether there is room": (waiting(), "ReadPlace"),
    "where there is none, those before it are looked for": (waiting(place=FULL), "EndTheVanished"),
    "and it says once that it waits": (
        waiting(execution(), place=FULL, are_occupants_there=True),
        "WriteStatus Pending Queued",
    ),
    "then it rests": (waiting(place=FULL, are_occupants_there=True), "Rest"),
    "whom it replaces it looks for soon": (
        waiting(place=replace(FULL, replaced=(occupant(),)), are_occupants_there=True),
        "Rest 5 s",
    ),
    "whom nobody has told yet is told by a claim": (
        waiting(place=replace(FULL, to_replace=(occupant(),))),
        "ClaimSlots",
    ),
    "when there is room it is authorised again": (
        waiting(place=Granted(), votes=None),
        "AskPlugins",
    ),
    "and then it claims": (waiting(place=Granted()), "ClaimSlots"),
    "a gate may put it off even now": (
        waiting(place=Granted(), pre_launch=Defer("freeze", "Frozen", "later", 30.0)),
        "WriteStatus Pending Deferred",
    ),
    "one that may run no more is refused": (
        waiting(
            place=Granted(), proc=proc(proc_spec(concurrency={"policy": "Queue"}, suspend=True))
        ),
        "RecordOutcome without a job: Refused ProcSuspended",
    ),
    "one whose proc is gone need not wait for its turn to hear it": (
        waiting(proc=Unseen.ABSENT, is_proc_live=True),
        "RecordOutcome without a job: Refused ProcNotFound",
    ),
    "a policy that forbids since refuses it": (
        waiting(place=Forbidden(CLAIM, occupant())),
        "RecordOutcome without a job: Refused AlreadyRunning",
    ),
    "a limit that is gone lets it go": (waiting(proc=proc(), place=Granted()), "ClaimSlots"),
    "one that is cancelled in line never starts": (
        waiting(cancelled_execution(), job=Unseen.ABSENT),
        "RecordOutcome without a job: Cancelled Cancelled",
    ),
    "one that is deleted in line neither": (
        waiting(deleted_execution(), job=Unseen.ABSENT),
        "RecordOutcome without a job: Cancelled Deleted",
    ),
    "one that is replaced in line neither": (
        waiting(run=replace(WAITING, replaced_by="newer"), job=Unseen.ABSENT),
        "RecordOutcome without a job: Cancelled Replaced",
    ),
    "but first it is made sure that there is no Job": (
        waiting(run=replace(WAITING, replaced_by="newer")),
        f"ReadJob {JOB_NAME}",
    ),
    "one that has its slot and is replaced before its Job never starts": (
        recorded(run=recorded_run(replaced_by="newer"), job=Unseen.ABSENT),
        "RecordOutcome without a job: Cancelled Replaced",
    ),
}


@pytest.mark.parametrize(("seen", "expected"), NEXT.values(), ids=NEXT)
def test_the_next_thing_to_do_when(seen: ObservedExecution, expected: str) -> None:
    assert told(decide(seen, NOW)) == expected


def test_one_that_runs_and_is_replaced_is_stopped() -> None:
    seen = running()
    assert not isinstance(seen.run, Unseen)
    attached = frozenset(pod.uid for pod in seen.pods)

    replaced = replace(seen, run=replace(seen.run, replaced_by="newer"), attached=attached)

    assert told(decide(replaced, NOW)) == "DeleteJob"


def test_the_claim_holds_what_is_to_be_pinned_and_the_limit_as_it_is_now() -> None:
    action = decide(new(), NOW)

    assert isinstance(action, ClaimSlots)
    assert [(one.policy, one.limit) for one in action.claims] == [(ConcurrencyPolicy.QUEUE, 1)]
    assert action.request.pinned is not None
    assert action.request.fingerprint


def test_the_message_tells_who_ran_and_how_many_were_before_it() -> None:
    ahead = tuple(occupant(-number, is_waiting=True) for number in (1, 2))
    place = Waits(slot_claim(limit=5), tuple(occupant(-n) for n in range(3, 8)), ahead)
    action = decide(waiting(execution(), place=place, are_occupants_there=True), NOW)

    assert isinstance(action, WriteStatus)
    assert action.status.message == (
        "the proc 'grow-disk' allows 5 runs at a time: when it came 2 were before it, and "
        "'run--3', 'run--4', 'run--5' and 2 more ran"
    )
    assert action.status.proc is None


def test_waiting_is_no_trouble_that_an_event_should_tell_of() -> None:
    for reason in ("Queued", "Suspended"):
        after = ProcExecutionStatus(phase=Phase.PENDING, reason=reason)
        assert event_of_status(execution(), ProcExecutionStatus(), after) is None


def test_the_end_frees_the_groups_that_the_pin_names() -> None:
    held = run_request(QUEUE)
    shown = execution(execution_spec(schedule_ref=REF))

    groups = groups_of(recorded(shown, run=recorded_run(held), pinned=QUEUE))

    assert set(groups) == {"schedule/schedule-uid-1", "proc/proc-uid-1"}
    assert groups_of(recorded()) == ()
