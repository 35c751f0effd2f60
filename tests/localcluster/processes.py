"""Starts, finds and ends the processes of a cluster by a mark in their environment.

The mark is what makes `down` independent of any state file: it is there from the first instant of a
process, and is found again whatever happened to the process that ran `up`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import ComponentError
from localcluster.packages import search_path
from localcluster.waiting import pause, wait_until

_CLUSTER_MARK = "PROCTOR_LOCALCLUSTER"
_COMPONENT_MARK = "PROCTOR_LOCALCLUSTER_COMPONENT"
_LAUNCHERS = ("sh", "setsid")
# Starts a program in the background in a session of its own, so that no signal meant for the
# terminal reaches it, and leaves it to the init process, so that nobody has to wait for it.
_START = 'log="$1"; shift; setsid "$@" </dev/null >>"$log" 2>&1 &'


@dataclass(frozen=True)
class MarkedProcess:
    """A running process of a cluster.

    ``pid`` is its number on the host, ``component`` the part that it or its ancestor was started
    as, ``program`` the name of what it runs now.
    """

    pid: int
    parent: int
    cluster: Path
    component: str
    program: str

    @property
    def is_component(self) -> bool:
        """Whether this is the component itself, or is about to become it.

        What a component starts inherits its mark (containerd's shims outlive it, as they should).
        """
        return self.program == self.component or self.program in _LAUNCHERS


def environment(cluster: Path, component: str) -> dict[str, str]:
    """Return the whole environment of a component: its mark, and little else.

    Nothing of the person's own environment gets in: a proxy setting or a GODEBUG would change
    what the cluster does.
    """
    return {
        _CLUSTER_MARK: str(cluster),
        _COMPONENT_MARK: component,
        "HOME": "/nonexistent",
        "PATH": search_path(),
        "LANG": "C.UTF-8",
    }


def start(
    cluster: Path, component: str, command: Sequence[str], log: Path, prefix: Sequence[str] = ()
) -> None:
    """Start a component in the background; ``prefix`` is a command that runs it elsewhere."""
    done = subprocess.run(
        [*prefix, "/bin/sh", "-c", _START, "sh", str(log), *command],
        env=environment(cluster, component),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ComponentError(
            f"could not be started (exit code {done.returncode})",
            component=component,
            log_tail=done.stderr.strip(),
        )


def marked_processes() -> Iterator[MarkedProcess]:
    """Yield every process of every cluster of this user (of every user, for root)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _read(int(entry.name))) is not None:
            yield found


def find(cluster: Path, component: str | None = None) -> list[MarkedProcess]:
    """Return the processes of one cluster, or those that are one of its components."""
    return [
        process
        for process in marked_processes()
        if process.cluster == cluster
        and (component is None or (process.component == component and process.is_component))
    ]


def send(cluster: Path, component: str | None, number: signal.Signals) -> int:
    """Send a signal to a cluster's processes (of one component); return how many got it."""
    return sum(_send(process, number) for process in find(cluster, component))


def end_all(cluster: Path, *, seconds: float = 30) -> None:
    """Kill every process of a cluster, and wait until the last one is gone.

    There is nothing to save in a cluster that is being removed, so none is asked to stop first.
    """
    if not wait_until(lambda: _kill_round(cluster), seconds=seconds):
        left = ", ".join(f"{one.component} ({one.pid})" for one in find(cluster))
        raise ComponentError(
            f"these processes cannot be killed: {left}",
            component="down",
            remedy="they probably wait for a disk; look with `ps -o pid,stat,wchan,args`",
        )


def _kill_round(cluster: Path) -> bool:
    if send(cluster, None, signal.SIGKILL):
        return False
    # A process that was just being started may have escaped the first look.
    pause(0.02)
    return not find(cluster)


def stop(cluster: Path, component: str, *, seconds: float = 30) -> None:
    """Ask a component to stop, kill it when it has not after ``seconds``; 0 kills at once."""
    if seconds > 0:
        send(cluster, component, signal.SIGTERM)
        if wait_until(lambda: not find(cluster, component), seconds=seconds):
            return
    send(cluster, component, signal.SIGKILL)
    if not wait_until(lambda: not find(cluster, component), seconds=10):
        raise ComponentError("cannot be killed", component=component)


def _read(pid: int) -> MarkedProcess | None:
    """Return the process if it is marked; None for others, gone ones and other people's."""
    try:
        variables = _variables(Path(f"/proc/{pid}/environ").read_bytes())
        status = Path(f"/proc/{pid}/stat").read_text()
        program = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
    except OSError:
        return None
    cluster = variables.get(_CLUSTER_MARK)
    if cluster is None:
        return None
    # The name of the program stands in brackets and may hold anything, spaces too.
    parent = int(status.rpartition(")")[2].split()[1])
    component = variables.get(_COMPONENT_MARK, "?")
    return MarkedProcess(pid, parent, Path(cluster), component, Path(os.fsdecode(program)).name)


def _variables(raw: bytes) -> Mapping[str, str]:
    pairs = (item.partition("=") for item in os.fsdecode(raw).split("\0"))
    return {key: value for key, _, value in pairs}


def _send(process: MarkedProcess, number: signal.Signals) -> bool:
    with suppress(ProcessLookupError, PermissionError):
        handle = os.pidfd_open(process.pid)
        try:
            # The number may belong to another process by now; the handle cannot change any more.
            if (now := _read(process.pid)) is not None and now.cluster == process.cluster:
                signal.pidfd_send_signal(handle, number)
                return True
        finally:
            os.close(handle)
    return False
