"""Stamps: fields that admission writes into an object from what the API server vouches for.

A stamp that is absent is written; one that is given must be what would be written, so that judging an object
twice changes nothing. Only the operator's accounts bring stamps of their own.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.identity import Canceller, Requester, Via
from proctor_operator.domain.model import JsonObject, parse
from proctor_operator.domain.naming import (
    GROUP,
    RECORD_FINALIZER,
    SHARD_LABEL,
    Namespace,
    shard_of,
)
from proctor_operator.reconcile.admission.merge_patch import merge_patch

GROUPS_AT_MOST: Final = 64
_EXTRA_AT_MOST: Final = 64
_OWN_PREFIX: Final = f"{GROUP}/"

CLEANERS: Final = frozenset(
    {
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:serviceaccount:kube-system:namespace-controller",
        "system:kube-controller-manager",
    }
)
"""Kubernetes' own accounts that remove objects; what they take off is theirs to take."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """The object is fit to be stored once `patch` is laid over it; empty: it is so already."""

    patch: JsonObject


@dataclass(frozen=True, slots=True)
class ForeignStamps:
    """Somebody wrote what is not theirs to write; one line for each field."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stamper:
    """Who makes the request, and whether they are the operator itself (`brings_stamps`)."""

    user: Requester
    brings_stamps: bool = False

    @property
    def may_clean_up(self) -> bool:
        """Whether finalizers and labels of ours are theirs to take off."""
        return self.brings_stamps or self.user.username in CLEANERS

    @property
    def canceller(self) -> Canceller:
        """The user as `spec.cancelledBy` names them."""
        return Canceller(username=self.user.username, uid=self.user.uid)


def requester_stamp(user: Requester, named_groups: Collection[str]) -> Requester:
    """The user as `spec.requestedBy` names them: at most 64 groups, those that the Proc names first."""
    groups = tuple(dict.fromkeys(user.groups))
    if len(groups) > GROUPS_AT_MOST:
        named = [group for group in groups if group in named_groups]
        others = [group for group in groups if group not in named_groups]
        groups = tuple([*named, *others][:GROUPS_AT_MOST])
    extra = dict(sorted(user.extra.items())[:_EXTRA_AT_MOST])
    return Requester(username=user.username, uid=user.uid, groups=groups, extra=extra, via=Via.API)


def dump_requester(requester: Requester) -> JsonObject:
    """As an object carries it, without what is empty."""
    dumped = requester.model_dump(mode="json", by_alias=True)
    return {key: value for key, value in dumped.items() if value}


def dump_canceller(canceller: Canceller) -> JsonObject:
    """As an object carries it, without what is empty."""
    dumped = canceller.model_dump(mode="json", by_alias=True)
    return {key: value for key, value in dumped.items() if value}


def is_requester(value: object, wanted: Requester) -> bool:
    """Whether what stands in an object names this requester, however its empty fields are written."""
    try:
        return parse(Requester, value, where="spec.requestedBy") == wanted
    except Unreadable:
        return False


def is_canceller(value: object, wanted: Canceller) -> bool:
    """The same for `spec.cancelledBy`."""
    try:
        return parse(Canceller, value, where="spec.cancelledBy") == wanted
    except Unreadable:
        return False


def map_at(manifest: JsonObject, key: str) -> JsonObject:
    """A map of the manifest; empty where there is none, or something else."""
    value = manifest.get(key)
    return value if isinstance(value, dict) else {}


class Draft:
    """A manifest on its way to be stamped: what is written goes into a copy, what is wrong is noted."""

    def __init__(self, manifest: JsonObject) -> None:
        self._before = manifest
        self.after = deepcopy(manifest)
        self._problems: list[str] = []

    def object_at(self, key: str) -> JsonObject:
        """The part of the copy, made where it is missing."""
        if not isinstance(self.after.get(key), dict):
            self.after[key] = {}
        part: JsonObject = self.after[key]
        return part

    def complain(self, problem: str) -> None:
        """Note what is wrong."""
        self._problems.append(problem)

    def result(self) -> Stamped | ForeignStamps:
        """The patch, or all that is wrong."""
        if self._problems:
            return ForeignStamps(tuple(self._problems))
        return Stamped(merge_patch(self._before, self.after))


def stamp_proc(
    manifest: JsonObject, namespace: Namespace, stamper: Stamper
) -> Stamped | ForeignStamps:
    """A Proc gets its label, and nothing else."""
    draft = Draft(manifest)
    stamp_shard(draft, namespace, stamper)
    return draft.result()


def stamp_shard(draft: Draft, namespace: Namespace, stamper: Stamper) -> None:
    """The label by which controllers will share the work."""
    metadata = draft.object_at("metadata")
    labels = dict(metadata.get("labels") or {})
    wanted = shard_of(namespace)
    given = labels.get(SHARD_LABEL)
    if given is None:
        metadata["labels"] = labels | {SHARD_LABEL: wanted}
    elif given != wanted and not stamper.may_clean_up:
        draft.complain(
            f"metadata.labels {SHARD_LABEL}: {given!r} is not the shard of this namespace; leave it out"
        )


def keep_foreign_marks_out(draft: Draft, old: JsonObject, stamper: Stamper) -> None:
    """Labels of our domain and owners of our kinds say things that only the operator may say."""
    if stamper.may_clean_up:
        return
    metadata, before = map_at(draft.after, "metadata"), map_at(old, "metadata")
    labels, old_labels = map_at(metadata, "labels"), map_at(before, "labels")
    for name in sorted({*labels, *old_labels}):
        if name == SHARD_LABEL or not name.startswith(_OWN_PREFIX):
            continue
        if labels.get(name) != old_labels.get(name):
            draft.complain(f"metadata.labels {name}: labels of {GROUP} are the operator's to set")
    known = before.get("ownerReferences") or []
    for owner in metadata.get("ownerReferences") or []:
        api_version = map_at({"owner": owner}, "owner").get("apiVersion", "")
        if str(api_version).startswith(_OWN_PREFIX) and owner not in known:
            draft.complain(
                f"metadata.ownerReferences: an owner of {GROUP} is the operator's to name"
            )


def keep_finalizer(draft: Draft) -> None:
    """Nothing vanishes before its end is in the record."""
    metadata = draft.object_at("metadata")
    finalizers = list(metadata.get("finalizers") or [])
    if RECORD_FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, RECORD_FINALIZER]
