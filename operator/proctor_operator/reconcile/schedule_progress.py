"""Where a schedule goes on from: what is new, edited, or switched on again starts nothing that is past."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.occurrence import Progress
from proctor_operator.domain.schedule import ProcSchedule, ProcScheduleSpec

_CLOCK_DOUBT: Final = timedelta(days=1)
"""Farther ahead of now only a wrong clock can have got; what really ran then has its row, and runs no more."""

_WHAT_TIMES: Final = {"cron", "at", "time_zone", "jitter_seconds"}
_WHAT_RUNS: Final = {"proc_ref", "arguments", "arguments_from", "requested_by"}


def find_new_progress(
    schedule: ProcSchedule, known: Progress | Unseen, now: datetime
) -> Progress | None:
    """What the record is to know in place of `known`; None when that still holds."""
    timing = _fingerprint(schedule.spec, _WHAT_TIMES)
    asked = _fingerprint(schedule.spec, _WHAT_RUNS)
    if isinstance(known, Unseen):
        return Progress(
            timing=timing,
            is_suspended=schedule.spec.suspend,
            handled_until=_first_baseline(schedule, now),
            asked=asked,
            asked_since=schedule.creation_time,
            last_occurrence=schedule.status.last_occurrence,
            missed=schedule.status.missed or 0,
        )
    new = known
    if timing != known.timing or is_switched(schedule, known):
        new = replace(new, timing=timing, is_suspended=schedule.spec.suspend, handled_until=now)
    elif known.handled_until > now + _CLOCK_DOUBT:
        new = replace(new, handled_until=now)
    elif (shown := _shown_ahead(schedule, known, now)) is not None:
        missed = max(known.missed, schedule.status.missed or 0)
        new = replace(new, handled_until=shown, last_occurrence=shown, missed=missed)
    if asked != known.asked:
        new = replace(new, asked=asked, asked_since=now)
    return new if new != known else None


def has_new_timing(schedule: ProcSchedule, known: Progress) -> bool:
    """Whether its times are others than those that were worked on."""
    return _fingerprint(schedule.spec, _WHAT_TIMES) != known.timing


def is_switched(schedule: ProcSchedule, known: Progress) -> bool:
    """Whether somebody suspended it, or switched it on again."""
    return schedule.spec.suspend != known.is_suspended


def as_it_may_have_been(schedule: ProcSchedule, known: Progress) -> Progress:
    """What is known, or switched the other way where that may have come in between.

    Of several edits since the status was written, one may have suspended it and another switched it on again.
    """
    shown = schedule.status.observed_generation
    if shown is None or schedule.generation <= shown + 1:
        return known
    return replace(known, is_suspended=not schedule.spec.suspend)


def _shown_ahead(schedule: ProcSchedule, known: Progress, now: datetime) -> datetime | None:
    """What the status shows as dealt with and the record has not heard of: it was restored from a backup."""
    shown = schedule.status.last_occurrence
    return shown if shown is not None and known.handled_until < shown <= now else None


def _first_baseline(schedule: ProcSchedule, now: datetime) -> datetime:
    """The record does not know it: it is new, or the record was lost.

    What was created while nobody was there counts from its creation; what was edited since, from now on.
    """
    status = schedule.status
    if status.observed_generation is None and schedule.generation == 1:
        return schedule.creation_time
    if status.observed_generation == schedule.generation and status.last_occurrence is not None:
        return status.last_occurrence
    return now


def _fingerprint(spec: ProcScheduleSpec, fields: set[str]) -> str:
    dumped = spec.model_dump(mode="json", include=fields)
    return hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()[:32]
