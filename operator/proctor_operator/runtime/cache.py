"""The newest known state of every object the operator works with, kept small.

Nothing here is the only copy of a fact. Entries come from watches, lists and the answers to our own
writes, in any order; the resourceVersion decides which is newer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Namespace, Uid, job_name
from proctor_operator.domain.objects import Kind, ObjectKey, UnreadableObject
from proctor_operator.domain.proc import Proc, ProcSpec
from proctor_operator.domain.run import RecordedRun
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.remains import remains_of
from proctor_operator.reconcile.status import is_finished
from proctor_operator.runtime.indexes import activity_index, finished_index, scheduled_index


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as the record had it, without an outcome then, and its pinned spec, parsed.

    `tell_start_at` is None while no start has been seen.
    """

    run: RecordedRun
    pinned: ProcSpec | None
    tell_start_at: datetime | None = None


BURIED_AT_MOST: Final = 2000
"""So many go, at the most, while a list is read."""


def key_of(known: OwnObject) -> ObjectKey:
    """Return the key under which an object of ours is worked on."""
    match known:
        case UnreadableObject():
            kind = known.kind
        case ProcExecution():
            kind = Kind.PROC_EXECUTION
        case Proc():
            kind = Kind.PROC
        case _:
            kind = Kind.PROC_SCHEDULE
    return ObjectKey(kind, known.namespace, known.name)


class ObjectCache:
    """Objects by key, Jobs by name, pods by the execution that their label names.

    Of an execution that is over only its remains are here (`reconcile.remains`): its object has the rest.
    """

    def __init__(self) -> None:
        self._own: dict[ObjectKey, OwnObject] = {}
        self._jobs: dict[tuple[Namespace, str], JobFacts] = {}
        self._pods: dict[Uid, dict[Uid, PodFacts]] = {}
        self._keys_by_uid: dict[Uid, ObjectKey] = {}
        self._runs: dict[Uid, KnownRun] = {}
        self._lost_their_job: set[Uid] = set()
        self._buried: OrderedDict[Uid, None] = OrderedDict()
        self.finished = finished_index()
        self.activity = activity_index()
        self.scheduled = scheduled_index()
        self._indexes = (self.finished, self.activity, self.scheduled)

    def put(self, known: OwnObject) -> bool:
        """Keep an object unless a newer state of it is here, or it is known to be gone.

        Tells whether it was kept.
        """
        if known.uid in self._buried:
            return False
        key = key_of(known)
        old = self._own.get(key)
        if old is not None and old.uid == known.uid and not _is_newer(known, old):
            return False
        if old is not None and old.uid != known.uid:
            self._forget_uid(old.uid)
        if isinstance(known, ProcExecution) and is_finished(known.status):
            known = remains_of(known)
        self._own[key] = known
        self._keys_by_uid[known.uid] = key
        for index in self._indexes:
            index.change(old, known)
        return True

    def refresh(self, known: OwnObject) -> None:
        """Lay the answer to an own write over what is here; never bring back what was removed."""
        old = self._own.get(key_of(known))
        if old is not None and old.uid == known.uid:
            self.put(known)

    def remove(self, key: ObjectKey, uid: Uid | None = None) -> bool:
        """Forget an object; with a UID, only that one. Tell whether it was here."""
        old = self._own.get(key)
        if old is None or (uid is not None and old.uid != uid):
            return False
        del self._own[key]
        self._forget_uid(old.uid)
        for index in self._indexes:
            index.change(old, None)
        return True

    def bury(self, uid: Uid) -> None:
        """Remember for a while that an object is gone for good: a list under way may still bring it."""
        self._buried[uid] = None
        if len(self._buried) > BURIED_AT_MOST:
            self._buried.popitem(last=False)

    def get(self, key: ObjectKey) -> OwnObject | None:
        """Look an object up."""
        return self._own.get(key)

    def proc(self, namespace: Namespace, name: str) -> Proc | UnreadableObject | None:
        """Look a Proc up."""
        known = self._own.get(ObjectKey(Kind.PROC, namespace, name))
        return known if isinstance(known, Proc | UnreadableObject) else None

    def schedule(self, namespace: Namespace, name: str) -> ProcSchedule | None:
        """Look a ProcSchedule up, if it can be read."""
        known = self._own.get(ObjectKey(Kind.PROC_SCHEDULE, namespace, name))
        return known if isinstance(known, ProcSchedule) else None

    def uids(self) -> dict[ObjectKey, Uid]:
        """Every object of ours that is here, by key."""
        return {key: known.uid for key, known in self._own.items()}

    def executions(self) -> Iterator[ProcExecution]:
        """Every execution that is here and can be read."""
        return (one for one in self._own.values() if isinstance(one, ProcExecution))

    def live_keys(self) -> tuple[ObjectKey, ...]:
        """Keys of executions that have not finished."""
        return tuple(
            key
            for key, known in self._own.items()
            if isinstance(known, ProcExecution) and not is_finished(known.status)
        )

    def knows(self, uid: Uid, resource_version: str) -> bool:
        """Whether that state of an object of ours, or a newer one, is here; or none will be any more."""
        if uid in self._buried:
            return True
        key = self._keys_by_uid.get(uid)
        known = self._own.get(key) if key is not None else None
        return known is not None and not _is_newer_version(resource_version, known.resource_version)

    def key_of_uid(self, uid: Uid | None) -> ObjectKey | None:
        """Key of the object of that UID, if it is here."""
        return self._keys_by_uid.get(uid) if uid is not None else None

    def put_job(self, job: JobFacts) -> bool:
        """Keep a Job unless a newer state of it is here; tell whether that says anything new."""
        old = self._jobs.get((job.namespace, job.name))
        if old is not None and old.uid == job.uid and not _is_newer(job, old):
            return False
        job = job.seen_after(old)
        self._jobs[job.namespace, job.name] = job
        return old is None or replace(old, resource_version=job.resource_version) != job

    def refresh_job(self, job: JobFacts) -> None:
        """Lay the answer to an own write over what is here; never bring back what was removed."""
        old = self._jobs.get((job.namespace, job.name))
        if old is not None and old.uid == job.uid:
            self.put_job(job)

    def remove_job(self, job: JobFacts) -> bool:
        """Forget a Job, if it is still that one; tell whether it was."""
        old = self._jobs.get((job.namespace, job.name))
        was_here = old is not None and old.uid == job.uid
        if was_here:
            del self._jobs[job.namespace, job.name]
        owner = job.seen_after(old).owner_uid
        key = self.key_of_uid(owner)
        if key is None or owner is None or self._is_over(owner):
            return was_here
        if job.name == job_name(key.name, owner):
            self._lost_their_job.add(owner)
        return was_here

    def has_lost_its_job(self, execution_uid: Uid) -> bool:
        """Whether a Job of an execution under way was here, and went: there must not be a second one."""
        return execution_uid in self._lost_their_job

    def job_of(self, execution: ProcExecution) -> JobFacts | None:
        """The Job that bears the execution's one name, whoever owns it."""
        return self._jobs.get((execution.namespace, job_name(execution.name, execution.uid)))

    def job(self, namespace: Namespace, name: str) -> JobFacts | None:
        """The Job of that name, whoever owns it."""
        return self._jobs.get((namespace, name))

    def jobs(self) -> Iterator[JobFacts]:
        """Every Job that is here."""
        return iter(tuple(self._jobs.values()))

    def put_pod(self, pod: PodFacts) -> bool:
        """Keep a pod unless a newer state of it is here, or its execution is over.

        Tells whether it says anything new.
        """
        if pod.execution_uid is None or self._is_over(pod.execution_uid):
            return False
        pods = self._pods.setdefault(pod.execution_uid, {})
        old = pods.get(pod.uid)
        if old is not None and not _is_newer(pod, old):
            return False
        known = pods[pod.uid] = pod.seen_after(old)
        return old is None or replace(old, resource_version=known.resource_version) != known

    def has_pod(self, pod: PodFacts) -> bool:
        """Whether a pod is here and not known to be gone."""
        known = self._pods.get(pod.execution_uid or Uid(""), {}).get(pod.uid)
        return known is not None and not known.is_gone

    def mark_pod_gone(self, pod: PodFacts) -> None:
        """Keep the last that was seen of a deleted pod until its execution goes: it holds the exit code."""
        if pod.execution_uid is None:
            return
        if pod.execution_uid not in self._keys_by_uid or self._is_over(pod.execution_uid):
            self._pods.pop(pod.execution_uid, None)
            return
        pods = self._pods.setdefault(pod.execution_uid, {})
        known = pods.get(pod.uid)
        last = known if known is not None and _is_newer(known, pod) else pod
        pods[pod.uid] = replace(last.seen_after(known), is_gone=True)

    def pods_of(self, execution_uid: Uid) -> tuple[PodFacts, ...]:
        """Pods that carry the execution's label; whose they are, their owner's UID must tell."""
        return tuple(self._pods.get(execution_uid, {}).values())

    def pods(self) -> Iterator[PodFacts]:
        """Every pod that is here and not gone."""
        return iter(
            [pod for pods in self._pods.values() for pod in pods.values() if not pod.is_gone]
        )

    def keep_run(self, execution_uid: Uid, known: KnownRun) -> None:
        """Keep what the record said of a run, so that not every pass asks it again."""
        if execution_uid in self._keys_by_uid:
            self._runs[execution_uid] = known

    def run_of(self, execution_uid: Uid) -> KnownRun | None:
        """What the record said last."""
        return self._runs.get(execution_uid)

    def doubt_run(self, execution_uid: Uid) -> None:
        """Have the record asked again: something happened that nobody expected."""
        self._runs.pop(execution_uid, None)

    def forget_run(self, execution_uid: Uid) -> None:
        """Drop all that is kept of an execution that is over."""
        self._pods.pop(execution_uid, None)
        self._runs.pop(execution_uid, None)
        self._lost_their_job.discard(execution_uid)

    def _is_over(self, execution_uid: Uid) -> bool:
        key = self._keys_by_uid.get(execution_uid)
        known = self._own.get(key) if key is not None else None
        return isinstance(known, ProcExecution) and is_finished(known.status)

    def _forget_uid(self, uid: Uid) -> None:
        self._keys_by_uid.pop(uid, None)
        self.forget_run(uid)


def _is_newer(new: OwnObject | JobFacts | PodFacts, old: OwnObject | JobFacts | PodFacts) -> bool:
    return _is_newer_version(new.resource_version, old.resource_version)


def _is_newer_version(new: str, old: str) -> bool:
    """Compare resourceVersions, which are numbers that grow (KEP-5504); the same one is not newer."""
    if new == old:
        return False
    if new.isdigit() and old.isdigit():
        return int(new) > int(old)
    return True
