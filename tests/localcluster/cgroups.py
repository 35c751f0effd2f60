"""The control group below which a node keeps its pods, in version 1 and version 2 hierarchies."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.waiting import wait_until

_PREFIX = "proctor-localcluster"
_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")


def cgroup_name(state_dir: Path) -> str:
    """Return the cgroup's name; two state roots may both have a cluster of the same name."""
    return f"{_PREFIX}-{state_dir.name}-{_root_mark(state_dir.parent)}"


def create(name: str) -> None:
    """Make the cgroup in every hierarchy."""
    if _UNIFIED.exists():
        # Where a service manager runs this is done already; where it is not allowed, the kubelet
        # says which controller it misses.
        with suppress(OSError):
            (_UNIFIED.parent / "cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            parent, child = hierarchy / setting, hierarchy / name / setting
            if parent.exists() and not child.read_text().strip():
                child.write_text(parent.read_text())


def exists(name: str) -> bool:
    """Whether the cgroup is there in any hierarchy."""
    return any((hierarchy / name).exists() for hierarchy in _hierarchies())


def remove(name: str, *, seconds: float = 15) -> None:
    """Remove the cgroup with all below it; its processes must have been killed before."""
    if not wait_until(lambda: _try_remove(name), seconds=seconds):
        raise LocalClusterError(
            f"the control group {name} cannot be removed",
            component="down",
            remedy="a process in it hangs; run `down` again when it has ended",
        )


def names(state_root: Path) -> list[str]:
    """Return the names of the clusters of a state root that have left a cgroup."""
    pattern = re.compile(rf"{_PREFIX}-(.+)-{_root_mark(state_root)}")
    folders = (entry.name for hierarchy in _hierarchies() for entry in hierarchy.iterdir())
    return sorted({match[1] for name in folders if (match := pattern.fullmatch(name))})


def _root_mark(state_root: Path) -> str:
    return hashlib.sha256(os.fsencode(state_root)).hexdigest()[:8]


def _hierarchies() -> list[Path]:
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    found = [Path(fields[1]) for fields in lines if fields[2] in ("cgroup", "cgroup2")]
    return [path for path in found if path.is_relative_to("/sys/fs/cgroup")]


def _try_remove(name: str) -> bool:
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            with suppress(OSError):  # busy for a moment after its last process was killed
                Path(folder).rmdir()
    return not exists(name)
