"""Processes by what /proc says of them; a number alone may belong to somebody else by now."""

from __future__ import annotations

import os
import pwd
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Account:
    """The user that the server runs as."""

    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the account to change to: PostgreSQL refuses to run as root. None: stay as we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    return Account(65534, 65534)


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Return the identity of a living process, or None."""
        fields = _stat(pid)
        # Fields after the name: state is the first, the start time the twentieth.
        return None if fields is None or fields[0] in "ZX" else cls(pid, int(fields[19]))

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return Identity.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it is gone."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def children(pid: int) -> list[Identity]:
    """Return the living children of a process."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) and fields[1] == str(pid):
            child = Identity.of(int(entry.name))
            if child is not None:
                found.append(child)
    return found


def command_line(pid: int) -> str:
    """Return the arguments of a process, or an empty string."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def wait_until(check: Callable[[], bool], *, seconds: float, interval: float = 0.02) -> bool:
    """Call `check` until it is true (returns True) or the time is over (returns False)."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)  # noqa: TID251 - no event loop here, and nothing to wait on
    return True


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def each_subfolder(folder: Path) -> Iterator[Path]:
    """Yield the folders in `folder`, in the order of their names."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.is_dir())
