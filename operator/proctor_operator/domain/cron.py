"""Cron expressions as their authors write them: read, or told what is wrong with them.

A whole expression becomes sets of numbers once; what it means on a clock is in `occurrences`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

EXPRESSION_LIMIT: Final = 256
"""Characters, as in the kind's schema; nothing longer is looked at."""

SHORTHANDS: Final[Mapping[str, str]] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_TERM: Final = re.compile(
    r"(?P<base>\*|H(?:\((?P<hashed>[^()]*)\))?|[A-Za-z0-9]+(?:-[A-Za-z0-9]+)?)(?:/(?P<step>[0-9]{1,4}))?",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"[0-9]{1,4}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression, read.

    `follows_real_time`: the hour is a wildcard, so nothing is tied to a certain time of the day.
    `needs_both_days`: day of month and day of week must both match; otherwise either does.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    follows_real_time: bool
    needs_both_days: bool

    def falls_on(self, day: date) -> bool:
        """Whether there is anything to run on this day of the calendar."""
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_month and by_week if self.needs_both_days else by_month or by_week

    def times_of_day(self) -> tuple[int, ...]:
        """Minutes since midnight, ascending."""
        return _times_of_day(self.hours, self.minutes)


@lru_cache(maxsize=256)
def _times_of_day(hours: frozenset[int], minutes: frozenset[int]) -> tuple[int, ...]:
    return tuple(hour * 60 + minute for hour in sorted(hours) for minute in sorted(minutes))


class Mistake(ValueError):
    """What is wrong with an expression, in words for its author."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five: its values as written, and those that `H` may become."""

    name: str
    first: int
    last: int
    names: Sequence[str] = ()
    first_name: int = 0
    hashed_last: int | None = None
    values: range = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", range(self.first, self.last + 1))

    @property
    def hashed(self) -> range:
        last = self.last if self.hashed_last is None else self.hashed_last
        return range(self.first, last + 1)

    @property
    def takes(self) -> str:
        names = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.first} to {self.last}{names}"


_MINUTE: Final = _Field("minute", 0, 59)
_HOUR: Final = _Field("hour", 0, 23)
# No month is without its first 28 days, so an H alone never names a day that is not there.
_DAY: Final = _Field("day of month", 1, 31, hashed_last=28)
_MONTH: Final = _Field("month", 1, 12, names=_MONTHS, first_name=1)
_WEEKDAY: Final = _Field("day of week", 0, 7, names=_WEEKDAYS, hashed_last=6)
_FIELDS: Final = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)

Pick = Callable[[_Field, range], int]
"""Which of these values an `H` stands for."""


def read_cron(text: str, uid: str) -> Cron:
    """Read an expression of the schedule with this UID, or raise `Mistake`."""
    return _read_for(text, uid if "H" in text else "")


@lru_cache(maxsize=4096)
def _read_for(text: str, uid: str) -> Cron:
    """A pass over a schedule reads it several times, and many schedules say the same."""
    fields = _split(text)
    cron = _read(fields, lambda one, values: values[_share(uid, one.name) % len(values)])
    _refuse_what_never_fires(text, fields)
    return cron


def _split(text: str) -> Sequence[str]:
    if len(text) > EXPRESSION_LIMIT:
        raise Mistake(f"it has {len(text)} characters, and may have {EXPRESSION_LIMIT}")
    said = text.strip(" ")
    if said.startswith("@"):
        return _spelled_out(said)
    fields = [one for one in said.split(" ") if one]
    if len(fields) != len(_FIELDS):
        raise Mistake(
            f"it has {len(fields)} fields and takes five: minute, hour, day of month, month, day of week; "
            "for example 30 2 * * mon-fri"
        )
    return fields


def _spelled_out(said: str) -> Sequence[str]:
    if said not in SHORTHANDS:
        close = get_close_matches(said.lower(), SHORTHANDS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise Mistake(f"{hint}it takes {', '.join(SHORTHANDS)}")
    return SHORTHANDS[said].split()


def _read(fields: Sequence[str], pick: Pick) -> Cron:
    minutes, hours, days, months, weekdays = (
        frozenset(_values(one, text, pick)) for one, text in zip(_FIELDS, fields, strict=True)
    )
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(value % 7 for value in weekdays),
        follows_real_time=_is_wildcard(fields[1]) or len(hours) == len(_HOUR.values),
        needs_both_days=_is_wildcard(fields[2]) or _is_wildcard(fields[4]),
    )


def _is_wildcard(text: str) -> bool:
    """As Vixie's cron has it: a field that begins with a star restricts nothing, `*/2` included."""
    return text.startswith("*")


def _values(one: _Field, text: str, pick: Pick) -> Iterator[int]:
    for term in text.split(","):
        yield from _term_values(one, term, pick)


def _term_values(one: _Field, term: str, pick: Pick) -> range:
    found = _TERM.fullmatch(term)
    if found is None:
        raise _mistake(one, term, _what_it_takes(one, term))
    base, step = found["base"], _step(one, term, found["step"])
    if base == "H" or found["hashed"] is not None:
        return _hashed_values(one, term, found["hashed"], step, pick)
    if base == "*":
        return _stepped(one.hashed if one is _WEEKDAY else one.values, step)
    values = _range(one, term, base)
    if step is not None and "-" not in base:
        raise _mistake(
            one,
            term,
            f"a step needs a range or a star, such as {base}-{one.last}/{step} or */{step}",
        )
    return _stepped(values, step)


def _hashed_values(
    one: _Field, term: str, limits: str | None, step: int | None, pick: Pick
) -> range:
    values = one.hashed if limits is None else _range(one, term, limits)
    if step is None:
        value = pick(one, values)
        return range(value, value + 1)
    start = pick(one, values[:step])
    return range(start, values.stop, step)


def _range(one: _Field, term: str, text: str) -> range:
    first_text, dash, last_text = text.partition("-")
    first = _value(one, term, first_text)
    last = _value(one, term, last_text) if dash else first
    if one is _WEEKDAY and last == 0 and first > 0:
        last = 7  # fri-sun: a week may end on a Sunday as well as begin with one
    if last < first:
        raise _mistake(
            one,
            term,
            f"a range goes upwards; write {first_text}-{one.last},{one.first}-{last_text}",
        )
    return range(first, last + 1)


def _value(one: _Field, term: str, text: str) -> int:
    name = text.lower()
    if name in one.names:
        return one.names.index(name) + one.first_name
    if _NUMBER.fullmatch(text) and int(text) in one.values:
        return int(text)
    raise _mistake(one, term, _what_it_takes(one, text))


def _step(one: _Field, term: str, text: str | None) -> int | None:
    if text is None:
        return None
    size = len(one.hashed)
    if one is _DAY:
        size = len(one.values)
    if not 1 <= int(text) <= size:
        raise _mistake(one, term, f"a step is 1 to {size}, because a {one.name} has no more values")
    return int(text)


def _stepped(values: range, step: int | None) -> range:
    return values if step is None else values[::step]


def _what_it_takes(one: _Field, text: str) -> str:
    if text == "?":
        return "write * for any value"
    if text.startswith("h") and text.partition("(")[0].partition("/")[0] == "h":
        return f"did you mean {text.upper()}?"
    close = get_close_matches(text.lower()[:16], one.names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}? It takes {one.takes}"
    return f"it takes {one.takes}, *, lists (1,2), ranges (1-5), steps (*/2) and H"


def _mistake(one: _Field, term: str, said: str) -> Mistake:
    return Mistake(f"{one.name} {term!r}: {said}")


def _refuse_what_never_fires(text: str, fields: Sequence[str]) -> None:
    """Whatever its `H` become: a schedule's UID is chosen after it is judged."""
    for turn in range(len(_MONTH.values)):
        cron = _read(fields, lambda one, values, turn=turn: _worst(one, values, turn))  # type: ignore[misc]
        longest = max(_LONGEST_MONTHS[month - 1] for month in cron.months)
        if cron.needs_both_days and min(cron.days) > longest:
            raise Mistake(
                f"it never fires: no month of {fields[3]!r} has a day {fields[2]}"
                + ("; with H it must hold for every value that H may be" if "H" in text else "")
            )


def _worst(one: _Field, values: range, turn: int) -> int:
    return values[-1] if one is _DAY else values[turn % len(values)]


def _share(uid: str, name: str) -> int:
    """The schedule's own number for one field: the same on every machine and in every release."""
    return int.from_bytes(hashlib.sha256(f"{uid}/{name}".encode()).digest()[:8], "big")
