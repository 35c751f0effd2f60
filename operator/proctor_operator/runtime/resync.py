"""Lists that come round, so that nothing depends on an event having arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from random import Random
from typing import Final, TypeVar

import structlog

from proctor_operator.domain.errors import ClusterError, Expired, PartlyListed
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import Illegible, ObjectKey
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.ports.cluster import Change, Cluster, OwnObject
from proctor_operator.ports.metrics import ClusterMetrics
from proctor_operator.runtime.cache import ObjectCache, key_of
from proctor_operator.runtime.findings import Findings
from proctor_operator.runtime.informer import Informer

LIST_EVERY_SECONDS: Final = 60.0
"""A lost event of a request, a cancel or a deletion has no other way in (I9)."""
ROUNDS_TO_A_WHOLE_LIST: Final = 5
"""In the others our objects are not listed: what became of them is asked for (docs/adr/0007)."""
_JITTER: Final = 0.2
_RETRY_SECONDS: Final = 2.0
_REFUSED_RETRY_SECONDS: Final = 15.0
"""Sooner than a whole round: what a missing right has held up goes on within a minute of its return."""

_ITEMS_AT_A_STRETCH: Final = 50
"""Reading a page takes long enough to be felt by everything else."""

Listed = TypeVar("Listed")

log = structlog.get_logger(__name__)


class Resync:
    """Compares lists with the cache: what changed is looked at, what vanished is removed.

    An object that cannot be read is passed over. It is there, so its last legible state stays in the cache.

    Jobs and pods are listed in every round. Objects of ours are many, and most are over: in most rounds
    only what became of them since the round before is read, from a history that no watch has a part in.

    When `leading` is set everything is listed once more, live, and then the work begins: what was seen
    before may be from before the last write of the leader before us.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        cache: ObjectCache,
        informer: Informer,
        findings: Findings,
        metrics: ClusterMetrics,
        random: Random,
        leading: asyncio.Event,
        every_seconds: float = LIST_EVERY_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._informer = informer
        self._findings = findings
        self._metrics = metrics
        self._random = random
        self._leading = leading
        self._every_seconds = every_seconds
        self._rounds_to_a_list = 0
        self._has_led = False
        self.has_listed = asyncio.Event()
        """Once, but for namespaces that refuse: references never leave a namespace, so others need not wait."""
        self.problem: str | None = "the first list of objects has not finished"
        """What is not as it should be with the newest list."""

    async def run(self) -> None:
        """List everything once, then again and again until cancelled."""
        while True:
            is_leading = self._leading.is_set()
            try:
                refused = await self._go_round(is_leading=is_leading)
            except ClusterError as error:
                log.warning("Listing failed", error=str(error), again_in_seconds=_RETRY_SECONDS)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.problem = str(refused) if refused is not None else None
            self.has_listed.set()
            if is_leading:
                self._has_led = True
                self._informer.feed()
            seconds = self._every_seconds * (1 + _JITTER * self._random.random())
            if refused is not None:
                seconds = _REFUSED_RETRY_SECONDS
                log.warning("Listing was refused", error=str(refused), again_in_seconds=seconds)
            await (asyncio.sleep(seconds) if is_leading else self._stand_by(seconds))

    async def _stand_by(self, seconds: float) -> None:
        """Until the next round, or until this process leads: perhaps it does so already."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leading.wait()

    async def _go_round(self, *, is_leading: bool) -> PartlyListed | None:
        self._findings.settle()
        begins_to_lead = is_leading and not self._has_led
        is_whole = begins_to_lead or self._rounds_to_a_list == 0
        refused = await (self.list_own_objects() if is_whole else self.catch_up())
        return _together(refused, await self.list_workloads())

    async def catch_up(self) -> PartlyListed | None:
        """Take in what became of objects of our kinds since the last round."""

        def saw(change: Change) -> None:
            known = change.known
            if isinstance(known, Illegible):
                # If it has gone, the next whole list lacks it.
                self._pass_over(known)
                return
            take_in = self._informer.missed if change.is_gone else self._informer.saw
            if take_in(known):
                self._note(key_of(known).kind, known.uid)

        try:
            refused = await _read(self._cluster.changed_own(self._cache.knows), saw)
        except Expired:
            return await self.list_own_objects()
        self._rounds_to_a_list = 0 if refused is not None else self._rounds_to_a_list - 1
        return refused

    async def list_own_objects(self) -> PartlyListed | None:
        """List every object of our kinds; returns what was refused, of which nothing is removed."""
        before = self._cache.uids()
        seen: dict[ObjectKey, Uid] = {}
        illegible: set[Uid] = set()

        def saw(known: OwnObject | Illegible) -> None:
            if isinstance(known, Illegible):
                illegible.add(known.uid)
                self._pass_over(known)
                return
            seen[key_of(known)] = known.uid
            if self._informer.saw(known):
                self._note(key_of(known).kind, known.uid)

        refused = await _read(self._cluster.list_own(), saw)
        for key, uid in before.items():
            is_seen = seen.get(key) == uid or uid in illegible
            is_there = is_seen or _leaves_out(refused, key.namespace)
            if not is_there and self._cache.remove(key, uid):
                self._note(key.kind, uid)
        self._rounds_to_a_list = 0 if refused is not None else ROUNDS_TO_A_WHOLE_LIST - 1
        return refused

    async def list_workloads(self) -> PartlyListed | None:
        """List our Jobs and pods, and wake every execution so that its time-outs are looked at."""
        refused = _together(await self._list_jobs(), await self._list_pods())
        for key in self._cache.live_keys():
            self._informer.wake(key)
        return refused

    async def _list_jobs(self) -> PartlyListed | None:
        before = {job.uid: job for job in self._cache.jobs()}

        def saw(job: JobFacts | Illegible) -> None:
            before.pop(job.uid, None)
            if isinstance(job, Illegible):
                self._pass_over(job)
            elif self._informer.saw_job(job):
                self._note("Job", job.uid)

        refused = await _read(self._cluster.list_jobs(), saw)
        for job in before.values():
            if not _leaves_out(refused, job.namespace) and self._informer.missed_job(job):
                self._note("Job", job.uid)
        return refused

    async def _list_pods(self) -> PartlyListed | None:
        before = {pod.uid: pod for pod in self._cache.pods()}

        def saw(pod: PodFacts | Illegible) -> None:
            before.pop(pod.uid, None)
            if isinstance(pod, Illegible):
                self._pass_over(pod)
            elif self._informer.saw_pod(pod):
                self._note("Pod", pod.uid)

        refused = await _read(self._cluster.list_pods(), saw)
        for pod in before.values():
            if not _leaves_out(refused, pod.namespace) and self._informer.missed_pod(pod):
                self._note("Pod", pod.uid)
        return refused

    def _pass_over(self, one: Illegible) -> None:
        self._metrics.object_illegible(one.resource)
        log.warning(
            "Object cannot be read, passed over",
            resource=one.resource,
            name=one.name,
            uid=one.uid,
            error=one.why,
        )

    def _note(self, kind: str, uid: Uid) -> None:
        """The first list has nothing to be compared with."""
        if self.has_listed.is_set():
            self._findings.found(kind, uid)


async def _read(items: AsyncIterator[Listed], saw: Callable[[Listed], None]) -> PartlyListed | None:
    try:
        number = 0
        async for item in items:
            saw(item)
            number += 1
            if number % _ITEMS_AT_A_STRETCH == 0:
                await asyncio.sleep(0)
    except PartlyListed as partly:
        return partly
    return None


def _leaves_out(refused: PartlyListed | None, namespace: Namespace) -> bool:
    return refused is not None and refused.leaves_out(namespace)


def _together(*partly: PartlyListed | None) -> PartlyListed | None:
    refused = {
        where: why for one in partly if one is not None for where, why in one.refused.items()
    }
    return PartlyListed(refused) if refused else None
