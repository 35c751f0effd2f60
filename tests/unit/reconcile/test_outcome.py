"""Job and pod facts in, outcome out: every way to end that the facts can show (F13)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.identity import Canceller
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import Logs
from proctor_operator.domain.run import Outcome
from proctor_operator.domain.workload import ContainerWaiting, JobEnd, JobFacts, PodFacts, PodPhase
from proctor_operator.reconcile.outcome import (
    classify_ended_job,
    classify_never_started,
    classify_stopped_job,
    refused,
)
from proctor_operator.reconcile.pending import GivenUp, pending_problem, why_to_give_up
from unit.builders import (
    ENDED,
    JOB_NAME,
    JOB_UID,
    NOW,
    STARTED,
    ago,
    cancelled_execution,
    complete_job,
    container_end,
    deleted_execution,
    ended_pod,
    execution,
    execution_spec,
    failed_job,
    job,
    outcome,
    pod,
    proc_spec,
    recorded,
    recorded_run,
    running_pod,
)


def end_of(
    job_: JobFacts, *pods: PodFacts, by: ProcExecution | None = None, **fields: Any
) -> Outcome:
    assert job_.end is not None
    seen = recorded(by, job=job_, pods=pods, are_pods_live=True, **fields)
    return classify_ended_job(seen, job_, job_.end)


def failed_pod(**fields: Any) -> PodFacts:
    return pod(**{"phase": PodPhase.FAILED, **fields})


SECOND: dict[str, Any] = {"uid": Uid("second"), "name": "second", "created_at": ago(20)}
NEVER_SEEN = container_end(137, reason="ContainerStatusUnknown", started_at=None, finished_at=None)
DEADLINE = failed_job("DeadlineExceeded", "Job was active longer than specified deadline")

# facts -> phase, reason, exit code
FAULTS: dict[str, tuple[JobFacts, tuple[PodFacts, ...], Phase, str, int | None]] = {
    "it exits with 0": (complete_job(), (ended_pod(0),), Phase.SUCCEEDED, "Completed", 0),
    "it exits with another code": (
        failed_job(),
        (ended_pod(3),),
        Phase.FAILED,
        "NonZeroExitCode",
        3,
    ),
    "the kernel kills it for its memory": (
        failed_job(),
        (ended_pod(137, end=container_end(137, reason="OOMKilled")),),
        Phase.FAILED,
        "OOMKilled",
        137,
    ),
    "it is evicted while it runs": (
        failed_job(),
        (ended_pod(137, reason="Evicted", message="The node was low on resource: memory."),),
        Phase.FAILED,
        "Evicted",
        137,
    ),
    "it is evicted before it starts": (
        failed_job(),
        (failed_pod(reason="Evicted"),),
        Phase.FAILED,
        "Evicted",
        None,
    ),
    "its attempt runs into the time-out": (
        failed_job(),
        (ended_pod(137, reason="DeadlineExceeded", message="Pod was active on the node longer"),),
        Phase.TIMED_OUT,
        "DeadlineExceeded",
        137,
    ),
    "its Job runs into the backstop": (DEADLINE, (), Phase.TIMED_OUT, "DeadlineExceeded", None),
    "the node is lost, seen by the taint manager": (
        failed_job(),
        (failed_pod(disruption="DeletionByTaintManager"),),
        Phase.FAILED,
        "NodeLost",
        None,
    ),
    "the node is lost, seen by the pod collector": (
        failed_job(),
        (failed_pod(disruption="DeletionByPodGC"),),
        Phase.FAILED,
        "NodeLost",
        None,
    ),
    "it is preempted": (
        failed_job(),
        (ended_pod(143, disruption="PreemptionByScheduler"),),
        Phase.FAILED,
        "Preempted",
        143,
    ),
    "an init container fails": (
        failed_job(),
        (failed_pod(failed_init=container_end(1, container="fetch")),),
        Phase.FAILED,
        "InitContainerFailed",
        None,
    ),
    "the kubelet does not take the pod": (
        failed_job(),
        (failed_pod(reason="OutOfcpu", message="Node didn't have enough resource"),),
        Phase.FAILED,
        "OutOfcpu",
        None,
    ),
    "a reason that is no word does not break the record": (
        failed_job(),
        (failed_pod(reason="not one word"),),
        Phase.FAILED,
        "PodFailed",
        None,
    ),
    "another container of the pod fails": (
        failed_job(),
        (failed_pod(end=container_end(0), failed_other=container_end(5, container="helper")),),
        Phase.FAILED,
        "OtherContainerFailed",
        0,
    ),
    "its pod fails for no reason that can be seen": (
        failed_job(),
        (failed_pod(end=container_end(0)),),
        Phase.FAILED,
        "BackoffLimitExceeded",
        0,
    ),
    "it fails while another container fails too: the proc's own tells": (
        failed_job(),
        (ended_pod(3, failed_other=container_end(5, container="helper")),),
        Phase.FAILED,
        "NonZeroExitCode",
        3,
    ),
    "it fails, and an init container is said to have failed": (
        failed_job(),
        (ended_pod(3, failed_init=container_end(1, container="fetch")),),
        Phase.FAILED,
        "NonZeroExitCode",
        3,
    ),
    "its Job runs into the backstop, which ends its pod": (
        DEADLINE,
        (ended_pod(143, deletion_time=ago(12)),),
        Phase.TIMED_OUT,
        "DeadlineExceeded",
        143,
    ),
    "its pod is deleted by force, and its end is not seen": (
        failed_job(),
        (running_pod(deletion_time=ago(12), is_gone=True),),
        Phase.FAILED,
        "PodDeleted",
        None,
    ),
    "its pod is deleted before it starts": (
        failed_job(),
        (failed_pod(deletion_time=ago(12), end=NEVER_SEEN),),
        Phase.FAILED,
        "PodDeleted",
        None,
    ),
    "its pod is deleted while an init container runs": (
        failed_job(),
        (failed_pod(deletion_time=ago(12), failed_init=container_end(143, container="fetch")),),
        Phase.FAILED,
        "PodDeleted",
        None,
    ),
    "the node forgets its container": (
        failed_job(),
        (failed_pod(end=NEVER_SEEN),),
        Phase.FAILED,
        "ContainerStatusUnknown",
        None,
    ),
    "it is evicted through the API": (
        failed_job(),
        (ended_pod(143, disruption="EvictionByEvictionAPI", deletion_time=ago(12)),),
        Phase.FAILED,
        "Evicted",
        143,
    ),
    "the kubelet makes room for a critical pod": (
        failed_job(),
        (ended_pod(137, reason="Preempting", disruption="TerminationByKubelet"),),
        Phase.FAILED,
        "Preempted",
        137,
    ),
    "the node shuts down": (
        failed_job(),
        (ended_pod(143, reason="Terminated", disruption="TerminationByKubelet"),),
        Phase.FAILED,
        "NodeShutdown",
        143,
    ),
    "a rule of podFailurePolicy ends it": (
        failed_job("PodFailurePolicy", "Container proc failed with exit code 42"),
        (),
        Phase.FAILED,
        "PodFailurePolicy",
        None,
    ),
    "a rule of podFailurePolicy ends it, and the pod is still there": (
        failed_job("PodFailurePolicy", "Container proc failed with exit code 42"),
        (ended_pod(42),),
        Phase.FAILED,
        "PodFailurePolicy",
        42,
    ),
    "a rule of podFailurePolicy ends it because of its deadline": (
        failed_job("PodFailurePolicy", "Container proc failed with exit code 143"),
        (ended_pod(143, reason="DeadlineExceeded"),),
        Phase.TIMED_OUT,
        "DeadlineExceeded",
        143,
    ),
    "the Job fails without a word": (failed_job(""), (), Phase.FAILED, "JobFailed", None),
    "the second attempt succeeds": (
        complete_job(failed_pods=1),
        (ended_pod(1), ended_pod(0, **SECOND)),
        Phase.SUCCEEDED,
        "Completed",
        0,
    ),
    "it succeeds, and a newer pod was being made": (
        complete_job(),
        (ended_pod(0), pod(**SECOND)),
        Phase.SUCCEEDED,
        "Completed",
        0,
    ),
    "both attempts fail: the last one tells": (
        failed_job(failed_pods=2),
        (ended_pod(1), ended_pod(2, **SECOND)),
        Phase.FAILED,
        "NonZeroExitCode",
        2,
    ),
    "a stranger's pod with our label tells nothing": (
        failed_job(),
        (ended_pod(3), ended_pod(0, owner_uid=Uid("somebody"), **SECOND)),
        Phase.FAILED,
        "NonZeroExitCode",
        3,
    ),
}


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS)
def test_the_outcome_is_what_the_facts_show_when(
    case: tuple[JobFacts, tuple[PodFacts, ...], Phase, str, int | None],
) -> None:
    ended, pods, phase, reason, exit_code = case

    end = end_of(ended, *pods)

    assert (end.phase, end.reason, end.exit_code) == (phase, reason, exit_code)


def given_up(reason: str, *, cancel: bool = False) -> ProcExecution:
    """An execution whose status says that it is given up."""
    status = ProcExecutionStatus(reason=reason, message="for this reason")
    return execution(execution_spec(cancel=cancel), status=status)


WAS_STOPPED: dict[str, tuple[ProcExecution, JobFacts, PodFacts, Phase, str]] = {
    "cancel ended its pod": (
        cancelled_execution(),
        failed_job(deletion_time=ago(12)),
        ended_pod(143, deletion_time=ago(12)),
        Phase.CANCELLED,
        "Cancelled",
    ),
    "deletion of the execution ended its pod": (
        deleted_execution(),
        failed_job(deletion_time=ago(12)),
        ended_pod(143, deletion_time=ago(12)),
        Phase.CANCELLED,
        "Deleted",
    ),
    "the pending time-out ended its pod": (
        given_up("PendingTimeout"),
        failed_job(created_at=ago(912), deletion_time=ago(12)),
        failed_pod(deletion_time=ago(12)),
        Phase.TIMED_OUT,
        "PendingTimeout",
    ),
    "it could never start": (
        given_up("InvalidImageName"),
        failed_job(deletion_time=ago(12)),
        failed_pod(deletion_time=ago(12)),
        Phase.FAILED,
        "InvalidImageName",
    ),
    "it was given up, and cancelled while its pod went": (
        given_up("PendingTimeout", cancel=True),
        failed_job(deletion_time=ago(12)),
        failed_pod(deletion_time=ago(12)),
        Phase.TIMED_OUT,
        "PendingTimeout",
    ),
    "it was given up, but started after all and was cancelled": (
        given_up("PendingTimeout", cancel=True),
        failed_job(deletion_time=ago(12)),
        ended_pod(143, deletion_time=ago(12)),
        Phase.CANCELLED,
        "Cancelled",
    ),
    "it had ended when its time to live deleted it in the same second": (
        execution(),
        failed_job(deletion_time=ENDED, has_ttl=True),
        ended_pod(3),
        Phase.FAILED,
        "NonZeroExitCode",
    ),
    "it failed by itself before cancel reached the pod": (
        cancelled_execution(),
        failed_job(),
        ended_pod(3),
        Phase.FAILED,
        "NonZeroExitCode",
    ),
    "somebody else deleted the pod": (
        execution(),
        failed_job(),
        ended_pod(143, deletion_time=ago(12)),
        Phase.FAILED,
        "PodDeleted",
    ),
}


@pytest.mark.parametrize("case", WAS_STOPPED.values(), ids=WAS_STOPPED)
def test_a_job_that_failed_because_we_stopped_it_says_why_when(
    case: tuple[ProcExecution, JobFacts, PodFacts, Phase, str],
) -> None:
    by, ended, last, phase, reason = case

    end = end_of(ended, last, by=by)

    assert (end.phase, end.reason) == (phase, reason)


def test_everything_the_facts_tell_stands_in_the_outcome() -> None:
    ended = container_end(0, message="grown to 200 GB")
    first = ended_pod(1, end=container_end(1, started_at=ago(44)))
    second = ended_pod(0, image_id="sha256:1", **{**SECOND, "end": ended})

    assert end_of(complete_job(failed_pods=1), first, second) == outcome(
        started_at=ago(44),
        completed_at=ENDED,
        attempts=2,
        pod_name="second",
        image_id="sha256:1",
        result="grown to 200 GB",
    )


def test_attempts_whose_pods_are_gone_are_counted_by_the_job() -> None:
    assert end_of(failed_job(failed_pods=4), ended_pod(1)).attempts == 4


def test_a_pod_of_an_earlier_attempt_does_not_decide_when_a_later_one_is_gone() -> None:
    early = ended_pod(3, end=container_end(3, finished_at=ago(25)))

    end = end_of(failed_job(failed_pods=2), early)

    assert (end.reason, end.exit_code, end.attempts) == ("BackoffLimitExceeded", None, 2)


def test_a_pod_that_failed_just_before_its_job_was_the_last_attempt() -> None:
    end = end_of(failed_job(failed_pods=2), ended_pod(3))

    assert (end.reason, end.exit_code, end.attempts) == ("NonZeroExitCode", 3, 2)


def test_a_run_without_any_pod_ends_when_its_job_does() -> None:
    end = end_of(failed_job())

    assert (end.completed_at, end.started_at, end.attempts) == (ENDED, None, 1)


def test_the_start_is_known_from_the_record_when_the_pods_are_gone() -> None:
    known = recorded_run(job_uid=JOB_UID, started_at=STARTED)

    assert end_of(failed_job(), run=known).started_at == STARTED


def test_who_cancelled_is_named() -> None:
    spec = execution_spec(cancel=True, cancelled_by=Canceller(username="bob"))

    assert classify_never_started(recorded(execution(spec)), NOW).message == "cancelled by bob"
    assert classify_never_started(recorded(cancelled_execution()), NOW).message == (
        "spec.cancel was set"
    )


def test_a_pod_that_succeeded_before_its_job_was_deleted_has_succeeded() -> None:
    deleted = job(deletion_time=NOW)
    seen = recorded(cancelled_execution(), job=deleted, pods=(ended_pod(0),), are_pods_live=True)

    assert classify_stopped_job(seen, deleted, NOW).phase is Phase.SUCCEEDED


def test_a_stopped_job_without_an_end_ends_now() -> None:
    deleted = job(deletion_time=ago(5))
    seen = recorded(job=deleted, pods=(running_pod(is_gone=True),), are_pods_live=True)

    end = classify_stopped_job(seen, deleted, NOW)

    assert end.completed_at == NOW
    assert end.started_at == STARTED
    assert JOB_NAME in end.message


def test_a_failed_job_without_a_pod_that_its_time_to_live_deleted_was_deleted_by_nobody() -> None:
    assert end_of(failed_job(deletion_time=ENDED, has_ttl=True)).reason == "BackoffLimitExceeded"
    assert end_of(failed_job(deletion_time=ENDED)).reason == "JobDeleted"


def test_a_pending_time_out_says_what_the_pod_waited_for() -> None:
    overdue = job(created_at=ago(70))
    waiting = pod(waiting=ContainerWaiting("ErrImagePull", "not found"))
    seen = recorded(job=overdue, pods=(waiting,), pinned=proc_spec(pending_timeout_seconds=60))

    why = why_to_give_up(seen, overdue, NOW)

    assert why == GivenUp(
        Phase.TIMED_OUT,
        "PendingTimeout",
        "no container started within 60 s (ErrImagePull: not found)",
    )


HALVES = "ter2\npassword=hunter2\nfine\npassw"


@pytest.mark.parametrize(
    ("lacks", "shown"),
    [
        ((), "ter2\n***\nfine\npassw"),
        (("lacks_its_beginning",), "***\n***\nfine\npassw"),
        (("lacks_its_end",), "ter2\n***\nfine\n***"),
    ],
    ids=["all of it", "its beginning is cut off", "its end is cut off"],
)
def test_half_a_line_of_a_masked_result_is_not_shown(lacks: tuple[str, ...], shown: str) -> None:
    said = container_end(1, message=HALVES, **dict.fromkeys(lacks, True))
    pinned = proc_spec(logs=Logs(mask=(r"password=\S+",)))

    end = end_of(failed_job(), failed_pod(end=said), pinned=pinned)

    assert end.result == shown
    unmasked = end_of(failed_job(), failed_pod(end=said))
    assert unmasked.result == HALVES, "nobody asked for less"


def test_a_result_of_which_nobody_knows_what_to_blank_is_left_out() -> None:
    """The record was restored from before the run, and the proc has changed since: nothing is pinned."""
    said = container_end(1, message="password=hunter2")

    end = end_of(failed_job(), failed_pod(end=said), pinned=None)

    assert (end.exit_code, end.result) == (1, None)


def test_what_a_container_that_never_ran_says_is_not_its_result() -> None:
    cannot = container_end(128, reason="StartError", message="no such file", started_at=None)

    end = end_of(failed_job(), failed_pod(end=cannot))

    assert (end.reason, end.message) == ("StartError", "no such file")
    assert (end.exit_code, end.started_at, end.result) == (None, None, None)


SIGNALS = {137: "code 137 (SIGKILL)", 143: "code 143 (SIGTERM)", 3: "code 3", 255: "code 255"}


@pytest.mark.parametrize(("code", "said"), SIGNALS.items())
def test_an_exit_code_that_stands_for_a_signal_names_it(code: int, said: str) -> None:
    assert end_of(failed_job(), ended_pod(code)).message == f"the container exited with {said}"


def test_a_process_that_the_kernel_takes_does_not_decide_what_the_container_does() -> None:
    survived = "the container itself went on and exited with code"
    lived = ended_pod(0, end=container_end(0, reason="OOMKilled"))
    failed = ended_pod(3, end=container_end(3, reason="OOMKilled"))

    assert f"{survived} 0" in end_of(complete_job(), lived).message
    assert end_of(complete_job(), lived).phase is Phase.SUCCEEDED
    assert f"{survived} 3" in end_of(failed_job(), failed).message
    assert end_of(failed_job(), failed).reason == "OOMKilled"


def test_an_end_before_its_start_on_another_clock_is_moved_to_the_start() -> None:
    late = running_pod(running_since=NOW, is_gone=True, disruption="DeletionByPodGC")

    end = end_of(failed_job(), late)

    assert (end.started_at, end.completed_at) == (NOW, NOW)


@given(
    said=st.text(max_size=3000),
    result=st.text(max_size=9000),
    reason=st.text(max_size=200),
)
def test_an_outcome_fits_into_the_status_whatever_the_kubelet_says(
    said: str, result: str, reason: str
) -> None:
    ended = job(end=JobEnd(succeeded=False, reason=reason, message=said, at=ENDED))
    last = failed_pod(
        reason=reason, message=said, end=container_end(1, message=result, reason=reason)
    )
    for end in (end_of(ended, last), end_of(ended), refused("Word", said, NOW)):
        assert end.reason.isalnum()
        assert len(end.reason) <= 128
        assert len(end.message.encode(errors="replace")) <= 1024
        assert len((end.result or "").encode(errors="replace")) <= 4096


NEVER_STARTS: dict[str, tuple[ContainerWaiting, str | None]] = {
    "no image can have this name": (
        ContainerWaiting("InvalidImageName", "repository name must be lowercase"),
        "InvalidImageName",
    ),
    "the image runs as root": (
        ContainerWaiting(
            "CreateContainerConfigError",
            'container has runAsNonRoot and image will run as root (pod: "x", container: proc)',
        ),
        "RunsAsRoot",
    ),
    "the image's user may be root": (
        ContainerWaiting(
            "CreateContainerConfigError",
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user",
        ),
        "RunsAsRoot",
    ),
    "the pod template itself asks for root": (
        ContainerWaiting(
            "CreateContainerConfigError", "container's runAsUser breaks non-root policy (pod: x)"
        ),
        "RunsAsRoot",
    ),
    "neither image nor proc names a program": (
        ContainerWaiting(
            "CreateContainerError",
            "failed to generate spec: no command specified",
            container="fetch",
        ),
        "NoCommand",
    ),
    "a Secret may still come": (
        ContainerWaiting("CreateContainerConfigError", 'secret "x" not found'),
        None,
    ),
    "an image may still come": (ContainerWaiting("ErrImageNeverPull", "is not present"), None),
    "a registry may come back": (ContainerWaiting("ImagePullBackOff", "refused"), None),
    "a runtime may recover": (ContainerWaiting("CreateContainerError", "deadline exceeded"), None),
}


@pytest.mark.parametrize(("waiting", "reason"), NEVER_STARTS.values(), ids=NEVER_STARTS)
def test_what_can_never_start_is_given_up_and_nothing_else(
    waiting: ContainerWaiting, reason: str | None
) -> None:
    seen = recorded(job=job(), pods=(pod(waiting=waiting),))

    why = why_to_give_up(seen, job(), NOW)

    assert (why.reason if why else None) == reason
    assert why is None or waiting.message in why.message


PROBLEMS: dict[str, tuple[PodFacts, tuple[str, str] | None]] = {
    "a pull that fails": (
        pod(waiting=ContainerWaiting("ErrImagePull", "m")),
        ("ErrImagePull", "m"),
    ),
    "a configuration that cannot be": (
        pod(waiting=ContainerWaiting("CreateContainerConfigError", 'secret "x" not found')),
        ("CreateContainerConfigError", 'secret "x" not found'),
    ),
    "no node": (pod(unschedulable="0/1 nodes"), ("Unschedulable", "0/1 nodes")),
    "a container being made": (pod(waiting=ContainerWaiting("PodInitializing", "")), None),
    "a container that waits without a word": (pod(waiting=ContainerWaiting("", "")), None),
    "a pod that runs": (running_pod(), None),
    "a pod that is gone": (pod(is_gone=True, waiting=ContainerWaiting("ErrImagePull", "")), None),
}


@pytest.mark.parametrize(("last", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_why_a_pod_does_not_start(last: PodFacts, problem: tuple[str, str] | None) -> None:
    assert pending_problem(recorded(job=job(), pods=(last,))) == problem


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        ((), "Deleted"),
        ((failed_pod(deletion_time=ENDED),), "Deleted"),
        ((ended_pod(3),), "NonZeroExitCode"),
    ],
    ids=["its pod is gone", "its pod was deleted", "its pod ended by itself"],
)
def test_a_namespace_that_goes_may_take_the_pod_before_the_job(
    pods: tuple[PodFacts, ...], reason: str
) -> None:
    deleted = deleted_execution(deletion_time=ENDED)

    assert end_of(failed_job(), *pods, by=deleted).reason == reason


def test_a_deletion_after_the_end_changes_nothing_about_it() -> None:
    assert end_of(failed_job(), by=deleted_execution(deletion_time=NOW)).phase is Phase.FAILED
