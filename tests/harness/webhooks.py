"""A webhook outside the cluster: its certificate, and the way to it through the chart's Service.

The roles run as processes on this machine, so the Service has no selector and this makes its
EndpointSlice. Certificates come from the role `certs`, under its own account.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from chart.installation import Installation
from harness.operator_process import OperatorError, OperatorProcess, run_role, write_config
from localcluster.certificates import write_private
from localcluster.cluster import LocalCluster
from localcluster.existing import NodeCluster
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase

HOST_ADDRESS_VARIABLE: Final = "PROCTOR_HOST_ADDRESS"
SERVICE: Final = "proctor-webhook"
SECRET: Final = "proctor-webhook-tls"
CERTS_ACCOUNT: Final = "proctor-certs"
ACCOUNT: Final = "proctor-webhook"
SELECTORLESS: Final = "webhook.service.selector={}"
"""The chart's value (`--set-json`) for a Service whose endpoints are made here."""
NOT_REACHED: Final = "failed calling webhook"
_SECONDS_TO_BE_ASKED: Final = 30
_A_PROC: Final = {
    "apiVersion": "proctor.dev/v1alpha1",
    "kind": "Proc",
    "metadata": {"name": "is-admission-there"},
    "spec": {"description": "Asks whether a webhook answers", "image": "example.org/none:1"},
}


@dataclass(frozen=True)
class ServingFiles:
    """The certificate and key that the webhook serves with, as a mounted Secret would have them."""

    certificate: Path
    key: Path


def run_certs(cluster: NodeCluster, namespace: str, folder: Path) -> None:
    """Run the role `certs` to its end; raises with its own words when it fails."""
    kubeconfig = cluster.service_account_kubeconfig(
        namespace, CERTS_ACCOUNT, folder / "certs.kubeconfig"
    )
    settings = {"kubernetes": {"kubeconfig": str(kubeconfig)}, "certs": {"namespace": namespace}}
    done = run_role("certs", config=write_config(folder / "certs.yaml", settings))
    if done.returncode != 0:
        raise OperatorError(f"proctor-operator certs ended with {done.returncode}: {done.stderr}")


def serving_files(cluster: NodeCluster, namespace: str, folder: Path) -> ServingFiles:
    """Write what stands in the Secret into files; to be done again after a renewal."""
    shown = cluster.kubectl("get", "secret", SECRET, f"--namespace={namespace}", "--output=json")
    data: dict[str, str] = json.loads(shown.stdout)["data"]
    files = ServingFiles(folder / "tls.crt", folder / "tls.key")
    files.certificate.write_bytes(base64.b64decode(data["tls.crt"]))
    write_private(files.key, base64.b64decode(data["tls.key"]))
    return files


def lead_to(cluster: NodeCluster, namespace: str, address: str, port: int) -> None:
    """Have the API server find the webhook there."""
    ipaddress.ip_address(address)
    endpoints: dict[str, Any] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": SERVICE,
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": SERVICE},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(endpoints))


def host_address(cluster: NodeCluster) -> str:
    """The address at which the cluster's API server reaches this machine; never loopback.

    `PROCTOR_HOST_ADDRESS` says it where it cannot be guessed.
    """
    said = os.environ.get(HOST_ADDRESS_VARIABLE)
    if said:
        return said
    if isinstance(cluster, LocalCluster) and not _is_loopback(cluster.host_address):
        return cluster.host_address
    return _address_towards(urlsplit(cluster.server).hostname or "")


def free_port(address: str) -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server((address, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def settings_of_webhook(
    files: ServingFiles, *, port: int, operator_accounts: list[str]
) -> dict[str, Any]:
    """The section `webhook` of a process that serves at that port."""
    return {
        "host": "0.0.0.0",
        "port": port,
        "certificate_file": str(files.certificate),
        "key_file": str(files.key),
        "operator_accounts": operator_accounts,
    }


@contextmanager
def webhook_in(
    installed: Installation,
    database: LocalDatabase,
    folder: Path,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[OperatorProcess]:
    """The role `webhook` under its own account, reached through the chart's Service, until the end.

    The chart must be installed with `SELECTORLESS` and with admission.
    """
    cluster, namespace = installed.cluster, installed.namespace
    run_certs(cluster, namespace, folder)
    files = serving_files(cluster, namespace, folder)
    address = host_address(cluster)
    port = free_port(address)
    kubeconfig = cluster.service_account_kubeconfig(
        namespace, ACCOUNT, folder / "webhook.kubeconfig"
    )
    base: dict[str, dict[str, Any]] = {
        "kubernetes": {"kubeconfig": str(kubeconfig)},
        "postgres": {"dsn": database.runtime_dsn},
        "health": {"host": "127.0.0.1", "port": 0},
        "webhook": settings_of_webhook(files, port=port, operator_accounts=[installed.user]),
    }
    for section, values in (settings or {}).items():
        base[section] = {**base.get(section, {}), **values}
    config = write_config(folder / "webhook.yaml", base)
    process = OperatorProcess.start("webhook", config=config, log=folder / "webhook.log")
    try:
        lead_to(cluster, namespace, address, port)
        wait_until_asked(cluster, address)
        yield process
    finally:
        process.stop_if_it_runs()


def wait_until_asked(cluster: NodeCluster, address: str) -> None:
    """Wait until the API server reaches the webhook; raises with what to do when it does not."""
    said: list[str] = []

    def is_asked() -> bool:
        tried = cluster.kubectl(
            *("create", "--dry-run=server", "--namespace=default", "--filename=-"),
            stdin=json.dumps(_A_PROC),
            check=False,
        )
        said.append(tried.stderr.strip())
        return NOT_REACHED not in tried.stderr

    if not wait_until(is_asked, seconds=_SECONDS_TO_BE_ASKED, interval=0.3):
        raise OperatorError(
            f"the API server does not reach the webhook at {address} on this machine: {said[-1]}\n"
            f"If another address leads here from the cluster, set {HOST_ADDRESS_VARIABLE} to it "
            "(kind and minikube: this machine's address in their network; a firewall must let it in)"
        )


def _address_towards(host: str) -> str:
    """Our own address on the way to a host; on that to the world where the host is this machine."""
    target = "203.0.113.250" if not host or host == "localhost" or _is_loopback(host) else host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: the kernel only chooses the way.
            probe.connect((target, 9))
        except OSError as error:
            raise OperatorError(
                f"no address of this machine is known at which the API server could reach it: {error}; "
                f"set {HOST_ADDRESS_VARIABLE}"
            ) from None
        address: str = probe.getsockname()[0]
    if _is_loopback(address):
        raise OperatorError(f"this machine has only loopback; set {HOST_ADDRESS_VARIABLE}")
    return address


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
