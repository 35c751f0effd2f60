"""Schedules at work, on the real API server and a real record."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chart.installation import Installation
from harness.pods import job_of, pod_of, report_ended
from harness.requesters import ALICE
from harness.running import (
    RunningOperator,
    condition,
    election_in,
    execution,
    operator_in,
    proc,
)
from localcluster.waiting import wait_until
from localpostgres.samples import SystemClock
from localpostgres.server import LocalPostgres
from proctor_operator.domain.naming import Uid, occurrence_name

Manifest = dict[str, Any]
SHE = {"username": ALICE, "groups": ["dba"]}


def schedule(name: str, of: str, **spec: Any) -> Manifest:
    """A schedule of every minute, with the stamp that admission gives."""
    timing = {} if "at" in spec else {"cron": "* * * * *"}
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcSchedule",
        "metadata": {"name": name},
        "spec": {"procRef": {"name": of}, "requestedBy": SHE} | timing | spec,
    }


def soon(seconds: float = 3) -> str:
    """A time that comes while the test waits."""
    moment = SystemClock().now() + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def runs_of(operator: RunningOperator, schedule_name: str) -> list[Manifest]:
    """Executions of a schedule."""
    found = operator.list("procexecutions")
    return [one for one in found if one["spec"].get("scheduleRef", {}).get("name") == schedule_name]


def occurrences_of(operator: RunningOperator, schedule_name: str) -> list[tuple[str, str, str]]:
    """State, reason and execution's UID of all that is noted of a schedule, oldest first."""
    rows = operator.database.query(
        "SELECT state, reason, coalesce(execution_uid, '') FROM proctor.occurrences "
        "WHERE schedule_name = $1 ORDER BY created_at",
        schedule_name,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def wait_for_a_run(operator: RunningOperator, name: str, *, seconds: float = 90) -> Manifest:
    """The first execution of a schedule."""
    assert wait_until(lambda: bool(runs_of(operator, name)), seconds=seconds), operator.get(
        "procschedule", name
    )
    return runs_of(operator, name)[0]


def test_every_minute_an_execution_and_its_job_come_in_the_authors_name(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("minutely", parameters=[{"name": "SIZE"}]))
    operator.apply(schedule("minutely", of="minutely", arguments={"SIZE": 3}))

    run = wait_for_a_run(operator, "minutely")
    job = job_of(operator, run["metadata"]["name"])

    shown = operator.get("procschedule", "minutely")
    spec, uid = run["spec"], shown["metadata"]["uid"]
    assert spec["requestedBy"] == SHE | {"via": "Schedule"}
    assert spec["scheduleRef"]["uid"] == uid
    planned = datetime.fromisoformat(spec["scheduleRef"]["scheduledTime"])
    assert run["metadata"]["name"] == occurrence_name("minutely", Uid(uid), planned)
    assert "ownerReferences" not in run["metadata"]
    made = datetime.fromisoformat(run["metadata"]["creationTimestamp"])
    assert 0 <= (made - planned).total_seconds() <= 5
    (container,) = job["spec"]["template"]["spec"]["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["PROCTOR_SCHEDULED_TIME"] == spec["scheduleRef"]["scheduledTime"]
    assert environment["SIZE"] == "3"
    assert occurrences_of(operator, "minutely") == [("Started", "", run["metadata"]["uid"])]
    assert wait_until(lambda: "lastOccurrence" in _status(operator, "minutely"), seconds=10)
    status = _status(operator, "minutely")
    assert status["lastOccurrence"] == spec["scheduleRef"]["scheduledTime"]
    assert datetime.fromisoformat(status["nextOccurrence"]) == planned + timedelta(minutes=1)
    assert [one["uid"] for one in status["active"]] == [run["metadata"]["uid"]]
    report_ended(operator, pod_of(operator, run["metadata"]["name"]))
    operator.wait_for_phase(run["metadata"]["name"], "Succeeded")
    assert operator.recorded(run["metadata"]["name"])["requester_via"] == "Schedule"
    operator.kubectl("delete", "procschedule", "minutely")
    assert runs_of(operator, "minutely"), "its runs stay"


def _status(operator: RunningOperator, name: str) -> Manifest:
    status: Manifest = operator.get("procschedule", name).get("status", {})
    return status


def test_deleting_its_execution_does_not_start_it_again(operator: RunningOperator) -> None:
    operator.apply(proc("gone"), schedule("gone", of="gone", at=soon()))
    run = wait_for_a_run(operator, "gone")["metadata"]["name"]
    operator.kubectl("delete", "procexecution", run, "--wait=false")
    operator.wait_until_gone("procexecution", run)

    operator.kill()
    operator.start()
    after = schedule("after-gone", of="gone", at=soon())
    operator.apply(after)
    wait_for_a_run(operator, "after-gone")

    assert runs_of(operator, "gone") == []
    assert [row[0] for row in occurrences_of(operator, "gone")] == ["Started"]


def test_what_passed_while_the_operator_was_away_comes_late_or_not_at_all(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("away"))
    operator.stop()
    long_ago = (SystemClock().now() - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    operator.apply(schedule("late", of="away", at=soon(6)))
    operator.apply(schedule("past", of="away", at=long_ago, catchUp={"policy": "All"}))
    assert wait_until(lambda: soon(0) > _at(operator, "late"), seconds=20)
    operator.start()

    wait_for_a_run(operator, "late")

    assert wait_until(lambda: bool(_status(operator, "past").get("conditions")), seconds=20)
    assert runs_of(operator, "past") == [], "it was past when it was created"
    said = condition(operator.get("procschedule", "past"), "Ready")
    assert (said["status"], said["reason"]) == ("True", "NothingPlanned")


def _at(operator: RunningOperator, name: str) -> str:
    at: str = operator.get("procschedule", name)["spec"]["at"]
    return at


def test_a_strangers_execution_of_its_name_is_left_alone(operator: RunningOperator) -> None:
    operator.stop()
    operator.apply(proc("taken"), schedule("taken", of="taken", at=soon(6)))
    made = operator.get("procschedule", "taken")
    planned = datetime.fromisoformat(made["spec"]["at"])
    name = occurrence_name("taken", Uid(made["metadata"]["uid"]), planned)
    operator.apply(execution(name, of="taken"))
    assert made["metadata"]["creationTimestamp"] < made["spec"]["at"], "the test was too slow"
    operator.start()

    def states() -> list[str]:
        return [row[0] for row in occurrences_of(operator, "taken")]

    assert wait_until(lambda: states() == ["Skipped"], seconds=20, interval=0.2)
    assert occurrences_of(operator, "taken")[0][1] == "NameTaken"
    stranger = operator.get("procexecution", name)
    assert "scheduleRef" not in stranger["spec"]
    assert wait_until(lambda: "NameTaken" in _events(operator, "taken"), seconds=20)


def _events(operator: RunningOperator, schedule_name: str) -> set[str]:
    selector = f"--field-selector=involvedObject.name={schedule_name}"
    shown = json.loads(operator.kubectl("get", "events", selector, "--output=json"))
    return {one["reason"] for one in shown["items"]}


def test_without_a_record_nothing_starts_and_it_comes_late_when_it_is_back(
    operator: RunningOperator, postgres_server: LocalPostgres
) -> None:
    operator.apply(proc("unrecorded"))
    postgres_server.kill()
    try:
        operator.apply(schedule("unrecorded", of="unrecorded", at=soon(2)))
        said = operator.wait_for(
            "procschedule", "unrecorded", "{.status.conditions[0].reason}", "RecordUnavailable"
        )
        assert wait_until(lambda: soon(0) > _at(operator, "unrecorded"), seconds=10)
        runs = runs_of(operator, "unrecorded")
    finally:
        postgres_server.start()

    assert condition(said, "Ready")["status"] == "False"
    assert runs == []
    run = wait_for_a_run(operator, "unrecorded")
    assert run["spec"]["scheduleRef"]["scheduledTime"] == _at(operator, "unrecorded")
    operator.wait_for(
        "procschedule", "unrecorded", "{.status.conditions[0].reason}", "NothingPlanned"
    )


def test_two_operators_at_once_start_it_once(
    operator: RunningOperator, installed: Installation, tmp_path: Path
) -> None:
    """The second has a Lease of its own, so that nothing but the record and the name stands between."""
    rival = operator_in(
        installed,
        operator.database,
        tmp_path,
        namespace=operator.namespace,
        settings={"election": election_in(installed.namespace, lease="proctor-rival")},
    )
    with rival:
        operator.apply(proc("rivals"))
        names = [f"rivals-{number}" for number in range(20)]
        planned = soon(8)
        operator.apply(*(schedule(name, of="rivals", at=planned) for name in names))

        def started() -> int:
            return sum(
                [row[0] for row in occurrences_of(operator, name)] == ["Started"] for name in names
            )

        assert wait_until(lambda: started() == len(names), seconds=40, interval=0.5)
        assert [len(runs_of(operator, name)) for name in names] == [1] * len(names)
