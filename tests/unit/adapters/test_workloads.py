"""Jobs and pods as a real cluster writes them, and the facts that decisions need."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from proctor_operator.adapters.kube.workloads import read_job, read_pod
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.workload import (
    ContainerEnd,
    ContainerWaiting,
    JobEnd,
    JobFacts,
    PodFacts,
    PodPhase,
)
from unit.builders import EXECUTION_UID, NOW, ago

JOB = yaml.safe_load(f"""
apiVersion: batch/v1
kind: Job
metadata:
  name: grow-disk-x7-c3c24b7a54
  namespace: apps
  uid: job-uid-1
  resourceVersion: "400"
  creationTimestamp: "2026-11-20T09:29:10Z"
  labels: {{proctor.dev/managed: "true", proctor.dev/execution-uid: {EXECUTION_UID}}}
  annotations: {{proctor.dev/execution-created-at: "2026-11-20T09:29:00Z"}}
  finalizers: [proctor.dev/record]
  ownerReferences:
  - {{apiVersion: v1, kind: Something, name: other, uid: other-uid}}
  - {{apiVersion: proctor.dev/v1alpha1, kind: ProcExecution, name: grow-disk-x7,
      uid: {EXECUTION_UID}, controller: true}}
spec: {{backoffLimit: 0, suspend: false}}
status: {{startTime: "2026-11-20T09:29:10Z", active: 1, ready: 1, terminating: 0}}
""")

POD = yaml.safe_load(f"""
apiVersion: v1
kind: Pod
metadata:
  name: grow-disk-x7-c3c24b7a54-abcde
  namespace: apps
  uid: pod-uid-1
  resourceVersion: "500"
  creationTimestamp: "2026-11-20T09:29:15Z"
  labels: {{proctor.dev/execution-uid: {EXECUTION_UID}}}
  ownerReferences: [{{apiVersion: batch/v1, kind: Job, name: j, uid: job-uid-1, controller: true}}]
spec: {{nodeName: node-1}}
status: {{phase: Pending}}
""")


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def a_job(status: str = "{}", spec: str = "{}", **metadata: Any) -> JobFacts:
    return read_job(
        {
            "metadata": {**JOB["metadata"], **metadata},
            "spec": yaml.safe_load(spec),
            "status": yaml.safe_load(status),
        }
    )


def a_pod(status: str, **metadata: Any) -> PodFacts:
    return read_pod(
        {
            "metadata": {**POD["metadata"], **metadata},
            "spec": POD["spec"],
            "status": yaml.safe_load(status),
        }
    )


def test_a_running_job_is_read() -> None:
    assert read_job(JOB) == JobFacts(
        namespace=JOB["metadata"]["namespace"],
        name="grow-disk-x7-c3c24b7a54",
        uid=Uid("job-uid-1"),
        resource_version="400",
        created_at=ago(50),
        owner_uid=EXECUTION_UID,
        owner_name="grow-disk-x7",
        execution_uid=EXECUTION_UID,
        execution_created_at=ago(60),
        finalizers=("proctor.dev/record",),
        begun_at=ago(50),
    )


@pytest.mark.parametrize("written", ["null", '"0000-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"'])
def test_a_time_of_a_job_that_can_be_none_breaks_nothing(written: str) -> None:
    created = parsed(JOB["metadata"]["creationTimestamp"])
    failed = f"{{type: Failed, status: 'True', reason: X, lastTransitionTime: {written}}}"

    found = a_job(f"{{startTime: {written}, conditions: [{failed}]}}")

    assert (found.begun_at, found.pending_since) == (None, created)
    assert found.end == JobEnd(succeeded=False, reason="X", message="", at=created)


def test_a_job_with_nothing_but_what_the_server_always_writes_is_read() -> None:
    bare = {
        key: JOB["metadata"][key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }

    facts = read_job({"metadata": bare})

    assert (facts.owner_uid, facts.owner_name, facts.execution_uid) == (None, "", None)
    assert not facts.is_held
    assert not facts.is_being_deleted
    assert facts.end is None


ENDS: dict[str, tuple[str, JobEnd | None]] = {
    "complete": (
        """
        conditions:
        - {type: SuccessCriteriaMet, status: "True", reason: CompletionsReached,
           lastTransitionTime: "2026-11-20T09:29:55Z"}
        - {type: Complete, status: "True", reason: CompletionsReached, message: Reached,
           lastTransitionTime: "2026-11-20T09:30:00Z"}
        succeeded: 1
        """,
        JobEnd(succeeded=True, reason="CompletionsReached", message="Reached", at=NOW),
    ),
    "failed": (
        """
        conditions:
        - {type: FailureTarget, status: "True", reason: BackoffLimitExceeded,
           lastTransitionTime: "2026-11-20T09:29:55Z"}
        - {type: Failed, status: "True", reason: BackoffLimitExceeded, message: m,
           lastTransitionTime: "2026-11-20T09:30:00Z"}
        failed: 1
        """,
        JobEnd(succeeded=False, reason="BackoffLimitExceeded", message="m", at=NOW),
    ),
    "failing, its pods not gone yet": (
        """
        conditions:
        - {type: FailureTarget, status: "True", reason: DeadlineExceeded,
           lastTransitionTime: "2026-11-20T09:29:55Z"}
        """,
        None,
    ),
    "a condition that does not hold": (
        """
        conditions:
        - {type: Failed, status: "False", lastTransitionTime: "2026-11-20T09:29:55Z"}
        """,
        None,
    ),
    "no condition": ("{active: 1}", None),
}


@pytest.mark.parametrize(("status", "end"), ENDS.values(), ids=ENDS)
def test_the_end_of_a_job_is_its_terminal_condition(status: str, end: JobEnd | None) -> None:
    assert a_job(status).end == end


SUSPENDED: dict[str, tuple[str, str, bool]] = {
    "by its spec": ("{suspend: true}", "{}", True),
    "by its status, before its controller has noticed the resumption": (
        "{suspend: false}",
        '{conditions: [{type: Suspended, status: "True"}]}',
        True,
    ),
    "resumed": (
        "{suspend: false}",
        '{startTime: "2026-11-20T09:29:50Z", conditions: [{type: Suspended, status: "False"}]}',
        False,
    ),
}


@pytest.mark.parametrize(("spec", "status", "is_suspended"), SUSPENDED.values(), ids=SUSPENDED)
def test_a_suspended_job_is_known_as_such(spec: str, status: str, *, is_suspended: bool) -> None:
    assert a_job(status, spec).is_suspended is is_suspended


def test_a_resumed_job_is_pending_since_its_resumption() -> None:
    assert a_job('{startTime: "2026-11-20T09:29:50Z"}').pending_since == ago(10)
    assert a_job().pending_since == ago(50)


def test_deletion_and_counts_of_a_job_are_read() -> None:
    facts = a_job("{failed: 2, succeeded: 1}", deletionTimestamp="2026-11-20T09:30:00Z")

    assert facts.deletion_time == NOW
    assert (facts.failed_pods, facts.succeeded_pods) == (2, 1)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-20", "\0"])
def test_an_annotation_that_anybody_may_have_written_breaks_nothing(text: str) -> None:
    facts = a_job(annotations={"proctor.dev/execution-created-at": text})

    assert facts.execution_created_at is None


def test_only_the_controller_owns_a_job() -> None:
    owners = [{"kind": "ProcExecution", "name": "grow-disk-x7", "uid": EXECUTION_UID}]

    assert a_job(ownerReferences=owners).owner_uid is None


PENDING = {
    "an init container that says why it waits": (
        """
        phase: Pending
        initContainerStatuses:
        - {name: fetch, state: {waiting: {reason: ErrImagePull, message: refused}}}
        containerStatuses:
        - {name: proc, state: {waiting: {reason: PodInitializing}}}
        """,
        {"waiting": ContainerWaiting("ErrImagePull", "refused", container="fetch")},
    ),
    "no node": (
        """
        phase: Pending
        conditions:
        - {type: PodScheduled, status: "False", reason: Unschedulable,
           message: "0/3 nodes are available: 3 Insufficient memory."}
        """,
        {"unschedulable": "0/3 nodes are available: 3 Insufficient memory."},
    ),
    "a scheduling gate is not unschedulable": (
        """
        phase: Pending
        conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated}]
        """,
        {"unschedulable": None},
    ),
    "an image that cannot be pulled": (
        """
        phase: Pending
        conditions: [{type: PodScheduled, status: "True"}]
        containerStatuses:
        - {name: proc, imageID: "", ready: false,
           state: {waiting: {reason: ImagePullBackOff, message: Back-off pulling image}}}
        """,
        {
            "waiting": ContainerWaiting("ImagePullBackOff", "Back-off pulling image"),
            "image_id": None,
            "unschedulable": None,
        },
    ),
    "a configuration that cannot be": (
        """
        phase: Pending
        containerStatuses:
        - {name: proc, state: {waiting: {reason: CreateContainerConfigError,
           message: 'secret "replica-admin" not found'}}}
        """,
        {
            "waiting": ContainerWaiting(
                "CreateContainerConfigError", 'secret "replica-admin" not found'
            )
        },
    ),
    "a container being made": (
        (
            "{phase: Pending, containerStatuses: "
            "[{name: proc, state: {waiting: {reason: ContainerCreating}}}]}"
        ),
        {"waiting": ContainerWaiting("ContainerCreating", "")},
    ),
}
RUNNING = {
    "running, beside another container": (
        """
        phase: Running
        containerStatuses:
        - {name: proxy, state: {terminated: {exitCode: 1, reason: Error}}}
        - {name: proc, imageID: "registry@sha256:1",
           state: {running: {startedAt: "2026-11-20T09:29:30Z"}}}
        """,
        {
            "phase": PodPhase.RUNNING,
            "running_since": ago(30),
            "started_at": ago(30),
            "image_id": "registry@sha256:1",
            "end": None,
            "has_ended": False,
        },
    ),
    "a phase that is not known": ("{phase: Unknown}", {"phase": PodPhase.UNKNOWN}),
    "no status at all": ("", {"phase": PodPhase.PENDING, "started_at": None}),
}
ENDED_PODS = {
    "succeeded, with a termination message": (
        """
        phase: Succeeded
        containerStatuses:
        - name: proc
          state: {terminated: {exitCode: 0, reason: Completed, message: done,
            startedAt: "2026-11-20T09:29:30Z", finishedAt: "2026-11-20T09:29:50Z"}}
        """,
        {
            "phase": PodPhase.SUCCEEDED,
            "end": ContainerEnd(0, "Completed", "done", ago(30), ago(10)),
            "started_at": ago(30),
            "has_ended": True,
        },
    ),
    "killed for its memory": (
        """
        phase: Failed
        containerStatuses:
        - {name: proc, state: {terminated: {exitCode: 137, reason: OOMKilled}}}
        """,
        {"end": ContainerEnd(137, "OOMKilled", "", None, None), "has_ended": True},
    ),
    "evicted": (
        """
        phase: Failed
        reason: Evicted
        message: "The node was low on resource: ephemeral-storage."
        conditions: [{type: DisruptionTarget, status: "True", reason: TerminationByKubelet}]
        """,
        {
            "reason": "Evicted",
            "message": "The node was low on resource: ephemeral-storage.",
            "disruption": "TerminationByKubelet",
        },
    ),
    "over its deadline": (
        "{phase: Failed, reason: DeadlineExceeded, message: Pod was active too long}",
        {"reason": "DeadlineExceeded"},
    ),
    "its node is lost": (
        (
            "{phase: Failed, conditions: "
            '[{type: DisruptionTarget, status: "True", reason: DeletionByTaintManager}]}'
        ),
        {"disruption": "DeletionByTaintManager"},
    ),
    "no disruption after all": (
        '{phase: Running, conditions: [{type: DisruptionTarget, status: "False"}]}',
        {"disruption": None},
    ),
    "an init container failed": (
        """
        phase: Failed
        initContainerStatuses:
        - {name: ok, state: {terminated: {exitCode: 0}}}
        - {name: fetch, state: {terminated: {exitCode: 4, reason: Error}}}
        """,
        {"failed_init": ContainerEnd(4, "Error", "", None, None, container="fetch")},
    ),
    "another container failed": (
        """
        phase: Failed
        containerStatuses:
        - {name: helper, state: {terminated: {exitCode: 5, reason: Error}}}
        - {name: proc, state: {terminated: {exitCode: 0, reason: Completed}}}
        """,
        {
            "failed_other": ContainerEnd(5, "Error", "", None, None, container="helper"),
            "failed_init": None,
        },
    ),
    "a container that could not be started: 1970 is no time": (
        """
        phase: Failed
        containerStatuses:
        - name: proc
          state: {terminated: {exitCode: 128, reason: StartError, message: no such file,
            startedAt: "1970-01-01T00:00:00Z", finishedAt: "2026-11-20T09:29:50Z"}}
        """,
        {
            "end": ContainerEnd(128, "StartError", "no such file", None, ago(10)),
            "started_at": None,
        },
    ),
}
# Everything that the API server takes of whoever reports for a node; not all of them are kubelets.
ODD = {
    "a phase that nobody knows": ("{phase: Terminating}", {"phase": PodPhase.UNKNOWN}),
    "running since a time that nobody says": (
        "{phase: Running, containerStatuses: [{name: proc, state: {running: {startedAt: null}}}]}",
        {"started_at": parsed(POD["metadata"]["creationTimestamp"]), "is_running": True},
    ),
    "running, with a newer API server that leaves out what is empty": (
        "{phase: Running, containerStatuses: [{name: proc, state: {running: {}}}]}",
        {"started_at": parsed(POD["metadata"]["creationTimestamp"]), "is_running": True},
    ),
    "running since before there were years": (
        (
            "{phase: Running, containerStatuses: "
            '[{name: proc, state: {running: {startedAt: "0000-01-01T00:00:00Z"}}}]}'
        ),
        {"started_at": parsed(POD["metadata"]["creationTimestamp"])},
    ),
    "ended in a year from which no time-out can be counted": (
        """
        phase: Failed
        containerStatuses:
        - {name: proc, state: {terminated: {exitCode: 1,
           startedAt: "0000-01-01T00:00:00Z", finishedAt: "9999-12-31T23:59:59Z"}}}
        """,
        {"end": ContainerEnd(1, "", "", None, None)},
    ),
    "hardly anything": (
        """
        conditions: [{type: PodScheduled, status: "", lastTransitionTime: null}]
        containerStatuses: [{name: "", state: {}}]
        """,
        {"phase": PodPhase.PENDING, "unschedulable": None, "started_at": None},
    ),
}
PODS = PENDING | RUNNING | ENDED_PODS | ODD


@pytest.mark.parametrize(("status", "facts"), PODS.values(), ids=PODS)
def test_a_pod_is_reduced_to_its_facts(status: str, facts: dict[str, Any]) -> None:
    found = a_pod(status)

    assert {name: getattr(found, name) for name in facts} == facts


def test_the_metadata_of_a_pod_is_read() -> None:
    assert read_pod(POD) == PodFacts(
        namespace=POD["metadata"]["namespace"],
        name="grow-disk-x7-c3c24b7a54-abcde",
        uid=Uid("pod-uid-1"),
        resource_version="500",
        created_at=ago(45),
        owner_uid=Uid("job-uid-1"),
        execution_uid=EXECUTION_UID,
        node_name="node-1",
    )


@pytest.mark.parametrize(
    ("grace", "deletion"),
    [
        (30, "2026-11-20T09:30:30Z"),
        (10**12, "2149-09-15T10:10:19Z"),
        (2**63 - 1, "2026-11-20T09:29:59Z"),
    ],
    ids=["as most have it", "longer than the server can add", "the longest"],
)
def test_a_pod_was_asked_to_go_its_grace_before_its_deletion(grace: int, deletion: str) -> None:
    times = {"deletionTimestamp": deletion, "deletionGracePeriodSeconds": grace}

    found = read_pod({**POD, "metadata": {**POD["metadata"], **times}})

    assert found.deletion_time is not None
    assert NOW - timedelta(seconds=1) <= found.deletion_time <= NOW


def test_the_exit_code_of_a_sidecar_has_no_say() -> None:
    found = read_pod(
        {
            **POD,
            "spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
            "status": {
                "phase": "Failed",
                "initContainerStatuses": [
                    {"name": "proxy", "state": {"terminated": {"exitCode": 9}}}
                ],
            },
        }
    )

    assert found.failed_init is None


@pytest.mark.parametrize(
    ("message", "policy", "containers", "lacks"),
    [
        ("x" * 4095, "File", 1, (False, False)),
        ("x" * 4096, "File", 1, (True, False)),
        ("x" * 2047, "FallbackToLogsOnError", 1, (False, False)),
        ("x" * 2048, "FallbackToLogsOnError", 1, (True, False)),
        ("x" * 2457, "File", 5, (True, True)),
        ("x" * 2456, "File", 5, (False, False)),
        ("\x1b" * 2000, "File", 1, (False, True)),
    ],
    ids=[
        "a file that fits",
        "the end of a file",
        "a log that fits",
        "the end of a log",
        "a share of what a pod may say",
        "all of one of five",
        "more than fits when it is written out",
    ],
)
def test_which_ends_a_termination_message_may_have_lost_is_known(
    message: str, policy: str, containers: int, lacks: tuple[bool, bool]
) -> None:
    proc = {"name": "proc", "terminationMessagePolicy": policy}
    others = [{"name": f"other-{number}"} for number in range(containers - 1)]
    state = {"terminated": {"exitCode": 1, "message": message}}

    found = read_pod(
        {
            **POD,
            "spec": {"containers": [proc, *others]},
            "status": {"phase": "Failed", "containerStatuses": [{"name": "proc", "state": state}]},
        }
    )

    assert found.end is not None
    assert (found.end.lacks_its_beginning, found.end.lacks_its_end) == lacks


def test_the_job_of_an_orphaned_pod_is_known_by_its_label() -> None:
    labels = {"batch.kubernetes.io/controller-uid": "job-uid-1"}

    found = read_pod(
        {**POD, "metadata": {**POD["metadata"], "labels": labels, "ownerReferences": []}}
    )

    assert (found.owner_uid, found.job_uid) == (None, "job-uid-1")


HOSTILE = "\\u001b[2J\\u0000" + "x" * 9000


@pytest.mark.parametrize(
    "status",
    [
        f'{{phase: Failed, message: "{HOSTILE}"}}',
        f'{{containerStatuses: [{{name: proc, state: {{waiting: {{message: "{HOSTILE}"}}}}}}]}}',
        (
            "{containerStatuses: [{name: proc, state: "
            f'{{terminated: {{exitCode: 1, message: "{HOSTILE}"}}}}}}]}}'
        ),
        (
            '{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, '
            f'message: "{HOSTILE}"}}]}}'
        ),
    ],
    ids=["of the pod", "of a waiting container", "of an ended container", "of the scheduler"],
)
def test_a_message_is_bounded_and_holds_nothing_that_a_terminal_would_obey(status: str) -> None:
    found = a_pod(status)
    said = [
        found.message,
        found.waiting.message if found.waiting else "",
        found.end.message if found.end else "",
        found.unschedulable or "",
    ]

    (message,) = [one for one in said if one]
    assert message.startswith("\\x1b[2J\\x00xx")
    assert len(message.encode()) <= 4096
