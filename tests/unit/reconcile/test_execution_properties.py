"""What the ladder for an execution never does, whatever it sees and whatever it is answered."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.objects import Unseen
from proctor_operator.domain.run import RecordedRun
from proctor_operator.reconcile.decision import (
    AbandonExecution,
    AbandonJob,
    Action,
    AttachLog,
    CreateJob,
    DeleteJob,
    DeletePod,
    FollowLog,
    ReleaseExecution,
    ReleaseJob,
    Rest,
    WriteStatus,
)
from proctor_operator.reconcile.execution import decide
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.status import is_finished
from unit.answers import answered, snapshots
from unit.builders import NOW

STEPS_AT_MOST = 24
"""What the runner allows a pass."""

Steps = list[tuple[ObservedExecution, Action | Rest]]


@st.composite
def passes(draw: st.DrawFn) -> Steps:
    """Draw a whole pass: each thing that was seen, and what was decided on it."""
    seen = draw(snapshots())
    now = NOW + timedelta(seconds=draw(st.sampled_from([0, 1000])))
    steps: Steps = []
    for _ in range(STEPS_AT_MOST):
        action = decide(seen, now)
        assert decide(seen, now) == action
        steps.append((seen, action))
        if isinstance(action, Rest):
            break
        seen = answered(seen, action, draw)
    return steps


@given(steps=passes())
def test_a_pass_always_comes_to_rest(steps: Steps) -> None:
    assert isinstance(steps[-1][1], Rest)


@given(steps=passes())
def test_what_has_finished_is_only_let_go(
    steps: Steps,
) -> None:
    for seen, action in steps:
        if is_finished(seen.execution.status):
            assert isinstance(action, DeleteJob | ReleaseJob | ReleaseExecution | Rest)
        if is_finished(seen.execution.status) and isinstance(action, DeleteJob):
            assert action.job.end is None, "only a job that came after the end is stopped"


@given(steps=passes())
def test_nothing_is_let_go_before_it_has_finished(
    steps: Steps,
) -> None:
    for seen, action in steps:
        if isinstance(action, ReleaseJob | ReleaseExecution):
            assert is_finished(seen.execution.status)


@given(steps=passes())
def test_nothing_is_given_up_without_a_word_a_deletion_and_a_record_that_fails(
    steps: Steps,
) -> None:
    for seen, action in steps:
        match action:
            case AbandonExecution(reason):
                assert reason == seen.execution.give_up_reason != ""
            case AbandonJob(job, reason):
                assert reason in (seen.execution.give_up_reason, job.give_up_reason)
                assert reason
                assert job.is_being_deleted or job.end is not None
            case _:
                continue
        assert seen.run is Unseen.UNAVAILABLE or seen.record_refusal is not None


@given(steps=passes())
def test_a_job_is_created_only_for_a_recorded_run_that_is_wanted_and_has_none(
    steps: Steps,
) -> None:
    creations = [seen for seen, action in steps if isinstance(action, CreateJob)]
    for seen in creations:
        assert isinstance(seen.run, RecordedRun)
        assert seen.run.outcome is None
        assert seen.run.job_uid is None
        assert not seen.wants_to_stop
        assert not seen.run.is_waiting
        assert isinstance(seen.job, Unseen)
        assert seen.pinned is not None
        assert not seen.has_seen_job
    assert len(creations) <= 1


@given(steps=passes())
def test_a_final_status_says_what_the_record_says(
    steps: Steps,
) -> None:
    for seen, action in steps:
        if isinstance(action, WriteStatus) and action.status.phase.is_terminal:
            assert is_finished(action.status)
            assert seen.outcome is not None
            assert action.status.phase is seen.outcome.phase


@given(steps=passes())
def test_no_status_is_written_twice(
    steps: Steps,
) -> None:
    written = [action.status for _, action in steps if isinstance(action, WriteStatus)]

    for before, after in pairwise(written):
        assert before != after


@given(steps=passes())
def test_only_own_jobs_and_own_pods_are_touched(
    steps: Steps,
) -> None:
    for seen, action in steps:
        match action:
            case DeleteJob(job) | ReleaseJob(job):
                assert job.owner_uid == seen.execution.uid
            case DeletePod(pod) | FollowLog(pod) | AttachLog(pod):
                assert seen.own_job is not None
                assert pod.owner_uid == seen.own_job.uid


@given(steps=passes())
def test_every_status_fits_into_the_limits_of_the_kind(
    steps: Steps,
) -> None:
    for _, action in steps:
        if isinstance(action, WriteStatus):
            status = action.status
            assert len(status.message.encode()) <= 1024
            assert all(len(one.message.encode()) <= 1024 for one in status.conditions)
            assert all(one.reason.isalnum() for one in status.conditions)
