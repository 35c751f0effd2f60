"""From the apply to the release of the last finalizer, with the test in the kubelet's part."""

from __future__ import annotations

import json

from harness.pods import job_of, pod_of, report_ended, report_running, report_waiting
from harness.running import RunningOperator, condition, execution, proc
from localcluster.waiting import wait_until


def test_a_run_succeeds_and_nothing_of_it_is_held_afterwards(operator: RunningOperator) -> None:
    operator.apply(proc("good"), execution("good-1", of="good", reason="INC-1"))
    pod = pod_of(operator, "good-1")
    report_running(operator, pod)
    running = operator.wait_for_phase("good-1", "Running")
    report_ended(operator, pod, message="all is well")
    done = operator.wait_for_phase("good-1", "Succeeded")

    assert condition(running, "Reconciling")["status"] == "True"
    assert condition(running, "Started")["status"] == "True"
    assert condition(done, "Complete")["status"] == "True"
    assert condition(done, "Reconciling") == {}
    status = done["status"]
    assert status["exitCode"] == 0
    assert status["result"] == "all is well"
    assert status["startTime"] == "2026-01-01T10:00:00Z"
    assert status["completionTime"] == "2026-01-01T10:00:05Z"
    assert status["podName"] == pod["metadata"]["name"]
    assert status["observedGeneration"] == done["metadata"]["generation"]
    row = operator.recorded("good-1")
    assert row["number"] == status["number"]
    assert (row["phase"], row["exit_code"], row["result"]) == ("Succeeded", 0, "all is well")
    assert (row["requester_username"], row["request_reason"]) == ("alice@example.org", "INC-1")
    assert row["granted_by"] == "anyone"
    assert row["proc_spec"]["image"] == "proctor.local/busybox:1"
    assert _is_released(operator, "good-1")
    assert job_of(operator, "good-1")["spec"]["ttlSecondsAfterFinished"] == 120


def test_the_job_is_the_executions_own_and_fit_for_a_restricted_namespace(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("shaped"), execution("shaped-1", of="shaped"))
    job = job_of(operator, "shaped-1")
    owner = operator.get("procexecution", "shaped-1")

    assert job["metadata"]["finalizers"] == ["proctor.dev/record"]
    (reference,) = job["metadata"]["ownerReferences"]
    assert (reference["uid"], reference["controller"]) == (owner["metadata"]["uid"], True)
    assert job["spec"]["backoffLimit"] == 0
    spec = job["spec"]["template"]["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] == 3600
    environment = {one["name"]: one["value"] for one in spec["containers"][0]["env"]}
    assert environment["PROCTOR_EXECUTION"] == "shaped-1"
    assert environment["PROCTOR_REQUESTER"] == "alice@example.org"
    assert environment["PROCTOR_NUMBER"] == str(operator.recorded("shaped-1")["number"])
    assert pod_of(operator, "shaped-1"), "Pod Security restricted lets it in"


def test_a_failing_run_is_failed_for_kstatus_too(operator: RunningOperator) -> None:
    operator.apply(proc("bad"), execution("bad-1", of="bad"))
    report_ended(operator, pod_of(operator, "bad-1"), exit_code=3, message="no backup")

    status = operator.wait_for_phase("bad-1", "Failed")

    assert status["status"]["reason"] == "NonZeroExitCode"
    assert status["status"]["message"] == "the container exited with code 3"
    assert condition(status, "Failed")["status"] == "True"
    assert condition(status, "Stalled")["status"] == "True"


def test_what_keeps_a_pod_from_starting_is_said_at_once_and_times_out(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("stuck", pendingTimeoutSeconds=8), execution("stuck-1", of="stuck"))
    pod = pod_of(operator, "stuck-1")
    report_waiting(
        operator, pod, reason="CreateContainerConfigError", message="container would run as root"
    )

    pending = operator.wait_for(
        "procexecution", "stuck-1", "{.status.reason}", "CreateContainerConfigError"
    )
    done = operator.wait_for_phase("stuck-1", "TimedOut")

    assert pending["status"]["phase"] == "Pending"
    assert pending["status"]["message"] == "container would run as root"
    assert done["status"]["reason"] == "PendingTimeout"
    assert "container would run as root" in done["status"]["message"]
    assert condition(done, "Started")["status"] == "False"


def test_cancelling_stops_the_pod_and_makes_no_other(operator: RunningOperator) -> None:
    operator.apply(proc("long"), execution("long-1", of="long"))
    report_running(operator, pod_of(operator, "long-1"))
    operator.wait_for_phase("long-1", "Running")

    operator.kubectl("patch", "pexec/long-1", "--type=merge", '--patch={"spec":{"cancel":true}}')
    done = operator.wait_for_phase("long-1", "Cancelled")

    assert done["status"]["reason"] == "Cancelled"
    assert condition(done, "Started")["status"] == "True"
    assert operator.list("pods", "proctor.dev/execution=long-1") == []
    assert operator.recorded("long-1")["phase"] == "Cancelled"


def test_who_waits_for_an_end_is_not_kept_waiting_by_a_cancel_that_came_after_it(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("over"), execution("over-1", of="over"))
    report_ended(operator, pod_of(operator, "over-1"))
    before = operator.wait_for_phase("over-1", "Succeeded")

    operator.apply(execution("over-1", of="over", cancel=True))

    wanted = ("--for=condition=Complete", "--timeout=30s")
    operator.kubectl("wait", "procexecution/over-1", *wanted)
    after = operator.get("procexecution", "over-1")
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert after["status"]["observedGeneration"] == after["metadata"]["generation"]
    assert (after["status"]["phase"], after["status"]["reason"]) == ("Succeeded", "Completed")


def test_an_execution_created_as_cancelled_never_has_a_job(operator: RunningOperator) -> None:
    operator.apply(proc("never"), execution("never-1", of="never", cancel=True))

    done = operator.wait_for_phase("never-1", "Cancelled")

    assert "jobRef" not in done["status"]
    assert operator.list("jobs", "proctor.dev/execution=never-1") == []


def test_deleting_a_running_execution_ends_it_records_it_and_lets_it_go(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("doomed"), execution("doomed-1", of="doomed"))
    report_running(operator, pod_of(operator, "doomed-1"))
    operator.wait_for_phase("doomed-1", "Running")

    operator.kubectl("delete", "pexec/doomed-1", "--wait=false")
    operator.wait_until_gone("procexecution", "doomed-1")

    row = operator.recorded("doomed-1")
    assert (row["phase"], row["phase_reason"]) == ("Cancelled", "Deleted")
    operator.kubectl(
        "wait", "--for=delete", "job", "--selector=proctor.dev/execution=doomed-1", "--timeout=60s"
    )


def test_foreground_deletion_loses_nothing_either(operator: RunningOperator) -> None:
    operator.apply(proc("fore"), execution("fore-1", of="fore"))
    report_running(operator, pod_of(operator, "fore-1"))
    operator.wait_for_phase("fore-1", "Running")

    operator.kubectl("delete", "pexec/fore-1", "--cascade=foreground", "--wait=false")
    operator.wait_until_gone("procexecution", "fore-1")

    assert operator.recorded("fore-1")["phase"] == "Cancelled"


def test_a_job_that_somebody_deletes_is_a_failed_run(operator: RunningOperator) -> None:
    operator.apply(proc("robbed"), execution("robbed-1", of="robbed"))
    report_running(operator, pod_of(operator, "robbed-1"))
    operator.wait_for_phase("robbed-1", "Running")
    job = job_of(operator, "robbed-1")["metadata"]["name"]

    operator.kubectl("delete", f"job/{job}", "--wait=false")

    done = operator.wait_for_phase("robbed-1", "Failed")
    assert done["status"]["reason"] == "JobDeleted"
    operator.wait_until_gone("job", job)


def test_a_strangers_job_of_that_name_is_left_alone(operator: RunningOperator) -> None:
    """Whoever takes the name first cannot pass a Job off as ours (CVE-2023-37264's kind)."""
    operator.stop()
    operator.apply(proc("rival"), execution("rival-1", of="rival"))
    uid = operator.get("procexecution", "rival-1")["metadata"]["uid"]
    name = _job_name("rival-1", uid)
    operator.apply(_forged_job(name, uid))

    operator.start()
    done = operator.wait_for_phase("rival-1", "Refused")

    assert done["status"]["reason"] == "NameTaken"
    assert name in done["status"]["message"]
    stranger = operator.get("job", name)
    assert stranger["metadata"].get("deletionTimestamp") is None


def test_a_crash_after_the_job_was_made_makes_no_second_one(operator: RunningOperator) -> None:
    operator.apply(proc("crashed"), execution("crashed-1", of="crashed"))
    before = job_of(operator, "crashed-1")

    operator.kill()
    operator.start()
    report_ended(operator, pod_of(operator, "crashed-1"))
    operator.wait_for_phase("crashed-1", "Succeeded")

    assert job_of(operator, "crashed-1")["metadata"]["uid"] == before["metadata"]["uid"]


def test_an_end_that_came_while_nobody_watched_is_recorded_all_the_same(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("unseen"), execution("unseen-1", of="unseen"))
    pod = pod_of(operator, "unseen-1")

    operator.kill()
    report_ended(operator, pod, exit_code=7)
    operator.kubectl(
        "wait", "--for=condition=Failed", "job", "--selector=proctor.dev/execution=unseen-1"
    )
    operator.start()

    done = operator.wait_for_phase("unseen-1", "Failed")
    assert done["status"]["exitCode"] == 7
    assert _is_released(operator, "unseen-1")


def test_a_job_whose_execution_was_torn_away_is_stopped_and_recorded(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("torn"), execution("torn-1", of="torn"))
    report_running(operator, pod_of(operator, "torn-1"))
    operator.wait_for_phase("torn-1", "Running")
    operator.stop()
    operator.kubectl(
        "patch", "pexec/torn-1", "--type=merge", '--patch={"metadata":{"finalizers":null}}'
    )
    operator.kubectl("delete", "pexec/torn-1", "--cascade=orphan", "--wait=false")
    operator.start()

    operator.kubectl(
        "wait", "--for=delete", "job", "--selector=proctor.dev/execution=torn-1", "--timeout=60s"
    )

    row = operator.recorded("torn-1")
    assert (row["phase"], row["phase_reason"]) == ("Cancelled", "ExecutionRemoved")


def test_a_job_that_the_api_server_refuses_is_a_refused_run(operator: RunningOperator) -> None:
    broken = {"spec": {"containers": [{"name": "proc", "imagePullPolicy": "Sometimes"}]}}
    operator.apply(proc("broken", podTemplate=broken), execution("broken-1", of="broken"))

    done = operator.wait_for_phase("broken-1", "Refused")

    assert done["status"]["reason"] == "JobRejected"
    assert "imagePullPolicy" in done["status"]["message"]


def test_an_ended_execution_can_be_deleted_and_run_again_under_its_name(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("again"), execution("again-1", of="again"))
    report_ended(operator, pod_of(operator, "again-1"))
    first = operator.wait_for_phase("again-1", "Succeeded")["status"]["number"]
    operator.kubectl("delete", "pexec/again-1", "--timeout=60s")

    operator.apply(execution("again-1", of="again"))
    status = operator.wait_for("procexecution", "again-1", "{.metadata.generation}", "1")
    job = _job_of_uid(operator, status["metadata"]["uid"])

    assert job
    assert operator.recorded("again-1")["number"] > first


def _is_released(operator: RunningOperator, name: str) -> bool:
    """Whether our finalizer is off the Job, a moment after the final status."""
    return wait_until(
        lambda: "finalizers" not in job_of(operator, name)["metadata"], seconds=10, interval=0.2
    )


def _job_of_uid(operator: RunningOperator, uid: str) -> bool:
    selector = f"proctor.dev/execution-uid={uid}"
    return wait_until(lambda: bool(operator.list("jobs", selector)), seconds=30, interval=0.2)


def _job_name(execution_name: str, uid: str) -> str:
    from proctor_operator.domain.naming import Uid, job_name

    return job_name(execution_name, Uid(uid))


def _forged_job(name: str, uid: str) -> dict[str, object]:
    """A Job with our name and labels, and no owner: labels prove nothing."""
    container = {"name": "proc", "image": "proctor.local/busybox:1", "command": ["true"]}
    labels = {"proctor.dev/managed": "true", "proctor.dev/execution-uid": uid}
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    return dict(json.loads(json.dumps(manifest)))
