"""What is asked of schedules: their rules in their authors' words, and what people do to them meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from simulation.virtual_time import TIME_ZERO
from unit.domain.minute_walk import ALL_HOURS, ALL_MINUTES, Said, some

EVERY_MINUTE: Final = Said("* * * * *", ALL_MINUTES, ALL_HOURS, is_fixed=False)
EVERY_OTHER_MINUTE: Final = Said(
    "*/2 * * * *", frozenset(range(0, 60, 2)), ALL_HOURS, is_fixed=False
)
HOURLY: Final = Said("20 * * * *", some(20), ALL_HOURS, is_fixed=False)


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """One ProcSchedule; times are virtual seconds."""

    name: str
    said: Said = EVERY_MINUTE
    catch_up: str = "None"
    limit: int = 10
    deadline_seconds: int | None = None
    at: float | None = None
    """When it runs, once, instead of what it said."""
    created_at: float = 1.0

    @property
    def proc(self) -> str:
        """The name of its Proc."""
        return f"proc-{self.name}"


class ScheduleDeed(StrEnum):
    """What people do to all schedules at once."""

    SUSPEND = "suspend"
    RESUME = "resume"
    EDIT_TIMING = "run every other minute from now on"
    EDIT_ARGUMENTS = "give another argument"
    DELETE_RUNS = "delete every run"
    DELETE = "delete the schedule"
    TAKE_NAMES = "create executions with the names of the next runs"


@dataclass(frozen=True, slots=True)
class ScheduleAct:
    """A deed at a time."""

    at: float
    deed: ScheduleDeed


@dataclass(frozen=True, slots=True)
class ScheduleLife:
    """Schedules, and what is done to them for so many seconds; then all of them are suspended.

    Without a Proc every run is refused: that costs little, and a start is a start.
    """

    schedules: tuple[SchedulePlan, ...]
    acts: tuple[ScheduleAct, ...] = ()
    lasts: float = 235.0
    has_proc: bool = True


def moment(seconds: float) -> datetime:
    """A virtual time on the clock."""
    return TIME_ZERO + timedelta(seconds=seconds)


def next_minute(seconds: float) -> datetime:
    """The full minute after a virtual time."""
    return moment(60.0 * (int(seconds) // 60 + 1))


def _act(at: float, deed: ScheduleDeed) -> ScheduleAct:
    return ScheduleAct(at, deed)


_ONE: Final = (SchedulePlan("tick"),)
_PATIENT: Final = (SchedulePlan("tick", catch_up="All"),)

POLICIES: Final = (
    SchedulePlan("none"),
    SchedulePlan("none-soon", deadline_seconds=30),
    SchedulePlan("last", catch_up="Last"),
    SchedulePlan("last-hourly", HOURLY, catch_up="Last"),
    SchedulePlan("last-hourly-soon", HOURLY, catch_up="Last", deadline_seconds=300),
    SchedulePlan("all-3", catch_up="All", limit=3),
    SchedulePlan("all-100-soon", catch_up="All", limit=100, deadline_seconds=200),
    SchedulePlan("all-other", EVERY_OTHER_MINUTE, catch_up="All"),
    SchedulePlan("once", catch_up="None", at=100.0),
    SchedulePlan("once-surely", catch_up="Last", at=100.0),
)
"""Every policy, with and without a deadline."""

LIVES: Final[dict[str, ScheduleLife]] = {
    "minutes": ScheduleLife(_ONE),
    "once": ScheduleLife((SchedulePlan("tick", at=90.0),)),
    "two": ScheduleLife((SchedulePlan("tick"), SchedulePlan("tock", EVERY_OTHER_MINUTE))),
    "suspended-and-resumed": ScheduleLife(
        _PATIENT,
        (_act(80.0, ScheduleDeed.SUSPEND), _act(380.0, ScheduleDeed.RESUME)),
        lasts=520.0,
    ),
    "edited": ScheduleLife(_PATIENT, (_act(140.0, ScheduleDeed.EDIT_TIMING),), lasts=400.0),
    "other-arguments": ScheduleLife(_ONE, (_act(80.0, ScheduleDeed.EDIT_ARGUMENTS),)),
    "runs-deleted": ScheduleLife(
        _PATIENT,
        tuple(_act(at, ScheduleDeed.DELETE_RUNS) for at in (60.6, 61.5, 90.0, 121.0)),
    ),
    "deleted": ScheduleLife(_ONE, (_act(80.0, ScheduleDeed.DELETE),)),
    "names-taken": ScheduleLife(_ONE, (_act(112.0, ScheduleDeed.TAKE_NAMES),)),
    "policies": ScheduleLife(POLICIES, lasts=560.0),
    "every-other-minute": ScheduleLife((SchedulePlan("tick", EVERY_OTHER_MINUTE),), lasts=250.0),
    "refused": ScheduleLife(_ONE, has_proc=False),
}
"""Lives of one or two schedules, short enough to lay a fault on each of their writes."""
