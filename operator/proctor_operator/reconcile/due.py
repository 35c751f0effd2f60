"""Which planned times are started, and which were missed: from the policy to the one next step.

Late by up to a minute is late, not missed: the operator was restarted, or a thousand others were due. What is
older is for `catchUp` to decide, and `startingDeadlineSeconds` is a limit to all of it. However many
have gone by, one step looks at a bounded number of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.occurrence import PassedOver
from proctor_operator.domain.occurrences import Timing, occurrences_between, starting_time
from proctor_operator.domain.schedule import CatchUpPolicy, ProcScheduleSpec

LATE_SECONDS: Final = 60
NAMED_AT_MOST: Final = 100
"""Of a long row of missed times the newest get a row of their own; all are counted."""
LOOKED_AT_AT_MOST: Final = 1000
_MOST_CAUGHT_UP: Final = 100
"""The kind's own limit of `catchUp.limit`."""


@dataclass(frozen=True, slots=True)
class Start:
    """This one is to be started now."""

    instant: datetime


def next_due(
    timing: Timing, spec: ProcScheduleSpec, handled_until: datetime, now: datetime
) -> Start | PassedOver | None:
    """What to do about the oldest planned times after `handled_until`; None when nothing is due."""
    due = occurrences_between(timing, handled_until, now, LOOKED_AT_AT_MOST)
    if due and starting_time(timing, due[-1]) > now:
        due = due[:-1]
    if not due:
        return None
    if len(due) >= LOOKED_AT_AT_MOST - 1:
        # More may follow; none but the newest can be wanted, and these are not among them.
        return _passed_over(due[: -_MOST_CAUGHT_UP - 1])
    passed = len(due) - _wanted(timing, spec, due, now)
    return _passed_over(due[:passed]) if passed else Start(due[0])


def next_missed(timing: Timing, handled_until: datetime, now: datetime) -> PassedOver | None:
    """All that went by, where nothing was to be started; as much as one step looks at."""
    due = occurrences_between(timing, handled_until, now, LOOKED_AT_AT_MOST)
    return _passed_over(due) if due else None


def may_still_start(
    timing: Timing, spec: ProcScheduleSpec, instant: datetime, now: datetime
) -> bool:
    """Whether something planned and not started yet is not missed yet."""
    if spec.catch_up.policy is CatchUpPolicy.NONE:
        return _started_within(timing, instant, _grace(spec), now)
    return _started_within(timing, instant, spec.starting_deadline_seconds, now)


def _wanted(
    timing: Timing, spec: ProcScheduleSpec, due: tuple[datetime, ...], now: datetime
) -> int:
    """How many of the newest are to be started."""
    fresh = _count_newest(timing, due, _grace(spec), now)
    match spec.catch_up.policy:
        case CatchUpPolicy.NONE:
            return fresh
        case CatchUpPolicy.LAST:
            in_time = _started_within(timing, due[-1], spec.starting_deadline_seconds, now)
            return fresh or int(in_time)
        case CatchUpPolicy.ALL:
            most = fresh + min(spec.catch_up.limit, _MOST_CAUGHT_UP)
            return _count_newest(timing, due[-most:], spec.starting_deadline_seconds, now)


def _grace(spec: ProcScheduleSpec) -> int:
    return min(spec.starting_deadline_seconds or LATE_SECONDS, LATE_SECONDS)


def _count_newest(
    timing: Timing, due: tuple[datetime, ...], seconds: int | None, now: datetime
) -> int:
    if seconds is None:
        return len(due)
    for number, instant in enumerate(reversed(due)):
        if not _started_within(timing, instant, seconds, now):
            return number
    return len(due)


def _started_within(timing: Timing, instant: datetime, seconds: int | None, now: datetime) -> bool:
    return seconds is None or starting_time(timing, instant) + timedelta(seconds=seconds) >= now


def _passed_over(missed: tuple[datetime, ...]) -> PassedOver:
    return PassedOver(missed[-1], len(missed), missed[-NAMED_AT_MOST:])
