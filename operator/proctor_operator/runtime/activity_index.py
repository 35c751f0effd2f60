"""Executions by their Proc, so that what a Proc says of them is at hand."""

from __future__ import annotations

from collections.abc import Callable

from proctor_operator.domain.execution import Phase, ProcExecution
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.activity import is_queued

_Gist = tuple[Phase, bool]


class ActivityIndex:
    """Executions by their Proc, kept by the cache; tells its listeners what a Proc would say anew."""

    def __init__(self) -> None:
        self._groups: dict[ObjectKey, dict[str, ProcExecution]] = {}
        self._listeners: list[Callable[[ObjectKey], None]] = []

    def listen(self, listener: Callable[[ObjectKey], None]) -> None:
        """Call `listener` with the key of a Proc's activity whenever it changes."""
        self._listeners.append(listener)

    def put(self, known: OwnObject) -> None:
        """Take note of an object, if it is an execution."""
        if not isinstance(known, ProcExecution):
            return
        key = activity_key(known)
        group = self._groups.setdefault(key, {})
        old = group.get(known.name)
        group[known.name] = known
        if old is None or _gist(old) != _gist(known):
            self._tell(key)

    def remove(self, known: OwnObject) -> None:
        """Forget an object; one that was over changes nothing that a Proc says."""
        if not isinstance(known, ProcExecution):
            return
        key = activity_key(known)
        group = self._groups.get(key, {})
        group.pop(known.name, None)
        if not group:
            self._groups.pop(key, None)
        if not known.status.phase.is_terminal:
            self._tell(key)

    def groups(self) -> tuple[ObjectKey, ...]:
        """Every key under which there is something."""
        return tuple(self._groups)

    def of(self, key: ObjectKey) -> tuple[ProcExecution, ...]:
        """The executions under a key."""
        return tuple(self._groups.get(key, {}).values())

    def _tell(self, key: ObjectKey) -> None:
        for listener in self._listeners:
            listener(key)


def activity_key(execution: ProcExecution) -> ObjectKey:
    """Under which key the Proc of an execution is told of it."""
    return ObjectKey(Kind.PROC_ACTIVITY, execution.namespace, execution.spec.proc_ref.name)


def _gist(execution: ProcExecution) -> _Gist:
    return execution.status.phase, is_queued(execution)
