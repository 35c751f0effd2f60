"""Schedules where webhooks stamp and judge: the operator's own runs get in, and people run one by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from chart.installation import Installation, proc, schedule
from harness.callers import ADMIN, MERGE
from harness.siege import API, EVE, HER, Siege, besieged
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase
from localpostgres.samples import SystemClock

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def stage(
    admitting: Installation,
    module_database: LocalDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Siege]:
    folder = tmp_path_factory.mktemp("planned")
    with besieged(admitting, module_database, folder, team="planned") as siege:
        yield siege


def soon(seconds: float = 4) -> str:
    moment = SystemClock().now() + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def runs_of(stage: Siege, name: str) -> list[Manifest]:
    found = stage.call(ADMIN, "GET", f"{API}/namespaces/{stage.team}/procexecutions").body["items"]
    return [one for one in found if one["spec"].get("scheduleRef", {}).get("name") == name]


def by_hand(name: str, schedule_name: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "metadata": {"name": name},
        "spec": {"scheduleRef": {"name": schedule_name}} | spec,
    }


def state_of(stage: Siege, name: str) -> tuple[str, str, str] | None:
    rows = stage.operator.database.query(
        "SELECT state, reason, message FROM proctor.occurrences WHERE schedule_name = $1", name
    )
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


def test_a_planned_run_gets_in_and_its_job_comes(stage: Siege) -> None:
    written = schedule("gets-in", procRef={"name": "closed"}, at=soon())
    assert stage.create(HER, written).code == 201

    assert wait_until(lambda: bool(runs_of(stage, "gets-in")), seconds=20, interval=0.2)
    (run,) = runs_of(stage, "gets-in")

    assert run["spec"]["requestedBy"]["username"] == HER.username
    assert run["spec"]["requestedBy"]["via"] == "Schedule"
    assert run["spec"]["procUID"] == stage.get("Proc", "closed")["metadata"]["uid"]

    def jobs() -> list[str]:
        names = [name.rpartition("-")[0] for name in stage.names("Job")]
        return [name for name in names if run["metadata"]["name"].startswith(name)]

    assert wait_until(lambda: bool(jobs()), seconds=20, interval=0.2)


def test_whoever_lost_the_right_runs_nothing_any_more(stage: Siege) -> None:
    shut = proc("shut", authorization={"users": [HER.username]})
    stage.operator.apply(shut)
    assert stage.create(HER, schedule("too-late", procRef={"name": "shut"}, at=soon())).code == 201

    stage.operator.apply(proc("shut", authorization={"users": ["somebody@example.org"]}))

    assert wait_until(lambda: state_of(stage, "too-late") is not None, seconds=20, interval=0.2)
    assert wait_until(
        lambda: (state_of(stage, "too-late") or ("",))[0] == "Skipped", seconds=20, interval=0.2
    )
    state = state_of(stage, "too-late")
    assert state is not None
    assert state[1] == "ExecutionRejected"
    assert "not among those who may run" in state[2]
    assert runs_of(stage, "too-late") == []


def test_a_schedule_is_run_now_with_its_proc_and_its_arguments(stage: Siege) -> None:
    written = schedule(
        "by-hand", procRef={"name": "open"}, cron="0 2 29 2 *", arguments={"SIZE_GB": 200}
    )
    assert stage.create(HER, written).code == 201

    bare = stage.create(EVE, by_hand("hand-1", "by-hand"))
    own = stage.create(EVE, by_hand("hand-2", "by-hand", arguments={"SIZE_GB": 11}))
    same = stage.create(EVE, by_hand("hand-3", "by-hand", procRef={"name": "open"}))
    other = stage.create(EVE, by_hand("hand-4", "by-hand", procRef={"name": "closed"}))

    assert [bare.code, own.code, same.code] == [201, 201, 201], bare.text + own.text + same.text
    spec = bare.body["spec"]
    assert (spec["procRef"], spec["arguments"]) == ({"name": "open"}, {"SIZE_GB": 200})
    assert spec["scheduleRef"]["uid"] == stage.get("ProcSchedule", "by-hand")["metadata"]["uid"]
    assert "scheduledTime" not in spec["scheduleRef"]
    assert (spec["requestedBy"]["username"], spec["requestedBy"]["via"]) == ("eve", "API")
    assert own.body["spec"]["arguments"] == {"SIZE_GB": 11}
    assert "runs another proc, 'open'; leave it out" in other.message

    def active() -> list[str]:
        status = stage.get("ProcSchedule", "by-hand").get("status", {})
        return [one["name"] for one in status.get("active", [])]

    shown = wait_until(lambda: active() == ["hand-1", "hand-2", "hand-3"], seconds=30)
    assert shown, json.dumps(stage.get("ProcSchedule", "by-hand"))


def test_a_suspended_schedule_is_run_by_hand_all_the_same(stage: Siege) -> None:
    written = schedule("still", procRef={"name": "open"}, cron="* * * * *", suspend=True)
    assert stage.create(HER, written).code == 201

    assert stage.create(EVE, by_hand("still-1", "still")).code == 201

    assert wait_until(lambda: "still-1-" in "".join(stage.names("Job")), seconds=20, interval=0.2)


def test_a_schedule_that_is_switched_off_before_its_time_starts_nothing(stage: Siege) -> None:
    written = schedule("off", procRef={"name": "open"}, at=soon(5))
    assert stage.create(HER, written).code == 201
    off = stage.change(HER, "off", {"spec": {"suspend": True}}, how=MERGE, kind="ProcSchedule")
    assert off.code == 200
    after = schedule("after-off", procRef={"name": "open"}, at=soon(7))
    assert stage.create(HER, after).code == 201

    assert wait_until(lambda: bool(runs_of(stage, "after-off")), seconds=30, interval=0.2)
    assert runs_of(stage, "off") == []
