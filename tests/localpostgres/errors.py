"""What can go wrong with a local server, said so that a person can act on it."""

from __future__ import annotations

from pathlib import Path

LOG_TAIL_LINES = 25


class LocalPostgresError(Exception):
    """A local server could not be made, started, used or removed.

    `log_tail` is the end of its log (may be empty), `remedy` what the person can do (may be empty).
    """

    def __init__(self, message: str, *, log_tail: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.log_tail = log_tail
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.message]
        if self.log_tail:
            parts.append("  end of its log:")
            parts.extend(f"    {line}" for line in self.log_tail.splitlines())
        if self.remedy:
            parts.append(f"  what to do: {self.remedy}")
        return "\n".join(parts)


def tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a log, or an empty string where there is none."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(line[:500] for line in text.splitlines()[-lines:])
