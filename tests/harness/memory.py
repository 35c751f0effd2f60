"""The memory of a process, as Linux tells it, and as a Python process tells it itself."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from localcluster.waiting import wait_until

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


_TELLER: Final = Path(__file__).parent / "live_bytes"
_ANSWERS_WITHIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class LiveBytes:
    """Bytes of objects that are alive in a Python process, without the gaps between them, of which what is
    resident has many. It must be started with `environment`.
    """

    told: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes it answer."""
        return {"PYTHONPATH": str(_TELLER), "LIVE_BYTES_FILE": str(self.told)}

    def begin(self, pid: int) -> None:
        """Count from now on, which makes the process slower."""
        self._ask(pid)

    def count(self, pid: int) -> tuple[int, Mapping[str, int]]:
        """Bytes allocated since and alive, and those of the lines of code that have most."""
        said = json.loads(self._ask(pid))
        return said["bytes"], said["most"]

    def _ask(self, pid: int) -> str:
        self.told.unlink(missing_ok=True)
        os.kill(pid, signal.SIGUSR2)
        assert wait_until(self.told.exists, seconds=_ANSWERS_WITHIN_SECONDS), "no answer"
        return self.told.read_text()
