"""What can go wrong with a local cluster, said so that a person can act on it."""

from __future__ import annotations

from pathlib import Path

LOG_TAIL_LINES = 25


class LocalClusterError(Exception):
    """A local cluster could not be built, started, used or removed.

    ``component`` names the part that failed, ``log_tail`` is the end of its log (may be empty) and
    ``remedy`` says what the person can do about it (may be empty).
    """

    def __init__(
        self, message: str, *, component: str = "", log_tail: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.component = component
        self.log_tail = log_tail
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [f"{self.component}: {self.message}" if self.component else self.message]
        if self.log_tail:
            parts.append("  end of its log:")
            parts.extend(f"    {line}" for line in self.log_tail.splitlines())
        if self.remedy:
            parts.append(f"  what to do: {self.remedy}")
        return "\n".join(parts)


class MissingToolError(LocalClusterError):
    """A program that the machine must have is not there."""


class BuildError(LocalClusterError):
    """The cluster binary or Helm could not be built."""


class DiskSpaceError(LocalClusterError):
    """Too little free space to build or to start."""


class ComponentError(LocalClusterError):
    """A component ended, or did not get ready in time."""


class ClusterStateError(LocalClusterError):
    """The named cluster is not in a state that allows the request (exists already, not there)."""


class UsageError(LocalClusterError):
    """The request itself makes no sense (a bad name, a bad file)."""


def tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a log file, or an empty string where there is none."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - 64 * 1024))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(line[:500] for line in text.splitlines()[-lines:])
