"""Checks free disk space before something would fail half-way for the lack of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from localcluster.errors import DiskSpaceError

MIB = 1024**2
GIB = 1024**3


def require_space(place: Path, needed: int, purpose: str) -> None:
    """Raise DiskSpaceError unless ``needed`` bytes are free at ``place``."""
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DiskSpaceError(
            f"{purpose} needs {needed / GIB:.1f} GiB free in {place}, there are {free / GIB:.1f}",
            component="disk",
            remedy="free some space, or point XDG_CACHE_HOME and XDG_STATE_HOME to another disk",
        )
