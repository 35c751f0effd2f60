"""Which finished executions may go: limits, ages, and what is never touched."""

from __future__ import annotations

from collections import Counter
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
from proctor_operator.domain.objects import Kind, ObjectKey, UnreadableObject
from proctor_operator.domain.proc import ProcHistory
from proctor_operator.domain.schedule import ProcSchedule, ScheduleHistory
from proctor_operator.reconcile.retention import (
    HELD_JOB_RETRY_SECONDS,
    HistoryLimits,
    RetentionPlan,
    age,
    plan_retention,
)
from proctor_operator.runtime.indexes import finished_index
from unit.builders import NAMESPACE, NOW, ago, execution, execution_spec, says, schedule, unreadable

GROUP = ObjectKey(Kind.FINISHED_EXECUTIONS, NAMESPACE, "grow-disk")
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
    return execution(**{"name": name, "uid": Uid(name), "status": status, **fields})


def plan(
    *executions: ProcExecution,
    limits: HistoryLimits = NONE_AT_ALL,
    schedules: tuple[ProcSchedule | UnreadableObject, ...] = (),
) -> RetentionPlan:
    """Decide about those of them that the index has, which are the governed ones."""
    index = finished_index()
    for one in executions:
        index.change(None, one)
    return plan_retention(
        index.of(GROUP).shelves(),
        limits,
        keep_seconds=KEEP,
        now=NOW,
        schedules={one.uid: one for one in schedules},
    )


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


def test_an_end_that_a_node_dates_ahead_counts_from_when_it_was_shown() -> None:
    """Its clock may be years ahead: what it ran would stay for as long, in the place of what is newer."""
    ahead = -10 * 365 * 86400
    odd = ended("odd", ahead, shown=3600)

    assert names(plan(odd, limits=HistoryLimits(ttl_seconds=3600))) == ["odd"]
    assert names(plan(odd, ended("newer", 1000), limits=HistoryLimits(succeeded=1))) == ["odd"]

    found = plan(ended("young", ahead, shown=KEEP - 100))
    assert names(found) == []
    assert found.look_again_after == 100


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
    found = plan(ended("held", 2000), ended("free", 3000)).but_for({Uid("held")})
    soon = plan(ended("held", 2000), ended("young", KEEP - 20)).but_for({Uid("held")})

    assert names(found) == ["free"]
    assert found.look_again_after == HELD_JOB_RETRY_SECONDS
    assert (names(soon), soon.look_again_after) == ([], 20)


def test_one_that_is_not_over_is_never_touched() -> None:
    running = ended("x")
    status = running.status.model_copy(update={"phase": Phase.RUNNING})

    assert plan(running.model_copy(update={"status": status})) == RetentionPlan()


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
    decided = plan(
        of_schedule("planned-1", 2000),
        ended("hand-1", 1900),
        of_schedule("planned-2", 1800),
        ended("hand-2", 1700),
        limits=HistoryLimits(succeeded=2, failed=None, ttl_seconds=None),
        schedules=(known,) if known is not None else (),
    )

    assert names(decided) == deleted


def counted_plainly(
    executions: list[ProcExecution], limits: HistoryLimits
) -> list[tuple[float, ProcExecution]]:
    """How long each that has to go may still stay, from looking at every one, newest first."""
    counts, found = Counter[bool](), []
    for one in sorted(executions, key=age, reverse=True):
        is_good = one.status.phase is Phase.SUCCEEDED
        counts[is_good] += 1
        most = limits.succeeded if is_good else limits.failed
        ended_at, shown_at = (
            (one.status.completion_time or NOW) - NOW,
            one.status.conditions[-1].last_transition_time - NOW,
        )
        kept = shown_at.total_seconds() + KEEP
        if most is not None and counts[is_good] > most:
            found.append((kept, one))
        elif limits.ttl_seconds is not None:
            found.append((max(kept, ended_at.total_seconds() + limits.ttl_seconds), one))
    return found


@given(
    drawn=st.lists(
        st.tuples(
            st.integers(0, 2000),
            st.integers(0, 900),
            st.booleans(),
            st.sampled_from(["", "gone", "without wishes", "with wishes"]),
        ),
        max_size=25,
    ),
    limits=st.builds(HistoryLimits, LIMIT, LIMIT, st.none() | st.integers(0, 2000)),
    wishes=st.builds(ScheduleHistory, succeeded=LIMIT, failed=LIMIT),
)
def test_what_is_not_looked_at_would_change_nothing(
    drawn: list[tuple[int, int, bool, str]], limits: HistoryLimits, wishes: ScheduleHistory
) -> None:
    executions = [
        ended(
            str(place),
            end,
            Phase.SUCCEEDED if is_good else Phase.TIMED_OUT,
            shown=max(0, end - late),
            spec=execution_spec(schedule_ref=ScheduleRef(name=of, uid=Uid(of)) if of else None),
        )
        for place, (end, late, is_good, of) in enumerate(drawn)
    ]
    schedules = (
        wishing(None).model_copy(update={"uid": Uid("without wishes")}),
        wishing(wishes).model_copy(update={"uid": Uid("with wishes")}),
    )
    apart = [one for one, (*_, of) in zip(executions, drawn, strict=True) if of == "with wishes"]
    together = [one for one in executions if one not in apart]

    found = plan(*executions, limits=limits, schedules=schedules)

    stays = [
        *counted_plainly(together, limits),
        *counted_plainly(apart, limits.with_wishes_of_a_schedule(wishes)),
    ]
    due = sorted((one for seconds, one in stays if seconds <= 0), key=age)
    assert found.delete == tuple(due)
    assert found.look_again_after == min((one for one, _ in stays if one > 0), default=None)
