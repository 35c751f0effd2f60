"""What a cluster could leave on the machine, to be compared before and after."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localcluster import cgroups, network
from localcluster.packages import find_tool

_FOLDERS = (
    "/opt/containerd",
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
_SETTINGS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")


@dataclass(frozen=True)
class Machine:
    """The parts of a machine that a cluster touches.

    ``rules`` are those of the packet filter, ``folders`` those that node programs make by default.
    """

    interfaces: frozenset[str]
    routes: frozenset[str]
    mounts: frozenset[str]
    rules: str
    cgroups: frozenset[str]
    folders: frozenset[str]
    settings: tuple[str, ...]


def look_at_machine(cluster: Path) -> Machine:
    """Look at the machine, less other clusters, which may come and go meanwhile.

    ``cluster`` is the state folder of the cluster that is looked for; it may be gone.
    """
    all_names = {path.name for path in Path("/sys/class/net").iterdir()}
    clusters = {name for name in all_names if name.startswith(network.INTERFACE_PREFIX)}
    others = clusters - {*network.interfaces_of(cluster)}
    routes = _output("ip", "route").splitlines()
    rules = _output("iptables-save").splitlines()
    group = cgroups.cgroup_name(cluster)
    return Machine(
        frozenset(all_names - others),
        frozenset(line for line in routes if not any(f"dev {name} " in line for name in others)),
        frozenset(Path("/proc/mounts").read_text().splitlines()),
        # Comments hold the time, and lines with a colon the counters.
        "\n".join(line for line in rules if line[:1] not in "#:"),
        frozenset(str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{group}")),
        frozenset(folder for folder in _FOLDERS if Path(folder).exists()),
        tuple(Path("/proc/sys", name).read_text() for name in _SETTINGS),
    )


def network_namespace(pid: int) -> str:
    """Return what names the network namespace of a process."""
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def processes_in(cluster: Path, namespace: str) -> set[str]:
    """Return the programs, pods included, in a cluster's cgroup or network namespace."""
    group = cgroups.cgroup_name(cluster)
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            inside = str((process / "ns/net").readlink()) == namespace
            if inside or group in (process / "cgroup").read_text():
                found.add((process / "comm").read_text().strip())
    return found


def _output(command: str, *arguments: str) -> str:
    done = subprocess.run(
        [find_tool(command), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout
