"""The local cluster with a node: do real pods run in it, and is nothing left of it afterwards?"""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcluster import (
    Image,
    LocalCluster,
    LocalClusterError,
    Tuning,
    network,
    processes,
    sandbox,
    up,
    write_image,
)
from localcluster.certificates import Authority
from localcluster.config import state_dir
from localcluster.existing import NodeCluster
from localcluster.fixtures import BUSYBOX_IMAGE, temporary_cluster
from localcluster.leftovers import look_at_machine, network_namespace, processes_in
from localcluster.lifecycle import take_down
from localcluster.waiting import wait_until

pytestmark = [
    pytest.mark.timeout(900),  # the first run on a machine builds Kubernetes
    pytest.mark.skipif(os.geteuid() != 0, reason="a cluster with a node needs root"),
]

TESTS = Path(__file__).parents[1]
API_CALL = (
    'wget -qO- --header "Authorization: Bearer $(cat $T/token)" --no-check-certificate '
    "https://$KUBERNETES_SERVICE_HOST/apis/authentication.k8s.io/v1 && echo && echo reached"
)


def restricted_job(name: str, script: str, **pod: object) -> str:
    container = {
        "name": "main",
        "image": BUSYBOX_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "env": [{"name": "T", "value": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "terminationGracePeriodSeconds": 1,
        **pod,
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }
    return json.dumps(job)


def run_job(cluster: NodeCluster, namespace: str, name: str, script: str) -> str:
    """Run a script in a pod; return its log."""
    cluster.kubectl("-n", namespace, "create", "-f-", stdin=restricted_job(name, script))
    job = f"job/{name}"
    cluster.kubectl("-n", namespace, "wait", "--for=condition=complete", job, "--timeout=90s")
    return read_log(cluster, namespace, name)


def read_log(cluster: NodeCluster, namespace: str, name: str) -> str:
    """Return all that the pod of a job has written."""
    return cluster.kubectl("-n", namespace, "logs", "--tail=-1", f"job/{name}").stdout


def make_restricted(cluster: NodeCluster, namespace: str) -> None:
    cluster.kubectl("create", "namespace", namespace)
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, label)


@pytest.fixture(scope="session")
def restricted(node_cluster: NodeCluster) -> str:
    """A namespace in which only restricted pods may run."""
    make_restricted(node_cluster, "restricted")
    return "restricted"


@pytest.fixture
def name() -> Iterator[str]:
    """A cluster's name; what the test leaves under it is removed."""
    name = f"pytest-{os.getpid()}-own"
    yield name
    take_down(name)


def test_a_restricted_job_runs_and_its_log_is_read(
    node_cluster: NodeCluster, restricted: str
) -> None:
    assert run_job(node_cluster, restricted, "hello", "id -u; echo done") == "65532\ndone\n"


def test_a_pod_reaches_the_api_server_by_its_service(
    node_cluster: NodeCluster, restricted: str
) -> None:
    log = run_job(node_cluster, restricted, "caller", API_CALL)
    assert '"tokenreviews"' in log
    assert log.endswith("reached\n")


def test_a_name_that_nobody_resolves_fails_at_once(
    local_node_cluster: LocalCluster, restricted: str
) -> None:
    # A server that does not answer would hold nc until it is killed, which gives 143.
    # One stream: the runtime reads the two apart, and puts no order between them.
    script = "exec 2>&1; timeout 2 nc nowhere.example 80; echo $?"
    log = run_job(local_node_cluster, restricted, "lost", script)
    assert log == "nc: bad address 'nowhere.example'\n1\n"


def test_commands_run_in_a_pod_and_pods_end(node_cluster: NodeCluster, restricted: str) -> None:
    job = restricted_job("sleeper", "exec sleep 600")
    node_cluster.kubectl("-n", restricted, "create", "-f-", stdin=job)
    ready = ["wait", "--for=condition=ready", "pod", "-ljob-name=sleeper", "--timeout=60s"]
    node_cluster.kubectl("-n", restricted, *ready)
    shown = node_cluster.kubectl("-n", restricted, "exec", "job/sleeper", "--", "hostname").stdout
    assert shown.startswith("sleeper-")
    node_cluster.kubectl("-n", restricted, "delete", "job", "sleeper", "--timeout=60s")


def test_output_of_pods_that_end_together_is_kept_whole(
    node_cluster: NodeCluster, restricted: str
) -> None:
    # The runtime is still busy copying all of it when it is told that the containers have ended.
    lines = 20_000
    names = [f"loud-{number}" for number in range(8)]
    jobs = [json.loads(restricted_job(name, f"seq {lines}")) for name in names]
    together = json.dumps({"apiVersion": "v1", "kind": "List", "items": jobs})
    node_cluster.kubectl("-n", restricted, "create", "-f-", stdin=together)
    complete = ["wait", "--for=condition=complete", "--timeout=120s"]
    node_cluster.kubectl("-n", restricted, *complete, *(f"job/{name}" for name in names))
    kept = {name: read_log(node_cluster, restricted, name).splitlines() for name in names}
    assert {name: len(log) for name, log in kept.items()} == dict.fromkeys(names, lines)
    whole = [str(number) for number in range(1, lines + 1)]
    assert [name for name, log in kept.items() if log != whole] == []


def test_an_image_with_a_script_of_our_own(
    node_cluster: NodeCluster, restricted: str, tmp_path: Path
) -> None:
    script = tmp_path / "greet"
    script.write_text('#!/bin/sh\necho "hello $1, in $PWD"\n')
    script.chmod(0o755)
    image = Image("proctor.local/greet:1", ("/opt/greet",), ("world",), {"/opt/greet": script})
    assert node_cluster.load_image(write_image(image, tmp_path / "x.tar")) == [image.tag]
    job = json.loads(restricted_job("greet", ""))
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["image"] = image.tag
    del container["command"]
    node_cluster.kubectl("-n", restricted, "create", "-f-", stdin=json.dumps(job))
    wait = ["wait", "--for=condition=complete", "job/greet", "--timeout=60s"]
    node_cluster.kubectl("-n", restricted, *wait)
    assert node_cluster.kubectl("-n", restricted, "logs", "job/greet").stdout == (
        "hello world, in /work\n"
    )


def test_the_kubelet_lets_nobody_in_without_a_right(local_node_cluster: LocalCluster) -> None:
    context = ssl.create_default_context(cafile=str(local_node_cluster.ca_file))
    url = f"https://{local_node_cluster.config.addresses.server}:10250/pods"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, context=context, timeout=10)
    refused.value.close()
    assert refused.value.code == 401
    pair = Authority.read(local_node_cluster.config.pki, "ca").client("ada", ["makers"])
    pair.write(local_node_cluster.state_dir, "ada")
    folder = local_node_cluster.state_dir
    context.load_cert_chain(folder / "ada.crt", folder / "ada.key")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, context=context, timeout=10)
    refused.value.close()
    assert refused.value.code == 403


class Refusing(http.server.BaseHTTPRequestHandler):
    """An admission webhook that says no to everything."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"uid": review["request"]["uid"], "allowed": False}
        review["response"] = answer | {"status": {"message": "the host says no"}}
        content = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@contextmanager
def webhook(address: str, folder: Path) -> Iterator[tuple[int, bytes]]:
    """Serve the webhook on the host; yield its port and its authority's certificate."""
    authority = Authority.create("webhook")
    authority.server("webhook", [address]).write(folder, "webhook")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "webhook.crt", folder / "webhook.key")
    with http.server.ThreadingHTTPServer((address, 0), Refusing) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], authority.pair.certificate
        server.shutdown()
        thread.join()


def test_the_api_server_calls_a_webhook_on_the_host(
    local_node_cluster: LocalCluster, tmp_path: Path
) -> None:
    cluster = local_node_cluster
    with webhook(cluster.host_address, tmp_path) as (port, ca):
        bundle = base64.b64encode(ca).decode()
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
        hook = {
            "name": "no.proctor.local",
            "clientConfig": {"url": f"https://{cluster.host_address}:{port}/", "caBundle": bundle},
            "rules": [rule | {"resources": ["configmaps"]}],
            "objectSelector": {"matchLabels": {"hooked": "yes"}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        manifest = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "no"},
            "webhooks": [hook],
        }
        cluster.kubectl("create", "-f-", stdin=json.dumps(manifest))
        hooked = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "hooked", "labels": {"hooked": "yes"}},
        }
        create = ["create", "--dry-run=server", "-f-"]

        def refused() -> bool:
            made = cluster.kubectl(*create, stdin=json.dumps(hooked), check=False)
            return "the host says no" in made.stderr

        assert wait_until(refused, seconds=20)
        cluster.kubectl("delete", "validatingwebhookconfiguration", "no")


def test_pods_survive_a_restart_of_the_node_programs(
    local_node_cluster: LocalCluster, restricted: str
) -> None:
    cluster = local_node_cluster
    # Output of a container that ends while containerd is away is lost: it waits to be told.
    job = restricted_job("steady", "until [ -e /tmp/go ]; do sleep 0.2; done; echo survived")
    cluster.kubectl("-n", restricted, "create", "-f-", stdin=job)
    ready = ["wait", "--for=condition=ready", "pod", "-ljob-name=steady", "--timeout=60s"]
    cluster.kubectl("-n", restricted, *ready)
    for component in ("kubelet", "containerd", "kube-apiserver"):
        cluster.stop_component(component, seconds=0)
        assert component not in cluster.runtime.running()
    for component in ("kube-apiserver", "containerd", "kubelet"):
        cluster.start_component(component)
    tell = ["exec", "job/steady", "--", "touch", "/tmp/go"]
    # The kubelet listens a moment before it serves.
    assert wait_until(
        lambda: cluster.kubectl("-n", restricted, *tell, check=False).returncode == 0, seconds=30
    )
    wait = ["wait", "--for=condition=complete", "job/steady", "--timeout=90s"]
    cluster.kubectl("-n", restricted, *wait)
    assert cluster.kubectl("-n", restricted, "logs", "job/steady").stdout == "survived\n"


def test_two_clusters_side_by_side(local_node_cluster: LocalCluster, restricted: str) -> None:
    before = look_at_machine(state_dir(f"pytest-{os.getpid()}-second"))
    tuning = Tuning(
        kubelet_config={"containerLogMaxSize": "20Ki", "containerLogMonitorInterval": "3s"}
    )
    with temporary_cluster("full", "second", tuning=tuning) as second:
        second.load_image(busybox_archive(second.state_dir))
        make_restricted(second, "restricted")
        assert second.server != local_node_cluster.server
        script = "i=0; while [ $i -lt 12 ]; do seq 2000; sleep 1; i=$((i+1)); done"
        second.kubectl("-n", "restricted", "create", "-f-", stdin=restricted_job("talk", script))
        run_job(second, "restricted", "here", API_CALL)
        run_job(local_node_cluster, restricted, "there", API_CALL)
        pods = second.config.node_dir / "pod-logs"
        assert wait_until(lambda: len([*pods.glob("*talk*/main/*")]) > 2, seconds=60)
        second_folder = second.state_dir
        holder = sandbox.holder_pid(second_folder)
        assert holder is not None
        namespace = network_namespace(holder)
        assert {"kubelet", "etcd"} <= processes_in(second_folder, namespace)
    after = look_at_machine(second_folder)
    assert after == before
    assert not second_folder.exists()
    assert not processes.find(second_folder)
    assert not processes_in(second_folder, namespace)
    log = run_job(local_node_cluster, restricted, "still", "echo still here")
    assert log == "still here\n"


def busybox_archive(folder: Path) -> Path:
    return write_image(Image(BUSYBOX_IMAGE, ("/bin/sh",)), folder / "busybox.tar")


@pytest.mark.parametrize("after_seconds", [0.2, 0.5, 1.0, 2.5, 4.0])
def test_down_cleans_up_after_a_killed_up(name: str, after_seconds: float) -> None:
    folder = state_dir(name)
    before = look_at_machine(folder)
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "localcluster"]
    with subprocess.Popen([*command, "up", "--name", name], env=environment) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(after_seconds)
        child.send_signal(signal.SIGKILL)
    subprocess.run([*command, "down", "--name", name], env=environment, check=True)
    assert look_at_machine(folder) == before
    assert not folder.exists()
    assert not processes.find(folder)


def test_a_cluster_whose_folder_was_removed_by_hand_is_found(name: str) -> None:
    cluster = up(name, "full")
    folder = cluster.state_dir
    shutil.rmtree(folder)
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "localcluster"]
    shown = subprocess.run(
        [*command, "status"], env=environment, capture_output=True, text=True, check=True
    )
    assert f"{name}: remains" in shown.stdout
    subprocess.run([*command, "down", "--name", name], env=environment, check=True)
    assert not processes.find(folder)
    assert not network.interfaces_of(folder)


def test_a_file_that_is_no_image_is_refused(
    local_node_cluster: LocalCluster, tmp_path: Path
) -> None:
    path = tmp_path / "no-image.tar"
    path.write_text("not a tar file")
    with pytest.raises(LocalClusterError, match="cannot be read as an image archive"):
        local_node_cluster.load_image(path)
