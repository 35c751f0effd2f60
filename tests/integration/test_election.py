"""Two operator processes on one Lease of the real API server: who works, who takes over, and how soon."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chart.installation import Installation
from harness.operator_process import OperatorProcess
from harness.pods import job_of, pod_of, report_ended
from harness.running import Manifest, RunningOperator, execution, operator_in, proc
from localcluster.cluster import LocalCluster
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase

LEADERSHIP_LOST = 3
NUMBERS = count(1)
DEFAULT_TIMES = {"duration_seconds": 15, "renew_every_seconds": 5, "give_up_after_seconds": 10}


@dataclass
class Pair:
    """The operator and a second one with the same settings; the first one leads."""

    operator: RunningOperator
    second: OperatorProcess
    lease_namespace: str

    @property
    def first(self) -> OperatorProcess:
        assert self.operator.process is not None
        return self.operator.process

    @property
    def lease_name(self) -> str:
        return f"proctor-{self.operator.namespace}"

    def lease(self) -> Manifest:
        shown = self._kubectl("get", "lease", self.lease_name, "--output=json")
        found: Manifest = json.loads(shown)
        return found

    def steal(self, thief: str) -> None:
        patch = json.dumps({"spec": {"holderIdentity": thief}})
        self._kubectl("patch", "lease", self.lease_name, "--type=merge", f"--patch={patch}")

    def run_to_the_end(self, name: str) -> None:
        """Ask for an execution, and play the kubelet for it."""
        self.operator.apply(execution(name, of="steady"))
        report_ended(self.operator, pod_of(self.operator, name))
        self.operator.wait_for_phase(name, "Succeeded")
        job_of(self.operator, name)

    def _kubectl(self, *arguments: str) -> str:
        kubectl = self.operator.cluster.kubectl
        return kubectl(*arguments, f"--namespace={self.lease_namespace}").stdout


@pytest.fixture
def pair(
    installed: Installation, database: LocalDatabase, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Pair]:
    """Two of them, in a namespace of their own; `times` of the election as the test says."""
    times: dict[str, Any] = getattr(request, "param", {})
    namespace = f"election-{next(NUMBERS)}"
    with (
        operator_in(
            installed, database, tmp_path, namespace=namespace, settings={"election": times}
        ) as operator,
        another(operator, tmp_path / "second.log") as second,
    ):
        pair = Pair(operator, second, installed.namespace)
        assert wait_until(lambda: leads(pair.first), seconds=10)
        assert is_standby(second)
        operator.apply(proc("steady"))
        yield pair


@contextmanager
def another(operator: RunningOperator, log: Path) -> Iterator[OperatorProcess]:
    process = OperatorProcess.start("controller", config=operator.config, log=log)
    try:
        yield process
    finally:
        process.stop_if_it_runs()


def leads(process: OperatorProcess) -> bool:
    return "election: leading" in process.get("/readyz")[1]


def is_standby(process: OperatorProcess) -> bool:
    status, words = process.get("/readyz")
    return status == 200 and "election: standby (" in words


def seconds_until_leading(process: OperatorProcess, *, since: float) -> float:
    assert wait_until(lambda: leads(process), seconds=40, interval=0.05)
    return time.monotonic() - since


def exit_code_of(process: OperatorProcess, *, within: float) -> int:
    return process.process.wait(within)


def said_at_last(process: OperatorProcess) -> str:
    return process.log.read_bytes()[process.log_start :].decode().strip().splitlines()[-1]


def writes_of(process: OperatorProcess) -> list[str]:
    """What it wrote to the API server, Leases apart."""
    lines = process.get("/metrics")[1].splitlines()
    counts = [one for one in lines if one.startswith("proctor_cluster_request_duration_seconds_c")]
    looks = ('verb="GET"', 'verb="WATCH"', 'resource="leases"')
    return [one for one in counts if not any(look in one for look in looks)]


@pytest.mark.parametrize("pair", [DEFAULT_TIMES], indirect=True)
def test_one_of_two_works_and_a_clean_stop_hands_over_within_five_seconds(pair: Pair) -> None:
    pair.run_to_the_end("before")
    assert [one for one in writes_of(pair.first) if 'resource="jobs"' in one]
    assert writes_of(pair.second) == []
    assert "proctor_lease_held 1.0" in pair.first.get("/metrics")[1]
    assert "proctor_lease_held 0.0" in pair.second.get("/metrics")[1]

    began = time.monotonic()
    pair.first.process.send_signal(signal.SIGTERM)
    taken = seconds_until_leading(pair.second, since=began)

    assert exit_code_of(pair.first, within=20) == 0
    assert taken < 5.0
    assert pair.lease()["spec"]["leaseTransitions"] >= 1
    pair.run_to_the_end("after")
    assert "proctor_lease_held 1.0" in pair.second.get("/metrics")[1]


@pytest.mark.parametrize("pair", [DEFAULT_TIMES], indirect=True)
def test_a_killed_leader_is_followed_within_twenty_seconds_and_its_run_goes_on(pair: Pair) -> None:
    pair.operator.apply(execution("orphaned", of="steady"))
    job = job_of(pair.operator, "orphaned")

    began = time.monotonic()
    pair.first.kill()
    report_ended(pair.operator, pod_of(pair.operator, "orphaned"))
    taken = seconds_until_leading(pair.second, since=began)
    pair.operator.wait_for_phase("orphaned", "Succeeded")

    assert 5.0 < taken < 20.0, "nothing tells a standby that its leader was killed but silence"
    assert job_of(pair.operator, "orphaned")["metadata"]["uid"] == job["metadata"]["uid"]


def test_a_leader_whose_lease_is_stolen_ends_and_says_who_has_it(pair: Pair) -> None:
    pair.steal("somebody-else")

    assert exit_code_of(pair.first, within=10) == LEADERSHIP_LOST
    assert said_at_last(pair.first) == (
        "proctor-operator: leadership lost: somebody-else holds the Lease"
    )
    assert seconds_until_leading(pair.second, since=time.monotonic()) < 12.0
    pair.run_to_the_end("after")


def test_a_leader_that_may_not_renew_any_more_ends_and_says_why(pair: Pair) -> None:
    cluster, namespace = pair.operator.cluster, pair.lease_namespace
    binding = cluster.kubectl(
        "get", "rolebinding", "proctor-own", f"--namespace={namespace}", "--output=json"
    ).stdout
    cluster.kubectl("delete", "rolebinding", "proctor-own", f"--namespace={namespace}")
    try:
        code = exit_code_of(pair.first, within=20)
        standby = pair.second.get("/readyz")
    finally:
        restored = json.loads(binding)
        for given in ("resourceVersion", "uid", "creationTimestamp"):
            del restored["metadata"][given]
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(restored))

    assert code == LEADERSHIP_LOST
    said = said_at_last(pair.first)
    assert said.startswith(
        "proctor-operator: leadership lost: the Lease could not be renewed for 4 s ("
    )
    assert 'cannot update resource "leases"' in said
    assert standby[0] == 200, "a standby that may not look waits until it may"
    assert 'cannot get resource "leases"' in standby[1]
    seconds_until_leading(pair.second, since=time.monotonic())
    pair.run_to_the_end("after")


def test_an_api_server_that_is_away_for_half_a_minute_ends_the_leader_and_no_work(
    pair: Pair, api_cluster: LocalCluster
) -> None:
    """The harness starts the leader again, as a Deployment does, while the API server is still away."""
    pair.operator.apply(execution("through", of="steady"))
    pod = pod_of(pair.operator, "through")
    api_cluster.stop_component("kube-apiserver", seconds=0)
    began = time.monotonic()
    try:
        assert exit_code_of(pair.first, within=20) == LEADERSHIP_LOST
        assert pair.second.process.poll() is None, "a standby has nothing to lose"
        again = start_without_waiting(pair.operator)
        assert not wait_until(
            lambda: again.process.poll() is not None, seconds=30 - (time.monotonic() - began)
        ), "a process waits for an API server that is away"
    finally:
        api_cluster.start_component("kube-apiserver")
    try:
        report_ended(pair.operator, pod)
        pair.operator.wait_for_phase("through", "Succeeded", seconds=90)
        assert wait_until(again.is_ready_or_gone, seconds=30)
        assert sorted((leads(pair.second), leads(again))) == [False, True]
    finally:
        again.stop()


def start_without_waiting(operator: RunningOperator) -> OperatorProcess:
    return OperatorProcess.begin(
        "controller", config=operator.config, log=operator.log.with_name("again.log")
    )
