"""Who may run beside whom: groups of runs, their slots, and the line of those that wait.

A Proc with a policy counts its runs, those of each combination of the key parameters' values by
themselves; a schedule counts its own. A run that both count needs a slot of both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proctor_operator.domain.arguments import Plain, ResolvedArgument, resolve_arguments
from proctor_operator.domain.execution import ProcExecutionSpec
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import ConcurrencyPolicy, ProcSpec
from proctor_operator.domain.run import RunKey
from proctor_operator.domain.schedule import ProcSchedule

_STRONGEST_FIRST: Final = (
    ConcurrencyPolicy.FORBID,
    ConcurrencyPolicy.QUEUE,
    ConcurrencyPolicy.REPLACE,
)


@dataclass(frozen=True, slots=True)
class SlotClaim:
    """A run wants one of `limit` slots of a group; `whose` names the limit for people."""

    group: str
    policy: ConcurrencyPolicy
    limit: int
    whose: str


@dataclass(frozen=True, slots=True)
class Occupant:
    """A run in a group that has not ended: it has a slot, or it waits for one.

    `is_replaced`: a newer run takes its place, so it never starts, or is being stopped.
    """

    key: RunKey
    name: str
    is_waiting: bool
    is_replaced: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """There is room in every group."""


@dataclass(frozen=True, slots=True)
class Waits:
    """It has to wait: for `holders` to end, and for the `ahead` that came first.

    `to_replace` are those whose place it takes and that nobody has told yet, `replaced` all of them.
    """

    claim: SlotClaim
    holders: tuple[Occupant, ...]
    ahead: tuple[Occupant, ...] = ()
    to_replace: tuple[Occupant, ...] = ()
    replaced: tuple[Occupant, ...] = ()


@dataclass(frozen=True, slots=True)
class Forbidden:
    """It may not start while `by` is active."""

    claim: SlotClaim
    by: Occupant


@dataclass(frozen=True, slots=True)
class Superseded:
    """The newer run `by` has its place."""

    claim: SlotClaim
    by: Occupant


SlotVerdict = Granted | Waits | Forbidden | Superseded
Occupants = Mapping[str, tuple[Occupant, ...]]
"""The runs that have not ended, by group."""


def proc_claim(
    proc_name: str, proc_uid: Uid, proc: ProcSpec, execution: ProcExecutionSpec
) -> SlotClaim | None:
    """What a run claims of its Proc; None where the Proc has no limit."""
    rules = proc.concurrency
    if rules.policy is ConcurrencyPolicy.ALLOW:
        return None
    group = f"proc/{proc_uid}"
    whose = f"proc {proc_name!r}"
    if rules.key:
        group += f"/{_combination(proc, rules.key, execution)}"
        whose += f" for its {', '.join(rules.key)}"
    return SlotClaim(group, rules.policy, rules.limit, whose)


def schedule_claim(schedule: ProcSchedule) -> SlotClaim | None:
    """What a run claims of its schedule, which lets one run at a time, or any number."""
    policy = schedule.spec.concurrency.policy
    if policy is ConcurrencyPolicy.ALLOW:
        return None
    return SlotClaim(schedule_group(schedule.uid), policy, 1, f"schedule {schedule.name!r}")


def schedule_group(uid: Uid) -> str:
    """The group of a schedule's own runs."""
    return f"schedule/{uid}"


def owner_of(group: str) -> Uid:
    """UID of the Proc or the schedule whose limit it is."""
    return Uid(group.split("/")[1])


def decide_slots(me: RunKey, claims: tuple[SlotClaim, ...], occupants: Occupants) -> SlotVerdict:
    """What becomes of a run that wants these slots; of two limits that are reached the stronger decides.

    First come, first served, by creation and then UID: who waits is never overtaken in its group.
    """
    found = (_ask_one(me, claim, occupants.get(claim.group, ())) for claim in claims)
    against = [one for one in found if not isinstance(one, Granted)]
    if not against:
        return Granted()
    return min(against, key=lambda one: _STRONGEST_FIRST.index(one.claim.policy))


def _ask_one(me: RunKey, claim: SlotClaim, occupants: tuple[Occupant, ...]) -> SlotVerdict:
    others = sorted((one for one in occupants if one.key != me), key=lambda one: _place(one.key))
    holders = tuple(one for one in others if not one.is_waiting)
    if claim.policy is ConcurrencyPolicy.REPLACE:
        return _replace(me, claim, others, holders)
    ahead = tuple(
        one
        for one in others
        if one.is_waiting and not one.is_replaced and _place(one.key) < _place(me)
    )
    if len(holders) + len(ahead) < claim.limit:
        return Granted()
    if claim.policy is ConcurrencyPolicy.FORBID:
        return Forbidden(claim, (*holders, *ahead)[0])
    return Waits(claim, holders, ahead)


def _replace(
    me: RunKey, claim: SlotClaim, others: list[Occupant], holders: tuple[Occupant, ...]
) -> SlotVerdict:
    """The newest stay: of two runs each would otherwise end the other."""
    active = [one for one in others if not one.is_replaced]
    newer = [one for one in active if _place(one.key) > _place(me)]
    if len(newer) >= claim.limit:
        return Superseded(claim, newer[-1])
    if len(holders) < claim.limit:
        return Granted()
    older = [one for one in active if _place(one.key) < _place(me)]
    may_stay = claim.limit - 1 - len(newer)
    to_replace = tuple(older[: max(0, len(older) - may_stay)])
    told = tuple(one for one in others if one.is_replaced)
    return Waits(claim, holders, to_replace=to_replace, replaced=(*told, *to_replace))


def _place(key: RunKey) -> tuple[object, str]:
    return key.created_at, key.uid


def _combination(proc: ProcSpec, names: tuple[str, ...], execution: ProcExecutionSpec) -> str:
    """A hash of the values, so that none of them stands in the record a second time, sensitive or not."""
    resolved = resolve_arguments(proc.parameters, execution.arguments, execution.arguments_from)
    values = {one.name: _value(one) for one in resolved}
    combination = sorted((name, values.get(name)) for name in names)
    text = json.dumps(combination, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _value(argument: ResolvedArgument) -> list[str]:
    if isinstance(argument, Plain):
        return [argument.text]
    reference = argument.secret_key_ref
    return [reference.name, reference.key]
