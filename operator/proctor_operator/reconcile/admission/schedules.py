"""What admission writes into a schedule: who is answerable for what it runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from proctor_operator.domain.identity import Requester
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace
from proctor_operator.reconcile.admission.merge_patch import merge_patch
from proctor_operator.reconcile.admission.stamps import (
    Draft,
    ForeignStamps,
    Stamped,
    Stamper,
    dump_requester,
    is_requester,
    keep_foreign_marks_out,
    map_at,
    requester_stamp,
    stamp_shard,
)

_WHAT_RUNS: Final = ("procRef", "arguments", "argumentsFrom")


def stamp_schedule(
    old: JsonObject,
    new: JsonObject,
    namespace: Namespace,
    stamper: Stamper,
    *,
    named_groups: Collection[str] = (),
) -> Stamped | ForeignStamps:
    """Stamp whoever decides what runs; `old` is empty for a new schedule.

    An edit carries the stamp of before along: that one is replaced where what runs has changed. Where
    only the timing has, it stays.
    """
    draft = Draft(new)
    if not stamper.may_clean_up or not old:
        stamp_shard(draft, namespace, stamper)
        keep_foreign_marks_out(draft, old, stamper)
    if not old or changes_what_runs(old, new):
        _stamp_author(draft, old, stamper, named_groups)
    else:
        _keep_author(draft, old, stamper)
    return draft.result()


def changes_what_runs(old: JsonObject, new: JsonObject) -> bool:
    """Whether another proc runs, or the same with other arguments."""
    before, after = map_at(old, "spec"), map_at(new, "spec")
    return not set(_WHAT_RUNS).isdisjoint(merge_patch(before, after))


def changes_the_spec(old: JsonObject, new: JsonObject) -> bool:
    """Whether there is anything to judge."""
    return bool(merge_patch(map_at(old, "spec"), map_at(new, "spec")))


def is_only_switched_off(old: JsonObject, new: JsonObject) -> bool:
    """Whether it is suspended now, and nothing else changed."""
    return merge_patch(map_at(old, "spec"), map_at(new, "spec")) == {"suspend": True}


def is_the_author(schedule: JsonObject, user: Requester) -> bool:
    """Whether the stamp names this user."""
    stamp = map_at(map_at(schedule, "spec"), "requestedBy")
    return (stamp.get("username"), stamp.get("uid", "")) == (user.username, user.uid)


def _stamp_author(
    draft: Draft, old: JsonObject, stamper: Stamper, named_groups: Collection[str]
) -> None:
    spec = draft.object_at("spec")
    wanted = requester_stamp(stamper.user, named_groups)
    given, before = spec.get("requestedBy"), map_at(old, "spec").get("requestedBy")
    if given is not None and is_requester(given, wanted):
        return
    is_carried_along = given is None or (before is not None and given == before)
    if is_carried_along and not (stamper.brings_stamps and given is not None):
        spec["requestedBy"] = dump_requester(wanted)
    elif not stamper.brings_stamps:
        draft.complain(
            "spec.requestedBy: it is stamped at admission with the user who makes the request, "
            f"{stamper.user.username!r}; leave it out"
        )


def _keep_author(draft: Draft, old: JsonObject, stamper: Stamper) -> None:
    spec, before = draft.object_at("spec"), map_at(old, "spec").get("requestedBy")
    given = spec.get("requestedBy")
    if given == before:
        return
    if given is None:
        spec["requestedBy"] = before
    elif not stamper.brings_stamps:
        draft.complain(
            "spec.requestedBy: it changes only with spec.procRef, spec.arguments or spec.argumentsFrom; "
            "leave it as it is"
        )
