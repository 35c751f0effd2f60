"""Which planned times must have been started, and which may: by a walk over every minute.

It shares no code with the operator. It is told what the schedules say, what people did to them, and when
nobody could work; from the policies as the guide states them it says what should have come of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from simulation.schedule_plans import (
    EVERY_OTHER_MINUTE,
    ScheduleAct,
    ScheduleDeed,
    ScheduleLife,
    SchedulePlan,
    moment,
    next_minute,
)
from unit.domain.minute_walk import MINUTE, Said, due, walls

SLACK_SECONDS: Final = 40.0
"""How long after an outage work has begun again at the latest: restart, Lease, lists, patience."""
_NOTICED_SECONDS: Final = 2.0
_LATE_SECONDS: Final = 60
_CHANGES: Final = (
    ScheduleDeed.SUSPEND,
    ScheduleDeed.RESUME,
    ScheduleDeed.EDIT_TIMING,
    ScheduleDeed.DELETE,
)


@dataclass(frozen=True, slots=True)
class Outage:
    """Nobody could start anything, in virtual seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Expected:
    """Of the planned times: those that must have been started, and those that may have been."""

    planned: frozenset[datetime]
    must: frozenset[datetime]
    may: frozenset[datetime]


@dataclass(frozen=True, slots=True)
class _Phase:
    """A time in which one rule holds; none while it is suspended."""

    start: float
    end: float
    said: Said | None


def expect(
    plan: SchedulePlan, life: ScheduleLife, outages: Sequence[Outage], ends_at: float
) -> Expected:
    """What should have come of one schedule until `ends_at`."""
    phases = list(_phases(plan, life.acts, ends_at))
    planned = {one for phase in phases for one in _planned(plan, phase)}
    taken = {next_minute(act.at) for act in life.acts if act.deed is ScheduleDeed.TAKE_NAMES}
    must, may = planned - taken, planned - taken
    for edge in (phase.end for phase in phases):
        # Whether the edit or the run came first is for the wires to say.
        must -= {one for one in planned if abs(_seconds(one) - edge) <= _NOTICED_SECONDS}
    for outage in outages:
        hit = {
            one for one in planned if outage.start - 2 < _seconds(one) <= outage.end + SLACK_SECONDS
        }
        if any(outage.start < phase.start <= outage.end for phase in phases[1:]):
            # Who comes back finds another rule than before: nothing that is past is started.
            must -= hit
            may -= {one for one in hit if outage.start < _seconds(one) <= outage.end}
            continue
        wanted = [set(_wanted(plan, hit, at)) for at in _moments(outage)]
        begun = {one for one in hit if _seconds(one) <= outage.start}
        must -= {one for one in hit if not all(one in some for some in wanted)}
        may -= {one for one in hit - begun if not any(one in some for some in wanted)}
    return Expected(frozenset(planned), frozenset(must), frozenset(may))


def _wanted(plan: SchedulePlan, hit: set[datetime], at: float) -> Iterable[datetime]:
    """What the policy starts when somebody comes back at that moment; later ones come in their own time."""
    now = moment(at)
    row = sorted(one for one in hit if one <= now)
    deadline = plan.deadline_seconds
    grace = min(_LATE_SECONDS, _LATE_SECONDS if deadline is None else deadline)
    only_late = [one for one in row if (now - one).total_seconds() <= grace]
    in_time = [one for one in row if deadline is None or (now - one).total_seconds() <= deadline]
    match plan.catch_up:
        case "None":
            chosen = only_late
        case "Last":
            chosen = only_late or in_time[-1:]
        case _:
            chosen = in_time[-(len(only_late) + plan.limit) :]
    return [*chosen, *(one for one in hit if one > now)]


def _moments(outage: Outage) -> Iterator[float]:
    at = outage.end
    while at <= outage.end + SLACK_SECONDS:
        yield at
        at += 1.0


def _phases(plan: SchedulePlan, acts: Sequence[ScheduleAct], ends_at: float) -> Iterator[_Phase]:
    said: Said | None = plan.said
    rule, start = plan.said, plan.created_at
    for act in (one for one in acts if one.deed in _CHANGES):
        yield _Phase(start, act.at, said)
        start = act.at
        match act.deed:
            case ScheduleDeed.RESUME:
                said = rule
            case ScheduleDeed.EDIT_TIMING:
                said = rule = EVERY_OTHER_MINUTE
            case _:
                said = None
    yield _Phase(start, ends_at, said)


def _planned(plan: SchedulePlan, phase: _Phase) -> Iterator[datetime]:
    if phase.said is None:
        return
    if plan.at is not None:
        if phase.start < plan.at <= phase.end:
            yield moment(plan.at)
        return
    first, last = moment(phase.start), moment(phase.end)
    minutes = walls(ZoneInfo("UTC"), first.replace(second=0, microsecond=0), last + MINUTE)
    yield from (one for one in due(phase.said, minutes) if first < one <= last)


def _seconds(instant: datetime) -> float:
    return (instant - moment(0.0)).total_seconds()


def instant_of(text: str) -> datetime:
    """A time as Kubernetes writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)
