"""A Job made by hand in the place of the one that an execution is to get: only the operator's is its run.

Whoever tries it here holds every right in the cluster, but is not the operator.
"""

from __future__ import annotations

import json
from typing import Final

import pytest

from harness.pods import job_of, pod_of, report_ended
from harness.running import IMAGE, Manifest, RunningOperator, execution, proc
from proctor_operator.domain.naming import Uid, job_name

EVE: Final = ("--as=eve", "--as-group=system:masters")
POLICY: Final = "jobs.proctor.dev"
FORGED_IMAGE: Final = "registry.example.org/evil:1"
OWNER: Final = {"apiVersion": "proctor.dev/v1alpha1", "kind": "ProcExecution", "name": "awaited"}
CLAIMS: Final[dict[str, Manifest]] = {
    "the execution as its controller": {"ownerReferences": [OWNER | {"controller": True}]},
    "the execution as an owner of many": {
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "1"},
            OWNER,
        ]
    },
    "an owner of a version to come": {
        "ownerReferences": [OWNER | {"apiVersion": "proctor.dev/v9", "controller": True}]
    },
    "a proc as its owner": {"ownerReferences": [OWNER | {"kind": "Proc", "name": "forged"}]},
    "the finalizer of what the operator made": {"finalizers": ["proctor.dev/record"]},
}


@pytest.fixture(scope="module")
def awaited(operator: RunningOperator) -> str:
    """The UID of an execution that waits for its Job, because there is no operator."""
    operator.stop()
    operator.apply(proc("forged"), execution("awaited", of="forged"))
    uid: str = operator.get("procexecution", "awaited")["metadata"]["uid"]
    return uid


@pytest.mark.parametrize("metadata", CLAIMS.values(), ids=CLAIMS)
def test_nobody_makes_a_job_with(
    operator: RunningOperator, awaited: str, metadata: Manifest
) -> None:
    forged = json.dumps(job(job_name("awaited", Uid(awaited)), claim(metadata, awaited)))

    assert POLICY in refusal_of(operator, "create", "--filename=-", stdin=forged)


@pytest.mark.parametrize("metadata", CLAIMS.values(), ids=CLAIMS)
def test_nobody_gives_a_job_that_is_there(
    operator: RunningOperator, awaited: str, metadata: Manifest
) -> None:
    operator.kubectl("apply", "--filename=-", *EVE, stdin=json.dumps(job("own", {})))
    patch = json.dumps({"metadata": claim(metadata, awaited)})

    said = refusal_of(operator, "patch", "job/own", "--type=merge", f"--patch={patch}")

    assert POLICY in said
    assert not {"ownerReferences", "finalizers"} & set(operator.get("job", "own")["metadata"])


def test_what_runs_in_the_end_is_the_operators(operator: RunningOperator, awaited: str) -> None:
    operator.start()

    made = job_of(operator, "awaited")
    report_ended(operator, pod_of(operator, "awaited"))
    operator.wait_for_phase("awaited", "Succeeded")

    (container,) = made["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    assert made["metadata"]["ownerReferences"][0]["uid"] == awaited


def test_of_the_operators_job_an_owner_may_be_taken_and_not_given_again(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("kept"), execution("kept-1", of="kept"))
    made = job_of(operator, "kept-1")["metadata"]

    def patch(owners: object) -> str:
        body = json.dumps({"metadata": {"ownerReferences": owners, "labels": {"mine": "yes"}}})
        what = (f"job/{made['name']}", "--type=merge", f"--patch={body}")
        return refusal_of(operator, "patch", *what)

    assert patch(made["ownerReferences"]) == ""
    assert patch(None) == ""
    assert POLICY in patch(made["ownerReferences"])


def claim(metadata: Manifest, uid: str) -> Manifest:
    """The same, with that UID for each owner without one."""
    owners = [{"uid": uid} | one for one in metadata.get("ownerReferences", [])]
    return metadata | ({"ownerReferences": owners} if owners else {})


def job(name: str, metadata: Manifest) -> Manifest:
    container = {"name": "proc", "image": FORGED_IMAGE}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name} | metadata,
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


def refusal_of(operator: RunningOperator, *arguments: str, stdin: str | None = None) -> str:
    """Why she may not; empty when she may."""
    return operator.cluster.kubectl(
        *arguments, f"--namespace={operator.namespace}", *EVE, stdin=stdin, check=False
    ).stderr
