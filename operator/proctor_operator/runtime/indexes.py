"""Executions in groups, so that nobody has to look through all objects for those of one Proc or schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from proctor_operator.domain.execution import Phase, ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.reconcile.activity import is_queued
from proctor_operator.reconcile.retention import is_governed
from proctor_operator.reconcile.status import is_finished
from proctor_operator.runtime.shelves import Shelves


class Group(Protocol):
    """Executions that belong together."""

    def put(self, execution: ProcExecution) -> None:
        """Take one in."""
        ...

    def remove(self, execution: ProcExecution) -> None:
        """Take one out, if it is in, in the state in which it was put."""
        ...

    def __len__(self) -> int:
        """So many are in."""
        ...


class Members:
    """A group without an order."""

    def __init__(self) -> None:
        self._by_uid: dict[Uid, ProcExecution] = {}

    def put(self, execution: ProcExecution) -> None:
        """Take one in."""
        self._by_uid[execution.uid] = execution

    def remove(self, execution: ProcExecution) -> None:
        """Take one out."""
        self._by_uid.pop(execution.uid, None)

    def __iter__(self) -> Iterator[ProcExecution]:
        """Every one."""
        return iter(self._by_uid.values())

    def __len__(self) -> int:
        """So many are in."""
        return len(self._by_uid)


SomeGroup = TypeVar("SomeGroup", bound=Group)


class ExecutionIndex(Generic[SomeGroup]):
    """Kept by the cache; each group stands under the key of the work that is done on it.

    `key_of` says to which group an execution belongs, None is to none. `is_news` says whether listeners
    are told of a change within a group, from one state to another; None is not to be in it.
    """

    def __init__(
        self,
        new_group: Callable[[], SomeGroup],
        key_of: Callable[[ProcExecution], ObjectKey | None],
        is_news: Callable[[ProcExecution | None, ProcExecution | None], bool],
    ) -> None:
        self._new_group = new_group
        self._key_of = key_of
        self._is_news = is_news
        self._groups: dict[ObjectKey, SomeGroup] = {}
        self._listeners: list[Callable[[ObjectKey], None]] = []

    def listen(self, listener: Callable[[ObjectKey], None]) -> None:
        """Call `listener` with the key of a group whenever there is news of it."""
        self._listeners.append(listener)

    def change(self, old: OwnObject | None, new: OwnObject | None) -> None:
        """Take note of an object's next state under its name; None is that there is none."""
        before = old if isinstance(old, ProcExecution) else None
        after = new if isinstance(new, ProcExecution) else None
        left = self._key_of(before) if before is not None else None
        entered = self._key_of(after) if after is not None else None
        if before is not None and left is not None:
            self._take_out(left, before)
        if after is not None and entered is not None:
            if entered not in self._groups:
                self._groups[entered] = self._new_group()
            self._groups[entered].put(after)
        if left == entered:
            self._tell(left, before, after)
        else:
            self._tell(left, before, None)
            self._tell(entered, None, after)

    def groups(self) -> tuple[ObjectKey, ...]:
        """Every key under which there is something."""
        return tuple(self._groups)

    def of(self, key: ObjectKey) -> SomeGroup:
        """The executions under a key."""
        return self._groups.get(key) or self._new_group()

    def _take_out(self, key: ObjectKey, execution: ProcExecution) -> None:
        group = self.of(key)
        group.remove(execution)
        if not group:
            self._groups.pop(key, None)

    def _tell(
        self, key: ObjectKey | None, old: ProcExecution | None, new: ProcExecution | None
    ) -> None:
        if key is not None and self._is_news(old, new):
            for listener in self._listeners:
                listener(key)


def finished_index() -> ExecutionIndex[Shelves]:
    """Executions by their Proc in which retention has a say; one more, or a changed one, is news."""
    return ExecutionIndex(Shelves, _finished_key, lambda _, new: new is not None)


def activity_index() -> ExecutionIndex[Members]:
    """Executions by their Proc; what it would say of them otherwise is news."""
    return ExecutionIndex(Members, _activity_key, _is_told_otherwise)


def scheduled_index() -> ExecutionIndex[Members]:
    """Executions under way by the schedule's name; one more, or one less, is news."""
    return ExecutionIndex(
        Members, _schedule_key, lambda old, new: (old and old.uid) != (new and new.uid)
    )


def _finished_key(execution: ProcExecution) -> ObjectKey | None:
    if not is_governed(execution):
        return None
    name = execution.spec.proc_ref.name
    return ObjectKey(Kind.FINISHED_EXECUTIONS, execution.namespace, name)


def _activity_key(execution: ProcExecution) -> ObjectKey:
    return ObjectKey(Kind.PROC_ACTIVITY, execution.namespace, execution.spec.proc_ref.name)


def _schedule_key(execution: ProcExecution) -> ObjectKey | None:
    reference = execution.spec.schedule_ref
    if reference is None or reference.uid is None or is_finished(execution.status):
        return None
    return ObjectKey(Kind.PROC_SCHEDULE, execution.namespace, reference.name)


def _is_told_otherwise(old: ProcExecution | None, new: ProcExecution | None) -> bool:
    """One that was over changes nothing by going."""
    if new is None:
        return old is not None and not old.status.phase.is_terminal
    return old is None or _gist(old) != _gist(new)


def _gist(execution: ProcExecution) -> tuple[Phase, bool]:
    return execution.status.phase, is_queued(execution)
