"""Performing actions: each one call to the outside, its result laid into the snapshot."""

from __future__ import annotations

from collections.abc import Callable

from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule
from proctor_operator.domain.workload import JobFacts
from proctor_operator.ports.access import Access
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import Cluster
from proctor_operator.ports.plugins import Plugins
from proctor_operator.ports.records import Records
from proctor_operator.reconcile.decision import Action
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.cluster_effects import ClusterEffects
from proctor_operator.runtime.log_capture import LogCapture
from proctor_operator.runtime.log_effects import LogAction, LogEffects
from proctor_operator.runtime.question_effects import QuestionAction, QuestionEffects
from proctor_operator.runtime.record_effects import RecordAction, RecordEffects
from proctor_operator.runtime.slot_effects import SlotEffects


class ExecutionEffects:
    """Knows how to do each action, and nothing of when."""

    def __init__(
        self,
        *,
        cache: ObjectCache,
        cluster: Cluster,
        records: Records,
        capture: LogCapture,
        access: Access,
        plugins: Plugins,
        clock: Clock,
        wake: Callable[[Uid], None],
    ) -> None:
        self._on_cluster = ClusterEffects(cache=cache, cluster=cluster, clock=clock)
        self._on_logs = LogEffects(capture)
        self._questions = QuestionEffects(access=access, plugins=plugins, clock=clock)
        slots = SlotEffects(cache=cache, cluster=cluster, records=records, clock=clock, wake=wake)
        self._on_record = RecordEffects(records, slots)

    async def perform(self, action: Action, observed: ObservedExecution) -> ObservedExecution:
        """Do it, and return the snapshot with what is known now.

        A record that is away becomes `run=UNAVAILABLE`, one that refuses a row `record_refusal`: the
        rules know what to do with both. Other faults are raised for the queue.
        """
        if isinstance(action, RecordAction):
            return await self._on_record.perform(action, observed)
        if isinstance(action, QuestionAction):
            return await self._questions.perform(action, observed)
        if isinstance(action, LogAction):
            return await self._on_logs.perform(action, observed)
        return await self._on_cluster.perform(action, observed)

    def rules_changed(self, known: Proc | ProcSchedule) -> None:
        """A Proc or schedule was changed, perhaps its limit."""
        self._on_record.rules_changed(known)

    def ended_elsewhere(self) -> None:
        """A run has its outcome whose execution is gone, and with it what tells which slots it had."""
        self._on_record.ended_elsewhere()

    async def fetch_job(self, namespace: Namespace, name: str) -> JobFacts | None:
        """Read a Job live; None when it is not there."""
        return await self._on_cluster.fetch_job(namespace, name)
