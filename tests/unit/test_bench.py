"""The benchmark's arithmetic: what it counts, and what it makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.admission import Turn, cost_of
from bench.counting import AuditLog, requests_served
from bench.figures import Spread, between, each, median
from bench.load import CREATED, FINISHED, RUNNING, read_execution, read_job
from bench.measuring import Burst
from bench.objects import (
    PROC_BY_VERB,
    a_cron_job,
    a_job_like,
    a_proc_by_verb,
    a_schedule,
    an_execution,
    the_verb_for,
)
from bench.report import Results, render
from bench.schedules import (
    DueTogether,
    NotOnce,
    minute_to_come,
    read_owned_job,
    read_planned_execution,
    require_once,
)
from harness.operator_metrics import OperatorMetrics, difference
from harness.requesters import headers_of, plain
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.reconcile.jobspec import build_job
from unit.builders import execution, observed, proc_spec, recorded_run


def test_percentiles_are_values_that_were_measured() -> None:
    spread = Spread.of([float(value) for value in range(100, 0, -1)])

    assert (spread.count, spread.p50, spread.p90, spread.p99, spread.longest) == (
        100,
        50.0,
        90.0,
        99.0,
        100.0,
    )
    assert Spread.of([7.0]) == Spread(1, 7.0, 7.0, 7.0, 7.0)
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


def test_seconds_between_two_states_are_those_of_what_has_reached_both() -> None:
    begins, ends = {"a": 1.0, "b": 2.0, "c": 5.0}, {"a": 1.5, "c": 4.0}

    assert between(begins, ends) == [0.5, 0.0]


@pytest.mark.parametrize(("values", "middle"), [([3.0, 1.0, 2.0], 2.0), ([4.0, 1.0], 2.5)])
def test_the_median_is_in_the_middle(values: list[float], middle: float) -> None:
    assert median(values) == middle


def test_totals_are_divided_and_counters_subtracted() -> None:
    assert each({"GET pods": 30.0}, 10) == {"GET pods": 3.0}
    assert difference({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 5.0, "c": 1.0}) == {"b": 3.0, "c": 1.0}


def audit_line(user: str, verb: str, resource: str, *, code: int = 200, sub: str = "") -> str:
    reference = {"resource": resource} | ({"subresource": sub} if sub else {})
    event = {
        "verb": verb,
        "user": {"username": user},
        "objectRef": reference,
        "responseStatus": {"code": code},
    }
    return json.dumps(event) + "\n"


def test_writes_are_counted_by_account_since_the_last_look(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    operator = "system:serviceaccount:proctor-system:proctor"
    path.write_text(audit_line(operator, "create", "jobs"))
    log = AuditLog(path)
    log.skip()
    with path.open("a") as more:
        more.write(audit_line(operator, "create", "jobs", code=201))
        more.write(audit_line(operator, "patch", "procexecutions", sub="status"))
        more.write(audit_line(operator, "patch", "procexecutions", code=409))
        more.write(audit_line(operator, "update", "leases"))
        more.write(audit_line("system:kube-scheduler", "create", "pods", sub="binding"))
        more.write('{"verb": "cre')

    assert log.writes() == {
        "proctor": {"create jobs": 1, "patch procexecutions/status": 1},
        "kube-scheduler": {"create pods/binding": 1},
    }
    assert log.writes() == {}


def test_requests_that_an_api_server_has_answered_are_summed_by_verb_and_resource() -> None:
    text = """
apiserver_request_total{code="200",resource="pods",subresource="log",verb="GET"} 3
apiserver_request_total{code="200",resource="pods",subresource="",verb="GET"} 4
apiserver_request_total{code="404",resource="pods",subresource="",verb="GET"} 1
apiserver_request_total{code="200",resource="leases",subresource="",verb="PUT"} 9
"""
    assert requests_served(text) == {"GET pods/log": 3, "GET pods": 5}


def test_an_operators_metrics_are_read_by_their_own_names() -> None:
    metrics = PrometheusMetrics()
    metrics.cluster_call("POST", "jobs", 201, 0.1)
    metrics.cluster_call("POST", "jobs", 409, 0.1)
    metrics.record_call("record_run", "ok", 0.1)
    metrics.pass_finished("ProcExecution", "done", 0.1)
    metrics.watch_event("jobs")
    metrics.loop_lag(0.25)
    read = OperatorMetrics(metrics.render().decode())

    assert read.requests() == {"POST jobs": 2}
    assert read.record_calls() == {"record_run": 1}
    assert (read.passes(), read.watch_events(), read.worst_stall()) == (1, {"jobs": 1}, 0.25)


def test_a_job_is_followed_under_its_executions_name() -> None:
    owned: dict[str, Any] = {
        "metadata": {"name": "run-1-abc", "ownerReferences": [{"name": "run-1"}]},
        "status": {"conditions": [{"type": "Complete", "status": "True"}]},
    }

    assert read_job(owned) == ("run-1", (CREATED, FINISHED), "Complete")
    assert read_job({"metadata": {"name": "raw-1"}}) == ("raw-1", (CREATED,), "")


@pytest.mark.parametrize(
    ("phase", "states"),
    [
        ("Pending", [CREATED]),
        ("Running", [CREATED, RUNNING]),
        ("Succeeded", [CREATED, FINISHED]),
        ("Lost", [CREATED, FINISHED]),
    ],
)
def test_an_execution_is_in_states_by_its_phase(phase: str, states: list[str]) -> None:
    manifest = {"metadata": {"name": "run-1"}, "status": {"phase": phase}}

    assert read_execution(manifest) == ("run-1", states, phase)


def test_a_raw_job_has_the_same_pod_and_nothing_of_the_operators() -> None:
    spec = proc_spec(podTemplate={"metadata": {"annotations": {"a": "b"}}})
    job = build_job(execution(), recorded_run(), spec, observed().policy)
    raw = a_job_like({**job, "spec": {**job["spec"], "selector": {}, "suspend": False}}, "raw-1")

    assert raw["metadata"] == {"name": "raw-1"}
    assert raw["spec"]["template"]["spec"] == job["spec"]["template"]["spec"]
    assert raw["spec"]["template"]["metadata"] == {"annotations": {"a": "b"}}
    assert raw["spec"].keys() == job["spec"].keys()


A_BURST = Burst(
    kind="jobs",
    count=10,
    seconds=1.0,
    per_second=10.0,
    cpu_ms=dict.fromkeys(
        (
            "operator",
            "postgresql",
            "kube-controller-manager",
            "kube-apiserver",
            "etcd",
            "kube-scheduler",
            "kwok",
            "bench",
        ),
        5.0,
    ),
    peak_mib={"operator": 90.0, "kube-controller-manager": 150.0},
    served={"POST jobs": 1.0},
    writes={"bench": {"create jobs": 1.0}},
    operator_requests={},
    operator_record_calls={},
    operator_watch_events={},
    operator_passes=0.0,
    stall_ms=20.0,
)


def test_each_burst_of_executions_is_set_against_the_jobs_before_it() -> None:
    runs = replace(
        A_BURST, kind="executions", per_second=7.0, cpu_ms=A_BURST.cpu_ms | {"operator": 4.0}
    )
    results = Results({}, {}, bursts=[A_BURST, runs, A_BURST, replace(runs, per_second=8.0)])

    assert results.ratios() == [0.7, 0.8]
    assert results.cpu_ratios() == [0.8, 0.8]
    assert "executions / jobs: 0.70, 0.80, median 0.75" in render(results)
    json.dumps(results.as_json())


def a_turn(*milliseconds: float, rule: str = "groups", is_judged: bool) -> Turn:
    count = len(milliseconds)
    reviews = {"mutate": count, "validate": count}
    return Turn(
        allowed_by=rule,
        is_judged=is_judged,
        seconds=tuple(one / 1000 for one in milliseconds),
        cpu_seconds={"webhook": 0.004 * count * is_judged, "etcd": 0.001 * count},
        requests={"GET procs": 2.0 * count} if is_judged else {},
        reviews={path: float(number) for path, number in reviews.items()} if is_judged else {},
        review_seconds=dict.fromkeys(reviews, 0.003 * count) if is_judged else {},
    )


def test_what_admission_adds_is_told_for_each_rule_and_round() -> None:
    turns = [
        a_turn(3, 4, is_judged=False),
        a_turn(900, 900, rule="rbac", is_judged=False),
        a_turn(10, 14, is_judged=True),
        a_turn(900, 900, rule="rbac", is_judged=True),
        a_turn(3, 8, is_judged=False),
        a_turn(10, 15, is_judged=True),
    ]
    cost = cost_of("groups", turns)

    assert (cost.unjudged.count, cost.judged.count) == (4, 4)
    assert cost.added_ms() == pytest.approx({"p50": 7.0, "p90": 7.0, "p99": 7.0})
    assert cost.added_p99_ms_by_round == pytest.approx([10.0, 7.0])
    assert cost.requests == {"GET procs": 2.0}
    assert cost.reviews == {"mutate": 1.0, "validate": 1.0}
    assert cost.review_ms["validate"] == pytest.approx(3.0)
    assert cost.cpu_ms_per_review == pytest.approx(2.0)
    assert cost.cpu_ms_unjudged == pytest.approx({"webhook": 0.0, "etcd": 1.0})
    assert cost.cpu_ms_judged == pytest.approx({"webhook": 4.0, "etcd": 1.0})


def test_what_admission_adds_is_in_the_report() -> None:
    turns = [a_turn(3, 4, is_judged=False), a_turn(10, 14, is_judged=True)]
    results = Results({}, {}, admission=[cost_of("groups", turns)])
    lines = [line.split("  ") for line in render(results).splitlines()]
    said = {cells[0]: cells[-1].strip() for cells in lines}

    assert said["p50 / p90 / p99 without"] == "3.0 / 4.0 / 4.0"
    assert said["p50 / p90 / p99 with"] == "10.0 / 14.0 / 14.0"
    assert said["added"] == "7.0 / 10.0 / 10.0"
    assert said["webhook's requests for each"] == "GET procs 2"
    assert said["CPU for each without, with: webhook"] == "0.0, 4.0"
    assert results.as_json()["admission_added_ms"]["groups"]["p99"] == pytest.approx(10.0)
    json.dumps(results.as_json())


def test_with_admission_an_execution_is_sent_by_its_requester_without_a_stamp() -> None:
    manifest = an_execution("run-1", PROC_BY_VERB)
    sent = plain(manifest)

    assert headers_of(manifest)["Impersonate-Group"] == "dba"
    assert "requestedBy" not in sent["spec"]
    assert sent["spec"]["procRef"] == {"name": PROC_BY_VERB}
    assert (sent["metadata"]["labels"], sent["metadata"]["finalizers"]) == ({}, [])


def test_only_the_verb_allows_the_proc_by_verb() -> None:
    role, binding = the_verb_for("dba", "bench")

    assert a_proc_by_verb()["spec"]["authorization"] == {"rbac": "Required"}
    assert role["rules"] == [
        {
            "apiGroups": ["proctor.dev"],
            "resources": ["procs"],
            "resourceNames": [PROC_BY_VERB],
            "verbs": ["execute"],
        }
    ]
    assert binding["subjects"][0]["name"] == "dba"


DUE = datetime(2026, 11, 30, 15, 7, tzinfo=UTC)


def test_a_cron_job_and_a_schedule_are_due_at_the_same_minute_with_the_same_pod() -> None:
    job = build_job(execution(), recorded_run(), proc_spec(), observed().policy)
    cron_job, schedule = a_cron_job(job, "due-1", DUE), a_schedule("due-1", DUE)

    assert cron_job["spec"]["schedule"] == schedule["spec"]["cron"] == "7 15 * * *"
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod == job["spec"]["template"]["spec"]
    assert headers_of(schedule)["Impersonate-Group"] == "dba"


@pytest.mark.parametrize(("count", "minute"), {0: 3, 1000: 3, 2000: 3, 6000: 5}.items(), ids=str)
def test_the_minute_leaves_time_to_create_all(count: int, minute: int) -> None:
    now = datetime(2026, 11, 30, 15, 2, 1, tzinfo=UTC)
    due = minute_to_come(now, count)

    assert due == datetime(2026, 11, 30, 15, minute, tzinfo=UTC)
    assert due - now >= timedelta(seconds=15 + count / 50)


@pytest.mark.parametrize(
    "arrived",
    {
        "one never": ["a/1"],
        "one twice": ["a/1", "b/1", "b/2"],
        "a stranger": ["a/1", "b/1", "c/1"],
    }.values(),
)
def test_whatever_did_not_run_once_is_told(arrived: list[str]) -> None:
    require_once(["a", "b"], ["a/1", "b/1"])
    with pytest.raises(NotOnce, match="of 2, "):
        require_once(["a", "b"], arrived)


def test_jobs_and_executions_are_noted_with_what_they_belong_to() -> None:
    job = {"metadata": {"name": "due-1-77", "ownerReferences": [{"name": "due-1"}]}}
    run = {"metadata": {"name": "due-1-x"}, "spec": {"scheduleRef": {"name": "due-1"}}}

    assert read_owned_job(job) == ("due-1/due-1-77", (CREATED,), "")
    assert read_planned_execution(run) == ("due-1/due-1-x", [CREATED], "Pending")
    assert read_planned_execution({"metadata": {"name": "by-hand"}, "spec": {}})[0] == "/by-hand"


def test_delays_of_schedules_are_set_against_those_of_cron_jobs() -> None:
    cron_jobs = DueTogether(
        kind="cronjobs",
        count=4,
        delay=Spread.of([2.0, 4.0, 5.0, 8.0]),
        cpu_ms=A_BURST.cpu_ms,
        writes=A_BURST.writes,
        operator_requests={},
        operator_record_calls={},
        operator_passes=0.0,
        stall_ms=20.0,
    )
    schedules = replace(cron_jobs, kind="schedules", delay=Spread.of([1.0, 2.0, 3.0, 4.0]))
    results = Results({}, {}, schedules=[cron_jobs, schedules])

    assert results.delay_ratios() == {"p50": 0.5, "p99": 0.5}
    assert "delay, schedules / cronjobs: p50 0.50, p99 0.50" in render(results)
    assert "4000 / 8000 / 8000" in render(results)
    json.dumps(results.as_json())
