"""What admission writes into an execution, what it lets nobody write, and what never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.identity import Via
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import RECORD_FINALIZER, Namespace
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.reconcile.admission.merge_patch import merge_patch
from proctor_operator.reconcile.admission.stamps import (
    Draft,
    ForeignStamps,
    Stamped,
    Stamper,
    dump_canceller,
    dump_requester,
    is_canceller,
    is_requester,
    keep_finalizer,
    keep_foreign_marks_out,
    map_at,
    requester_stamp,
    stamp_shard,
)

_PUT_BACK: Final = ("requestedBy", "procUID", "procGeneration")
_PUT_BACK_WITHIN: Final = (
    ("scheduleRef", "uid"),
    ("scheduleRef", "scheduledTime"),
    ("rerunOf", "uid"),
)


@dataclass(frozen=True, slots=True)
class Named:
    """What an execution names, as it stands; None where it names nothing, or there is no such thing."""

    proc: Proc | UnreadableObject | None = None
    schedule: ProcSchedule | UnreadableObject | None = None
    rerun_of: ProcExecution | UnreadableObject | None = None


def stamp_new_execution(
    manifest: JsonObject, namespace: Namespace, stamper: Stamper, named: Named
) -> Stamped | ForeignStamps:
    """Who asks, what was looked at, and what holds the object until its end is recorded."""
    if stamper.brings_stamps and not is_planned_run(manifest):
        # The operator asks for nothing of its own accord but the runs of schedules.
        stamper = Stamper(stamper.user)
    draft = Draft(manifest)
    stamp_shard(draft, namespace, stamper)
    keep_foreign_marks_out(draft, {}, stamper)
    keep_finalizer(draft)
    spec = draft.object_at("spec")
    _stamp_requester(draft, spec, stamper, named)
    _stamp_schedule(draft, spec, stamper, named)
    _stamp_proc(draft, spec, stamper, named)
    _stamp_rerun(draft, spec, stamper, named)
    if spec.get("cancelledBy") is not None and not stamper.brings_stamps:
        draft.complain("spec.cancelledBy: it is stamped when spec.cancel is set; leave it out")
    return draft.result()


def stamp_changed_execution(
    old: JsonObject, new: JsonObject, namespace: Namespace, stamper: Stamper
) -> Stamped | ForeignStamps:
    """Put back what is missing, stamp who cancels, and note what is not theirs to change."""
    draft = Draft(new)
    if not stamper.may_clean_up:
        stamp_shard(draft, namespace, stamper)
        keep_foreign_marks_out(draft, old, stamper)
        if RECORD_FINALIZER in (map_at(old, "metadata").get("finalizers") or []):
            keep_finalizer(draft)
    before, spec = map_at(old, "spec"), draft.object_at("spec")
    for name in _PUT_BACK:
        _put_back(draft, before, spec, name, where="spec")
    for outer, name in _PUT_BACK_WITHIN:
        if isinstance(spec.get(outer), dict):
            _put_back(draft, map_at(before, outer), spec[outer], name, where=f"spec.{outer}")
    _stamp_canceller(draft, before, spec, stamper)
    return draft.result()


def is_planned_run(manifest: JsonObject) -> bool:
    """Whether it is the run of a schedule at its time, in the name of whoever is answerable for that."""
    spec = map_at(manifest, "spec")
    reference, requester = map_at(spec, "scheduleRef"), map_at(spec, "requestedBy")
    is_complete = all(reference.get(name) for name in ("name", "uid", "scheduledTime"))
    return is_complete and requester.get("via") == Via.SCHEDULE


def is_being_cancelled(old: JsonObject, new: JsonObject) -> bool:
    """Whether this very change asks for the end of the run."""
    return not map_at(old, "spec").get("cancel") and map_at(new, "spec").get("cancel") is True


def find_changed_fields(old: JsonObject, new: JsonObject) -> tuple[str, ...]:
    """Fields of the spec that changed and must not; the comparison is deep."""
    changed = set(merge_patch(map_at(old, "spec"), map_at(new, "spec")))
    before = map_at(old, "spec")
    taken_back = before.get("cancel") is True and map_at(new, "spec").get("cancel") is not True
    allowed = set() if taken_back else {"cancel"}
    if before.get("cancelledBy") is None:
        allowed.add("cancelledBy")
    return tuple(f"spec.{name}" for name in sorted(changed - allowed))


def _stamp_requester(draft: Draft, spec: JsonObject, stamper: Stamper, named: Named) -> None:
    rules = named.proc.spec.authorization if isinstance(named.proc, Proc) else None
    wanted = requester_stamp(stamper.user, rules.groups if rules else ())
    given = spec.get("requestedBy")
    if given is None:
        spec["requestedBy"] = dump_requester(wanted)
    elif not stamper.brings_stamps and not is_requester(given, wanted):
        draft.complain(
            "spec.requestedBy: it is stamped at admission with the user who makes the request, "
            f"{stamper.user.username!r}; leave it out (a copy of an old execution does not run again)"
        )


def _stamp_proc(draft: Draft, spec: JsonObject, stamper: Stamper, named: Named) -> None:
    if named.proc is None:
        return
    _stamp(draft, spec, "procUID", named.proc.uid, stamper)
    _stamp(draft, spec, "procGeneration", named.proc.generation, stamper)


def _stamp_schedule(draft: Draft, spec: JsonObject, stamper: Stamper, named: Named) -> None:
    reference = spec.get("scheduleRef")
    if not isinstance(reference, dict) or stamper.brings_stamps:
        return
    if reference.get("scheduledTime") is not None:
        draft.complain(
            "spec.scheduleRef.scheduledTime: only a schedule's own runs have one; leave it out"
        )
    schedule = named.schedule
    if schedule is None:
        draft.complain(
            f"spec.scheduleRef.name: there is no schedule {reference.get('name')!r} in this namespace"
        )
        return
    if isinstance(schedule, ProcSchedule):
        _take_over(draft, spec, schedule)
    _stamp(draft, reference, "uid", schedule.uid, stamper, where="spec.scheduleRef")


def _take_over(draft: Draft, spec: JsonObject, schedule: ProcSchedule) -> None:
    """What a schedule runs, where whoever runs it by hand does not say."""
    planned = schedule.spec
    wanted, given = planned.proc_ref.name, map_at(spec, "procRef").get("name")
    if given is None:
        spec["procRef"] = {"name": wanted}
    elif given != wanted:
        draft.complain(
            f"spec.procRef.name: {given!r} is given, and the schedule {schedule.name!r} runs another proc, "
            f"{wanted!r}; leave it out"
        )
    if "arguments" in spec or "argumentsFrom" in spec:
        return
    if planned.arguments:
        spec["arguments"] = dict(planned.arguments)
    if planned.arguments_from:
        references = planned.arguments_from
        spec["argumentsFrom"] = [one.model_dump(mode="json", by_alias=True) for one in references]


def _stamp_rerun(draft: Draft, spec: JsonObject, stamper: Stamper, named: Named) -> None:
    reference = spec.get("rerunOf")
    if not isinstance(reference, dict) or stamper.brings_stamps:
        return
    if named.rerun_of is None:
        draft.complain(
            f"spec.rerunOf.name: there is no execution {reference.get('name')!r} in this namespace (any "
            "more); leave spec.rerunOf out"
        )
        return
    _stamp(draft, reference, "uid", named.rerun_of.uid, stamper, where="spec.rerunOf")


def _stamp(
    draft: Draft, part: JsonObject, name: str, wanted: Any, stamper: Stamper, *, where: str = "spec"
) -> None:
    given = part.get(name)
    if given is None:
        part[name] = wanted
    elif given != wanted and not stamper.brings_stamps:
        draft.complain(
            f"{where}.{name}: {given!r} is given and {wanted!r} is stamped; leave it out (if you did, what "
            "it stands for has just changed: try again)"
        )


def _put_back(draft: Draft, before: JsonObject, spec: JsonObject, name: str, *, where: str) -> None:
    old, given = before.get(name), spec.get(name)
    if given is None and old is not None:
        spec[name] = old
    elif given != old:
        draft.complain(
            f"{where}.{name}: it was stamped when the execution was made and never changes"
        )


def _stamp_canceller(draft: Draft, before: JsonObject, spec: JsonObject, stamper: Stamper) -> None:
    old, given = before.get("cancelledBy"), spec.get("cancelledBy")
    if not is_being_cancelled({"spec": before}, {"spec": spec}):
        _put_back(draft, before, spec, "cancelledBy", where="spec")
        return
    if given is None:
        spec["cancelledBy"] = dump_canceller(stamper.canceller)
    elif old is not None or not (stamper.brings_stamps or is_canceller(given, stamper.canceller)):
        draft.complain(
            "spec.cancelledBy: it is stamped with the user who cancels, "
            f"{stamper.user.username!r}; leave it out"
        )
