"""What a finished execution costs the operator's memory for as long as its object is there."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

from localcluster.waiting import to_stderr
from proctor_operator.adapters.kube.mapping import read_execution
from proctor_operator.domain.naming import Namespace, Uid, job_name
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.domain.workload import JobFacts, PodFacts
from proctor_operator.runtime.cache import KnownRun, ObjectCache
from unit.builders import complete_job, ended_pod, proc_spec, recorded_run

EXECUTIONS = 300
MOST_BYTES = 6 * 1024
"""5.4 KiB with Python 3.11, 5.2 with 3.12 and 3.13: some 50 MiB for 10,000. As they come from the API server
they would take 16 KiB and more."""
MOST_BYTES_LEFT = 64
"""Tables do not shrink at once."""


def test_a_finished_execution_costs_little() -> None:
    assert bytes_for_each(live_and_end, ObjectCache()) <= MOST_BYTES


def test_long_arguments_and_output_cost_nothing_after_the_end() -> None:
    def with_much_of_all(cache: ObjectCache, number: int) -> None:
        live_and_end(cache, number, argument="x" * 30_000, output="y" * 4_000)

    assert bytes_for_each(with_much_of_all, ObjectCache()) <= MOST_BYTES


def test_what_comes_and_goes_leaves_nothing() -> None:
    def come_and_go(cache: ObjectCache, number: int) -> None:
        live_and_end(cache, number)
        assert cache.remove(ObjectKey(Kind.PROC_EXECUTION, Namespace("team-a"), name_of(number)))

    assert bytes_for_each(come_and_go, ObjectCache()) <= MOST_BYTES_LEFT


def bytes_for_each(live: Callable[[ObjectCache, int], None], cache: ObjectCache) -> float:
    """Bytes of objects that are alive after so many lives, for each of them."""
    live(cache, 0)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1, EXECUTIONS + 1):
            live(cache, number)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    found = (after - before) / EXECUTIONS
    to_stderr(f"{found:.0f} bytes for each finished execution")
    return found


def live_and_end(
    cache: ObjectCache, number: int, *, argument: str = "orders", output: str = "a line\n" * 20
) -> None:
    """All that the cache is told of a run, as the watches and the runner tell it."""
    uid = uid_of(number)
    cache.put(read_execution(manifest(number, argument)))
    job = job_of(number)
    pod = pod_of(number)
    cache.put_job(job)
    cache.put_pod(pod)
    cache.keep_run(uid, KnownRun(recorded_run(), proc_spec()))
    cache.put(read_execution(manifest(number, argument, end_of(number, output))))
    cache.forget_run(uid)
    cache.remove_job(job)
    cache.mark_pod_gone(pod)


def job_of(number: int) -> JobFacts:
    name, uid = name_of(number), uid_of(number)
    return complete_job(
        namespace=Namespace("team-a"), name=job_name(name, uid), owner_uid=uid, owner_name=name
    )


def pod_of(number: int) -> PodFacts:
    return ended_pod(0, name=f"{name_of(number)}-abcde", execution_uid=uid_of(number))


def name_of(number: int) -> str:
    return f"grow-disk-{number:06}"


def uid_of(number: int) -> Uid:
    return Uid(f"5b1c0d6e-0000-4000-8000-{number:012}")


def manifest(number: int, argument: str, status: dict[str, Any] | None = None) -> dict[str, Any]:
    """As it comes over the wire: no two objects share a text."""
    written = {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcExecution",
        "metadata": {
            "namespace": "team-a",
            "name": name_of(number),
            "uid": uid_of(number),
            "generation": 1,
            "resourceVersion": str(1_000_000 + 10 * number + (status is not None)),
            "creationTimestamp": moment(number),
            "finalizers": ["proctor.dev/record"],
            "labels": {"team": "dba"},
        },
        "spec": {
            "procRef": {"name": "grow-disk"},
            "arguments": {"DATABASE": argument, "SIZE_GB": 200, "REGIONS": ["eu", "us"]},
            "reason": f"INC-{number}",
            "requestedBy": {"username": "alice@example.org", "groups": ["dba"], "via": "API"},
            "procUID": "5b1c0d6e-0000-4000-9000-000000000001",
            "procGeneration": 3,
        },
        "status": status or {"phase": "Pending", "observedGeneration": 0},
    }
    read: dict[str, Any] = json.loads(json.dumps(written))
    return read


def end_of(number: int, output: str) -> dict[str, Any]:
    name = name_of(number)
    said = {
        "Authorized": ("Allowed", "allowed by groups: dba"),
        "Recorded": ("Recorded", f"run number {number}"),
        "Started": ("Started", ""),
        "LogsCaptured": ("Captured", ""),
        "Complete": ("Completed", ""),
    }
    return {
        "phase": "Succeeded",
        "reason": "Completed",
        "message": "",
        "observedGeneration": 1,
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "observedGeneration": 1,
                "lastTransitionTime": moment(number),
            }
            for kind, (reason, message) in said.items()
        ],
        "proc": {
            "uid": "5b1c0d6e-0000-4000-9000-000000000001",
            "generation": 3,
            "image": "registry.example.org/dba/grow-disk:1.4",
        },
        "jobRef": {"name": job_name(name, uid_of(number)), "uid": f"job-{uid_of(number)}"},
        "podName": f"{name}-abcde",
        "imageID": f"registry.example.org/dba/grow-disk@sha256:{'a' * 64}",
        "exitCode": 0,
        "attempts": 1,
        "number": number,
        "startTime": moment(number),
        "completionTime": moment(number),
        "result": output,
        "logTail": output,
        "logBytes": len(output),
        "logLines": 20,
        "logTruncated": False,
    }


def moment(number: int) -> str:
    return f"2026-11-20T09:{number // 60 % 60:02}:{number % 60:02}Z"
