"""Playing a plan: until everything is over, then ten quiet minutes, then the verdict."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from simulation.bystanders import CRASHER
from simulation.plans import Plan
from simulation.scenarios import executions_of
from simulation.virtual_time import run_virtually
from simulation.world import World

CONVERGES_WITHIN_SECONDS: Final = 120.0
_BREATH_SECONDS: Final = 80.0
"""Until the lists have come round once: what they bring may be older than the last write."""
_QUIET_SECONDS: Final = 600.0
_LOOKS_EVERY_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a plan; `ended_at` is when everything was over, in virtual seconds."""

    plan: Plan
    violations: tuple[str, ...]
    writes: int
    written_at: tuple[float, ...]
    events: int
    versions: int
    calls: int
    ended_at: float
    finished_at: dict[str, float]
    passes: Counter[str]
    told: tuple[str, ...]
    findings: tuple[str, ...]
    trace: tuple[str, ...]

    def explain(self) -> str:
        """For a failed test: what broke, how it came, how to see it again."""
        return "\n".join(
            (
                f"Plan: {self.plan}",
                *self.violations,
                "Trace:",
                *self.trace[-150:],
                f"Again: {self.plan.command}",
            )
        )


def play(
    plan: Plan, *, quiet_seconds: float = _QUIET_SECONDS, are_events_stored: bool = True
) -> Played:
    """Play a plan to its end, in virtual time."""
    with silent_logs():
        return run_virtually(_play(plan, quiet_seconds, are_events_stored=are_events_stored))


def check(plan: Plan) -> Played:
    """Play a plan and fail with its trace when a promise is broken."""
    played = play(plan)
    assert not played.violations, played.explain()
    return played


def check_all(plans: Iterable[Plan]) -> int:
    """Play plans, and fail with the first that broke a promise and the commands of the rest."""
    all_played = [play(plan) for plan in plans]
    broken = [played for played in all_played if played.violations]
    if broken:
        commands = "\n".join(played.plan.command for played in broken)
        problem = f"{len(broken)} of {len(all_played)} plans broke a promise"
        raise AssertionError(f"{problem}\n{broken[0].explain()}\nAll of them:\n{commands}")
    return len(all_played)


async def _play(plan: Plan, quiet_seconds: float, *, are_events_stored: bool) -> Played:
    executions = executions_of(plan.scenario, plan.seed)
    world = World(plan, executions, are_events_stored=are_events_stored)
    world.start()
    await _until_everything_is_over(world)
    ended_at = asyncio.get_running_loop().time()
    if not world.watchdog.violations:
        await _stay_quiet(world, quiet_seconds)
        world.watchdog.check_final_truth()
        world.log_promise.check(is_fault_free=plan.is_fault_free)
        if plan.is_fault_free:
            world.watchdog.check_write_budget(world.faults.writes)
    has_crasher = any(truth.plan.username == CRASHER for truth in world.truths.values())
    crashed = world.metrics.passes_by_result["crashed"]
    if crashed and not has_crasher:
        world.watchdog.says("I11", f"{crashed} passes crashed")
    if plan.is_fault_free and world.metrics.findings:
        world.watchdog.says("I9", f"watches did not tell of {world.metrics.findings}")
    for excess in world.events.excesses:
        world.watchdog.says("I10", excess)
    await world.stop()
    return Played(
        plan,
        tuple(world.watchdog.violations),
        world.faults.writes,
        tuple(world.faults.written_at),
        world.watch_events,
        len(world.server.commits),
        world.faults.calls,
        ended_at,
        world.watchdog.finished_at,
        world.metrics.passes_by_result,
        tuple(world.events.told),
        tuple(world.metrics.findings),
        tuple(world.trace),
    )


async def _until_everything_is_over(world: World) -> None:
    loop = asyncio.get_running_loop()
    while not world.watchdog.violations:
        await asyncio.sleep(_LOOKS_EVERY_SECONDS)
        unsettled = world.watchdog.unsettled()
        has_trouble = loop.time() < world.faults.last_window_ends_at
        if world.is_all_asked_for and not unsettled and not has_trouble:
            return
        waited = loop.time() - world.last_disturbance
        if waited > CONVERGES_WITHIN_SECONDS and not has_trouble:
            world.watchdog.says("I9", f"{waited:.0f} s after the last disturbance: {unsettled}")


async def _stay_quiet(world: World, seconds: float) -> None:
    """I10: nothing changes, so nothing is written."""
    await asyncio.sleep(_BREATH_SECONDS)
    writes = world.faults.writes + world.events.requests
    await asyncio.sleep(seconds)
    more = world.faults.writes + world.events.requests - writes
    if more:
        world.watchdog.says("I10", f"{more} writes while nothing happened")


@contextmanager
def silent_logs() -> Iterator[None]:
    """The operator's log lines are many; the trace says more."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.reset_defaults()
