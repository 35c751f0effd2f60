"""The local cluster without a node: is it as strict as a real one, and does it leave nothing?"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster import LocalCluster, LocalClusterError, Tuning, processes, up
from localcluster.certificates import Authority
from localcluster.cli import main
from localcluster.config import Config, state_dir
from localcluster.errors import ClusterStateError, ComponentError, DiskSpaceError, UsageError
from localcluster.existing import ExistingCluster
from localcluster.fixtures import remove_abandoned, temporary_cluster
from localcluster.images import archive_tags
from localcluster.lifecycle import take_down
from localcluster.space import require_space
from localcluster.waiting import wait_until

pytestmark = pytest.mark.timeout(900)  # the first run on a machine builds Kubernetes

TESTS = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(TESTS)}
COMMAND = [sys.executable, "-m", "localcluster"]
HOLD_A_CLUSTER = """
import signal
from localcluster.existing import ExistingCluster
from localcluster.fixtures import remove_abandoned, temporary_cluster
from localcluster.images import archive_tags
with temporary_cluster("api", "held") as cluster:
    print(cluster.name, flush=True)
    signal.pause()
"""
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "careless"},
    "spec": {"containers": [{"name": "main", "image": "proctor.local/busybox:1"}]},
}
NO_ROBOTS = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-robots}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}
  validations:
    - {expression: "object.metadata.name != 'robot'", message: robots are not welcome}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-robots}
spec: {policyName: no-robots, validationActions: [Deny]}
"""


@pytest.fixture
def name() -> Iterator[str]:
    """A cluster's name; what the test leaves under it is removed."""
    name = f"pytest-{os.getpid()}-own"
    yield name
    take_down(name)


def whoami(cluster: LocalCluster, kubeconfig: Path) -> tuple[str, list[str]]:
    shown = cluster.kubectl("auth", "whoami", "-ojson", kubeconfig=kubeconfig).stdout
    info = json.loads(shown)["status"]["userInfo"]
    return info["username"], info["groups"]


def nothing_is_left(name: str) -> bool:
    folder = state_dir(name)
    return not folder.exists() and not processes.find(folder)


def test_starts_fast(name: str) -> None:
    def seconds() -> float:
        started = time.monotonic()
        cluster = up(name, "api")
        elapsed = time.monotonic() - started
        cluster.down()
        return elapsed

    # What the machine has not yet read from its disk, or does besides, is not the cluster's fault.
    assert any(seconds() < 10 for _ in range(3))


def test_the_administrator_can_do_everything(api_cluster: LocalCluster) -> None:
    assert api_cluster.kubectl("auth", "can-i", "*", "*").stdout.strip() == "yes"
    version = json.loads(api_cluster.kubectl("version", "-ojson").stdout)["serverVersion"]
    assert version["gitVersion"].startswith("v1.34.")


def test_a_user_may_do_nothing_until_a_role_says_so(
    api_cluster: LocalCluster, tmp_path: Path
) -> None:
    ada = api_cluster.client_kubeconfig("ada", ["makers", "readers"], tmp_path / "ada")
    assert whoami(api_cluster, ada) == ("ada", ["makers", "readers", "system:authenticated"])
    refused = api_cluster.kubectl("get", "configmaps", kubeconfig=ada, check=False)
    assert 'User "ada" cannot list resource "configmaps"' in refused.stderr

    bind = ["create", "clusterrolebinding", "readers", "--clusterrole=view", "--group=readers"]
    api_cluster.kubectl(*bind)
    allowed = ["get", "configmaps", "-oname"]
    assert wait_until(
        lambda: api_cluster.kubectl(*allowed, kubeconfig=ada, check=False).returncode == 0,
        seconds=20,
    )
    assert (
        "forbidden"
        in api_cluster.kubectl(
            "create", "configmap", "mine", kubeconfig=ada, check=False
        ).stderr.lower()
    )


def test_a_service_account_acts_under_its_own_name(
    api_cluster: LocalCluster, tmp_path: Path
) -> None:
    api_cluster.kubectl("create", "serviceaccount", "robot")
    path = api_cluster.service_account_kubeconfig("default", "robot", tmp_path / "robot")
    assert path.stat().st_mode & 0o077 == 0
    user, groups = whoami(api_cluster, path)
    assert user == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in groups


def test_a_certificate_of_another_authority_is_nobody(api_cluster: LocalCluster) -> None:
    pair = Authority.create("kubernetes").client("kubernetes-admin", ["system:masters"])
    pair.write(api_cluster.state_dir, "forged")
    context = ssl.create_default_context(cafile=str(api_cluster.ca_file))
    folder = api_cluster.state_dir
    context.load_cert_chain(folder / "forged.crt", folder / "forged.key")
    address = f"{api_cluster.server}/api/v1/namespaces"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address, context=context, timeout=10)
    refused.value.close()
    assert refused.value.code == 401


def test_etcd_takes_only_the_api_servers_certificate(api_cluster: LocalCluster) -> None:
    addresses, pki = api_cluster.config.addresses, api_cluster.config.pki
    url = f"https://127.0.0.1:{addresses.etcd_port}/health"
    context = ssl.create_default_context(cafile=str(pki / "etcd-ca.crt"))
    with pytest.raises(OSError, match=r"(?i)certificate"):
        urllib.request.urlopen(url, context=context, timeout=10)
    context.load_cert_chain(pki / "apiserver-etcd-client.crt", pki / "apiserver-etcd-client.key")
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        assert json.load(answer)["health"] == "true"


def test_pod_security_and_admission_policies_are_in_force(api_cluster: LocalCluster) -> None:
    api_cluster.kubectl("create", "namespace", "strict")
    label = "pod-security.kubernetes.io/enforce=restricted"
    api_cluster.kubectl("label", "namespace", "strict", label)
    pod = api_cluster.kubectl("-n", "strict", "create", "-f-", stdin=json.dumps(POD), check=False)
    assert "violates PodSecurity" in pod.stderr

    api_cluster.kubectl("apply", "-f-", stdin=NO_ROBOTS)

    def refused() -> bool:
        made = api_cluster.kubectl("create", "configmap", "robot", "--dry-run=server", check=False)
        return "robots are not welcome" in made.stderr

    assert wait_until(refused, seconds=30)


def test_the_audit_log_has_one_line_for_each_change(
    api_cluster: LocalCluster, tmp_path: Path
) -> None:
    counter = api_cluster.client_kubeconfig("counter", ["system:masters"], tmp_path / "counter")
    api_cluster.kubectl("create", "configmap", "counted", kubeconfig=counter)
    api_cluster.kubectl("get", "configmap", "counted", kubeconfig=counter)
    api_cluster.kubectl("delete", "configmap", "counted", kubeconfig=counter)
    lines = [json.loads(line) for line in api_cluster.audit_log.read_text().splitlines()]
    own = [line for line in lines if line["user"]["username"] == "counter"]
    assert [line["verb"] for line in own] == ["create", "delete"]
    assert {line["stage"] for line in own} == {"ResponseComplete"}
    assert own[0]["objectRef"]["name"] == "counted"


def test_the_controllers_work(api_cluster: LocalCluster) -> None:
    api_cluster.kubectl("create", "namespace", "short-lived")
    api_cluster.kubectl("delete", "namespace", "short-lived", "--timeout=60s")


def test_helm_talks_to_the_cluster(api_cluster: LocalCluster) -> None:
    assert (
        api_cluster.helm("list", "--namespace=kube-public", "--output=json").stdout.strip() == "[]"
    )


def test_a_stopped_api_server_comes_back_with_its_objects(api_cluster: LocalCluster) -> None:
    api_cluster.kubectl("create", "configmap", "survivor")
    api_cluster.stop_component("kube-apiserver", seconds=0)
    assert api_cluster.kubectl("get", "configmap", "survivor", check=False).returncode != 0
    api_cluster.start_component("kube-apiserver")
    api_cluster.kubectl("get", "configmap", "survivor")
    # It ends when it has lost the API server for long; later tests want it.
    assert "kube-controller-manager" in api_cluster.runtime.running()


def test_a_component_that_fails_is_named_with_its_log(name: str) -> None:
    tuning = Tuning(extra_args={"kube-controller-manager": ("--no-such-flag",)})
    with pytest.raises(ComponentError) as failure:
        up(name, "api", tuning=tuning)
    assert failure.value.component == "kube-controller-manager"
    assert "unknown flag: --no-such-flag" in failure.value.log_tail
    assert nothing_is_left(name)


def test_a_name_is_used_once(api_cluster: LocalCluster) -> None:
    with pytest.raises(ClusterStateError, match="there is a cluster"):
        up(api_cluster.name, "api")
    api_cluster.kubectl("version")


def test_a_taken_port_is_refused(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalClusterError, match=f"port {port} .* is taken"):
            up(name, "api", port=port)
    assert nothing_is_left(name)


@pytest.mark.parametrize("bad", ["", "Upper", "a/b", "-x", "x" * 41, "../up"])
def test_a_name_that_cannot_be_a_folder_is_refused(bad: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        up(bad, "api")


def test_too_little_space_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(DiskSpaceError, match=r"needs 1073741824\.0 GiB"):
        require_space(tmp_path, 2**60, "a test")


def test_a_cut_short_configuration_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"name": "x", "level"')
    assert Config.read(tmp_path) is None


def test_down_leaves_nothing_and_may_be_repeated() -> None:
    with temporary_cluster("api", "removed") as cluster:
        assert len(processes.find(cluster.state_dir)) >= 3
        cluster.down()
        assert nothing_is_left(cluster.name)
        cluster.down()


@pytest.mark.parametrize("after_seconds", [0.15, 0.4, 1.0, 2.0])
def test_down_cleans_up_after_a_killed_up(name: str, after_seconds: float) -> None:
    command = [*COMMAND, "up", "--name", name, "--level=api"]
    with subprocess.Popen(command, env=ENVIRONMENT) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(after_seconds)
        child.send_signal(signal.SIGKILL)
    subprocess.run([*COMMAND, "down", "--name", name], env=ENVIRONMENT, check=True)
    assert nothing_is_left(name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_cleans_up_itself(name: str, number: signal.Signals) -> None:
    # A shell that starts a job in the background lets it ignore Ctrl-C; this one shall not.
    command = ["env", "--default-signal", *COMMAND, "up", "--name", name, "--level=api"]
    with subprocess.Popen(command, env=ENVIRONMENT) as child:
        assert wait_until(lambda: bool(processes.find(state_dir(name))), seconds=30)
        down = [*COMMAND, "down", "--name", name]
        refused = subprocess.run(down, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert "another process is bringing cluster" in refused.stderr
        child.send_signal(number)
        assert child.wait(30) == 130
    assert nothing_is_left(name)


def test_a_test_run_that_is_ended_removes_its_cluster() -> None:
    command = [sys.executable, "-c", HOLD_A_CLUSTER]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert not nothing_is_left(name)
        child.send_signal(signal.SIGTERM)
    assert nothing_is_left(name)


def test_the_cluster_of_a_killed_test_run_is_removed_by_the_next_one() -> None:
    command = [sys.executable, "-c", HOLD_A_CLUSTER]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        child.kill()
    assert not nothing_is_left(name)
    remove_abandoned()
    assert nothing_is_left(name)


def test_an_existing_context_can_be_used(
    api_cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api_cluster.kubeconfig))
    with pytest.raises(UsageError, match="no context elsewhere"):
        ExistingCluster.of("elsewhere", tmp_path)
    cluster = ExistingCluster.of(api_cluster.context, tmp_path)
    assert cluster.server == api_cluster.server
    ada = cluster.client_kubeconfig("ada", ["makers"], tmp_path / "ada")
    assert whoami(api_cluster, ada) == ("ada", ["makers", "system:authenticated"])
    robot = cluster.service_account_kubeconfig("default", "default", tmp_path / "robot")
    assert whoami(api_cluster, robot)[0] == "system:serviceaccount:default:default"
    with pytest.raises(UsageError, match="it is not known how images get to the nodes"):
        cluster.load_image(tmp_path / "x.tar")


def test_an_image_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "job").write_text("#!/bin/sh\n")
    options = ["--tag=proctor.local/x:1", f"--add={tmp_path / 'job'}:/opt/job", "--env=A=b"]
    files = [tmp_path / "first.tar", tmp_path / "second.tar"]
    for file in files:
        assert main(["build-image", *options, '--entrypoint=["/opt/job"]', f"-o{file}"]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert archive_tags(files[0]) == ["proctor.local/x:1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "--kubelet-config", "{"], "--kubelet-config is not JSON"),
        (["up", "--name", "A"], "cannot be the name of a cluster"),
        (["build-image", "--tag=x", "--entrypoint={}"], "must be a JSON list"),
        (["build-image", "--tag=x", "--add=nowhere"], "write it as SRC:DEST"),
        (["build-image", "--tag=x", "--add=/nowhere:/x", "-o/dev/null"], "cannot add /nowhere"),
        (["build-image", "--tag=x", "--add=/etc/hostname:x", "-o/dev/null"], "absolute path"),
        (["kubeconfig", "--name=nobody"], "there is no cluster nobody"),
        (["load-image", "--name=nobody", "x.tar"], "there is no cluster nobody"),
    ],
)
def test_a_bad_request_is_explained(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) in (1, 2)
    assert words in capsys.readouterr().err
