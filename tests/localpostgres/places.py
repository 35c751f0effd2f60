"""What a server takes on the machine: a folder, a port, a segment of shared memory."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from localpostgres.errors import LocalPostgresError

_FOLDER_TRIES = 5


def make_folder(folder: Path, *, is_passed_through: bool) -> None:
    """Make a folder that only its owner reads; other accounts may pass through its parent."""
    parent = folder.parent
    for _ in range(_FOLDER_TRIES):
        # The last server to be removed takes the parent with it, at any moment.
        with suppress(FileNotFoundError):
            parent.mkdir(parents=True, exist_ok=True)
            if is_passed_through:
                parent.chmod(parent.stat().st_mode | 0o111)
            folder.mkdir(mode=0o700)
            return
    raise LocalPostgresError(f"{folder} cannot be made: {parent} vanishes again and again")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def remove_shared_memory(pid_file: Path) -> None:
    """Remove the small System V segment of a server that was killed; others remove their own."""
    with suppress(OSError, IndexError):
        segment = pid_file.read_text().splitlines()[6].split()[1]
        if shutil.which("ipcrm"):
            subprocess.run(["ipcrm", "-m", segment], capture_output=True, check=False)
