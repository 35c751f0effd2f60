"""The process itself: bad settings, taken ports, health, metrics, signals, the record on the command line."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from chart.installation import Installation
from harness.operator_process import OperatorError, OperatorProcess, run_role, write_config
from harness.pods import job_of, pod_of, report_ended
from harness.running import RunningOperator, execution, operator_in, proc
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "postgres.dsn (PROCTOR_POSTGRES__DSN) is not set"),
        (
            {"postgres": {"dsn": "postgresql://x", "max_connections": 0}},
            "postgres.max_connections (PROCTOR_POSTGRES__MAX_CONNECTIONS): Input should be greater",
        ),
        ({"postgre": {}}, "postgre (PROCTOR_POSTGRE): Extra inputs are not permitted"),
        ({"log": {"level": "loud"}}, "log.level (PROCTOR_LOG__LEVEL): Input should be 'debug'"),
    ],
    ids=["no record", "a figure out of range", "a section with a typo", "an unknown word"],
)
def test_bad_settings_end_the_process_at_once_with_their_names(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    done = run_role("controller", config=write_config(tmp_path / "operator.yaml", settings))

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = {
        "postgres": {"dsn": "postgresql://x"},
        "kubernetes": {"kubeconfig": str(tmp_path / "nothing")},
    }

    done = run_role("controller", config=write_config(tmp_path / "operator.yaml", settings))

    assert done.returncode == 1
    assert f"cannot log in to Kubernetes with {tmp_path / 'nothing'}" in done.stderr


def test_a_database_that_nobody_answers_for_is_said_by_migrate(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = {"postgres": {"dsn": f"postgresql://proctor@127.0.0.1:{port}/proctor"}}

        done = run_role("migrate", config=write_config(tmp_path / "operator.yaml", settings))

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("proctor-operator: ")


@pytest.mark.parametrize("said", ["Controller started", "First list done", "Leading"])
def test_it_stops_when_it_is_told_to_in_the_middle_of_its_start(
    operator: RunningOperator, said: str
) -> None:
    operator.stop()
    starting = OperatorProcess.begin("controller", config=operator.config, log=operator.log)

    begun = wait_until(
        lambda: f'"{said}"'.encode() in operator.log.read_bytes()[starting.log_start :],
        seconds=60,
        interval=0.001,
    )
    code = starting.stop()
    operator.start()

    assert begun
    assert code == 0


def test_a_taken_health_port_is_said(
    installed: Installation, database: LocalDatabase, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = {"health": {"port": port}}
        with (
            operator_in(
                installed, database, tmp_path, namespace="portless", settings=settings, start=False
            ) as operator,
            pytest.raises(OperatorError, match=f"cannot listen on 127.0.0.1:{port}"),
        ):
            operator.start()


def test_health_and_metrics_tell_of_what_happened(operator: RunningOperator) -> None:
    operator.apply(proc("counted"), execution("counted-1", of="counted"))
    report_ended(operator, pod_of(operator, "counted-1"))
    operator.wait_for_phase("counted-1", "Succeeded")

    assert operator.ask("/livez") == (200, "alive: ok\n")
    assert operator.ask("/readyz") == (
        200,
        "record: ok\nlists: ok\nplugins: ok\nelection: leading\n",
    )
    metrics = operator.ask("/metrics")[1]
    assert 'proctor_execution_outcome_total{cause="None",outcome="Succeeded"} 1.0' in metrics
    assert 'verb="POST",resource="jobs",code="201"' in metrics.replace(
        'code="201",resource="jobs",verb="POST"', 'verb="POST",resource="jobs",code="201"'
    )
    assert "counted" not in metrics, "nothing that a user names is a label"
    assert operator.ask("/nothing")[0] == 404


def test_sigterm_ends_it_with_0_and_nothing_is_lost(operator: RunningOperator) -> None:
    operator.apply(proc("patient"), execution("patient-1", of="patient"))
    job = job_of(operator, "patient-1")

    assert operator.process is not None
    stopped = operator.process
    assert operator.stop() == 0
    assert [event["event"] for event in stopped.log_events()][-4:] == [
        "Stopping",
        "Draining",
        "Lease released",
        "Controller stopped",
    ]

    operator.start()
    report_ended(operator, pod_of(operator, "patient-1"))
    operator.wait_for_phase("patient-1", "Succeeded")
    assert job_of(operator, "patient-1")["metadata"]["uid"] == job["metadata"]["uid"]


def test_the_second_signal_ends_it_without_waiting(
    installed: Installation, database: LocalDatabase, tmp_path: Path
) -> None:
    with operator_in(installed, database, tmp_path, namespace="impatient") as operator:
        assert operator.process is not None
        process = operator.process.process
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)

        assert wait_until(lambda: process.poll() is not None, seconds=10)
        assert process.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM)


def test_the_record_can_be_listed_and_shown(operator: RunningOperator) -> None:
    parameters = [{"name": "TOKEN", "sensitive": True, "required": False}, {"name": "SIZE"}]
    operator.apply(proc("listed", parameters=parameters))
    operator.apply(execution("listed-1", of="listed", arguments={"SIZE": 3}, reason="INC-9"))
    report_ended(operator, pod_of(operator, "listed-1"))
    number = operator.wait_for_phase("listed-1", "Succeeded")["status"]["number"]

    table = operator.records("list", "--proc", "listed").splitlines()
    as_json = json.loads(operator.records("list", "--proc", "listed", "--output", "json"))
    shown = json.loads(operator.records("show", str(number)))

    assert table[0].split()[:4] == ["NUMBER", "NAMESPACE", "NAME", "PROC"]
    assert table[1].split()[:6] == [
        str(number),
        operator.namespace,
        "listed-1",
        "listed",
        "alice@example.org",
        "Succeeded",
    ]
    assert [run["number"] for run in as_json] == [number]
    assert shown["request"]["arguments"] == {"SIZE": 3}
    assert shown["request"]["reason"] == "INC-9"
    assert shown["outcome"]["phase"] == "Succeeded"


def test_a_run_that_is_not_in_the_record_is_said(operator: RunningOperator) -> None:
    done = run_role("records", "show", "987654", config=operator.config)

    assert done.returncode == 1
    assert done.stderr == "proctor-operator: the record has no run 987654\n"


def test_an_operator_minds_the_namespaces_it_was_given_and_no_other(
    operator: RunningOperator, installed: Installation
) -> None:
    """The module's operator watches its own namespace; `team-a` is nobody's."""
    installed.create(proc("elsewhere"))
    installed.create(execution("elsewhere-1", of="elsewhere"))
    operator.apply(proc("here"), execution("here-1", of="here"))

    assert job_of(operator, "here-1")
    elsewhere = installed.cluster.kubectl(
        "get", "pexec", "elsewhere-1", "--namespace=team-a", "--output=jsonpath={.status.phase}"
    )
    assert elsewhere.stdout == "Pending"
