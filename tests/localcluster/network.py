"""Addresses of a cluster, and the cable between the host and the namespace that a node lives in.

The ranges are those reserved for documentation (203.0.113.0/24) and benchmarks (198.18.0.0/15):
no real network uses them, so nothing that the machine wants to reach gets hidden.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from localcluster.config import Addresses
from localcluster.errors import ComponentError, LocalClusterError
from localcluster.packages import find_tool
from localcluster.waiting import wait_until

INTERFACE_PREFIX = "pclc"
INNER_INTERFACE = "eth0"
SLOTS = 64
_LOOPBACK = "127.0.0.1"
# Below the range that the kernel takes the ports of outgoing connections from.
_PORTS = range(20000, 32000)


def slot_addresses(slot: int) -> Addresses:
    """Return the addresses of the cluster with a node that sits in a slot."""
    return Addresses(
        host=f"203.0.113.{4 * slot + 1}",
        server=f"203.0.113.{4 * slot + 2}",
        pod_cidr=f"198.18.{slot}.0/24",
        service_cidr=f"198.19.{slot}.0/24",
        service_ip=f"198.19.{slot}.1",
        apiserver_port=6443,
        etcd_port=2379,
        etcd_peer_port=2380,
        controller_manager_port=10257,
    )


def loopback_addresses(apiserver_port: int | None) -> Addresses:
    """Return addresses on loopback, at ports that are free now."""
    if apiserver_port is not None and not _is_free(apiserver_port):
        raise LocalClusterError(
            f"port {apiserver_port} on {_LOOPBACK} is taken",
            component="kube-apiserver",
            remedy="choose another --port, or leave it out: a free one is then found",
        )
    ports = _free_ports(6, [] if apiserver_port is None else [apiserver_port])
    return Addresses(
        host=_LOOPBACK,
        server=_LOOPBACK,
        pod_cidr="198.18.255.0/24",
        service_cidr="198.19.255.0/24",
        service_ip="198.19.255.1",
        apiserver_port=apiserver_port or ports[0],
        etcd_port=ports[1],
        etcd_peer_port=ports[2],
        controller_manager_port=ports[3],
        scheduler_port=ports[4],
        simulator_port=ports[5],
    )


def connect(state_dir: Path, holder: int, enter: Sequence[str]) -> tuple[str, Addresses]:
    """Join the holder's network namespace to the host; return the host's interface and addresses.

    A slot is claimed by making its interface, which the kernel allows one process only. The other
    end is made in the namespace itself, so both vanish with the namespace.
    """
    for slot in range(SLOTS):
        interface = f"{INTERFACE_PREFIX}{slot}"
        if not _claim(interface, holder):
            continue
        addresses = slot_addresses(slot)
        _ip_batch(
            [
                f'link set {interface} alias "{state_dir}"',
                f"address add {addresses.host}/30 dev {interface}",
                f"link set {interface} up",
            ]
        )
        _ip_batch(
            [
                f"address add {addresses.server}/30 dev {INNER_INTERFACE}",
                f"link set {INNER_INTERFACE} up",
                f"route add default via {addresses.host}",
            ],
            enter,
        )
        targets = (addresses.pod_cidr, addresses.service_cidr)
        _ip_batch([f"route add {target} via {addresses.server}" for target in targets])
        return interface, addresses
    raise LocalClusterError(
        f"all {SLOTS} places for clusters with a node are taken",
        component="network",
        remedy="remove some: `python -m localcluster status`, then `down --name`",
    )


def interfaces_of(state_dir: Path) -> list[str]:
    """Return the host's interfaces that belong to a cluster."""
    return [name for name, owner in _interfaces() if owner == state_dir]


def owners() -> list[Path]:
    """Return the state folders of the clusters that have an interface on the host."""
    return [owner for _, owner in _interfaces()]


def remove_interfaces(interfaces: Iterable[str]) -> None:
    """Remove interfaces that the kernel has not yet removed with their namespace."""
    wanted = set(interfaces)

    def gone() -> bool:
        left = wanted & {name for name, _ in _interfaces()}
        for name in left:
            _ip("link", "delete", name)
        return not left

    if wanted and not wait_until(gone, seconds=15):
        raise LocalClusterError(f"cannot remove {', '.join(sorted(wanted))}", component="network")


def _interfaces() -> list[tuple[str, Path]]:
    if not any(Path("/sys/class/net").glob(f"{INTERFACE_PREFIX}*")):
        return []
    shown = _ip("-json", "link", "show", "type", "veth")
    links = json.loads(shown.stdout or "[]")
    return [
        (link["ifname"], Path(link.get("ifalias", "")))
        for link in links
        if link.get("ifname", "").startswith(INTERFACE_PREFIX)
    ]


def _claim(interface: str, holder: int) -> bool:
    peer = ("peer", "name", INNER_INTERFACE, "netns", str(holder))
    done = _ip("link", "add", interface, "type", "veth", *peer)
    if done.returncode == 0:
        return True
    if "File exists" in done.stderr:
        return False
    raise ComponentError(
        f"cannot make a network interface: {done.stderr.strip()}",
        component="network",
        remedy="a cluster with a node needs root with CAP_NET_ADMIN and a kernel with veth",
    )


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(find_tool("ip")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _ip_batch(lines: Sequence[str], enter: Sequence[str] = ()) -> None:
    done = subprocess.run(
        [*enter, str(find_tool("ip")), "-batch", "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ComponentError(
            f"ip failed: {done.stderr.strip()}",
            component="network",
            remedy="see whether something else uses 203.0.113.0/24 or 198.18.0.0/15: `ip route`",
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def _free_ports(count: int, taken: Sequence[int]) -> list[int]:
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in taken and _is_free(port):
            found.append(port)
            if len(found) == count:
                return found
    raise LocalClusterError(
        f"fewer than {count} free ports between {_PORTS.start} and {_PORTS.stop}",
        component="network",
        remedy="end some servers on this machine",
    )
