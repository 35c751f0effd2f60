"""A Proc that was read a moment ago."""

from __future__ import annotations

import pytest

from proctor_operator.domain.naming import Namespace
from proctor_operator.runtime.proc_readings import KEPT_SECONDS, READINGS_AT_MOST, ProcReadings
from unit.builders import NAMESPACE, proc
from unit.world import StillClock

HERE = Namespace(NAMESPACE)


def test_a_reading_is_found_for_a_moment_and_the_newest_counts() -> None:
    clock = StillClock()
    readings = ProcReadings(clock)
    readings.keep(proc())
    newest = proc(labels={"team": "dba"})
    readings.keep(newest)

    assert readings.find(HERE, "grow-disk", newest.uid, newest.generation) is newest
    clock.seconds = KEPT_SECONDS
    assert readings.find(HERE, "grow-disk", newest.uid, newest.generation) is None


@pytest.mark.parametrize(
    ("namespace", "name", "uid", "generation"),
    [
        ("elsewhere", "grow-disk", "proc-uid-1", 3),
        (NAMESPACE, "shrink-disk", "proc-uid-1", 3),
        (NAMESPACE, "grow-disk", "proc-uid-2", 3),
        (NAMESPACE, "grow-disk", "proc-uid-1", 2),
        (NAMESPACE, "grow-disk", "proc-uid-1", "3"),
        (NAMESPACE, "grow-disk", None, 3),
        (NAMESPACE, "grow-disk", ["proc-uid-1"], {"a": 1}),
    ],
)
def test_nothing_else_is_found(namespace: str, name: str, uid: object, generation: object) -> None:
    readings = ProcReadings(StillClock())
    readings.keep(proc())

    assert readings.find(Namespace(namespace), name, uid, generation) is None


def test_no_more_are_kept_than_fit() -> None:
    readings = ProcReadings(StillClock())
    for generation in range(READINGS_AT_MOST + 1):
        readings.keep(proc(generation=generation))

    assert readings.find(HERE, "grow-disk", "proc-uid-1", 0) is None
    assert readings.find(HERE, "grow-disk", "proc-uid-1", 1) is not None
