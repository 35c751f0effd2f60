"""Every way for a run to end that a kubelet can produce, as real pods, all at once (F13, promise I5).

What must come of each is written down by hand in the table. What a kubelet cannot be made to do here
stands as recorded facts in the unit tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from harness.endings import (
    Case,
    Deed,
    Ending,
    ask_for,
    delete_job,
    delete_pod,
    evict,
    is_running,
    play,
    says_why_it_waits,
    secret,
    then_end_it,
    unwish,
    wish,
)
from harness.running import IMAGE, RunningOperator, execution, proc
from localcluster import Image, write_image
from localcluster.cluster import LocalCluster
from localcluster.existing import NodeCluster

pytestmark = pytest.mark.timeout(240)

_ROOTLY: Final = "proctor.local/rootly:1"
_NAMED: Final = "proctor.local/named:1"
_EMPTY: Final = "proctor.local/empty:1"
_NO_REGISTRY: Final = "127.0.0.1:1/missing:1"
_DONGLE: Final = "example.org/dongle"
_NOT_STARTED: Final = {"pendingTimeoutSeconds": 20}

STAYS: Final = "trap 'exit 143' TERM; sleep 300 & wait $!"
HUNGRY: Final = "awk 'BEGIN { s = \"xxxxxxxx\"; while (1) s = s s }'"
GOES_ON: Final = "sleep 2"
"""What a container does that outlives its child: the node's word of the kill comes on a way of its own,
and one that comes after the container's end is lost."""
SMALL: Final = {"limits": {"memory": "16Mi"}, "requests": {"memory": "16Mi"}}
AS_WISHED: Final = """
case $WISH in fail) trap 'exit 3' TERM; sleep 300 & wait $!;; stay) sleep 300;; esac; echo done
"""
WISH: Final = {"name": "WISH", "description": "What to do"}


def beside(script: str, image: str = IMAGE, **fields: Any) -> dict[str, Any]:
    """Another container, as Pod Security wants it."""
    return {
        "name": "helper",
        "image": image,
        "command": ["/bin/sh", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **fields,
    }


def template(**pod: Any) -> dict[str, Any]:
    return {"podTemplate": {"spec": pod}}


def wishing(name: str, **spec: Any) -> dict[str, Any]:
    reference = {"name": name, "key": "wish"}
    return {"secrets": [{**WISH, "secretKeyRef": reference}], **spec}


def of_proc(**fields: Any) -> dict[str, Any]:
    return template(containers=[{"name": "proc", **fields}])


ENDS_BY_ITSELF: Final = {
    "succeeds": Case("Succeeded", "Completed", 0),
    "fails": Case("Failed", "NonZeroExitCode", 3, script="exit 3", says="code 3"),
    "is-killed": Case(
        "Failed", "NonZeroExitCode", 137, script="sleep 60 & kill -9 $!; wait $!", says="SIGKILL"
    ),
    "is-terminated": Case(
        "Failed", "NonZeroExitCode", 143, script="sleep 60 & kill $!; wait $!", says="SIGTERM"
    ),
    "writes-where-it-may-not": Case("Failed", "NonZeroExitCode", 1, script="echo x > /etc/x"),
    "loses-a-child-and-fails": Case(
        "Failed",
        "OOMKilled",
        3,
        script=f"{HUNGRY}; {GOES_ON}; exit 3",
        spec={"resources": SMALL},
        says="went on and exited with code 3",
    ),
    "loses-a-child-and-succeeds": Case(
        "Succeeded",
        "Completed",
        0,
        script=f"{HUNGRY}; {GOES_ON}; exit 0",
        spec={"resources": SMALL},
        says="went on and exited with code 0",
    ),
    "fills-its-volume": Case(
        "Failed",
        "Evicted",
        ...,
        script="dd if=/dev/zero of=/scratch/f bs=1M count=8; sleep 300",
        spec=template(
            containers=[{"name": "proc", "volumeMounts": [{"name": "s", "mountPath": "/scratch"}]}],
            volumes=[{"name": "s", "emptyDir": {"sizeLimit": "1Mi"}}],
        ),
        says="exceeds the limit",
    ),
    "takes-too-long": Case(
        "TimedOut",
        "DeadlineExceeded",
        4,
        script="trap 'exit 4' TERM; sleep 300 & wait $!",
        spec={"timeoutSeconds": 3},
    ),
    "takes-too-long-and-says-all-is-well": Case(
        "TimedOut",
        "DeadlineExceeded",
        0,
        script="trap 'exit 0' TERM; sleep 300 & wait $!",
        spec={"timeoutSeconds": 3},
    ),
}

OTHER_CONTAINERS: Final = {
    "its-init-container-fails": Case(
        "Failed",
        "InitContainerFailed",
        spec=template(initContainers=[beside("exit 7")]),
        says="helper exited with code 7",
    ),
    "its-helper-fails": Case(
        "Failed",
        "OtherContainerFailed",
        0,
        spec=template(containers=[beside("exit 5")]),
        says="helper exited with code 5",
    ),
    "it-fails-beside-its-helper": Case(
        "Failed",
        "NonZeroExitCode",
        3,
        script="exit 3",
        spec=template(containers=[beside("exit 5")]),
    ),
    "it-succeeds-and-its-sidecar-does-not": Case(
        "Succeeded",
        "Completed",
        0,
        script="sleep 1",
        spec=template(
            initContainers=[
                beside("trap 'exit 9' TERM; sleep 300 & wait $!", restartPolicy="Always")
            ]
        ),
    ),
    "it-fails-and-so-does-its-sidecar": Case(
        "Failed",
        "NonZeroExitCode",
        3,
        script="sleep 1; exit 3",
        spec=template(
            initContainers=[
                beside("trap 'exit 9' TERM; sleep 300 & wait $!", restartPolicy="Always")
            ]
        ),
    ),
    "its-helper-can-never-start": Case(
        "Failed",
        "InvalidImageName",
        0,
        spec=template(containers=[beside("exit 0", image="UPPER/Case")]),
        says="container helper:",
    ),
}

NEVER_STARTS: Final = {
    "no-such-name": Case(
        "Failed",
        "InvalidImageName",
        spec={"image": "UPPER/Case"},
        says="must be lowercase",
        shows="InvalidImageName",
    ),
    "wants-root": Case(
        "Failed", "RunsAsRoot", spec={"image": _ROOTLY}, says="run as root", shows="RunsAsRoot"
    ),
    "may-want-root": Case(
        "Failed", "RunsAsRoot", spec={"image": _NAMED}, says="non-numeric user (nonroot)"
    ),
    "its-init-container-wants-root": Case(
        "Failed",
        "RunsAsRoot",
        spec=template(initContainers=[beside("exit 0", image=_ROOTLY)]),
        says="container helper:",
    ),
    "has-no-command": Case(
        "Failed", "NoCommand", spec={"image": _EMPTY, "command": [], "args": []}
    ),
    "has-no-such-program": Case(
        "Failed",
        "StartError",
        spec={"command": ["/bin/nope"], "args": []},
        says="no such file or directory",
    ),
    "has-no-such-folder": Case("Failed", "StartError", spec=of_proc(workingDir="/etc/passwd")),
}

WAITS: Final = {
    "image-never-pulled": Case(
        "TimedOut",
        "PendingTimeout",
        spec={"image": "proctor.local/missing:1"} | _NOT_STARTED | of_proc(imagePullPolicy="Never"),
        shows="ErrImageNeverPull",
        says="ErrImageNeverPull",
    ),
    "image-not-to-be-had": Case(
        "TimedOut",
        "PendingTimeout",
        spec={"image": _NO_REGISTRY} | _NOT_STARTED,
        shows="ErrImagePull",
        says="connection refused",
    ),
    "init-image-not-to-be-had": Case(
        "TimedOut",
        "PendingTimeout",
        spec=template(initContainers=[beside("exit 0", image=_NO_REGISTRY)]) | _NOT_STARTED,
        shows="ErrImagePull",
        says="container helper:",
    ),
    "no-node-for-it": Case(
        "TimedOut",
        "PendingTimeout",
        spec={"nodeSelector": {"no-such": "label"}} | _NOT_STARTED,
        shows="Unschedulable",
        says="Unschedulable",
    ),
    "secret-that-never-comes": Case(
        "TimedOut",
        "PendingTimeout",
        spec=wishing("secret-that-never-comes") | _NOT_STARTED,
        shows="CreateContainerConfigError",
        says='secret "secret-that-never-comes" not found',
    ),
    "secret-that-comes-late": Case(
        "Succeeded",
        "Completed",
        0,
        spec=wishing("secret-that-comes-late"),
        shows="CreateContainerConfigError",
        deed=Deed(says_why_it_waits, wish("go")),
    ),
    "key-that-never-comes": Case(
        "TimedOut",
        "PendingTimeout",
        spec={
            "secrets": [{**WISH, "secretKeyRef": {"name": "key-that-never-comes", "key": "nope"}}]
        }
        | _NOT_STARTED,
        shows="CreateContainerConfigError",
        says="couldn't find key nope",
    ),
}

ATTEMPTS: Final = {
    "succeeds-at-the-second-attempt": Case(
        "Succeeded",
        "Completed",
        0,
        2,
        script=AS_WISHED,
        spec=wishing("succeeds-at-the-second-attempt", retries=2),
        deed=Deed(is_running, then_end_it(wish("succeed"))),
    ),
    "succeeds-after-a-time-out": Case(
        "Succeeded",
        "Completed",
        0,
        2,
        script=AS_WISHED,
        spec=wishing("succeeds-after-a-time-out", retries=1, timeoutSeconds=40)
        | template(terminationGracePeriodSeconds=0),
        deed=Deed(is_running, wish("succeed")),
    ),
    "fails-twice": Case("Failed", "NonZeroExitCode", 3, 2, script="exit 3", spec={"retries": 1}),
    "takes-too-long-twice": Case(
        "TimedOut",
        "DeadlineExceeded",
        137,
        2,
        script="sleep 300",
        spec={"retries": 1, "timeoutSeconds": 3} | template(terminationGracePeriodSeconds=0),
    ),
    "its-second-attempt-does-not-start": Case(
        "TimedOut",
        "PendingTimeout",
        None,
        2,
        script=AS_WISHED,
        spec=wishing("its-second-attempt-does-not-start", retries=1) | _NOT_STARTED,
        says="CreateContainerConfigError",
        deed=Deed(is_running, then_end_it(unwish)),
    ),
}

SOMEBODY_ENDS_IT: Final = {
    "its-pod-is-deleted": Case(
        "Failed", "PodDeleted", ..., script=STAYS, deed=Deed(is_running, delete_pod())
    ),
    "its-pod-is-forced-away": Case(
        "Failed",
        "PodDeleted",
        ...,
        script=STAYS,
        deed=Deed(is_running, delete_pod("--force", "--grace-period=0")),
    ),
    "its-pod-is-deleted-before-it-starts": Case(
        "Failed",
        "PodDeleted",
        spec=wishing("its-pod-is-deleted-before-it-starts"),
        says="before it started",
        deed=Deed(says_why_it_waits, delete_pod()),
    ),
    "its-node-is-drained": Case(
        "Failed", "Evicted", ..., script=STAYS, deed=Deed(is_running, evict), says="drained"
    ),
    "its-job-is-deleted": Case(
        "Failed",
        "JobDeleted",
        ...,
        script=STAYS,
        deed=Deed(is_running, delete_job("background")),
    ),
    "its-job-is-deleted-in-the-foreground": Case(
        "Failed",
        "JobDeleted",
        ...,
        script=STAYS,
        deed=Deed(is_running, delete_job("foreground")),
    ),
    "its-job-is-deleted-and-its-pod-orphaned": Case(
        "Failed", "JobDeleted", ..., script=STAYS, deed=Deed(is_running, delete_job("orphan"))
    ),
    "gives-way": Case(
        "Failed",
        "Preempted",
        ...,
        script=STAYS,
        # Of no lower priority than the others: on a full node any of them would take its place.
        spec={"resources": {"limits": {_DONGLE: "1"}}},
    ),
    "takes-its-place": Case(
        "Succeeded",
        "Completed",
        0,
        spec={"resources": {"limits": {_DONGLE: "1"}}} | template(priorityClassName="e2e-high"),
        comes_late=True,
        deed=Deed(is_running, ask_for, of="gives-way"),
    ),
}

CASES: Final = (
    ENDS_BY_ITSELF | OTHER_CONTAINERS | NEVER_STARTS | WAITS | ATTEMPTS | SOMEBODY_ENDS_IT
)


@pytest.fixture(scope="module")
def endings(
    operator: RunningOperator, node_cluster: NodeCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Ending]]:
    """All cases, played at once."""
    folder = tmp_path_factory.mktemp("outcomes")
    for image in (
        Image(_ROOTLY, ("/bin/sh",), user="0:0"),
        Image(_NAMED, ("/bin/sh",), user="nonroot"),
        Image(_EMPTY, ()),
    ):
        node_cluster.load_image(write_image(image, folder / "image.tar"))
    _advertise(node_cluster, "1")
    operator.apply(
        _priority_class("e2e-high", 10),
        secret("succeeds-at-the-second-attempt", "fail"),
        secret("succeeds-after-a-time-out", "stay"),
        secret("its-second-attempt-does-not-start", "fail"),
        secret("key-that-never-comes", "go"),
    )
    yield play(operator, CASES, seconds=150)
    operator.kubectl("delete", "priorityclass", "e2e-high")
    _advertise(node_cluster, None)


@pytest.mark.parametrize("name", CASES)
def test_a_run_ends_as_it_truly_did(
    name: str, endings: dict[str, Ending], operator: RunningOperator
) -> None:
    case, ending = CASES[name], endings[name]
    status = ending.last.get("status", {})

    assert (status.get("phase"), status.get("reason")) == (case.phase, case.reason), status
    assert case.exit_code is ... or status.get("exitCode") == case.exit_code
    assert status.get("attempts") == case.attempts
    assert case.says in status.get("message", "")
    assert not case.shows or case.shows in ending.reasons
    row = operator.recorded(name)
    assert (row["phase"], row["phase_reason"]) == (case.phase, case.reason)


def test_a_run_that_eats_too_much_was_killed_for_it_where_its_node_says_so(
    operator: RunningOperator,
) -> None:
    """The word of the kill races the container's end on the node; where it loses nobody can know it."""
    operator.apply(proc("hungry", script=f"exec {HUNGRY}", resources=SMALL))
    reasons = []
    for name in (f"hungry-{number}" for number in range(1, 9)):
        operator.apply(execution(name, of="hungry"))
        status = operator.wait_for_phase(name, "Failed")["status"]
        (pod,) = operator.list("pods", f"proctor.dev/execution={name}")
        (container,) = pod["status"]["containerStatuses"]
        assert status["exitCode"] == 137
        assert (status["reason"] == "OOMKilled") == (
            container["state"]["terminated"]["reason"] == "OOMKilled"
        ), status
        reasons.append(status["reason"])
        if status["reason"] == "OOMKilled":
            break

    assert reasons[-1] == "OOMKilled", reasons


def test_no_pod_of_a_run_that_is_over_runs_on(
    endings: dict[str, Ending], operator: RunningOperator
) -> None:
    assert all(one.is_over for one in endings.values())
    runs = {pod["metadata"]["name"] for pod in operator.list("pods") if is_running([pod])}

    assert [name for name in CASES if any(pod.startswith(f"{name}-") for pod in runs)] == []


def test_a_run_on_a_node_that_is_lost_ends_when_the_node_is_said_to_be_off(
    operator: RunningOperator, local_node_cluster: LocalCluster
) -> None:
    operator.apply(proc("lost", script=STAYS), execution("lost-1", of="lost"))
    operator.wait_for_phase("lost-1", "Running")
    kubectl = local_node_cluster.kubectl
    node = kubectl("get", "nodes", "--output=name").stdout.strip().removeprefix("node/")

    local_node_cluster.stop_component("kubelet", seconds=0)
    kubectl("wait", f"node/{node}", "--for=condition=Ready=Unknown", "--timeout=60s")
    kubectl("taint", "nodes", node, "node.kubernetes.io/out-of-service=:NoExecute")
    done = operator.wait_for_phase("lost-1", "Failed")
    local_node_cluster.start_component("kubelet")
    kubectl("taint", "nodes", node, "node.kubernetes.io/out-of-service-")

    assert done["status"]["reason"] == "NodeLost"
    assert "exitCode" not in done["status"]
    assert operator.recorded("lost-1")["phase_reason"] == "NodeLost"


def _advertise(cluster: NodeCluster, amount: str | None) -> None:
    """Give every node something that only one pod can have, or take it away."""
    patch = json.dumps({"status": {"capacity": {_DONGLE: amount}}})
    for node in cluster.kubectl("get", "nodes", "--output=name").stdout.split():
        cluster.kubectl("patch", node, "--subresource=status", "--type=merge", f"--patch={patch}")


def _priority_class(name: str, value: int) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
    }
