"""Deletion in all its forms, retention, GitOps and giving up, on a real API server and its controllers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chart.installation import Installation
from harness.pods import job_of, pod_of, report_ended, report_running
from harness.running import Manifest, RunningOperator, condition, execution, operator_in, proc
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase
from localpostgres.server import LocalPostgres

BY_FLUX = {"kustomize.toolkit.fluxcd.io/name": "shop"}


@pytest.fixture(scope="module")
def operator(
    installed: Installation,
    module_database: LocalDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningOperator]:
    """One that keeps an end for no longer than a second."""
    folder = tmp_path_factory.mktemp("life-cycle")
    with operator_in(
        installed,
        module_database,
        folder,
        namespace="life-cycle",
        settings={"retention": {"keep_seconds": 1}},
    ) as running:
        yield running


def running_execution(operator: RunningOperator, name: str, **spec: Any) -> Manifest:
    """Ask for a run, and let its container start; returns its pod."""
    operator.apply(proc(name, **spec), execution(f"{name}-1", of=name))
    pod = pod_of(operator, f"{name}-1")
    report_running(operator, pod)
    operator.wait_for_phase(f"{name}-1", "Running")
    return pod


def end_of(operator: RunningOperator, name: str) -> tuple[str, str]:
    row = operator.recorded(name)
    return row["phase"], row["phase_reason"]


def job_is_gone(operator: RunningOperator, name: str) -> None:
    operator.wait_until_none("job", f"proctor.dev/execution={name}")


def metric(operator: RunningOperator, name: str) -> str:
    lines = operator.ask("/metrics")[1].splitlines()
    (value,) = (line.split()[-1] for line in lines if line.startswith(f"{name} "))
    return value


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_however_a_running_execution_is_deleted_it_is_stopped_recorded_and_gone(
    operator: RunningOperator, cascade: str
) -> None:
    running_execution(operator, cascade)

    operator.kubectl("delete", f"pexec/{cascade}-1", f"--cascade={cascade}", "--wait=false")
    operator.wait_until_gone("procexecution", f"{cascade}-1")

    assert end_of(operator, f"{cascade}-1") == ("Cancelled", "Deleted")
    assert operator.list("pods", f"proctor.dev/execution={cascade}-1") == []
    if cascade == "orphan":
        # Kubernetes took the owner off it: it is let go, and its time to live removes it.
        assert wait_until(lambda: not _is_held(operator, "orphan-1"), seconds=30, interval=0.2)
    else:
        job_is_gone(operator, f"{cascade}-1")


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_a_deletion_while_no_operator_runs_is_seen_to_when_one_does(
    operator: RunningOperator, cascade: str
) -> None:
    name = f"unseen-{cascade}"
    running_execution(operator, name)
    operator.kill()

    operator.kubectl("delete", f"pexec/{name}-1", f"--cascade={cascade}", "--wait=false")
    held = operator.get("procexecution", f"{name}-1")
    operator.start()
    operator.wait_until_gone("procexecution", f"{name}-1")

    assert held["metadata"]["deletionTimestamp"], "our finalizer holds it meanwhile"
    assert end_of(operator, f"{name}-1") == ("Cancelled", "Deleted")


def test_one_that_ended_while_it_was_being_deleted_keeps_its_own_end(
    operator: RunningOperator,
) -> None:
    pod = running_execution(operator, "late")
    operator.kill()
    report_ended(operator, pod, exit_code=4)
    operator.kubectl(
        "wait", "--for=condition=Failed", "job", "--selector=proctor.dev/execution=late-1"
    )
    operator.kubectl("delete", "pexec/late-1", "--wait=false")
    operator.start()
    operator.wait_until_gone("procexecution", "late-1")

    assert end_of(operator, "late-1") == ("Failed", "NonZeroExitCode")


def test_a_namespace_goes_away_with_what_runs_in_it_and_the_record_has_the_ends(
    installed: Installation, module_database: LocalDatabase, tmp_path: Path
) -> None:
    with operator_in(installed, module_database, tmp_path, namespace="life-cycle-gone") as operator:
        running_execution(operator, "gone")
        operator.apply(proc("done"), execution("done-1", of="done"))
        report_ended(operator, pod_of(operator, "done-1"))
        operator.wait_for_phase("done-1", "Succeeded")

        installed.cluster.kubectl("delete", "namespace", "life-cycle-gone", "--timeout=90s")

    assert end_of(operator, "done-1") == ("Succeeded", "Completed")
    # The namespace controller deletes kind by kind: what comes first is what is seen.
    assert end_of(operator, "gone-1") in (
        ("Cancelled", "Deleted"),
        ("Failed", "JobDeleted"),
        ("Failed", "PodDeleted"),
    )


def test_nothing_new_starts_in_a_namespace_that_goes_away_and_it_says_why(
    installed: Installation, module_database: LocalDatabase, tmp_path: Path
) -> None:
    namespace = "life-cycle-going"
    with operator_in(
        installed, module_database, tmp_path, namespace=namespace, start=False
    ) as operator:
        asked = execution("late-comer", of="late")
        asked["metadata"]["finalizers"].append("example.org/holds-it-open")
        keeper = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "keeper", "finalizers": ["example.org/holds-it-open"]},
        }
        operator.apply(proc("late"), asked, keeper)
        installed.cluster.kubectl("delete", "namespace", namespace, "--wait=false")
        operator.wait_for("namespace", namespace, "{.status.phase}", "Terminating")
        operator.start()

        done = operator.wait_for_phase("late-comer", "Cancelled")
        assert operator.list("jobs") == []
        for kind, name in (("pexec", "late-comer"), ("configmap", "keeper")):
            operator.kubectl(
                "patch",
                f"{kind}/{name}",
                "--type=merge",
                '--patch={"metadata":{"finalizers":null}}',
            )
        installed.cluster.kubectl("wait", "--for=delete", f"namespace/{namespace}", "--timeout=60s")
    assert done["status"]["reason"] == "Deleted"


def test_finished_executions_go_as_their_proc_wants_and_the_record_keeps_them(
    operator: RunningOperator,
) -> None:
    # The test's pods end long ago, so the age must not count here.
    history = {"succeeded": 1, "failed": 1, "ttlSeconds": 31536000}
    operator.apply(proc("kept", history=history))
    for number in (1, 2, 3):
        operator.apply(execution(f"kept-{number}", of="kept"))
        report_ended(operator, pod_of(operator, f"kept-{number}"), exit_code=number // 3)
        operator.wait_for_phase(f"kept-{number}", "Failed" if number == 3 else "Succeeded")

    operator.wait_until_gone("procexecution", "kept-1")

    left = {one["metadata"]["name"] for one in operator.list("procexecutions")}
    assert {"kept-2", "kept-3"} <= left
    assert end_of(operator, "kept-1") == ("Succeeded", "Completed")
    assert float(metric(operator, "proctor_retention_deletions_total")) >= 1


def test_what_a_gitops_tool_applied_stays_and_does_not_run_again(
    operator: RunningOperator,
) -> None:
    asked = execution("migrate-1", of="migrate")
    asked["metadata"]["labels"] = BY_FLUX
    operator.apply(proc("migrate", history={"succeeded": 0, "failed": 0}), asked)
    report_ended(operator, pod_of(operator, "migrate-1"), exit_code=3, message="half done")
    first = operator.wait_for_phase("migrate-1", "Failed")["status"]
    operator.apply(proc("bystander", history={"succeeded": 0}), execution("b-1", of="bystander"))
    report_ended(operator, pod_of(operator, "b-1"))
    operator.wait_until_gone("procexecution", "b-1")
    stays = operator.get("procexecution", "migrate-1")

    operator.kubectl("delete", "pexec/migrate-1", "--timeout=60s")
    operator.kubectl("delete", "proc/migrate")
    operator.apply(asked)
    again = operator.wait_for_phase("migrate-1", "Failed")

    assert stays["status"]["number"] == first["number"], "retention left it alone"
    status = again["status"]
    assert (status["reason"], status["exitCode"]) == ("AlreadyRun", 3)
    assert status["result"] == "half done"
    assert status["completionTime"] == first["completionTime"]
    assert status["number"] > first["number"]
    assert condition(again, "LogsCaptured")["reason"] == "AlreadyRun"
    uid = again["metadata"]["uid"]
    assert operator.list("jobs", f"proctor.dev/execution-uid={uid}") == []
    assert operator.recorded("migrate-1")["job_uid"] is None


def test_an_admins_word_lets_go_what_cannot_be_recorded(
    operator: RunningOperator, postgres_server: LocalPostgres
) -> None:
    running_execution(operator, "hopeless")
    postgres_server.kill()
    try:
        operator.kubectl("delete", "pexec/hopeless-1", "--wait=false")
        operator.kubectl(
            "annotate", "pexec/hopeless-1", "proctor.dev/give-up=the database is lost, INC-7"
        )
        operator.wait_until_gone("procexecution", "hopeless-1")
        job_is_gone(operator, "hopeless-1")
        counted = metric(operator, "proctor_finalizer_given_up_total")
    finally:
        postgres_server.start()

    assert counted == "2.0", "the Job and the execution"
    assert "the database is lost, INC-7" in operator.log.read_text()
    assert operator.recorded("hopeless-1")["phase"] is None


@pytest.mark.parametrize("verbs", [("update", "patch"), ("update", "patch", "give-up")])
def test_only_who_holds_the_verb_may_give_up(
    operator: RunningOperator, verbs: tuple[str, ...]
) -> None:
    name = "word" + str(len(verbs))
    operator.apply(proc(name), execution(f"{name}-1", of=name))
    resources = "procexecutions.proctor.dev"
    user = f"--as={name}@example.org"
    operator.kubectl(
        "create", "role", name, f"--verb={','.join(('get', *verbs))}", f"--resource={resources}"
    )
    operator.kubectl("create", "rolebinding", name, f"--role={name}", f"--user={name}@example.org")

    def try_it(*change: str) -> str:
        return operator.cluster.kubectl(
            *change,
            user,
            "--dry-run=server",
            f"--namespace={operator.namespace}",
            check=False,
        ).stderr

    def may_write() -> bool:
        return not try_it("annotate", f"pexec/{name}-1", "example.org/note=mine")

    assert wait_until(may_write, seconds=30, interval=0.5)
    refusal = try_it("annotate", f"pexec/{name}-1", "proctor.dev/give-up=mine")

    assert ("the verb give-up" in refusal) is ("give-up" not in verbs), refusal


EXIT_42: dict[str, Any] = {
    "onExitCodes": {"containerName": "proc", "operator": "In", "values": [42]},
}


def test_a_fail_job_rule_ends_a_run_at_once_and_is_named(operator: RunningOperator) -> None:
    policy = {"rules": [{"action": "FailJob", **EXIT_42}]}
    operator.apply(
        proc("fatal", retries=3, podFailurePolicy=policy), execution("fatal-1", of="fatal")
    )
    report_ended(operator, pod_of(operator, "fatal-1"), exit_code=42)

    status = operator.wait_for_phase("fatal-1", "Failed")["status"]

    assert (status["reason"], status["exitCode"], status["attempts"]) == ("PodFailurePolicy", 42, 1)
    assert "matching FailJob rule at index 0" in status["message"]
    assert "the container exited with code 42" in status["message"]


@pytest.mark.parametrize(("action", "ends"), [("Ignore", False), ("Count", True)])
def test_an_ignored_failure_takes_no_retry_and_a_counted_one_does(
    operator: RunningOperator, action: str, *, ends: bool
) -> None:
    name = action.lower()
    policy = {"rules": [{"action": action, **EXIT_42}]}
    operator.apply(proc(name, podFailurePolicy=policy), execution(f"{name}-1", of=name))
    first = pod_of(operator, f"{name}-1")
    report_ended(operator, first, exit_code=42)

    if ends:
        status = operator.wait_for_phase(f"{name}-1", "Failed")["status"]
        assert (status["reason"], status["exitCode"]) == ("NonZeroExitCode", 42)
        return
    selector = f"proctor.dev/execution={name}-1"
    assert wait_until(lambda: len(operator.list("pods", selector)) == 2, seconds=60, interval=0.5)
    report_ended(operator, pod_of(operator, f"{name}-1"))
    status = operator.wait_for_phase(f"{name}-1", "Succeeded")["status"]
    assert (status["exitCode"], status["attempts"]) == (0, 2)


def test_a_pod_failure_policy_that_cannot_be_is_refused_by_the_name_of_its_field(
    operator: RunningOperator,
) -> None:
    bad = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]}
    operator.apply(proc("bad-policy", podFailurePolicy=bad), execution("bad-1", of="bad-policy"))

    status = operator.wait_for_phase("bad-1", "Refused")["status"]

    assert status["reason"] == "JobRejected"
    assert "spec.podFailurePolicy.rules[0].onExitCodes.values[0]" in status["message"]


def test_a_trouble_that_is_over_is_not_shown_any_more(
    operator: RunningOperator, postgres_server: LocalPostgres
) -> None:
    operator.apply(proc("patient"))
    postgres_server.kill()
    try:
        operator.apply(execution("patient-1", of="patient"))
        operator.wait_for("procexecution", "patient-1", "{.status.reason}", "RecordUnavailable")
    finally:
        postgres_server.start()

    status = operator.wait_for("procexecution", "patient-1", "{.status.reason}", "Starting")

    assert status["status"]["phase"] == "Pending"
    assert condition(status, "Recorded")["status"] == "True"
    assert status["status"]["jobRef"]["name"] == job_of(operator, "patient-1")["metadata"]["name"]


def test_a_job_that_takes_long_to_start_is_noted_in_the_record(operator: RunningOperator) -> None:
    operator.apply(proc("slow"), execution("slow-1", of="slow"))
    job = job_of(operator, "slow-1")

    def is_noted() -> bool:
        return bool(operator.recorded("slow-1")["job_uid"] == job["metadata"]["uid"])

    assert wait_until(is_noted, seconds=30, interval=0.5)
    assert "startTime" not in operator.get("procexecution", "slow-1")["status"]


def _is_held(operator: RunningOperator, name: str) -> bool:
    jobs = operator.list("jobs", f"proctor.dev/execution={name}")
    return any("proctor.dev/record" in one["metadata"].get("finalizers", []) for one in jobs)
