"""Jobs that a queue holds back: the test plays Kueue, the Job controller is real."""

from __future__ import annotations

import json
from typing import Any

from harness.pods import job_of, pod_of, report_ended, report_running
from harness.running import Manifest, RunningOperator, condition, execution, proc
from localcluster.waiting import wait_until


def suspend(operator: RunningOperator, name: str, *, value: bool) -> None:
    """What Kueue does to admit a Job, and to preempt one."""
    patch = json.dumps({"spec": {"suspend": value}})
    job = job_of(operator, name)["metadata"]["name"]
    operator.kubectl("patch", f"job/{job}", "--type=merge", f"--patch={patch}")


def held(operator: RunningOperator, name: str, **spec: Any) -> Manifest:
    """Ask for a run whose Job the queue holds, and wait until it says so."""
    operator.apply(proc(name, queueName="small", **spec), execution(f"{name}-1", of=name))
    return operator.wait_for("procexecution", f"{name}-1", "{.status.reason}", "Suspended")


def let_run(operator: RunningOperator, name: str) -> Manifest:
    """Let it start; returns the pod, whose container runs."""
    suspend(operator, name, value=False)
    assert wait_until(lambda: bool(pods_of(operator, name)), seconds=30, interval=0.2)
    (pod,) = pods_of(operator, name)
    report_running(operator, pod)
    operator.wait_for_phase(name, "Running")
    return pod


def pods_of(operator: RunningOperator, name: str) -> list[Manifest]:
    return operator.list("pods", f"proctor.dev/execution={name}")


def test_a_job_of_a_queue_waits_for_it_and_says_so_once(operator: RunningOperator) -> None:
    shown = held(operator, "queued")
    job = job_of(operator, "queued-1")

    pod = let_run(operator, "queued-1")
    report_ended(operator, pod)
    done = operator.wait_for_phase("queued-1", "Succeeded")

    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "small"
    assert job["spec"]["suspend"] is True
    assert shown["status"]["phase"] == "Pending"
    assert "the queue 'small' of Kueue" in shown["status"]["message"]
    assert done["status"]["attempts"] == 1


def test_time_spent_suspended_is_not_pending_time(operator: RunningOperator) -> None:
    held(operator, "patient", pendingTimeoutSeconds=5)

    assert not wait_until(
        lambda: operator.get("pexec", "patient-1")["status"]["reason"] != "Suspended",
        seconds=9,
        interval=0.5,
    )
    pod = let_run(operator, "patient-1")
    report_ended(operator, pod)
    operator.wait_for_phase("patient-1", "Succeeded")


def test_a_job_that_is_suspended_while_it_runs_goes_back_and_begins_anew(
    operator: RunningOperator,
) -> None:
    held(operator, "preempted")
    first = let_run(operator, "preempted-1")
    started = operator.get("pexec", "preempted-1")["status"]["startTime"]

    suspend(operator, "preempted-1", value=True)
    operator.wait_until_gone("pod", first["metadata"]["name"])
    back = operator.wait_for("procexecution", "preempted-1", "{.status.reason}", "Suspended")
    second = let_run(operator, "preempted-1")
    report_ended(operator, second)
    done = operator.wait_for_phase("preempted-1", "Succeeded")

    assert back["status"]["phase"] == "Pending"
    assert condition(back, "Started")["status"] == "True"
    assert second["metadata"]["name"] != first["metadata"]["name"]
    assert done["status"]["attempts"] == 1, "the pod that went did not fail"
    assert done["status"]["startTime"] == started
    assert done["status"]["podName"] == second["metadata"]["name"]


def test_a_failure_after_a_suspension_counts_as_the_one_attempt_it_is(
    operator: RunningOperator,
) -> None:
    held(operator, "failing")
    let_run(operator, "failing-1")
    suspend(operator, "failing-1", value=True)
    operator.wait_for("procexecution", "failing-1", "{.status.reason}", "Suspended")

    report_ended(operator, let_run(operator, "failing-1"), exit_code=3)
    failed = operator.wait_for_phase("failing-1", "Failed")

    status = failed["status"]
    assert (status["reason"], status["exitCode"], status["attempts"]) == ("NonZeroExitCode", 3, 1)


def test_one_that_is_held_can_be_cancelled_and_deleted(operator: RunningOperator) -> None:
    held(operator, "unwanted")
    held(operator, "forgotten")

    operator.kubectl(
        "patch", "pexec/unwanted-1", "--type=merge", '--patch={"spec":{"cancel":true}}'
    )
    operator.kubectl("delete", "pexec/forgotten-1", "--timeout=30s")
    operator.wait_for_phase("unwanted-1", "Cancelled")

    assert operator.recorded("forgotten-1")["phase_reason"] == "Deleted"
    operator.wait_until_none("job", "proctor.dev/execution=unwanted-1", seconds=150)


def test_one_that_went_back_can_be_cancelled(operator: RunningOperator) -> None:
    held(operator, "given-back")
    let_run(operator, "given-back-1")
    suspend(operator, "given-back-1", value=True)
    operator.wait_for("procexecution", "given-back-1", "{.status.reason}", "Suspended")

    operator.kubectl(
        "patch", "pexec/given-back-1", "--type=merge", '--patch={"spec":{"cancel":true}}'
    )
    done = operator.wait_for_phase("given-back-1", "Cancelled")

    assert done["status"]["reason"] == "Cancelled"


def test_somebody_may_suspend_a_job_of_no_queue(operator: RunningOperator) -> None:
    operator.apply(proc("by-hand"), execution("by-hand-1", of="by-hand"))
    report_running(operator, pod_of(operator, "by-hand-1"))
    operator.wait_for_phase("by-hand-1", "Running")

    suspend(operator, "by-hand-1", value=True)
    back = operator.wait_for("procexecution", "by-hand-1", "{.status.reason}", "Suspended")
    report_ended(operator, let_run(operator, "by-hand-1"))
    operator.wait_for_phase("by-hand-1", "Succeeded")

    assert "somebody suspended the job" in back["status"]["message"]
