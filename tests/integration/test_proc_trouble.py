"""A Secret that went missing, as its Proc tells of it, and how that is taken back."""

from __future__ import annotations

import json

from harness.pods import pod_of, report_waiting
from harness.running import RunningOperator, execution, proc

SECRET = [{"name": "DB_PASSWORD", "secretKeyRef": {"name": "replica-admin", "key": "password"}}]


def conditions(operator: RunningOperator, name: str) -> dict[str, tuple[str, str]]:
    found = json.loads(operator.kubectl("get", "proc", name, "--output=json"))
    return {one["type"]: (one["status"], one["reason"]) for one in found["status"]["conditions"]}


def test_a_secret_that_went_missing_is_said_on_a_proc_that_stays_ready(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("secretive", secrets=SECRET), execution("secretive-1", of="secretive"))
    pod = pod_of(operator, "secretive-1")
    message = 'secret "replica-admin" not found'
    report_waiting(operator, pod, reason="CreateContainerConfigError", message=message)

    stalled = '{.status.conditions[?(@.type=="Stalled")].reason}'
    operator.wait_for("proc", "secretive", stalled, "SecretNotFound")

    assert conditions(operator, "secretive") == {
        "Ready": ("True", "Runnable"),
        "Stalled": ("True", "SecretNotFound"),
    }
    # It can still be run, which is the way to find out that all is well again.
    operator.apply(execution("secretive-2", of="secretive"))
    assert pod_of(operator, "secretive-2")
