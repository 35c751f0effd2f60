"""What is left out of an execution that is over is asked for by nothing that comes after the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.adapters.kube.mapping import status_patch
from proctor_operator.domain.conditions import ConditionStatus, ConditionType, condition
from proctor_operator.domain.execution import (
    JobRef,
    Phase,
    PinnedProc,
    ProcExecution,
    ScheduleRef,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import Proc, ProcActivity
from proctor_operator.domain.schedule import ScheduleHistory
from proctor_operator.reconcile.activity import activity_of
from proctor_operator.reconcile.decision import WriteStatus
from proctor_operator.reconcile.events import event_of_status
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.remains import remains_of
from proctor_operator.reconcile.retention import HistoryLimits, RetentionPlan, plan_retention
from proctor_operator.reconcile.trouble import find_news
from proctor_operator.runtime.indexes import finished_index
from unit import builders as a
from unit.answers import MAYBE, snapshots

TOLD = {
    "message": "exit code 3",
    "reason": "NonZeroExit",
    "observed_generation": 1,
    "pod_name": "grow-disk-x7-abcde",
    "image_id": "registry.example.org/dba/grow-disk@sha256:0",
    "exit_code": 3,
    "attempts": 2,
    "result": "grown",
    "log_tail": "to 200 GB",
    "log_bytes": 9,
    "log_lines": 1,
    "log_truncated": False,
}
PROC_UIDS = st.sampled_from([Uid("proc-uid-1"), Uid("an older one")])


@st.composite
def finished(draw: st.DrawFn) -> ProcExecution:
    """Draw one that is over, with all that may be told of it."""
    phase = draw(st.sampled_from([one for one in Phase if one.is_terminal]))
    told = {
        **TOLD,
        "number": draw(st.sampled_from([None, 7])),
        "proc": draw(
            st.none()
            | st.builds(PinnedProc, uid=PROC_UIDS, generation=st.just(3), image=st.just("a"))
        ),
        "job_ref": draw(st.none() | st.just(JobRef(name=a.JOB_NAME, uid=a.JOB_UID))),
        "start_time": draw(st.none() | st.just(a.STARTED)),
        "completion_time": draw(st.none() | st.just(a.ENDED)),
    }
    schedules = st.sampled_from([None, ScheduleRef(name="nightly", uid=a.schedule().uid)])
    return a.finished_execution(
        phase,
        spec=a.execution_spec(
            arguments={"SIZE_GB": 200},
            arguments_from=(a.argument_from("TOKEN"),),
            reason="INC-1",
            cancel=draw(MAYBE),
            schedule_ref=draw(schedules),
        ),
        status=a.final_execution_status(phase).model_copy(update=told),
        name=draw(st.sampled_from(["x1", "x2"])),
        generation=draw(st.sampled_from([1, 2])),
        deletion_time=draw(st.sampled_from([None, a.ago(1)])),
        labels=draw(
            st.sampled_from([{}, {"kustomize.toolkit.fluxcd.io/name": "apps", "team": "dba"}])
        ),
        annotations=draw(st.sampled_from([{}, {"argocd.argoproj.io/tracking-id": "apps"}])),
    )


@given(seen=snapshots(), over=finished(), is_orphaned=MAYBE)
def test_its_own_ladder_goes_on_as_if_nothing_were_missing(
    seen: ObservedExecution, over: ProcExecution, *, is_orphaned: bool
) -> None:
    kept = remains_of(over)
    if is_orphaned:
        seen = replace(seen, job=a.complete_job(owner_uid=None))

    action = decide(replace(seen, execution=over), a.NOW)
    of_what_is_kept = decide(replace(seen, execution=kept), a.NOW)

    if isinstance(action, WriteStatus):
        assert isinstance(of_what_is_kept, WriteStatus)
        patch = status_patch(over.status, action.status)
        assert status_patch(kept.status, of_what_is_kept.status) == patch
        assert event_of_status(kept, kept.status, of_what_is_kept.status) is None
    else:
        assert of_what_is_kept == action


@given(over=st.lists(finished(), max_size=6), now=st.sampled_from([a.NOW, a.ago(-400)]))
def test_retention_deletes_the_same(over: list[ProcExecution], now: datetime) -> None:
    plan = planned(over, now)
    of_what_is_kept = planned([remains_of(one) for one in over], now)

    assert of_what_is_kept.look_again_after == plan.look_again_after
    assert [one.uid for one in of_what_is_kept.delete] == [one.uid for one in plan.delete]


def planned(over: Sequence[ProcExecution], now: datetime) -> RetentionPlan:
    index = finished_index()
    for number, one in enumerate(over):
        index.change(None, one.model_copy(update={"name": f"x{number}", "uid": Uid(f"u{number}")}))
    shelves = [shelf for key in index.groups() for shelf in index.of(key).shelves()]
    spec = a.schedule().spec.model_copy(update={"history": ScheduleHistory(succeeded=0)})
    return plan_retention(
        shelves,
        HistoryLimits(succeeded=1, failed=0),
        keep_seconds=300,
        now=now,
        schedules={a.schedule().uid: a.schedule(spec=spec)},
    )


@given(over=st.lists(finished(), max_size=3))
def test_its_proc_tells_the_same_of_its_runs(over: list[ProcExecution]) -> None:
    kept = [remains_of(one) for one in over]

    assert activity_of(kept, ProcActivity()) == activity_of(over, ProcActivity())
    for one in over:
        assert find_news(remains_of(one), STALLED, a.NOW) == find_news(one, STALLED, a.NOW)


STALLED: Proc = a.proc(
    conditions=(
        condition(
            ConditionType.STALLED,
            ConditionStatus.TRUE,
            "SecretNotFound",
            "no Secret 'my-token'",
            generation=3,
            now=a.STARTED - timedelta(seconds=60),
        ),
    )
)


def test_news_are_compared_of_runs_that_have_some() -> None:
    pinned = PinnedProc(uid=Uid("proc-uid-1"), generation=3, image="a")
    told = {"proc": pinned, "start_time": a.STARTED}
    status = a.final_execution_status().model_copy(update=told)

    news = find_news(remains_of(a.finished_execution(status=status)), STALLED, a.NOW)

    assert news is not None
    assert news.status is ConditionStatus.FALSE
