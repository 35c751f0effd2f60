"""What the operator's settings say about schedules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SchedulePolicy:
    """`requester_max_age_days`: how long a schedule may act for whoever wrote it; 0 is without limit."""

    requester_max_age_days: int = 0
