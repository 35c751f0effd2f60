"""Every example does what its README says, in real pods under Pod Security restricted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.running import RunningOperator, condition
from localcluster.errors import LocalClusterError
from localcluster.waiting import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"


AS_ALICE = ("--as=alice@example.org", "--as-group=dba")


def apply(operator: RunningOperator, example: str, *files: str) -> None:
    """As in the READMEs: the platform team's files as admin, executions and schedules as Alice."""
    for file in files:
        who = AS_ALICE if file.startswith(("execution", "schedule")) else ()
        operator.kubectl("apply", f"--filename={EXAMPLES / example / file}", *who)


def denial_of(operator: RunningOperator, example: str, file: str) -> str:
    """What Alice is told."""
    with pytest.raises(LocalClusterError) as denied:
        apply(operator, example, file)
    return str(denied.value)


def hello_world(operator: RunningOperator) -> None:
    apply(operator, "01-hello-world", "proc.yaml", "execution.yaml")

    done = operator.wait_for_phase("hello-1", "Succeeded")

    number = done["status"]["number"]
    assert done["status"]["logTail"] == (
        f"Hello from hello-world, run number {number}.\nAsked for by alice@example.org.\n"
    )
    assert done["status"]["result"] == "said hello\n"
    assert done["status"]["imageID"].startswith("sha256:")
    row = operator.recorded("hello-1")
    assert (row["number"], row["phase"], row["exit_code"]) == (number, "Succeeded", 0)


def parameters(operator: RunningOperator) -> None:
    apply(operator, "02-parameters", "proc.yaml", "execution.yaml")

    done = operator.wait_for_phase("grow-orders", "Succeeded")
    denial = denial_of(operator, "02-parameters", "execution-bad-arguments.yaml")

    assert done["status"]["logTail"] == 'Growing orders to 200 GB in ["eu","us"] (dry run: false)\n'
    for argument in ("SPEED", "DATABASE", "SIZE_GB", "REGIONS"):
        assert f"argument {argument}:" in denial


def secrets(operator: RunningOperator) -> None:
    apply(operator, "03-secrets", "secret.yaml", "rbac.yaml", "proc.yaml", "execution.yaml")

    done = operator.wait_for_phase("rotate-1", "Succeeded")

    assert done["status"]["logTail"] == ("The admin password has 19 characters, the token 16.\n")
    everywhere = json.dumps([done, operator.recorded("rotate-1")]) + operator.log.read_text()
    for canary in ("not-a-real-password", "not-a-real-token"):
        assert canary not in everywhere


def failing(operator: RunningOperator) -> None:
    apply(operator, "04-failing", "proc.yaml", "execution.yaml")

    done = operator.wait_for_phase("check-1", "Failed", seconds=90)

    status = done["status"]
    assert (status["reason"], status["exitCode"], status["attempts"]) == ("NonZeroExitCode", 3, 2)
    assert status["result"] == "newest backup is 3 days old\n"
    assert status["logTail"] == "Looking for the newest backup\n"


def long_running(operator: RunningOperator) -> None:
    apply(operator, "05-long-running", "proc.yaml", "execution.yaml")
    operator.wait_for_phase("reindex-1", "Running")
    selector = "--selector=proctor.dev/execution=reindex-1"
    assert wait_until(lambda: "part 2" in operator.kubectl("logs", selector), seconds=30)

    cancel = ("patch", "pexec/reindex-1", "--type=merge", '--patch={"spec":{"cancel":true}}')
    operator.kubectl(*cancel, *AS_ALICE)
    done = operator.wait_for_phase("reindex-1", "Cancelled")

    assert "part 2 of 600" in done["status"]["logTail"]
    assert condition(done, "Failed")["reason"] == "Cancelled"
    operator.wait_until_none("pods", "proctor.dev/execution=reindex-1")


def authorization(operator: RunningOperator) -> None:
    apply(operator, "06-authorization", "proc.yaml", "rbac.yaml", "execution.yaml")

    for name in ("by-group", "by-name", "by-group-and-verb"):
        done = operator.wait_for_phase(name, "Succeeded")
        assert done["spec"]["requestedBy"]["username"] == "alice@example.org"
        assert "alice@example.org" in done["status"]["logTail"]
    denial = denial_of(operator, "06-authorization", "execution-denied.yaml")
    assert "alice@example.org is not among those who may run this proc" in denial
    assert operator.kubectl("get", "pexec", "not-hers", "--ignore-not-found") == ""


def in_a_repository(operator: RunningOperator) -> None:
    tool = f"system:serviceaccount:{operator.namespace}:shop-deployer"
    apply(operator, "08-gitops", "rbac.yaml")
    as_tool(operator, tool, "proc.yaml", "schedule.yaml", "execution.yaml")

    first = operator.wait_for_phase("add-column-2026-11", "Succeeded")
    assert first["spec"]["requestedBy"]["username"] == tool
    assert operator.recorded("add-column-2026-11")["requester_username"] == tool
    a_schedule_keeps_the_requester_who_chose_what_runs(operator, tool)
    what_has_run_does_not_run_again(operator, tool, first["status"])


def as_tool(operator: RunningOperator, tool: str, *files: str) -> None:
    """As a GitOps tool applies its repository."""
    for file in files:
        operator.kubectl("apply", f"--filename={EXAMPLES / '08-gitops' / file}", f"--as={tool}")


def a_schedule_keeps_the_requester_who_chose_what_runs(
    operator: RunningOperator, tool: str
) -> None:
    def requester_after(patch: str) -> str:
        edit = ("patch", "psched/purge-carts", "--type=merge", f"--patch={patch}")
        operator.kubectl(*edit)
        return str(operator.get("psched", "purge-carts")["spec"]["requestedBy"]["username"])

    assert requester_after('{"spec":{"cron":"0 4 * * *"}}') == tool
    assert requester_after('{"spec":{"arguments":{"DAYS":7}}}') == "kubernetes-admin"
    as_tool(operator, tool, "schedule.yaml")
    back = operator.get("psched", "purge-carts")["spec"]
    assert (back["requestedBy"]["username"], back["arguments"]) == (tool, {"DAYS": 30})


def what_has_run_does_not_run_again(
    operator: RunningOperator, tool: str, first: dict[str, Any]
) -> None:
    name = "add-column-2026-11"
    operator.kubectl("delete", f"pexec/{name}", "--timeout=60s")

    as_tool(operator, tool, "execution.yaml")
    again = operator.wait_for_phase(name, "Succeeded")

    status = again["status"]
    assert status["reason"] == "AlreadyRun"
    assert f"run number {first['number']} did the same" in status["message"]
    assert status["number"] > first["number"]
    for field in ("exitCode", "startTime", "completionTime", "result"):
        assert status[field] == first[field]
    selector = f"proctor.dev/execution-uid={again['metadata']['uid']}"
    assert operator.list("jobs", selector) == []


READY_REASON = '{.status.conditions[?(@.type=="Ready")].reason}'


def on_a_schedule(operator: RunningOperator) -> None:
    apply(operator, "09-schedule", "proc.yaml", "schedule.yaml")
    planned = operator.wait_for("psched", "report-eu", READY_REASON, "Scheduled", seconds=30)
    at = planned["status"]["nextOccurrence"]
    assert re.fullmatch(
        rf"next run {at} \(\d\d:\d\d Europe/Berlin\)", condition(planned, "Ready")["message"]
    )

    a_run_by_hand_is_like_those_of_the_schedule(operator)
    denial = denial_of(operator, "09-schedule", "schedule-bad.yaml")
    assert "hour '24': it takes 0 to 23" in denial
    assert "did you mean Europe/Berlin?" in denial
    at_its_time_it_runs_as_its_author(operator, at)

    suspend = ("patch", "psched/report-eu", "--type=merge", '--patch={"spec":{"suspend":true}}')
    operator.kubectl(*suspend, *AS_ALICE)
    operator.wait_for("psched", "report-eu", READY_REASON, "Suspended", seconds=30)


def a_run_by_hand_is_like_those_of_the_schedule(operator: RunningOperator) -> None:
    apply(operator, "09-schedule", "execution.yaml")
    done = operator.wait_for_phase("report-eu-now", "Succeeded")
    spec = done["spec"]
    assert (spec["procRef"]["name"], spec["arguments"]) == ("report", {"REGION": "eu"})
    assert spec["scheduleRef"]["uid"] == operator.get("psched", "report-eu")["metadata"]["uid"]
    assert spec["requestedBy"]["via"] == "API"
    assert done["status"]["logTail"] == ("Report on eu, planned for now, as alice@example.org\n")


def at_its_time_it_runs_as_its_author(operator: RunningOperator, at: str) -> None:
    def names() -> list[str]:
        return [
            run["metadata"]["name"]
            for run in operator.list("pexec")
            if run["spec"].get("scheduleRef", {}).get("scheduledTime") == at
        ]

    assert wait_until(lambda: bool(names()), seconds=90)
    (name,) = names()
    done = operator.wait_for_phase(name, "Succeeded")
    requester = done["spec"]["requestedBy"]
    assert (requester["username"], requester["via"]) == ("alice@example.org", "Schedule")
    assert done["status"]["logTail"] == (f"Report on eu, planned for {at}, as alice@example.org\n")
    assert operator.recorded(name)["phase"] == "Succeeded"


def auth_plugin(operator: RunningOperator) -> None:
    apply(operator, "07-auth-plugin", "plugin.yaml")
    operator.kubectl("wait", "--for=condition=Ready", "procplugin/dba-members", "--timeout=30s")
    apply(operator, "07-auth-plugin", "proc.yaml")
    assert wait_until(lambda: is_taken(operator, "07-auth-plugin", "execution.yaml"), seconds=30)

    done = operator.wait_for_phase("vacuum-1", "Succeeded")
    denial = denial_of(operator, "07-auth-plugin", "execution-denied.yaml")

    assert done["status"]["logTail"] == "Vacuumed.\n"
    assert operator.recorded("vacuum-1")["phase"] == "Succeeded"
    assert "the plugin nobody denies: there is no plugin nobody" in denial


def concurrency(operator: RunningOperator) -> None:
    apply(operator, "10-concurrency", "proc.yaml", "execution-first.yaml")
    operator.wait_for_phase("orders-1", "Running")
    apply(operator, "10-concurrency", "execution-second.yaml")

    waiting = operator.wait_for("procexecution", "orders-2", "{.status.reason}", "Queued")
    second = operator.wait_for_phase("orders-2", "Succeeded", seconds=120)
    first = operator.wait_for_phase("orders-1", "Succeeded")
    other = operator.wait_for_phase("customers-1", "Succeeded")

    assert "'orders-1' ran" in waiting["status"]["message"]
    assert second["status"]["startTime"] >= first["status"]["completionTime"]
    assert other["status"]["startTime"] < first["status"]["completionTime"]


def is_taken(operator: RunningOperator, example: str, file: str) -> bool:
    """Whether Alice may by now: each process learns of a plugin by itself, within seconds."""
    try:
        apply(operator, example, file)
    except LocalClusterError:
        return False
    return True


RUN: dict[str, Callable[[RunningOperator], None]] = {
    "01-hello-world": hello_world,
    "02-parameters": parameters,
    "03-secrets": secrets,
    "04-failing": failing,
    "05-long-running": long_running,
    "06-authorization": authorization,
    "07-auth-plugin": auth_plugin,
    "08-gitops": in_a_repository,
    "09-schedule": on_a_schedule,
    "10-concurrency": concurrency,
}


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.glob("[0-9]*")))
def test_an_example_does_what_it_says(operator: RunningOperator, example: str) -> None:
    RUN[example](operator)
