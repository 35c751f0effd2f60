"""The garbage collector and the TTL controller."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from simulation.api_server import (
    DELETED,
    EXECUTIONS,
    FOREGROUND,
    JOBS,
    ORPHAN,
    PODS,
    Commit,
    Key,
    Manifest,
    has_condition,
    key_of,
)
from simulation.controllers import Controller
from simulation.virtual_time import TIME_ZERO


class GarbageCollector(Controller):
    """Deletes what has lost its owner; on foreground deletion, the dependents first; on orphaning, none."""

    name = "garbage-collector"

    def keys_of(self, commit: Commit) -> Iterable[Key]:
        if commit.type != DELETED and commit.key[0] in (EXECUTIONS, JOBS, PODS):
            yield commit.key
        if commit.type == DELETED:
            uid = commit.after["metadata"]["uid"]
            yield from (key_of(plural, one) for plural, one in self._dependents(uid))

    def sync(self, key: Key) -> None:
        one = self.server.find(key)
        if one is None:
            return
        metadata = one["metadata"]
        owners = metadata.get("ownerReferences") or ()
        if owners and not any(self.server.knows_uid(owner["uid"]) for owner in owners):
            if "deletionTimestamp" not in metadata:
                self.server.delete(key, uid=metadata["uid"], actor=self.name)
            return
        if FOREGROUND in metadata.get("finalizers", ()):
            self._delete_in_the_foreground(key, one)
        if ORPHAN in metadata.get("finalizers", ()):
            self._orphan_dependents(key, one)

    def _delete_in_the_foreground(self, key: Key, owner: Manifest) -> None:
        for plural, one in self._dependents(owner["metadata"]["uid"]):
            if "deletionTimestamp" not in one["metadata"]:
                self.server.delete(key_of(plural, one), actor=self.name)
        # Our Jobs say blockOwnerDeletion: false, so the owner waits for none of them.
        self._take_off(key, owner, FOREGROUND)

    def _orphan_dependents(self, key: Key, owner: Manifest) -> None:
        for plural, one in self._dependents(owner["metadata"]["uid"]):
            disowned = {"metadata": {"ownerReferences": None}}
            self.server.patch(key_of(plural, one), disowned, actor=self.name)
        self._take_off(key, owner, ORPHAN)

    def _take_off(self, key: Key, owner: Manifest, finalizer: str) -> None:
        kept = [one for one in owner["metadata"]["finalizers"] if one != finalizer]
        self.server.patch(key, {"metadata": {"finalizers": kept or None}}, actor=self.name)

    def _dependents(self, uid: str) -> list[tuple[str, Manifest]]:
        return [
            (plural, one)
            for plural in (JOBS, PODS)
            for one in self.server.list_of(plural)
            if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences") or ())
        ]


class TimeToLive(Controller):
    """Deletes ended Jobs `ttlSecondsAfterFinished` after their end."""

    name = "ttl-after-finished"

    def keys_of(self, commit: Commit) -> Iterable[Key]:
        if commit.key[0] == JOBS and commit.type != DELETED:
            yield commit.key

    def sync(self, key: Key) -> None:
        job = self.server.find(key)
        if job is None or "deletionTimestamp" in job["metadata"]:
            return
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None or not has_condition(job, "Complete", "Failed"):
            return
        ended = datetime.fromisoformat(job["status"]["completionTime"])
        due = (ended - TIME_ZERO).total_seconds() + ttl
        if self.now >= due:
            self.server.delete(key, uid=job["metadata"]["uid"], actor=self.name)
        else:
            self.wake_at(due, key)
