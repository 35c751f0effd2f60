"""Finds PostgreSQL's programs, and installs the distribution's package where that is possible."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localpostgres.errors import LocalPostgresError

OLDEST_MAJOR = 13
"""The first version with row triggers on partitioned tables."""

_DEBIAN = Path("/usr/lib/postgresql")
_NEEDED = ("initdb", "postgres", "psql")
_DROP_IN = Path("/etc/postgresql-common/createcluster.d/proctor-localpostgres.conf")


@dataclass(frozen=True)
class Binaries:
    """The programs of one version."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the program called `name`."""
        return self.folder / name

    @property
    def complete(self) -> bool:
        """Whether everything a server needs is there."""
        return all(os.access(self.path(name), os.X_OK) for name in _NEEDED)

    def major(self) -> int:
        """Return the major version, 0 where the program does not say."""
        said = subprocess.run(
            [self.path("postgres"), "--version"], capture_output=True, text=True, check=False
        )
        found = re.search(r"PostgreSQL\) (\d+)", said.stdout)
        return int(found[1]) if found else 0


def find_binaries() -> Binaries | None:
    """Return the newest usable version on this machine, or None."""
    candidates = [found for found in _candidates() if found.complete]
    usable = [(found.major(), found) for found in candidates]
    usable = [pair for pair in usable if pair[0] >= OLDEST_MAJOR]
    return max(usable, key=lambda pair: pair[0])[1] if usable else None


def require_binaries() -> Binaries:
    """Return the programs; an error that says how to get them where there are none."""
    found = find_binaries()
    if found is None:
        raise LocalPostgresError(
            f"PostgreSQL {OLDEST_MAJOR} or newer is not installed",
            remedy="install your distribution's package `postgresql`, or put its programs "
            "(initdb, postgres, psql) on PATH",
        )
    return found


def ensure_packages() -> Binaries:
    """Return the programs, installing them first as root on Debian or Ubuntu."""
    found = find_binaries()
    if found is not None:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with _without_a_cluster():
            _apt_get("update")
            _apt_get("install", "--yes", "--no-install-recommends", "postgresql")
    return require_binaries()


def _candidates() -> Iterator[Binaries]:
    if _DEBIAN.is_dir():
        yield from (Binaries(folder / "bin") for folder in _DEBIAN.iterdir())
    on_path = shutil.which("postgres")
    if on_path is not None:
        # A link on PATH leads to the folder that holds the rest.
        yield Binaries(Path(on_path).resolve().parent)


@contextmanager
def _without_a_cluster() -> Iterator[None]:
    """Keep Debian's package from making and starting a server of its own."""
    if _DROP_IN.exists():
        yield
        return
    made = _missing_parents(_DROP_IN.parent)
    _DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    _DROP_IN.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        _DROP_IN.unlink(missing_ok=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _missing_parents(folder: Path) -> list[Path]:
    """Return the folders that have to be made, the innermost first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def _apt_get(*arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", "--quiet=2", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalPostgresError(
            f"apt-get {arguments[0]} ended with {done.returncode}",
            log_tail="\n".join((done.stdout + done.stderr).splitlines()[-20:]),
            remedy="install the package `postgresql` by hand",
        )
