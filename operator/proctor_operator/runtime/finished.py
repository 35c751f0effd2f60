"""Finished executions by their Proc, so that nobody has to look through all objects for them."""

from __future__ import annotations

from collections.abc import Callable

from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.status import is_finished


class FinishedIndex:
    """Kept by the cache; tells its listeners which Proc has one more, or a changed one."""

    def __init__(self) -> None:
        self._groups: dict[ObjectKey, dict[str, ProcExecution]] = {}
        self._listeners: list[Callable[[ObjectKey], None]] = []

    def listen(self, listener: Callable[[ObjectKey], None]) -> None:
        """Call `listener` with the key of a Proc's finished executions whenever one is put."""
        self._listeners.append(listener)

    def put(self, known: OwnObject) -> None:
        """Take note of an object, if it is a finished execution."""
        if not isinstance(known, ProcExecution) or not is_finished(known.status):
            return
        key = finished_key(known)
        self._groups.setdefault(key, {})[known.name] = known
        for listener in self._listeners:
            listener(key)

    def remove(self, known: OwnObject) -> None:
        """Forget an object."""
        if not isinstance(known, ProcExecution):
            return
        key = finished_key(known)
        group = self._groups.get(key, {})
        group.pop(known.name, None)
        if not group:
            self._groups.pop(key, None)

    def groups(self) -> tuple[ObjectKey, ...]:
        """Every key under which something has finished."""
        return tuple(self._groups)

    def of(self, key: ObjectKey) -> tuple[ProcExecution, ...]:
        """The finished executions under a key."""
        return tuple(self._groups.get(key, {}).values())


def finished_key(execution: ProcExecution) -> ObjectKey:
    """Under which key an execution is looked at once it has finished."""
    name = execution.spec.proc_ref.name
    return ObjectKey(Kind.FINISHED_EXECUTIONS, execution.namespace, name)
