"""The namespaces that a cluster with a node lives in.

One holder process is the first process of a new process namespace, with its own network, mounts,
host name and message queues. When the holder is killed the kernel kills all that runs in there, and
takes its mounts, bridges and packet filter rules away. Nothing has to be undone step by step.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from localcluster import processes
from localcluster.errors import ComponentError, tail
from localcluster.packages import find_tool
from localcluster.waiting import wait_until

HOLDER = "holder"
_RESTING = "sleep"
_NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--uts")
_COVERED = (Path("/run"), Path("/var/lib"), Path("/var/log"))
# The kubelet insists on these values, and they are the whole machine's: let it find them.
_TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_NODE_FOLDERS = {
    "kubelet": Path("/var/lib/kubelet"),
    "containerd": Path("/var/lib/containerd"),
    "pod-logs": Path("/var/log/pods"),
}


def create(state_dir: Path, node_dir: Path, binaries: Path, node_name: str, log: Path) -> int:
    """Make the namespaces; return the holder's process number on the host."""
    for name in _NODE_FOLDERS:
        (node_dir / name).mkdir(parents=True, exist_ok=True)
    script = _script(state_dir, node_dir, binaries, node_name)
    command = [str(find_tool("unshare")), *_NAMESPACES, "--fork", "--mount-proc", "--kill-child"]
    processes.start(state_dir, HOLDER, [*command, "--", "/bin/sh", "-c", script], log)
    holder = _wait_for_holder(state_dir)
    if holder is None:
        raise ComponentError(
            "the namespaces for a node could not be made",
            component="sandbox",
            log_tail=tail(log),
            remedy="a cluster with a node needs root with CAP_SYS_ADMIN; level api does not",
        )
    return holder


def holder_pid(state_dir: Path) -> int | None:
    """Return the holder's process number on the host; None without a (finished) sandbox."""
    for process in processes.marked_processes():
        # The last thing that the holder's script does is to become the resting program.
        if (process.cluster, process.component, process.program) == (state_dir, HOLDER, _RESTING):
            return process.pid
    return None


def enter(holder: int) -> tuple[str, ...]:
    """Return the command prefix that runs a command in the namespaces of a holder."""
    return (str(find_tool("nsenter")), f"--target={holder}", *_NAMESPACES, "--")


def _wait_for_holder(state_dir: Path) -> int | None:
    """Wait until the holder rests; return its process number, None if it fails or hangs."""
    found: list[int] = []
    looks_without = 0

    def settled() -> bool:
        nonlocal looks_without
        if (holder := holder_pid(state_dir)) is not None:
            found.append(holder)
            return True
        # A process shows no mark for an instant while it becomes another program.
        looks_without = 0 if processes.find(state_dir) else looks_without + 1
        return looks_without > 2

    wait_until(settled, seconds=20)
    return found[0] if found else None


def _script(state_dir: Path, node_dir: Path, binaries: Path, node_name: str) -> str:
    """Return the shell script that furnishes the namespaces and then rests in them."""
    quoted = shlex.quote
    lines = ["set -eu", f"exec 8<{quoted(str(state_dir))} 9<{quoted(str(binaries))}"]
    tmpfs = "mount -n -t tmpfs -o mode=755 proctor-localcluster"
    lines.extend(f"{tmpfs} {folder}" for folder in _COVERED)
    # Where our own folders are below a covered one they are shown again at their place. -c keeps
    # mount from following the handle to the path, which is covered by now.
    for number, folder in ((8, state_dir), (9, binaries)):
        if any(folder.is_relative_to(covered) for covered in _COVERED):
            lines.append(f"mkdir -p {quoted(str(folder))}")
            lines.append(f"mount -n -c --bind /proc/self/fd/{number} {quoted(str(folder))}")
    lines.append("exec 8<&- 9<&-")
    for name, target in _NODE_FOLDERS.items():
        lines.append(f"mkdir -p {target}")
        lines.append(f"mount -n --bind {quoted(str(node_dir / name))} {target}")
    lines.append("mkdir -p /run/lock /run/tunables")
    for number, (name, value) in enumerate(_TUNABLES.items()):
        lines.append(f"echo {value} >/run/tunables/{number}")
        lines.append(f"mount -n --bind /run/tunables/{number} /proc/sys/{name}")
    lines.append(f"hostname {quoted(node_name)}")
    lines.append("ip link set lo up")
    lines.append("echo 1 >/proc/sys/net/ipv4/ip_forward")
    # Orphans come to the holder; ignoring their end makes the kernel clear them away.
    lines.append("trap '' CHLD")
    lines.append(f"exec {_RESTING} infinity")
    return "\n".join(lines)
