"""What goes wrong, and when: a plan is one line of text, so that a failure can be played again.

success seed=3 writes=4:crash-after,9:lost-reply windows=record-down:5-65 weather=rough drop=7 stale=5
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulation.workload import Deed


class WriteFault(StrEnum):
    """What can happen to one durable write of the operator."""

    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"
    LOST_REQUEST = "lost-request"
    LOST_REPLY = "lost-reply"
    LATE = "late"
    """The caller gives up first, the write takes effect afterwards."""
    STANDS_STILL = "stands-still"
    """Once the write has been sent, the process takes no step for so long that another one leads."""
    MEDDLED = "meddled"
    """Somebody else writes the same object or row just before."""


class Trouble(StrEnum):
    """What can go on for a while."""

    RECORD_DOWN = "record-down"
    API_DOWN = "api-down"
    DOWNTIME = "downtime"
    """No operator is there."""
    SILENCE = "silence"
    """No watch event arrives."""
    TWO_CONTROLLERS = "two-controllers"
    """A standby is there, and is killed in the end, whether it leads by then or not."""
    USURPER = "usurper"
    """A second controller works without asking for the Lease."""
    PARTITION = "partition"
    """The leader, and nobody else, cannot reach the API server; a standby is there."""
    PAUSE = "pause"
    """The leader stands still, and then goes on where it was; a standby is there."""
    HAND_OVER = "hand-over"
    """A standby comes, the leader is asked to stop, and in the end so is the standby."""
    CLOCK_AHEAD = "clock-ahead"
    """The clock of the operator's machine jumps an hour ahead, and back in the end."""
    CLOCK_BEHIND = "clock-behind"
    MEDDLER = "meddler"
    """Another client writes to the executions all the time."""


class Weather(StrEnum):
    """How watch events arrive."""

    CALM = "calm"
    ROUGH = "rough"
    """Some late by seconds, some twice, some never."""


@dataclass(frozen=True, slots=True)
class Window:
    """Trouble from `start` to `end`, in virtual seconds."""

    trouble: Trouble
    start: float
    end: float

    def __str__(self) -> str:
        return f"{self.trouble}:{self.start:g}-{self.end:g}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario and its faults; writes and watch events are numbered from 0 over the whole run.

    `stale`: after a restart, lists and watches begin that many versions in the past. `deeds`: what
    people do while that write is on its way.
    """

    scenario: str
    seed: int = 0
    writes: tuple[tuple[int, WriteFault], ...] = ()
    windows: tuple[Window, ...] = ()
    weather: Weather = Weather.CALM
    drop: tuple[int, ...] = ()
    stale: int = 0
    deeds: tuple[tuple[int, Deed], ...] = ()

    def __str__(self) -> str:
        parts = [self.scenario, f"seed={self.seed}"]
        if self.writes:
            parts.append("writes=" + ",".join(f"{at}:{fault}" for at, fault in self.writes))
        if self.windows:
            parts.append("windows=" + ",".join(str(window) for window in self.windows))
        if self.weather is not Weather.CALM:
            parts.append(f"weather={self.weather}")
        if self.drop:
            parts.append("drop=" + ",".join(str(number) for number in self.drop))
        if self.stale:
            parts.append(f"stale={self.stale}")
        if self.deeds:
            parts.append(
                "deeds=" + ",".join(f"{at}:{deed.name.lower()}" for at, deed in self.deeds)
            )
        return " ".join(parts)

    @property
    def is_fault_free(self) -> bool:
        """Whether nothing goes wrong at all."""
        return self == Plan(self.scenario, self.seed)

    @property
    def command(self) -> str:
        """What to type to see it again."""
        return f"PYTHONPATH=operator:tests uv run python -m simulation '{self}'"


_FIELDS: Final = ("seed", "writes", "windows", "weather", "drop", "stale", "deeds")


def parse_plan(text: str) -> Plan:
    """Read what `str(plan)` wrote; raises `ValueError` for anything else."""
    scenario, *rest = text.split()
    given = dict(part.split("=", 1) for part in rest)
    unknown = set(given) - set(_FIELDS)
    if unknown:
        raise ValueError(f"unknown in a plan: {', '.join(sorted(unknown))}")
    return Plan(
        scenario,
        seed=int(given.get("seed", "0")),
        writes=tuple(_parse_write(one) for one in _items(given, "writes")),
        windows=tuple(_parse_window(one) for one in _items(given, "windows")),
        weather=Weather(given.get("weather", Weather.CALM)),
        drop=tuple(int(one) for one in _items(given, "drop")),
        stale=int(given.get("stale", "0")),
        deeds=tuple(_parse_deed(one) for one in _items(given, "deeds")),
    )


def _items(given: dict[str, str], name: str) -> list[str]:
    return given[name].split(",") if name in given else []


def _parse_write(text: str) -> tuple[int, WriteFault]:
    at, fault = text.split(":")
    return int(at), WriteFault(fault)


def _parse_deed(text: str) -> tuple[int, Deed]:
    at, deed = text.split(":")
    try:
        return int(at), Deed[deed.upper()]
    except KeyError as error:
        raise ValueError(f"unknown deed: {deed}") from error


def _parse_window(text: str) -> Window:
    trouble, times = text.split(":")
    start, end = times.split("-")
    return Window(Trouble(trouble), float(start), float(end))
