"""The memory of a process, as Linux tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Figure = Literal["VmRSS", "VmHWM"]
"""What is resident now; the most that ever was, or has been since `forget_the_peak`."""


def memory_kib(pid: int, figure: Figure) -> int:
    """One of the figures, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{figure}:"))


def forget_the_peak(pid: int) -> int:
    """Let the peak begin anew; returns what is resident now, in KiB."""
    # 5 sets the peak to what is used now (proc(5)).
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return memory_kib(pid, "VmHWM")
