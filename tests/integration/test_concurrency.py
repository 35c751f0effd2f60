"""Limits on a real API server, a real Job controller and a real record."""

from __future__ import annotations

import json
from typing import Any

from harness.pods import job_of, pod_of, report_ended, report_running
from harness.running import Manifest, RunningOperator, execution, proc
from localcluster.waiting import wait_until
from localpostgres.samples import SystemClock
from proctor_operator.domain.model import format_timestamp

TRACKING = "batch.kubernetes.io/job-tracking"
ONE_PER_DATABASE: dict[str, Any] = {
    "concurrency": {"policy": "Queue", "key": ["DATABASE"]},
    "parameters": [{"name": "DATABASE", "default": "main"}],
}


def limited(policy: str, **rules: Any) -> dict[str, Any]:
    return {"concurrency": {"policy": policy, **rules}}


def start(operator: RunningOperator, name: str, of: str, **spec: Any) -> Manifest:
    """Ask for a run, and let its container start; returns its pod."""
    operator.apply(execution(name, of=of, **spec))
    return let_start(operator, name)


def let_start(operator: RunningOperator, name: str) -> Manifest:
    pod = pod_of(operator, name)
    report_running(operator, pod)
    operator.wait_for_phase(name, "Running")
    return pod


def queue(operator: RunningOperator, name: str, of: str, **spec: Any) -> Manifest:
    """Ask for a run that has to wait, and wait until it says so."""
    let_the_second_pass(operator)
    operator.apply(execution(name, of=of, **spec))
    return operator.wait_for("procexecution", name, "{.status.reason}", "Queued")


def let_the_second_pass(operator: RunningOperator) -> None:
    """A line goes by creation times, which have whole seconds, and then by UIDs."""
    newest = max(one["metadata"]["creationTimestamp"] for one in operator.list("pexec"))
    clock = SystemClock()
    assert wait_until(lambda: format_timestamp(clock.now()) > newest, seconds=5)


def hold(operator: RunningOperator, pod: Manifest, finalizers: list[str]) -> None:
    """A kubelet would keep a pod that is being deleted until its containers have ended."""
    patch = json.dumps(
        {"metadata": {"finalizers": [TRACKING, *finalizers] if finalizers else None}}
    )
    operator.kubectl("patch", f"pod/{pod['metadata']['name']}", "--type=merge", f"--patch={patch}")


def has_a_job(operator: RunningOperator, name: str) -> bool:
    return bool(operator.list("jobs", f"proctor.dev/execution={name}"))


def test_a_second_run_is_refused_while_the_first_is_active(operator: RunningOperator) -> None:
    operator.apply(proc("single", **limited("Forbid")))
    pod = start(operator, "single-1", "single")

    operator.apply(execution("single-2", of="single"))
    refused = operator.wait_for_phase("single-2", "Refused")
    report_ended(operator, pod)
    operator.wait_for_phase("single-1", "Succeeded")
    start(operator, "single-3", "single")

    assert refused["status"]["reason"] == "AlreadyRunning"
    assert "'single-1' is active" in refused["status"]["message"]
    assert not has_a_job(operator, "single-2")


def test_runs_wait_in_line_and_start_in_their_order(operator: RunningOperator) -> None:
    operator.apply(proc("queued", **limited("Queue")))
    pods = {"queued-1": start(operator, "queued-1", "queued")}
    second = queue(operator, "queued-2", "queued")
    third = queue(operator, "queued-3", "queued")
    assert second["status"]["phase"] == "Pending"
    assert "'queued-1' ran" in second["status"]["message"]
    assert "1 was before it" in third["status"]["message"]
    assert "proc" not in third["status"], "nothing is pinned while it waits"

    for ended, next_one in (("queued-1", "queued-2"), ("queued-2", "queued-3")):
        report_ended(operator, pods[ended])
        pods[next_one] = let_start(operator, next_one)
        operator.wait_for_phase(ended, "Succeeded")
        if next_one == "queued-2":
            assert operator.get("procexecution", "queued-3")["status"] == third["status"]
            assert not has_a_job(operator, "queued-3")


def test_one_that_waits_can_be_cancelled_and_deleted(operator: RunningOperator) -> None:
    operator.apply(proc("busy", **limited("Queue")))
    pod = start(operator, "busy-1", "busy")
    for name in ("busy-2", "busy-3", "busy-4"):
        queue(operator, name, "busy")

    operator.kubectl("patch", "pexec/busy-2", "--type=merge", '--patch={"spec":{"cancel":true}}')
    operator.kubectl("delete", "pexec/busy-3", "--timeout=30s")
    cancelled = operator.wait_for_phase("busy-2", "Cancelled")
    report_ended(operator, pod)
    let_start(operator, "busy-4")

    assert cancelled["status"]["reason"] == "Cancelled"
    assert operator.recorded("busy-3")["phase_reason"] == "Deleted"
    assert not has_a_job(operator, "busy-2")


def test_what_waits_is_pinned_and_authorised_when_it_gets_its_slot(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("edited", **limited("Queue")))
    pod = start(operator, "edited-1", "edited")
    queue(operator, "edited-2", "edited")

    operator.apply(proc("edited", script="echo newer", **limited("Queue")))
    report_ended(operator, pod)
    second = let_start(operator, "edited-2")
    queue(operator, "edited-3", "edited")
    locked = proc("edited", **limited("Queue"), authorization={"users": ["bob"]})
    operator.apply(locked)
    report_ended(operator, second)
    refused = operator.wait_for_phase("edited-3", "Refused")

    assert "echo newer" in str(job_of(operator, "edited-2"))
    assert refused["status"]["reason"] == "NotPermitted"


def test_a_limit_that_is_taken_back_lets_all_go(operator: RunningOperator) -> None:
    operator.apply(proc("opened", **limited("Queue")))
    start(operator, "opened-1", "opened")
    queue(operator, "opened-2", "opened")
    queue(operator, "opened-3", "opened")

    operator.apply(proc("opened"))

    for name in ("opened-2", "opened-3"):
        let_start(operator, name)


def test_each_combination_of_the_keys_values_has_a_limit_of_its_own(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("keyed", **ONE_PER_DATABASE))
    start(operator, "keyed-main", "keyed")

    queue(operator, "keyed-main-too", "keyed", arguments={"DATABASE": "main"})
    start(operator, "keyed-other", "keyed", arguments={"DATABASE": "other"})

    groups = operator.database.query("SELECT DISTINCT group_key FROM proctor.slots")
    assert not any("main" in group or "other" in group for (group,) in groups)


def test_the_newer_run_replaces_the_older_and_waits_until_its_pod_has_ended(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("latest", **limited("Replace")))
    pod = start(operator, "latest-1", "latest")
    hold(operator, pod, ["tests/kubelet"])

    newer = queue(operator, "latest-2", "latest")
    stopped = wait_until(
        lambda: operator.get("pod", pod["metadata"]["name"])["metadata"].get("deletionTimestamp"),
        seconds=30,
        interval=0.2,
    )
    assert stopped, "the older one's pod is asked to end"
    assert not has_a_job(operator, "latest-2"), "its container still runs"
    report_ended(operator, pod, exit_code=143)
    hold(operator, pod, [])
    older = operator.wait_for_phase("latest-1", "Cancelled")
    let_start(operator, "latest-2")

    assert "it waits for 'latest-1' to end, which it replaces" in newer["status"]["message"]
    assert older["status"]["reason"] == "Replaced"
    assert "'latest-2'" in older["status"]["message"]


def test_a_restart_forgets_neither_slots_nor_the_line(operator: RunningOperator) -> None:
    operator.apply(proc("lasting", **limited("Queue")))
    pod = start(operator, "lasting-1", "lasting")
    queue(operator, "lasting-2", "lasting")
    queue(operator, "lasting-3", "lasting")

    operator.kill()
    report_ended(operator, pod)
    operator.start()

    let_start(operator, "lasting-2")
    assert not has_a_job(operator, "lasting-3")


def test_a_schedule_counts_its_own_runs_and_no_others(operator: RunningOperator) -> None:
    spec = {
        "procRef": {"name": "planned"},
        "cron": "0 1 1 1 *",
        "concurrency": {"policy": "Forbid"},
    }
    operator.apply(
        proc("planned"),
        {
            "apiVersion": "proctor.dev/v1alpha1",
            "kind": "ProcSchedule",
            "metadata": {"name": "yearly"},
            "spec": spec,
        },
    )
    uid = operator.get("procschedule", "yearly")["metadata"]["uid"]
    of_it = {"scheduleRef": {"name": "yearly", "uid": uid}}
    start(operator, "planned-1", "planned", **of_it)

    operator.apply(execution("planned-2", of="planned", **of_it))
    refused = operator.wait_for_phase("planned-2", "Refused")
    start(operator, "planned-by-hand", "planned")
    operator.kubectl("delete", "procschedule", "yearly")
    start(operator, "planned-3", "planned", **of_it)

    assert refused["status"]["reason"] == "AlreadyRunning"
    assert refused["status"]["message"] == (
        "the schedule 'yearly' allows 1 run at a time, and the execution 'planned-1' is active"
    )


def test_a_proc_shows_what_runs_and_what_waits(operator: RunningOperator) -> None:
    operator.apply(proc("shown", **limited("Queue")))
    start(operator, "shown-1", "shown")
    queue(operator, "shown-2", "shown")

    shown = operator.wait_for("proc", "shown", "{.status.queued}", "1", seconds=60)

    assert shown["status"]["active"] == 1
    assert shown["status"]["lastExecution"]["name"] == "shown-2"
    columns = operator.kubectl("get", "proc", "shown", "--output=wide").splitlines()[0]
    assert "ACTIVE" in columns
    assert "QUEUED" in columns
