"""The garbage collector passes over what stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from proctor_operator.app.collecting import leave_out_what_stays


@pytest.fixture
def collector() -> Iterator[None]:
    """Python's collector as it was before, afterwards."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_what_is_there_is_left_out_and_what_comes_later_is_collected() -> None:
    old: list[object] = []
    old.append(old)

    leave_out_what_stays()
    new: list[object] = []
    new.append(new)

    assert gc.get_freeze_count() > 0
    assert not any(one is old for one in gc.get_objects())
    assert any(one is new for one in gc.get_objects())
