"""PostgreSQL away, or refusing a row: nothing is lost, nothing else waits, and it goes on by itself."""

from __future__ import annotations

from harness.pods import job_of, pod_of, report_ended, report_running
from harness.running import RunningOperator, condition, execution, proc
from localcluster.waiting import wait_until
from localpostgres.server import LocalPostgres


def test_executions_wait_for_the_record_and_running_ones_finish_when_it_is_back(
    operator: RunningOperator, postgres_server: LocalPostgres
) -> None:
    operator.apply(proc("steady"), execution("before", of="steady"))
    pod = pod_of(operator, "before")
    report_running(operator, pod)
    operator.wait_for_phase("before", "Running")

    postgres_server.kill()
    try:
        operator.apply(execution("meanwhile", of="steady"))
        waiting = operator.wait_for(
            "procexecution", "meanwhile", "{.status.reason}", "RecordUnavailable"
        )
        report_ended(operator, pod)
        _wait_until_ready_is(operator, 503)
        unready = operator.ask("/readyz")[1]
        still_alive = operator.ask("/livez")[0]
        jobs = operator.list("jobs", "proctor.dev/execution=meanwhile")
    finally:
        postgres_server.start()

    assert waiting["status"]["phase"] == "Pending"
    assert condition(waiting, "Recorded")["status"] == "False"
    assert jobs == [], "no run without a record"
    assert still_alive == 200
    assert unready.startswith("record: ")
    assert "lists: ok\n" in unready
    operator.wait_for_phase("before", "Succeeded")
    assert job_of(operator, "meanwhile")
    report_ended(operator, pod_of(operator, "meanwhile"))
    operator.wait_for_phase("meanwhile", "Succeeded")
    _wait_until_ready_is(operator, 200)


def _wait_until_ready_is(operator: RunningOperator, status: int) -> None:
    assert wait_until(lambda: operator.ask("/readyz")[0] == status, seconds=30, interval=0.2)


def test_a_row_that_the_database_refuses_holds_up_its_own_run_only(
    operator: RunningOperator,
) -> None:
    constrain = "ALTER TABLE proctor.executions"
    operator.database.query(f"{constrain} ADD CONSTRAINT no_poison CHECK (name <> 'poison')")
    try:
        operator.apply(proc("fair"), execution("poison", of="fair"), execution("sound", of="fair"))
        held_up = operator.wait_for(
            "procexecution", "poison", "{.status.reason}", "RecordRejected"
        )["status"]
        report_ended(operator, pod_of(operator, "sound"))
        operator.wait_for_phase("sound", "Succeeded")
        jobs = operator.list("jobs", "proctor.dev/execution=poison")
    finally:
        operator.database.query(f"{constrain} DROP CONSTRAINT no_poison")

    assert held_up["phase"] == "Pending"
    assert held_up["message"] == (
        "PostgreSQL refuses the row: CheckViolationError (SQLSTATE 23514, constraint no_poison)"
    )
    assert jobs == [], "no run without a record"
    # Any change brings the next try at once.
    operator.kubectl("annotate", "procexecution/poison", "example.org/constraint=mended")
    report_ended(operator, pod_of(operator, "poison"))
    operator.wait_for_phase("poison", "Succeeded")
