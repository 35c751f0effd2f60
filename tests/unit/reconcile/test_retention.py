"""Which finished executions may go: limits, ages, and what is never touched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.conditions import ConditionStatus, ConditionType
from proctor_operator.domain.execution import (
    Phase,
    ProcExecution,
    ProcExecutionStatus,
    ScheduleRef,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Kind, UnreadableObject
from proctor_operator.domain.proc import ProcHistory
from proctor_operator.domain.schedule import ProcSchedule, ScheduleHistory
from proctor_operator.reconcile.retention import (
    HELD_JOB_RETRY_SECONDS,
    Finished,
    HistoryLimits,
    RetentionPlan,
    plan_retention,
)
from unit.builders import NOW, ago, execution, execution_spec, says, schedule, unreadable

KEEP = 300
FOR_EVER = HistoryLimits(succeeded=None, failed=None, ttl_seconds=None)
NONE_AT_ALL = HistoryLimits(succeeded=0, failed=0, ttl_seconds=None)


def ended(
    name: str,
    seconds_ago: float = 1000,
    phase: Phase = Phase.SUCCEEDED,
    *,
    shown: float | None = None,
    number: int | None = 1,
    recorded: ConditionStatus = ConditionStatus.TRUE,
    **fields: Any,
) -> ProcExecution:
    end = ConditionType.COMPLETE if phase is Phase.SUCCEEDED else ConditionType.FAILED
    status = ProcExecutionStatus(
        phase=phase,
        number=number,
        completion_time=ago(seconds_ago),
        conditions=(
            says(ConditionType.RECORDED, recorded),
            says(end, now=ago(seconds_ago if shown is None else shown)),
        ),
    )
    return execution(name=name, status=status, **fields)


def plan(
    *executions: ProcExecution, limits: HistoryLimits = NONE_AT_ALL, held: str = ""
) -> RetentionPlan:
    finished = [Finished(one, has_held_job=one.name == held) for one in executions]
    return plan_retention(finished, limits, keep_seconds=KEEP, now=NOW)


def names(plan: RetentionPlan) -> list[str]:
    return [one.name for one in plan.delete]


def test_the_oldest_above_the_limit_go_first() -> None:
    found = plan(
        ended("newest", 1000),
        ended("oldest", 4000),
        ended("older", 3000),
        ended("old", 2000),
        limits=HistoryLimits(succeeded=2, failed=0, ttl_seconds=None),
    )

    assert names(found) == ["oldest", "older"]
    assert found.look_again_after is None


@pytest.mark.parametrize("phase", [one for one in Phase if one.is_terminal])
def test_success_and_every_other_end_are_counted_apart(phase: Phase) -> None:
    found = plan(
        ended("good", 1000),
        ended("one", 2000, phase),
        ended("two", 3000, phase),
        limits=HistoryLimits(succeeded=3, failed=1, ttl_seconds=None),
    )

    assert names(found) == ([] if phase is Phase.SUCCEEDED else ["two"])


def test_what_is_too_old_goes_whatever_the_counts_say() -> None:
    limits = HistoryLimits(succeeded=20, failed=None, ttl_seconds=3600)

    found = plan(
        ended("young", 3000),
        ended("old", 3600),
        ended("bad", 5000, Phase.LOST),
        limits=limits,
    )

    assert names(found) == ["bad", "old"]
    assert found.look_again_after == 600


def test_nothing_goes_in_its_first_minutes_so_that_who_waits_sees_the_end() -> None:
    at_once = HistoryLimits(succeeded=0, failed=0, ttl_seconds=0)

    found = plan(ended("new", KEEP - 1), ended("newer", 10, Phase.FAILED), limits=at_once)

    assert names(found) == []
    assert found.look_again_after == 1
    assert names(plan(ended("old", KEEP), limits=at_once)) == ["old"]


def test_the_first_minutes_begin_when_the_end_is_shown_which_may_be_long_after_it() -> None:
    """The record was away in between: the status came an hour late."""
    found = plan(ended("late", 3600, shown=KEEP - 20))

    assert names(found) == []
    assert found.look_again_after == 20


def test_without_limits_everything_stays_for_ever() -> None:
    assert plan(ended("a", 1e9), ended("b", 1e8, Phase.FAILED), limits=FOR_EVER) == RetentionPlan()


UNTOUCHED: dict[str, ProcExecution] = {
    "Argo CD tracks it": ended("x", annotations={"argocd.argoproj.io/tracking-id": "app:..."}),
    "Argo CD tracks it by label": ended("x", labels={"app.kubernetes.io/instance": "app"}),
    "Flux's kustomize-controller applied it": ended(
        "x", labels={"kustomize.toolkit.fluxcd.io/name": "apps"}
    ),
    "Flux's helm-controller applied it": ended("x", labels={"helm.toolkit.fluxcd.io/name": "db"}),
    "Helm applied it": ended("x", annotations={"meta.helm.sh/release-name": "db"}),
    "it is being deleted already": ended("x", deletion_time=ago(1)),
    "it has no number, so no row": ended("x", number=None),
    "the record is not known to have it": ended("x", recorded=ConditionStatus.FALSE),
}


@pytest.mark.parametrize("kept", UNTOUCHED.values(), ids=UNTOUCHED)
def test_an_execution_is_never_touched_when(kept: ProcExecution) -> None:
    assert plan(kept) == RetentionPlan()


def test_what_is_never_touched_takes_no_place_from_others() -> None:
    tracked = ended("tracked", 10, labels={"app.kubernetes.io/instance": "app"})

    found = plan(
        tracked,
        ended("mine", 2000),
        limits=HistoryLimits(succeeded=1, failed=0, ttl_seconds=None),
    )

    assert names(found) == []


def test_an_execution_whose_job_is_held_waits_until_it_is_let_go() -> None:
    found = plan(ended("held", 2000), ended("free", 3000), held="held")

    assert names(found) == ["free"]
    assert found.look_again_after == HELD_JOB_RETRY_SECONDS


def test_one_without_an_end_is_as_old_as_its_request() -> None:
    refused = ended("refused", phase=Phase.REFUSED)
    status = refused.status.model_copy(update={"completion_time": None})
    asked = refused.model_copy(update={"status": status, "creation_time": ago(5000)})
    limits = HistoryLimits(succeeded=None, failed=None, ttl_seconds=4000)

    assert names(plan(asked, limits=limits)) == ["refused"]


def test_a_proc_overrides_what_it_names_and_nothing_else() -> None:
    operator = HistoryLimits(succeeded=20, failed=30, ttl_seconds=None)

    assert operator.with_wishes(None) == operator
    assert operator.with_wishes(ProcHistory()) == operator
    assert operator.with_wishes(ProcHistory(succeeded=0)) == HistoryLimits(0, 30, None)
    assert operator.with_wishes(ProcHistory(failed=1, ttl_seconds=60)) == HistoryLimits(20, 1, 60)


LIMIT = st.none() | st.integers(0, 4)


@given(
    ages=st.lists(st.tuples(st.integers(0, 2000), st.booleans()), max_size=12),
    succeeded=LIMIT,
    failed=LIMIT,
    ttl=st.none() | st.integers(0, 2000),
)
def test_whatever_the_limits_the_newest_stay_and_a_plan_is_done_after_one_go(
    ages: list[tuple[int, bool]], succeeded: int | None, failed: int | None, ttl: int | None
) -> None:
    limits = HistoryLimits(succeeded, failed, ttl)
    executions = [
        ended(str(place), age, Phase.SUCCEEDED if is_good else Phase.FAILED)
        for place, (age, is_good) in enumerate(ages)
    ]

    first = plan(*executions, limits=limits)
    left = [one for one in executions if one not in first.delete]
    second = plan(*left, limits=limits)

    assert second.delete == ()
    assert second.look_again_after == first.look_again_after
    gone_ages = [(NOW - one.status.completion_time).total_seconds() for one in first.delete]  # type: ignore[operator] # `ended` gives it
    assert gone_ages == sorted(gone_ages, reverse=True)
    assert all(age >= KEEP for age in gone_ages)
    for is_good, most in ((True, succeeded), (False, failed)):
        young = [
            one
            for place, one in enumerate(executions)
            if ages[place][1] is is_good and (ttl is None or ages[place][0] < ttl)
        ]
        kept = [one for one in young if one in left]
        assert len(kept) >= min(len(young), len(young) if most is None else most)


def of_schedule(name: str, seconds_ago: float = 1000, **fields: Any) -> ProcExecution:
    reference = ScheduleRef(name="nightly", uid=Uid("schedule-uid-1"))
    return ended(name, seconds_ago, spec=execution_spec(schedule_ref=reference), **fields)


def wishing(history: ScheduleHistory | None) -> ProcSchedule:
    known = schedule()
    return known.model_copy(update={"spec": known.spec.model_copy(update={"history": history})})


WISHES: dict[str, tuple[ProcSchedule | UnreadableObject | None, list[str]]] = {
    "none: they count with the others": (wishing(None), ["planned-1", "hand-1"]),
    "one: they are counted apart": (wishing(ScheduleHistory(succeeded=1)), ["planned-1"]),
    "two: theirs stay, and so do the others'": (wishing(ScheduleHistory(succeeded=2)), []),
    "as the proc says where it says nothing": (wishing(ScheduleHistory(failed=0)), []),
    "what cannot be read: all of it stays": (
        unreadable(Kind.PROC_SCHEDULE, uid=Uid("schedule-uid-1")),
        [],
    ),
    "a schedule that is gone: they count with the others": (None, ["planned-1", "hand-1"]),
    "another one of that name: they count with the others": (
        wishing(ScheduleHistory(succeeded=9)).model_copy(update={"uid": Uid("other")}),
        ["planned-1", "hand-1"],
    ),
}


@pytest.mark.parametrize(("known", "deleted"), WISHES.values(), ids=WISHES)
def test_a_schedule_wants_kept(
    known: ProcSchedule | UnreadableObject | None, deleted: list[str]
) -> None:
    finished = [
        of_schedule("planned-1", 2000),
        ended("hand-1", 1900),
        of_schedule("planned-2", 1800),
        ended("hand-2", 1700),
    ]
    decided = plan_retention(
        [Finished(one) for one in finished],
        HistoryLimits(succeeded=2, failed=None, ttl_seconds=None),
        keep_seconds=KEEP,
        now=NOW,
        schedules={known.uid: known} if known is not None else {},
    )

    assert names(decided) == deleted
