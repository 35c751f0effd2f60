"""Asking the record, and writing into it."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import structlog

from proctor_operator.domain.errors import Fault, RecordRejected, RecordUnavailable
from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.run import RecordedRun, RunKey
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.ports.records import Records
from proctor_operator.reconcile.decision import (
    ClaimSlots,
    EndTheVanished,
    FetchEarlierRun,
    ReadPlace,
    ReadRun,
    RecordJob,
    RecordOutcome,
    RecordRefusal,
    RecordRun,
    RecordStarted,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.slots import groups_of
from proctor_operator.runtime.pins import Pins
from proctor_operator.runtime.slot_effects import SlotEffects

RecordAction = (
    ReadRun
    | FetchEarlierRun
    | RecordRun
    | ClaimSlots
    | ReadPlace
    | EndTheVanished
    | RecordRefusal
    | RecordJob
    | RecordStarted
    | RecordOutcome
)

log = structlog.get_logger(__name__)


class RecordEffects:
    """A record that is away, or refuses a row, fails no pass: the rules know what to do with both."""

    def __init__(self, records: Records, slots: SlotEffects) -> None:
        self._records = records
        self._slots = slots
        self._is_away = False
        self._pins = Pins()

    async def perform(self, action: RecordAction, observed: ObservedExecution) -> ObservedExecution:
        """Do it; what is known now, or that the record is away, or that it refuses the row."""
        try:
            known = await self._record(action, observed)
        except RecordUnavailable as error:
            if not self._is_away:
                log.warning("Record went away", error=str(error))
            self._is_away = True
            return replace(observed, run=Unseen.UNAVAILABLE)
        except RecordRejected as error:
            execution = f"{observed.execution.namespace}/{observed.execution.name}"
            log.warning("Record refuses a row", execution=execution, error=str(error))
            return replace(observed, record_refusal=str(error))
        if self._is_away:
            log.info("Record came back")
        self._is_away = False
        return known

    def rules_changed(self, known: Proc | ProcSchedule) -> None:
        """A Proc or schedule was changed, perhaps its limit."""
        self._slots.lines.rules_changed(known.uid, known.generation)

    def ended_elsewhere(self) -> None:
        """A run has its outcome whose execution is gone, and with it what tells which slots it had."""
        self._slots.lines.freed_somewhere()

    async def _record(self, action: RecordAction, observed: ObservedExecution) -> ObservedExecution:
        key = RunKey(observed.execution.creation_time, observed.execution.uid)
        match action:
            case ReadRun():
                run = await self._records.fetch_run(key)
                return (
                    self._with_run(observed, run) if run else replace(observed, run=Unseen.ABSENT)
                )
            case FetchEarlierRun(request):
                earlier = await self._records.fetch_earlier(request)
                return replace(observed, earlier=earlier or Unseen.ABSENT)
            case RecordRun(request):
                return self._with_run(observed, await self._records.record_run(request))
            case ClaimSlots() | ReadPlace() | EndTheVanished():
                known, run = await self._slots.perform(action, observed)
                return self._with_run(known, run) if run is not None else known
            case RecordRefusal(request, outcome):
                run = await self._records.record_refusal(request, outcome)
                return self._with_run(observed, run)
            case RecordJob(job_uid):
                await self._records.record_job(key, job_uid)
                return replace(observed, run=replace(_run(observed), job_uid=job_uid))
            case RecordStarted(job_uid, started_at):
                await self._records.record_started(key, job_uid, started_at)
                run = replace(_run(observed), job_uid=job_uid, started_at=started_at)
                return replace(observed, run=run)
            case RecordOutcome(job_uid, outcome):
                stored = await self._records.record_outcome(key, job_uid, outcome)
                self._slots.ended(key, groups_of(observed))
                return replace(observed, run=replace(_run(observed), outcome=stored))
            case _:
                assert_never(action)

    def _with_run(self, observed: ObservedExecution, run: RecordedRun) -> ObservedExecution:
        shared, pinned = self._pins.share(run)
        if not run.is_waiting or run.outcome:
            self._slots.lines.leave(run.request.key.uid)
        return replace(observed, run=shared, pinned=pinned, is_run_live=True)


def _run(observed: ObservedExecution) -> RecordedRun:
    if isinstance(observed.run, Unseen):
        raise Fault("the run has not been read from the record")
    return observed.run
