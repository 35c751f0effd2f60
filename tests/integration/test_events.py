"""Events as people see them: `kubectl describe`, `kubectl get events`."""

from __future__ import annotations

import json
import re
from typing import Any

from harness.pods import job_of, pod_of, report_ended, report_waiting
from harness.running import RunningOperator, execution, proc
from localcluster.waiting import wait_until

MISTAKE: dict[str, Any] = {"logs": {"mask": ["("]}}


def events_of(operator: RunningOperator, name: str) -> list[tuple[str, str, str]]:
    """Our own Events about an object, as type, reason and message."""
    return [
        (one["type"], one["reason"], one["message"])
        for one in operator.list("events")
        if one["involvedObject"]["name"] == name and one["reportingComponent"] == "proctor-operator"
    ]


def wait_for_events(operator: RunningOperator, name: str, *reasons: str) -> None:
    def are_there() -> bool:
        return {reason for _, reason, _ in events_of(operator, name)} == set(reasons)

    assert wait_until(are_there, seconds=20, interval=0.2), events_of(operator, name)


def test_a_failure_is_shown_by_describe_and_get_events(operator: RunningOperator) -> None:
    operator.apply(proc("fragile"), execution("fragile-1", of="fragile"))
    report_ended(operator, pod_of(operator, "fragile-1"), exit_code=3)
    operator.wait_for_phase("fragile-1", "Failed")
    wait_for_events(operator, "fragile-1", "NonZeroExitCode")

    described = operator.kubectl("describe", "procexecution", "fragile-1")
    listed = operator.kubectl("get", "events")

    assert re.search(
        r"Warning +NonZeroExitCode +\d+s +proctor-operator +Failed: the container exited with code 3",
        described,
    )
    assert re.search(r"Warning +NonZeroExitCode +procexecution/fragile-1 +Failed: ", listed)


def test_a_run_that_cannot_start_tells_why_and_then_that_it_was_given_up(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("imageless", pendingTimeoutSeconds=3))
    operator.apply(execution("imageless-1", of="imageless"))
    pod = pod_of(operator, "imageless-1")
    report_waiting(operator, pod, reason="ErrImagePull", message="no such image")
    operator.wait_for("procexecution", "imageless-1", "{.status.reason}", "ErrImagePull")
    report_waiting(operator, pod, reason="ImagePullBackOff", message="no such image, again")
    operator.wait_for_phase("imageless-1", "TimedOut")

    wait_for_events(operator, "imageless-1", "ErrImagePull", "PendingTimeout")


def test_a_refusal_and_a_proc_that_does_not_work_are_told(operator: RunningOperator) -> None:
    operator.apply(proc("later", **MISTAKE), execution("later-1", of="later"))
    operator.wait_for_phase("later-1", "Refused")

    wait_for_events(operator, "later", "InvalidSpec")
    wait_for_events(operator, "later-1", "ProcNotReady")


def test_a_run_that_goes_well_and_one_that_is_cancelled_tell_nothing(
    operator: RunningOperator,
) -> None:
    operator.apply(
        proc("quiet"), execution("quiet-1", of="quiet"), execution("quiet-2", of="quiet")
    )
    report_ended(operator, pod_of(operator, "quiet-1"))
    job_of(operator, "quiet-2")
    patch = '{"spec": {"cancel": true}}'
    operator.kubectl("patch", "procexecution", "quiet-2", "--type=merge", f"--patch={patch}")
    operator.wait_for_phase("quiet-1", "Succeeded")
    operator.wait_for_phase("quiet-2", "Cancelled")

    # What is told afterwards is told in order, so what there is of these would be there by now.
    operator.apply(execution("quiet-3", of="nothing"))
    wait_for_events(operator, "quiet-3", "ProcNotFound")
    assert events_of(operator, "quiet-1") == events_of(operator, "quiet-2") == []


def test_the_same_event_after_a_restart_is_counted_and_not_repeated(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("mistaken", **MISTAKE))
    wait_for_events(operator, "mistaken", "InvalidSpec")
    operator.stop()
    operator.start()
    for masks, reason in (([], "Runnable"), (["("], "InvalidSpec")):
        patch = json.dumps({"spec": {"logs": {"mask": masks}}})
        operator.kubectl("patch", "proc", "mistaken", "--type=merge", f"--patch={patch}")
        path = '{.status.conditions[?(@.type=="Ready")].reason}'
        operator.wait_for("proc", "mistaken", path, reason)

    assert operator.process is not None
    assert wait_until(lambda: 'result="sent"' in operator.ask("/metrics")[1], seconds=20)
    assert len(events_of(operator, "mistaken")) == 1
