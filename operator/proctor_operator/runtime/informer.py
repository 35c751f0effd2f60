"""What watches and lists bring, put into the cache, and the keys it concerns onto the queue."""

from __future__ import annotations

from typing import Final

from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import Kind, ObjectKey, UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.runtime.activity import ACTIVITY_DELAY_SECONDS
from proctor_operator.runtime.cache import ObjectCache, key_of
from proctor_operator.runtime.queue import WorkQueue

RETENTION_DELAY_SECONDS: Final = 5.0
SCHEDULE_DELAY_SECONDS: Final = 10.0


class Informer:
    """Keeps the cache warm and, once told to `feed` it, the queue.

    Correct if every event were lost, because the lists come round again.
    """

    def __init__(self, cache: ObjectCache, queue: WorkQueue) -> None:
        self._cache = cache
        self._queue = queue
        self._is_feeding = False
        cache.finished.listen(self._wake_retention)
        cache.activity.listen(self._wake_activity)
        cache.scheduled.listen(self._wake_schedule)

    def feed(self) -> None:
        """Begin to feed the queue, with all that is known: until now nobody has looked at any of it."""
        if self._is_feeding:
            return
        self._is_feeding = True
        for key in self._cache.uids():
            self._wake(key)
            if key.kind is Kind.PROC:
                self._wake_activity(ObjectKey(Kind.PROC_ACTIVITY, key.namespace, key.name))
        for job in self._cache.jobs():
            self._wake_owner(job, is_news=True)
        for key in self._cache.finished.groups():
            self._wake_retention(key)

    def saw(self, known: OwnObject) -> bool:
        """An object of ours was added or changed; like all of these it tells whether that was news."""
        is_news = self._cache.put(known)
        if is_news:
            self._wake(key_of(known))
            self._wake_retention_of(known)
            if isinstance(known, Proc):
                # Whatever somebody else wrote there must not stay.
                self._wake_activity(ObjectKey(Kind.PROC_ACTIVITY, known.namespace, known.name))
        return is_news

    def missed(self, known: OwnObject) -> bool:
        """An object of ours is gone; tells whether that is news."""
        key = key_of(known)
        is_news = self._cache.remove(key, known.uid)
        self._cache.bury(known.uid)
        self._queue.forget(key)
        self._wake_retention_of(known)
        return is_news

    def knows(self, uid: Uid, resource_version: str) -> bool:
        """Whether that state of an object of ours, or a newer one, was seen before."""
        return self._cache.knows(uid, resource_version)

    def knows_job(self, namespace: Namespace, name: str, resource_version: str) -> bool:
        """Whether exactly that state of a Job was seen before, and its execution as well."""
        known = self._cache.job(namespace, name)
        if known is None or known.resource_version != resource_version:
            return False
        return self._cache.key_of_uid(known.owner_uid) is not None

    def saw_job(self, job: JobFacts) -> bool:
        """A Job was added or changed; who looks at it is the execution that its owner UID names."""
        is_news = self._cache.put_job(job)
        self._wake_owner(job, is_news=is_news)
        return is_news

    def missed_job(self, job: JobFacts) -> bool:
        """A Job is gone."""
        is_news = self._cache.remove_job(job)
        self._wake_owner(job, is_news=True)
        return is_news

    def saw_pod(self, pod: PodFacts) -> bool:
        """A pod was added or changed; much of what a kubelet writes is nothing that we look at."""
        is_news = self._cache.put_pod(pod)
        if is_news:
            self._wake(self._cache.key_of_uid(pod.execution_uid))
        return is_news

    def missed_pod(self, pod: PodFacts) -> bool:
        """A pod is gone."""
        is_news = self._cache.has_pod(pod)
        self._cache.mark_pod_gone(pod)
        self._wake(self._cache.key_of_uid(pod.execution_uid))
        return is_news

    def wake(self, key: ObjectKey) -> None:
        """Look at an object again, without news of it."""
        self._wake(key)

    def _wake_owner(self, job: JobFacts, *, is_news: bool) -> None:
        key = self._cache.key_of_uid(job.owner_uid)
        if key is not None:
            if is_news:
                self._wake(key)
        elif job.is_held:
            # Its execution has not been seen yet, or is gone: the orphan rules tell which, and what
            # they found may have changed without a change of the Job.
            self._wake(ObjectKey(Kind.ORPHANED_JOB, job.namespace, job.name))
            if job.owner_uid is None and is_news:
                # Its execution is being deleted with its dependents orphaned, perhaps. A forged label
                # wakes somebody, and does no more.
                self._wake(self._cache.key_of_uid(job.execution_uid))

    def _wake_retention_of(self, known: OwnObject) -> None:
        """The author of a Proc or a schedule may want other executions kept than before."""
        match known:
            case ProcSchedule():
                proc = known.spec.proc_ref.name
            case Proc():
                proc = known.name
            case UnreadableObject(kind=Kind.PROC):
                proc = known.name
            case _:
                return
        finished = ObjectKey(Kind.FINISHED_EXECUTIONS, known.namespace, proc)
        if self._cache.finished.of(finished):
            self._wake_retention(finished)

    def _wake_retention(self, key: ObjectKey) -> None:
        """Soon, and once for all that end until then: nobody waits for it."""
        if self._is_feeding:
            self._queue.add_after(key, RETENTION_DELAY_SECONDS)

    def _wake_activity(self, key: ObjectKey) -> None:
        """Once for all that changes until then."""
        if self._is_feeding:
            self._queue.add_after(key, ACTIVITY_DELAY_SECONDS)

    def _wake_schedule(self, key: ObjectKey) -> None:
        """What runs for it is shown some time after: a burst of short runs costs one write."""
        if self._is_feeding:
            self._queue.add_after(key, SCHEDULE_DELAY_SECONDS)

    def _wake(self, key: ObjectKey | None) -> None:
        if key is not None and self._is_feeding:
            self._queue.add(key)
