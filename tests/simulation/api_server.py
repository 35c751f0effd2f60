"""A small API server: what fakes usually skip is what the operator's promises rest on.

One growing resourceVersion, 409 on stale writes and wrong UIDs, names taken, the status subresource apart,
generations, finalizers and deletion in two steps, grace periods of pods, a history of every version.
Manifests are never changed once stored; a write stores a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from proctor_operator.domain.errors import AlreadyExists, Conflict, NotFound, Rejected
from simulation.lease_store import LeaseStore
from simulation.virtual_time import TIME_ZERO

Manifest = dict[str, Any]
Key = tuple[str, str, str]
"""Plural, namespace, name."""

ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"
EXECUTIONS: Final = "procexecutions"
PROCS: Final = "procs"
JOBS: Final = "jobs"
PODS: Final = "pods"
FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"

_FIRST_STATUS: Final[dict[str, Manifest]] = {
    EXECUTIONS: {"phase": "Pending"},
    PODS: {"phase": "Pending"},
}


@dataclass(frozen=True, slots=True)
class Commit:
    """One version of one object; `before` is None for the first."""

    version: int
    at: float
    actor: str
    type: str
    key: Key
    before: Manifest | None
    after: Manifest


Observer = Callable[[Commit], None]


def timestamp(seconds: float) -> str:
    """A virtual time as Kubernetes writes it: whole seconds."""
    return (TIME_ZERO + timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def apply_operation(target: Manifest, operation: Manifest) -> None:
    """One `test`, `add` or `remove`, in place; `Rejected` when it does not fit."""
    *parents, last = operation["path"].strip("/").split("/")
    place: Any = target
    try:
        for name in parents:
            place = place[int(name) if isinstance(place, list) else name]
        at = int(last) if isinstance(place, list) else last
        match operation["op"]:
            case "test" if place[at] != operation["value"]:
                raise Rejected(f"test of {operation['path']} failed", status=422)
            case "remove":
                del place[at]
            case "add":
                place[at] = operation["value"]
    except (LookupError, TypeError) as error:
        raise Rejected(f"there is no {operation['path']}", status=422) from error


class ApiServer:
    """`now` is the virtual time in seconds. Every write names its actor, for the trace and the checks."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._objects: dict[Key, Manifest] = {}
        self._uids: dict[str, Key] = {}
        self._observers: list[Observer] = []
        self.commits: list[Commit] = []
        self.leases = LeaseStore()

    def observe(self, observer: Observer) -> None:
        """Call `observer` on every commit, at once."""
        self._observers.append(observer)

    def get(self, key: Key) -> Manifest:
        """Read; `NotFound` when it is not there."""
        found = self._objects.get(key)
        if found is None:
            raise NotFound(f"{key[0]} {key[2]!r} not found", status=404)
        return found

    def find(self, key: Key) -> Manifest | None:
        """Read; None when it is not there."""
        return self._objects.get(key)

    def list_of(self, plural: str, *, at_version: int | None = None) -> list[Manifest]:
        """Every object of a kind, as it is or as it was at a version."""
        if at_version is None:
            return [one for key, one in self._objects.items() if key[0] == plural]
        past: dict[Key, Manifest] = {}
        for commit in self.commits:
            if commit.version > at_version:
                break
            if commit.key[0] == plural:
                past[commit.key] = commit.after
                if commit.type == DELETED:
                    del past[commit.key]
        return list(past.values())

    def owned_by(self, plural: str, uid: str) -> Iterator[Manifest]:
        """Objects whose controller has that UID."""
        return (one for one in self.list_of(plural) if controller_uid(one) == uid)

    def knows_uid(self, uid: str) -> bool:
        """Whether an object of that UID exists."""
        return uid in self._uids

    def create(self, plural: str, manifest: Manifest, *, actor: str) -> Manifest:
        """POST: the server gives UID, time and first status."""
        metadata = manifest["metadata"]
        key = (plural, metadata["namespace"], metadata["name"])
        if key in self._objects:
            raise AlreadyExists(f"{plural} {key[2]!r} already exists", status=409)
        given = {
            "uid": f"{plural}-uid-{len(self.commits) + 1}",
            "creationTimestamp": timestamp(self._now()),
            "generation": 1,
        }
        first = {
            **manifest,
            "metadata": {**metadata, **given},
            "status": _FIRST_STATUS.get(plural, {}),
        }
        return self._commit(ADDED, key, None, first, actor)

    def patch(self, key: Key, patch: Manifest, *, sub: str | None = None, actor: str) -> Manifest:
        """Merge patch of an object without its status, or of its status alone."""
        before = self.get(key)
        self._check_version(before, patch)
        if sub == "status":
            wanted = {**before, "status": merge_patch(before["status"], patch.get("status"))}
        else:
            wanted = merge_patch(before, {**patch, "status": {}})
        return self._replace(key, before, wanted, actor)

    def apply(self, key: Key, operations: list[Manifest], *, actor: str) -> Manifest:
        """JSON patch (RFC 6902, as far as it is used): all operations or none."""
        before = self.get(key)
        wanted = deepcopy(before)
        for operation in operations:
            apply_operation(wanted, operation)
        return self._replace(key, before, wanted, actor)

    def _replace(self, key: Key, before: Manifest, wanted: Manifest, actor: str) -> Manifest:
        if wanted["metadata"].get("finalizers") == []:
            del wanted["metadata"]["finalizers"]
        wanted["metadata"] = {
            **wanted["metadata"],
            "resourceVersion": before["metadata"]["resourceVersion"],
        }
        if wanted == before:
            return before
        if wanted.get("spec") != before.get("spec"):
            wanted["metadata"]["generation"] = before["metadata"]["generation"] + 1
        if _is_let_go(wanted):
            return self._commit(DELETED, key, before, wanted, actor)
        return self._commit(MODIFIED, key, before, wanted, actor)

    def delete(
        self,
        key: Key,
        *,
        uid: str | None = None,
        version: str | None = None,
        propagation: str | None = None,
        grace: int | None = None,
        actor: str,
    ) -> None:
        """DELETE: gone at once, or marked while a finalizer or a pod's grace period holds it."""
        before = self.get(key)
        metadata = before["metadata"]
        if uid is not None and metadata["uid"] != uid:
            raise Conflict(f"{key[0]} {key[2]!r}: the UID in the precondition differs", status=409)
        if version is not None and metadata["resourceVersion"] != version:
            raise Conflict(f"{key[0]} {key[2]!r}: the precondition's version is old", status=409)
        if grace is None:
            grace = metadata.get("deletionGracePeriodSeconds", 30 if key[0] == PODS else 0)
        # A pod's time of deletion lies its grace period ahead, as in the real server.
        goes_at = timestamp(self._now() + grace)
        marks = {
            "deletionTimestamp": min(metadata.get("deletionTimestamp", goes_at), goes_at),
            "deletionGracePeriodSeconds": grace,
        }
        waits_for = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(propagation or "")
        if waits_for is not None and "deletionTimestamp" not in metadata:
            marks["finalizers"] = [*metadata.get("finalizers", ()), waits_for]
        wanted = {**before, "metadata": {**metadata, **marks}}
        if _is_let_go(wanted):
            self._commit(DELETED, key, before, wanted, actor)
        elif wanted != before:
            self._commit(MODIFIED, key, before, wanted, actor)

    def _check_version(self, before: Manifest, patch: Manifest) -> None:
        metadata = before["metadata"]
        wanted = (patch.get("metadata") or {}).get("resourceVersion")
        if wanted is not None and wanted != metadata["resourceVersion"]:
            raise Conflict(f"{metadata['name']!r}: the object has been modified", status=409)

    def _commit(
        self, type_: str, key: Key, before: Manifest | None, after: Manifest, actor: str
    ) -> Manifest:
        version = len(self.commits) + 1
        stored = {**after, "metadata": {**after["metadata"], "resourceVersion": str(version)}}
        if type_ == DELETED:
            del self._objects[key]
            del self._uids[stored["metadata"]["uid"]]
        else:
            self._objects[key] = stored
            self._uids[stored["metadata"]["uid"]] = key
        commit = Commit(version, self._now(), actor, type_, key, before, stored)
        self.commits.append(commit)
        for observer in self._observers:
            observer(commit)
        return stored


def key_of(plural: str, manifest: Manifest) -> Key:
    """Where an object stands."""
    return (plural, manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def controller_uid(manifest: Manifest) -> str | None:
    """UID of the owner that is the controller."""
    for owner in manifest["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return None


def has_condition(manifest: Manifest, *types: str) -> bool:
    """Whether one of these conditions is True."""
    conditions = manifest["status"].get("conditions") or ()
    return any(one["type"] in types and one["status"] == "True" for one in conditions)


def _is_let_go(manifest: Manifest) -> bool:
    metadata = manifest["metadata"]
    return (
        "deletionTimestamp" in metadata
        and metadata.get("deletionGracePeriodSeconds", 0) == 0
        and not metadata.get("finalizers")
    )
