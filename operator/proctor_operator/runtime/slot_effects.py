"""Claiming slots, looking at the line, and ending those that hold a slot though they are no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from proctor_operator.domain.concurrency import (
    Granted,
    Occupant,
    SlotClaim,
    SlotVerdict,
    Waits,
)
from proctor_operator.domain.errors import NotFound
from proctor_operator.domain.naming import Namespace, Uid, job_name
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.run import RecordedRun, RunKey, RunRequest
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.ports.records import Records, SlotAnswer
from proctor_operator.reconcile.decision import ClaimSlots, EndTheVanished, ReadPlace
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.outcome import classify_vanished
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.lines import Lines

SlotAction = ClaimSlots | ReadPlace | EndTheVanished

log = structlog.get_logger(__name__)


class SlotEffects:
    """Keeps the lines in step with what the record says, and wakes whom it concerns."""

    def __init__(
        self,
        *,
        cache: ObjectCache,
        cluster: Cluster,
        records: Records,
        clock: Clock,
        wake: Callable[[Uid], None],
    ) -> None:
        self._cache = cache
        self._cluster = cluster
        self._records = records
        self._clock = clock
        self._wake = wake
        self.lines = Lines(wake, lambda uid: cache.key_of_uid(uid) is not None)

    async def perform(
        self, action: SlotAction, observed: ObservedExecution
    ) -> tuple[ObservedExecution, RecordedRun | None]:
        """Do it; the snapshot with what is known now, and the run where the record told of it."""
        execution = observed.execution
        match action:
            case ClaimSlots(request, claims):
                answer = await self._claim(request, claims)
                place = answer.verdict or Unseen.NOT_READ
                return replace(observed, place=place), answer.run
            case ReadPlace(claims):
                key = RunKey(execution.creation_time, execution.uid)
                return replace(observed, place=await self._look(key, claims)), None
            case EndTheVanished(occupants):
                were_any = await self._end_the_vanished(execution.namespace, occupants)
                place = Unseen.NOT_READ if were_any else observed.place
                return replace(observed, place=place, are_occupants_there=True), None

    async def _claim(self, request: RunRequest, claims: tuple[SlotClaim, ...]) -> SlotAnswer:
        """Claim, and have those that are replaced look at what the record says of them."""
        answer = await self._records.claim_slots(request, claims)
        if answer.verdict is None:
            return answer
        verdict = self._take_note(request.key, claims, answer.verdict)
        if isinstance(verdict, Waits):
            verdict = replace(verdict, to_replace=())
        return replace(answer, verdict=verdict)

    async def _look(self, key: RunKey, claims: tuple[SlotClaim, ...]) -> SlotVerdict:
        """What a claim would come to; who stands far behind need not ask."""
        if not claims:
            return Granted()
        remembered = self.lines.remembered(key.uid, claims)
        if remembered is not None:
            return remembered
        return self._take_note(key, claims, await self._records.fetch_place(key, claims))

    def ended(self, key: RunKey, groups: tuple[str, ...]) -> None:
        """A run has its outcome: its slots are free, or its place in the line is."""
        self.lines.leave(key.uid)
        self.lines.freed(groups)

    async def _end_the_vanished(
        self, namespace: Namespace, occupants: tuple[Occupant, ...]
    ) -> bool:
        """Record the end of those that are nowhere any more; tells whether there were any."""
        gone = [one for one in occupants if not await self._is_there(namespace, one)]
        for one in gone:
            outcome = classify_vanished(one, self._clock.now())
            await self._records.record_outcome(one.key, None, outcome)
            self.lines.leave(one.key.uid)
            log.warning("Slot of vanished execution freed", execution=f"{namespace}/{one.name}")
        return bool(gone)

    async def _is_there(self, namespace: Namespace, occupant: Occupant) -> bool:
        """The execution, or its Job: that one's end is recorded by whoever looks after orphans."""
        uid = occupant.key.uid
        if self._cache.key_of_uid(uid) is not None:
            return True
        try:
            found = await self._cluster.fetch_execution(namespace, occupant.name)
        except NotFound:
            found = None
        if found is not None and found.uid == uid:
            return True
        try:
            await self._cluster.fetch_job(namespace, job_name(occupant.name, uid))
        except NotFound:
            return False
        return True

    def _take_note(
        self, key: RunKey, claims: tuple[SlotClaim, ...], verdict: SlotVerdict
    ) -> SlotVerdict:
        if isinstance(verdict, Waits):
            self.lines.stand(key, claims, verdict)
            for one in verdict.replaced:
                # What is kept of it in memory says that nobody has its place.
                self._cache.doubt_run(one.key.uid)
                self._wake(one.key.uid)
        return verdict
