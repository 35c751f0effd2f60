"""What is done with a watch event: read, told of, put where it belongs; or passed over, where it says nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from proctor_operator.domain.naming import PROC_EXECUTIONS, Uid
from proctor_operator.handlers.watches import (
    JOBS,
    PODS,
    Handle,
    Readers,
    event_handles,
)
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.informer import Informer
from proctor_operator.runtime.queue import WorkQueue
from simulation.virtual_time import VirtualClock
from unit.builders import EXECUTION_UID, execution, job, pod, proc, schedule
from unit.fakes import FakeMetrics


class Desk:
    """Handles of events whose readers note what they are asked to read."""

    def __init__(self) -> None:
        self.cache = ObjectCache()
        self.read: list[str] = []
        self.told: list[tuple[str, Uid]] = []
        queue = WorkQueue(
            self._look, workers=1, metrics=FakeMetrics(), clock=VirtualClock(), random=Random(1)
        )
        readers = Readers(
            proc=lambda _: proc(),
            execution=lambda one: self._read(one, execution(**_fields(one))),
            schedule=lambda _: schedule(),
            job=lambda one: self._read(one, job(**_fields(one))),
            pod=lambda one: self._read(one, pod(**_fields(one))),
        )
        self.handles: dict[str, Handle] = event_handles(
            Informer(self.cache, queue), readers, lambda *what: self.told.append(what)
        )

    async def _look(self, _: object) -> None: ...

    def _read(self, manifest: Any, value: Any) -> Any:
        self.read.append(manifest["metadata"]["resourceVersion"])
        return value


def _fields(manifest: Any) -> dict[str, Any]:
    return {"resource_version": manifest["metadata"]["resourceVersion"]}


def event(known: Any, version: str, type_: str = "MODIFIED") -> dict[str, Any]:
    metadata = {
        "namespace": known.namespace,
        "name": known.name,
        "uid": known.uid,
        "resourceVersion": version,
    }
    return {"type": type_, "object": {"metadata": metadata}}


@pytest.mark.parametrize(
    ("kind", "known", "put"),
    [
        (PROC_EXECUTIONS, execution(resource_version="300"), "put"),
        (JOBS, job(resource_version="300"), "put_job"),
    ],
)
def test_the_echo_of_an_own_write_is_told_and_not_read_again(
    kind: str, known: Any, put: str
) -> None:
    desk = Desk()
    desk.cache.put(execution())
    getattr(desk.cache, put)(known)

    desk.handles[kind](event(known, "300"))
    assert desk.read == []
    assert desk.told == [(kind, known.uid)]

    desk.handles[kind](event(known, "301"))
    assert desk.read == ["301"]
    assert len(desk.told) == 2


def test_a_deletion_is_read_whatever_is_known() -> None:
    desk = Desk()
    known = execution(resource_version="300")
    desk.cache.put(known)
    desk.handles[PROC_EXECUTIONS](event(known, "300", "DELETED"))
    assert desk.read == ["300"]
    assert desk.cache.key_of_uid(EXECUTION_UID) is None


def test_a_known_job_of_an_unknown_execution_is_read_so_that_the_orphan_rules_look_at_it() -> None:
    desk = Desk()
    known = job(resource_version="300")
    desk.cache.put_job(known)
    desk.handles[JOBS](event(known, "300"))
    assert desk.read == ["300"]


def test_a_pod_is_always_read() -> None:
    desk = Desk()
    known = pod(resource_version="300")
    desk.cache.put(execution())
    desk.cache.put_pod(known)
    desk.handles[PODS](event(known, "300"))
    assert desk.read == ["300"]
