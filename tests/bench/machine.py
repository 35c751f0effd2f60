"""What the processes of a run use, by /proc, and the machine that they share."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from localcluster import processes
from localcluster.cluster import LocalCluster
from localpostgres.processes import children
from localpostgres.server import LocalPostgres

MIB = 1024**2
_TICKS = os.sysconf("SC_CLK_TCK")
_COMPONENTS = ("kube-controller-manager", "kube-apiserver", "etcd", "kube-scheduler", "kwok")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far, and the most memory (MiB, resident) since the peak was last forgotten."""

    cpu_seconds: float
    peak_mib: float


class Machine:
    """Looks processes up by name; the operator's number changes when it starts anew.

    0 stands for a process that does not run.
    """

    def __init__(self, cluster: LocalCluster, postgres: LocalPostgres) -> None:
        self._cluster = cluster
        self._postgres = postgres
        self.operator_pid = 0
        self.webhook_pid = 0

    def usage(self) -> dict[str, Usage]:
        """Use of each process, PostgreSQL's sessions as one, and this one's own."""
        return {name: _usage(pids) for name, pids in self._pids().items()}

    def forget_peaks(self) -> None:
        """Begin a new look at the most memory."""
        for pids in self._pids().values():
            for pid in pids:
                # 5 sets the peak to what is used now (proc(5)).
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _pids(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        if self.operator_pid:
            found["operator"] = [self.operator_pid]
        if self.webhook_pid:
            found["webhook"] = [self.webhook_pid]
        for name in _COMPONENTS:
            found[name] = [one.pid for one in processes.find(self._cluster.state_dir, name)]
        server = int((self._postgres.data / "postmaster.pid").read_text().splitlines()[0])
        found["postgresql"] = [server, *(one.pid for one in children(server))]
        found["bench"] = [os.getpid()]
        return found


def cpu_seconds(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """CPU seconds spent in between, by process."""
    return {name: after[name].cpu_seconds - before[name].cpu_seconds for name in after}


def describe(cluster: LocalCluster) -> dict[str, str]:
    """Class and versions of the machine; nothing that names it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    version = cluster.kubectl("version", "--output=yaml").stdout
    server = next(line for line in reversed(version.splitlines()) if "gitVersion" in line)
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 1024**3:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "kubernetes": server.split()[-1],
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _usage(pids: Iterable[int]) -> Usage:
    seconds, peak = 0.0, 0.0
    for pid in pids:
        seconds += cpu_seconds_of(pid)
        status = Path(f"/proc/{pid}/status").read_text()
        line = next((one for one in status.splitlines() if one.startswith("VmHWM")), "VmHWM: 0 kB")
        peak += int(line.split()[1]) * 1024 / MIB
    return Usage(seconds, peak)
