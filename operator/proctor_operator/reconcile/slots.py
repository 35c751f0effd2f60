"""Step 3 where a limit counts the run: its slots, the line before them, and what is said meanwhile.

Whoever waits writes one status for the whole of it. Who has a slot, and for how long, is what the record
says; nothing here is remembered.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from proctor_operator.domain.concurrency import (
    Forbidden,
    Occupant,
    SlotClaim,
    Superseded,
    Waits,
    proc_claim,
    schedule_claim,
    schedule_group,
)
from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, shorten
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.fingerprint import fingerprint_of
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.plugin import Defer
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import Outcome, RecordedRun
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.reconcile.checks import find_refusal, find_unfit_proc
from proctor_operator.reconcile.decision import (
    Action,
    ClaimSlots,
    EndTheVanished,
    ReadPlace,
    ReadSchedule,
    RecordOutcome,
    RecordRefusal,
    RecordRun,
    Rest,
    WriteStatus,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.outcome import REPLACED, refused
from proctor_operator.reconcile.pending import QUEUED
from proctor_operator.reconcile.refusal import Refusal
from proctor_operator.reconcile.request import run_request
from proctor_operator.reconcile.status import pending_status, shows_the_same

LOOK_FOR_THE_REPLACED_SECONDS: Final = 5.0
_NAMED_AT_MOST: Final = 3


def shows_that_it_waits(observed: ObservedExecution) -> bool:
    """Whether its status says that it stands in line: then the record knows it."""
    status = observed.execution.status
    return status.phase is Phase.PENDING and status.reason == QUEUED


def take_its_slots(observed: ObservedExecution, now: datetime) -> Action | Rest:
    """Everything allows it: the record is next, and with it the slots, if a limit counts it."""
    claims = _find_claims(observed)
    if isinstance(claims, ReadSchedule):
        return claims
    request = replace(run_request(observed), fingerprint=fingerprint_of(observed.execution.spec))
    is_known = isinstance(observed.run, RecordedRun)
    if not claims and not is_known:
        return RecordRun(request)
    if isinstance(observed.place, Forbidden | Superseded):
        outcome = _no_slot(observed.place, now)
        return RecordOutcome(None, outcome) if is_known else RecordRefusal(request, outcome)
    return ClaimSlots(request, claims)


def wait_in_line(observed: ObservedExecution, now: datetime) -> Action | Rest:
    """It is in the record without a slot. When there is room it is authorised again, and claims anew."""
    answer = find_unfit_proc(observed) or _await_its_turn(observed, now) or find_refusal(observed)
    if isinstance(answer, Refusal):
        return RecordOutcome(None, refused(answer.reason, answer.message, now))
    if isinstance(answer, Defer):
        return wait_for_a_gate(observed, answer, now)
    return answer or take_its_slots(observed, now)


def wait_for_a_gate(observed: ObservedExecution, defer: Defer, now: datetime) -> Action | Rest:
    """A gate said "not now": nothing has begun, so there is no time-out, and a cancel ends it."""
    message = f"the plugin {defer.plugin} defers the start ({defer.reason}): {defer.message}"
    status = pending_status(observed, "Deferred", message, now)
    if shows_the_same(observed.execution.status, status):
        return Rest(after_seconds=defer.after_seconds)
    return WriteStatus(status)


def _await_its_turn(observed: ObservedExecution, now: datetime) -> Action | Rest | None:
    """What to do as long as there is no room, or nobody has looked whether there is."""
    claims = _find_claims(observed)
    if isinstance(claims, ReadSchedule):
        return claims
    if observed.place is Unseen.NOT_READ:
        return ReadPlace(claims)
    if isinstance(observed.place, Waits) and not observed.place.to_replace:
        return _stand(observed, observed.place, now)
    return None


def groups_of(observed: ObservedExecution) -> tuple[str, ...]:
    """The groups in which its end frees a slot, as far as what was pinned tells."""
    execution, run = observed.execution, observed.run
    ref = execution.spec.schedule_ref
    groups = [schedule_group(ref.uid)] if ref is not None and ref.uid is not None else []
    pinned = run.request.pinned if isinstance(run, RecordedRun) else None
    if pinned is not None and observed.pinned is not None:
        claim = proc_claim(pinned.name, pinned.uid, observed.pinned, execution.spec)
        groups += [claim.group] if claim is not None else []
    return tuple(groups)


def _stand(observed: ObservedExecution, waits: Waits, now: datetime) -> Action | Rest:
    """The first word stays, whoever moves up meanwhile: a place in the line is worth no write."""
    if not observed.are_occupants_there:
        return EndTheVanished((*waits.holders, *waits.ahead[:1]))
    if not shows_that_it_waits(observed):
        return WriteStatus(pending_status(observed, QUEUED, _what_it_waits_for(waits), now))
    return Rest(after_seconds=LOOK_FOR_THE_REPLACED_SECONDS if waits.replaced else None)


def _find_claims(observed: ObservedExecution) -> tuple[SlotClaim, ...] | ReadSchedule:
    """What the limits of the Proc and of the schedule, as they are now, want of it."""
    proc, execution = observed.proc, observed.execution
    assert isinstance(proc, Proc), "the checks made sure"  # noqa: S101 - narrows the type
    schedule = _its_schedule(observed)
    if isinstance(schedule, ReadSchedule):
        return schedule
    claims = (
        proc_claim(proc.name, proc.uid, proc.spec, execution.spec),
        schedule_claim(schedule) if schedule is not None else None,
    )
    return tuple(one for one in claims if one is not None)


def _its_schedule(observed: ObservedExecution) -> ProcSchedule | ReadSchedule | None:
    """The schedule that it is a run of; None where there is none, or it is gone: then it limits nothing."""
    ref = observed.execution.spec.schedule_ref
    if ref is None or ref.uid is None:
        return None
    found = observed.schedule
    if isinstance(found, ProcSchedule) and found.uid == ref.uid:
        return found
    return None if observed.is_schedule_live else ReadSchedule(ref.name)


def _no_slot(verdict: Forbidden | Superseded, now: datetime) -> Outcome:
    by = verdict.by.name
    if isinstance(verdict, Forbidden):
        message = f"{_limit(verdict.claim)}, and the execution {by!r} is active"
        return refused("AlreadyRunning", message, now)
    message = f"{_limit(verdict.claim)}, and the newer execution {by!r} has its place"
    message = shorten(message, MESSAGE_LIMIT_BYTES)
    return Outcome(Phase.CANCELLED, REPLACED, message, completed_at=now)


def _what_it_waits_for(waits: Waits) -> str:
    if waits.replaced:
        return f"{_limit(waits.claim)}: it waits for {_names(waits.replaced)} to end, which it replaces"
    before = len(waits.ahead)
    line = f"{before} were before it" if before != 1 else "1 was before it"
    message = f"{_limit(waits.claim)}: when it came {line}, and {_names(waits.holders)} ran"
    return shorten(message, MESSAGE_LIMIT_BYTES)


def _limit(claim: SlotClaim) -> str:
    runs = "1 run" if claim.limit == 1 else f"{claim.limit} runs"
    return f"the {claim.whose} allows {runs} at a time"


def _names(occupants: tuple[Occupant, ...]) -> str:
    names = [repr(one.name) for one in occupants[:_NAMED_AT_MOST]]
    more = len(occupants) - len(names)
    return ", ".join(names or ["nobody"]) + (f" and {more} more" if more else "")
