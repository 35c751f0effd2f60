"""Executions under way by the schedule that they run for, so that nobody has to look through all objects."""

from __future__ import annotations

from collections.abc import Callable

from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.domain.schedule import ActiveRun
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.status import is_finished

SHOWN_AT_MOST = 64
"""The kind's own limit of `status.active`."""


class ScheduledIndex:
    """Kept by the cache; tells its listeners which schedule has one more under way, or one less."""

    def __init__(self) -> None:
        self._groups: dict[Uid, dict[Uid, ProcExecution]] = {}
        self._listeners: list[Callable[[ObjectKey], None]] = []

    def listen(self, listener: Callable[[ObjectKey], None]) -> None:
        """Call `listener` with the key of a schedule whenever what runs for it changes."""
        self._listeners.append(listener)

    def put(self, known: OwnObject) -> None:
        """Take note of an object, if it is an execution of a schedule."""
        if not isinstance(known, ProcExecution):
            return
        if is_finished(known.status):
            self.remove(known)
            return
        schedule = _schedule_uid(known)
        if schedule is None:
            return
        group = self._groups.setdefault(schedule, {})
        is_news = known.uid not in group
        group[known.uid] = known
        if is_news:
            self._tell(known)

    def remove(self, known: OwnObject) -> None:
        """Forget an object."""
        schedule = _schedule_uid(known) if isinstance(known, ProcExecution) else None
        group = self._groups.get(schedule, {}) if schedule is not None else {}
        if not isinstance(known, ProcExecution) or group.pop(known.uid, None) is None:
            return
        if not group and schedule is not None:
            del self._groups[schedule]
        self._tell(known)

    def active(self, schedule: Uid) -> tuple[ActiveRun, ...]:
        """What runs for a schedule, oldest first, as its status shows it."""
        running = self._groups.get(schedule, {}).values()
        oldest_first = sorted(running, key=lambda one: (one.creation_time, one.name))
        return tuple(ActiveRun(name=one.name, uid=one.uid) for one in oldest_first[:SHOWN_AT_MOST])

    def _tell(self, execution: ProcExecution) -> None:
        reference = execution.spec.schedule_ref
        if reference is None:
            return
        key = ObjectKey(Kind.PROC_SCHEDULE, execution.namespace, reference.name)
        for listener in self._listeners:
            listener(key)


def _schedule_uid(execution: ProcExecution) -> Uid | None:
    reference = execution.spec.schedule_ref
    return reference.uid if reference is not None else None
