"""What is asked for: the lives of executions that the fault plans are laid over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from simulation.bystanders import CRASHER
from simulation.chance import Chance
from simulation.workload import AttemptPlan, Deed, End, ExecutionPlan, Moment, UserAct

Executions = tuple[ExecutionPlan, ...]

RANDOM: Final = "random"
"""The scenario that is drawn from the plan's seed."""

_FAILS: Final = AttemptPlan(End.EXIT_CODE, seconds=6.0, exit_code=3)
_LONG: Final = AttemptPlan(seconds=25.0)


def _one(
    *attempts: AttemptPlan, acts: tuple[UserAct, ...] = (), **plan: int | str | bool
) -> Executions:
    base = ExecutionPlan("run", attempts=attempts or (AttemptPlan(),), acts=acts)
    return (replace(base, **plan),)  # type: ignore[arg-type] # the caller names fields of the plan


def _act(deed: Deed, moment: Moment, after: float = 0.0) -> tuple[UserAct, ...]:
    return (UserAct(deed, moment, after),)


LIVES: Final[dict[str, Executions]] = {
    "success": _one(),
    "failure": _one(_FAILS),
    "long": _one(_LONG),
    "turned-over": _one(replace(_LONG, turns_over_after=(14.0,))),
    "out-of-memory": _one(AttemptPlan(End.OUT_OF_MEMORY)),
    "evicted": _one(AttemptPlan(End.EVICTED)),
    "node-lost": _one(AttemptPlan(End.NODE_LOST)),
    "deadline": _one(AttemptPlan(End.TOO_LONG), timeout_seconds=12),
    "retries": _one(_FAILS, AttemptPlan(seconds=4.0), retries=2),
    "retries-used-up": _one(_FAILS, AttemptPlan(End.EXIT_CODE, exit_code=5), retries=1),
    "never-starts": _one(AttemptPlan(End.IMAGE_MISSING)),
    "unschedulable": _one(AttemptPlan(End.UNSCHEDULABLE)),
    "never-will": _one(AttemptPlan(End.WANTS_ROOT), pending_timeout_seconds=3600),
    "cannot-start": _one(AttemptPlan(End.BAD_COMMAND)),
    "init-fails": _one(AttemptPlan(End.INIT_FAILS)),
    "preempted": _one(AttemptPlan(End.PREEMPTED)),
    "second-never-starts": _one(_FAILS, AttemptPlan(End.IMAGE_MISSING), retries=1),
    "second-never-will": _one(
        _FAILS, AttemptPlan(End.WANTS_ROOT), retries=1, pending_timeout_seconds=3600
    ),
    "cancel-before-start": _one(acts=_act(Deed.CANCEL, Moment.CREATED)),
    "cancel-at-job": _one(_LONG, acts=_act(Deed.CANCEL, Moment.JOB_CREATED, 0.2)),
    "cancel-while-running": _one(_LONG, acts=_act(Deed.CANCEL, Moment.RUNNING, 3.0)),
    "cancel-between-attempts": _one(
        _FAILS, _LONG, retries=2, acts=_act(Deed.CANCEL, Moment.RUNNING, 8.0)
    ),
    "cancel-after-end": _one(acts=_act(Deed.CANCEL, Moment.JOB_ENDED, 5.0)),
    "delete-before-start": _one(acts=_act(Deed.DELETE, Moment.CREATED)),
    "delete-while-running": _one(_LONG, acts=_act(Deed.DELETE, Moment.RUNNING, 3.0)),
    "delete-in-foreground": _one(_LONG, acts=_act(Deed.DELETE_FOREGROUND, Moment.RUNNING, 3.0)),
    "delete-orphaning": _one(_LONG, acts=_act(Deed.DELETE_ORPHANING, Moment.RUNNING, 3.0)),
    "delete-after-end": _one(acts=_act(Deed.DELETE, Moment.JOB_ENDED, 5.0)),
    "no-proc": _one(has_proc=False),
    "not-permitted": _one(username="mallory"),
    "name-taken": _one(is_name_taken=True),
    "poison": _one(is_poison=True),
    "job-deleted": _one(_LONG, acts=_act(Deed.DELETE_JOB, Moment.RUNNING, 3.0)),
    "job-orphaned": _one(
        AttemptPlan(seconds=100.0), acts=_act(Deed.ORPHAN_JOB, Moment.RUNNING, 3.0)
    ),
    "job-deleted-at-once": _one(_LONG, acts=_act(Deed.DELETE_JOB, Moment.JOB_CREATED)),
    "pod-deleted": _one(_LONG, acts=_act(Deed.DELETE_POD, Moment.RUNNING, 3.0)),
    "pod-forced-away": _one(_LONG, acts=_act(Deed.FORCE_POD, Moment.RUNNING, 3.0)),
    "pod-deleted-and-retried": _one(
        _LONG, AttemptPlan(), retries=1, acts=_act(Deed.DELETE_POD, Moment.RUNNING, 3.0)
    ),
    "job-torn-away": _one(_LONG, acts=_act(Deed.TEAR_JOB_AWAY, Moment.RUNNING, 3.0)),
    "job-torn-away-at-once": _one(_LONG, acts=_act(Deed.TEAR_JOB_AWAY, Moment.JOB_CREATED)),
    "job-torn-away-while-pending": _one(
        AttemptPlan(End.UNSCHEDULABLE), acts=_act(Deed.TEAR_JOB_AWAY, Moment.JOB_CREATED, 12.0)
    ),
    "row-lost": _one(_LONG, acts=_act(Deed.LOSE_THE_ROW, Moment.RUNNING, 3.0)),
    "row-lost-and-deleted": _one(
        _LONG,
        acts=(
            *_act(Deed.LOSE_THE_ROW, Moment.RUNNING, 3.0),
            *_act(Deed.DELETE, Moment.RUNNING, 5.0),
        ),
    ),
    "given-up": _one(_LONG, acts=_act(Deed.GIVE_UP, Moment.RUNNING, 5.0)),
    "execution-torn-away": _one(_LONG, acts=_act(Deed.TEAR_EXECUTION_AWAY, Moment.RUNNING, 3.0)),
    "not-kept": _one(is_kept=False),
    "refused-and-not-kept": _one(username="mallory", is_kept=False),
    "tracked-and-not-kept": _one(is_kept=False, is_tracked=True),
    "applied-again": _one(
        is_tracked=True, comes_back=True, acts=_act(Deed.DELETE, Moment.JOB_ENDED, 5.0)
    ),
    "applied-again-failed": _one(
        _FAILS, is_tracked=True, comes_back=True, acts=_act(Deed.DELETE, Moment.JOB_ENDED, 5.0)
    ),
    "applied-again-while-running": _one(
        _LONG, is_tracked=True, comes_back=True, acts=_act(Deed.DELETE, Moment.RUNNING, 3.0)
    ),
    "applied-again-unstarted": _one(
        is_tracked=True, comes_back=True, acts=_act(Deed.DELETE, Moment.CREATED)
    ),
    "applied-again-refused": _one(
        username="mallory",
        is_tracked=True,
        comes_back=True,
        acts=_act(Deed.DELETE, Moment.CREATED, 5.0),
    ),
    "applied-again-by-hand": _one(comes_back=True, acts=_act(Deed.DELETE, Moment.JOB_ENDED, 5.0)),
    "poison-among-others": (
        ExecutionPlan("run"),
        *(ExecutionPlan(f"poison-{n}", is_poison=True, arrives_at=0.9) for n in range(3)),
        *(ExecutionPlan(f"crasher-{n}", username=CRASHER, arrives_at=0.9) for n in range(5)),
    ),
}


def _group(policy: str, *plans: ExecutionPlan, limit: int = 1) -> Executions:
    return tuple(replace(one, group="limited", policy=policy, limit=limit) for one in plans)


def _run(number: int, **plan: Any) -> ExecutionPlan:
    return ExecutionPlan(f"run-{number}", **{"arrives_at": 1.0 + number / 2, **plan})


_SOON: Final = (AttemptPlan(seconds=3.0),)
LINES: Final[dict[str, Executions]] = {
    "queued": _group("Queue", _run(0, attempts=_SOON), _run(1, attempts=_SOON)),
    "queued-at-once": _group("Queue", *(_run(n, arrives_at=1.0, attempts=_SOON) for n in range(3))),
    "queued-two-at-a-time": _group(
        "Queue", *(_run(n, arrives_at=1.0 + n % 2, attempts=_SOON) for n in range(4)), limit=2
    ),
    "one-comes-as-one-ends": _group(
        "Queue",
        *(_run(n, attempts=_SOON) for n in range(2)),
        _run(2, arrives_at=5.87, attempts=_SOON),
    ),
    "queued-behind-a-failure": _group(
        "Queue", _run(0, attempts=(_FAILS,), retries=1), _run(1, retries=1)
    ),
    "cancelled-in-line": _group(
        "Queue",
        _run(0, attempts=(_LONG,)),
        _run(1, acts=_act(Deed.CANCEL, Moment.CREATED, 3.0)),
        _run(2, attempts=_SOON),
    ),
    "deleted-in-line": _group(
        "Queue",
        _run(0, attempts=(_LONG,)),
        _run(1, acts=_act(Deed.DELETE, Moment.CREATED, 3.0)),
        _run(2, attempts=_SOON),
    ),
    "torn-out-of-the-line": _group(
        "Queue",
        _run(0, attempts=(AttemptPlan(seconds=12.0),)),
        _run(1, acts=_act(Deed.TEAR_EXECUTION_AWAY, Moment.CREATED, 4.0)),
        _run(2, attempts=_SOON),
    ),
    "the-first-is-torn-away": _group(
        "Queue",
        _run(0, attempts=(_LONG,), acts=_act(Deed.TEAR_EXECUTION_AWAY, Moment.RUNNING, 3.0)),
        _run(1, attempts=_SOON),
    ),
    "the-first-is-deleted": _group(
        "Queue",
        _run(0, attempts=(_LONG,), acts=_act(Deed.DELETE, Moment.RUNNING, 3.0)),
        _run(1, attempts=_SOON),
    ),
    "forbidden": _group("Forbid", _run(0), _run(1)),
    "forbidden-at-once": _group("Forbid", *(_run(n, arrives_at=1.0) for n in range(3)), limit=2),
    "replaced": _group("Replace", _run(0, attempts=(_LONG,)), _run(9, attempts=_SOON)),
    "replaced-at-once": _group(
        "Replace", *(_run(n, attempts=(AttemptPlan(seconds=6.0),)) for n in range(3))
    ),
    "replaced-before-it-starts": _group(
        "Replace",
        _run(0, attempts=(AttemptPlan(End.UNSCHEDULABLE),), arrives_at=1.0),
        _run(1, arrives_at=1.1, attempts=_SOON),
    ),
}
"""Runs that share a limit."""

_ENDS: Final = (
    *(End.SUCCESS,) * 4,
    *(End.EXIT_CODE,) * 3,
    End.OUT_OF_MEMORY,
    End.IMAGE_MISSING,
    End.UNSCHEDULABLE,
    End.TOO_LONG,
    End.EVICTED,
    End.NODE_LOST,
    End.PREEMPTED,
    End.WANTS_ROOT,
    End.BAD_COMMAND,
    End.INIT_FAILS,
)
_DEEDS: Final = (
    *(Deed.CANCEL,) * 3,
    *(Deed.DELETE,) * 3,
    *(Deed.DELETE_FOREGROUND,) * 2,
    Deed.DELETE_POD,
    Deed.FORCE_POD,
    Deed.DELETE_JOB,
    Deed.ORPHAN_JOB,
)


def executions_of(scenario: str, seed: int) -> Executions:
    """The executions of a scenario; those of `random` depend on the seed."""
    if scenario == RANDOM:
        return _random_lives(seed)
    return LIVES[scenario] if scenario in LIVES else LINES[scenario]


def _random_lives(seed: int) -> Executions:
    chance = Chance(seed)
    count = chance.of("lives").randint(1, 4)
    lives = tuple(_random_life(f"run-{number}", chance) for number in range(count))
    random = chance.of("limits")
    if random.random() < 0.5:
        return lives
    policy = random.choice(("Queue", "Queue", "Forbid", "Replace"))
    alike = (replace(one, retries=lives[0].retries, has_proc=True) for one in lives)
    return _group(policy, *alike, limit=random.choice((1, 1, 2)))


def _random_life(name: str, chance: Chance) -> ExecutionPlan:
    random = chance.of("life", name)
    attempts = tuple(
        AttemptPlan(
            end=random.choice(_ENDS),
            seconds=random.uniform(0.2, 20.0),
            exit_code=random.choice((1, 2, 255)),
            exit_on_term=random.choice((143, 137, 0)),
            turns_over_after=tuple(random.choice(((), (), (11.0,), (11.0, 14.5)))),
        )
        for _ in range(random.randint(1, 3))
    )
    acts: tuple[UserAct, ...] = ()
    if random.random() < 0.5:
        moment = random.choice(tuple(Moment))
        acts = (UserAct(random.choice(_DEEDS), moment, random.uniform(0.0, 8.0)),)
    return ExecutionPlan(
        name,
        attempts=attempts,
        retries=random.choice((0, 0, 1, 2)),
        acts=acts,
        arrives_at=random.uniform(0.5, 10.0),
        timeout_seconds=15,
        username=random.choice(("ann",) * 9 + ("mallory",)),
        has_proc=random.random() > 0.08,
        is_poison=random.random() < 0.05,
    )
