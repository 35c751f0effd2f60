"""How often one execution makes the operator ask: a request more for each is a cost for everybody."""

from __future__ import annotations

from datetime import datetime

from harness.operator_metrics import OperatorMetrics, difference
from harness.pods import pod_of, report_ended, report_running
from harness.running import RunningOperator, execution, proc
from localcluster.waiting import wait_until

# What only the lists ask for that come round every minute.
_A_ROUND = "GET procschedules"


def test_a_usual_execution_costs_four_writes_no_read_of_objects_and_four_uses_of_the_record(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("thrifty", authorization={"groups": ["dba"]}))
    operator.wait_for("proc", "thrifty", "{.status.conditions[?(@.type=='Ready')].status}", "True")

    for number in range(1, 6):
        before = _metrics(operator)
        _run(operator, f"thrifty-{number}")
        after = _metrics(operator)
        requests = difference(before.requests(), after.requests())
        if _A_ROUND not in requests and _is_younger_than_the_operator(
            operator, f"thrifty-{number}"
        ):
            break

    for name in ("PUT leases", "PATCH procs/status", "GET pods/log"):
        # Renewals go by time, and so does what a proc shows of its executions: every 30 s at most.
        # There is no kubelet here, whose log would be read once.
        requests.pop(name, None)
    assert requests == {"POST jobs": 1, "PATCH procexecutions/status": 2, "PATCH jobs": 1}
    record = difference(before.record_calls(), after.record_calls())
    record.pop("check", None)
    # Nothing was printed, and before that is said, the record is asked whether somebody else has stored any.
    # Of one that prints, its lines are stored instead.
    assert record == {"record_run": 1, "record_started": 1, "log_spans": 1, "record_outcome": 1}


def _is_younger_than_the_operator(operator: RunningOperator, name: str) -> bool:
    """Whether no earlier operator can have kept any of its output: for others the record is asked.

    Creation times are whole seconds, so the operator's own second is in doubt.
    """
    assert operator.process is not None
    started = next(
        event["timestamp"]
        for event in operator.process.log_events()
        if event["event"] == "Controller started"
    )
    created = operator.get("procexecution", name)["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(created) > datetime.fromisoformat(started)


def _run(operator: RunningOperator, name: str) -> None:
    operator.apply(execution(name, of="thrifty"))
    pod = pod_of(operator, name)
    report_running(operator, pod)
    operator.wait_for_phase(name, "Running")
    report_ended(operator, pod)
    operator.wait_for_phase(name, "Succeeded")
    job = f"job/{pod['metadata']['labels']['batch.kubernetes.io/job-name']}"
    assert wait_until(
        lambda: (
            "proctor.dev/record"
            not in operator.kubectl("get", job, "--output=jsonpath={.metadata.finalizers}")
        ),
        seconds=20,
        interval=0.2,
    )


def _metrics(operator: RunningOperator) -> OperatorMetrics:
    return OperatorMetrics(operator.ask("/metrics")[1])
