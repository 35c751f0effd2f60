"""Playing the lives of schedules: for their time, until everything is over, and through quiet minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from simulation.plans import Plan
from simulation.playing import silent_logs
from simulation.schedule_plans import LIVES, ScheduleDeed, ScheduleLife
from simulation.schedule_world import ScheduleWorld
from simulation.virtual_time import run_virtually

_SETTLES_SECONDS: Final = 150.0
_LOOKS_EVERY_SECONDS: Final = 10.0
_MORE_LOOKS: Final = 45
_QUIET_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class PlayedSchedules:
    """What came of a plan; `started` counts the runs of each schedule."""

    plan: Plan
    violations: tuple[str, ...]
    writes: int
    started: dict[str, int]
    trace: tuple[str, ...]

    def explain(self) -> str:
        """For a failed test."""
        return "\n".join((f"Plan: {self.plan}", *self.violations, "Trace:", *self.trace[-120:]))


def play_schedules(plan: Plan, life: ScheduleLife | None = None) -> PlayedSchedules:
    """Play a plan in virtual time; the scenario names the life unless it is given."""
    with silent_logs():
        return run_virtually(_play(plan, life or LIVES[plan.scenario]))


def check_schedules(plan: Plan, life: ScheduleLife | None = None) -> PlayedSchedules:
    """Play a plan and fail with its trace when a promise is broken."""
    played = play_schedules(plan, life)
    assert not played.violations, played.explain()
    return played


def check_all_schedules(plans: Iterable[Plan]) -> int:
    """Play plans, and fail with the first that broke a promise and the names of the rest."""
    played = [play_schedules(plan) for plan in plans]
    broken = [one for one in played if one.violations]
    assert not broken, "\n".join((broken[0].explain(), *(str(one.plan) for one in broken)))
    return len(played)


async def _settle(world: ScheduleWorld) -> None:
    """Until all is over, or should be: many runs are cleaned up a few at a time."""
    await asyncio.sleep(_SETTLES_SECONDS)
    for _ in range(_MORE_LOOKS):
        if not world.watchdog.unsettled():
            return
        await asyncio.sleep(_LOOKS_EVERY_SECONDS)


async def _play(plan: Plan, life: ScheduleLife) -> PlayedSchedules:
    world = ScheduleWorld(plan, life)
    world.start()
    await asyncio.sleep(life.lasts)
    world.act(ScheduleDeed.SUSPEND)
    ends_at = asyncio.get_running_loop().time()
    await _settle(world)
    for problem in world.watchdog.unsettled():
        world.watchdog.says("I9", problem)
    writes = world.faults.writes
    await asyncio.sleep(_QUIET_SECONDS)
    if world.faults.writes > writes:
        world.watchdog.says("I10", f"{world.faults.writes - writes} writes in quiet")
    judge = world.schedule_watchdog
    judge.check_in_the_end(life, world.outages(), ends_at)
    world.watchdog.check_final_truth()
    if plan.is_fault_free:
        judge.check_write_budget()
    await world.stop()
    return PlayedSchedules(
        plan,
        tuple(world.watchdog.violations),
        world.faults.writes,
        {plan.name: len(judge.started.get(uid, {})) for uid, plan in judge.plans.items()},
        tuple(world.trace),
    )
