"""The operator's machine has another idea of the time than the API server (F15)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from faults.stage import Stage
from faults.workload import HASTY_PROC, NEVER, Fate, draw
from localcluster.packages import require_faketime
from localcluster.waiting import to_stderr

A_MINUTE = timedelta(minutes=1)


def test_a_clock_that_is_ahead_ends_nothing_early_and_nothing_late(stage: Stage) -> None:
    _run_with_a_clock_that_is_wrong_by("+1h", stage)


@pytest.mark.soak
def test_a_clock_that_is_behind_ends_nothing_early_and_nothing_late(stage: Stage) -> None:
    _run_with_a_clock_that_is_wrong_by("-1d", stage)


def _run_with_a_clock_that_is_wrong_by(wrong_by: str, stage: Stage) -> None:
    stage.keeper.stop_operator()
    stage.operator.environment = {
        "LD_PRELOAD": str(require_faketime(to_stderr)),
        "FAKETIME": wrong_by,
        # Only the time of day is wrong: time-outs are not measured by it.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    stage.start_operator()
    assert stage.operator.process is not None
    said = str(stage.operator.process.log_events()[0]["timestamp"])
    assert abs(datetime.fromisoformat(said) - _now()) > 10 * A_MINUTE, "the library is in force"

    stage.begin(draw(stage.random, 12, over_seconds=3, prefix="timed"))
    stage.begin(
        [
            Fate("patient", starts_after=6),
            Fate("stuck", of=HASTY_PROC, starts_after=NEVER),
        ]
    )

    stage.settle()
    ended_at = stage.execution("stuck")["status"]["completionTime"]
    assert abs(datetime.fromisoformat(ended_at) - _now()) < 5 * A_MINUTE


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the right time
