"""Finds the programs of the machine that a cluster with a node uses, or installs their packages."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

from localcluster.errors import MissingToolError
from localcluster.waiting import Report, step

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CNI_PLUGINS = ("ptp", "host-local", "loopback")
_CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
_ELF_INTERPRETER = 3

_PACKAGES = {
    "runc": "runc",
    "iptables": "iptables",
    "iptables-restore": "iptables",
    "ip": "iproute2",
    "findmnt": "util-linux",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}


def search_path() -> str:
    """Return PATH with the system folders that a user's own PATH often lacks."""
    return f"{os.environ.get('PATH', '')}{os.pathsep}{SYSTEM_PATH}"


def find_tool(name: str) -> Path:
    """Return the program called ``name``."""
    found = shutil.which(name, path=search_path())
    if found is None:
        raise MissingToolError(
            f"{name} is not installed", component="tools", remedy=_remedy(missing_packages())
        )
    return Path(found)


def find_cni_folder() -> Path | None:
    """Return the folder that holds every CNI plugin in use, or None."""
    for folder in _CNI_FOLDERS:
        if all((folder / plugin).exists() for plugin in CNI_PLUGINS):
            return folder
    return None


def find_busybox() -> Path | None:
    """Return a statically linked busybox, or None."""
    for path in (Path("/bin/busybox"), Path("/usr/bin/busybox")):
        if path.exists() and _is_static(path):
            return path
    return None


def _is_static(program: Path) -> bool:
    """Whether a 64 bit program needs no loader; others cannot run in an image of their own."""
    content = program.read_bytes()
    if content[:5] != b"\x7fELF\x02":
        return False
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    kinds = (struct.unpack_from("<I", content, table + size * row)[0] for row in range(count))
    return _ELF_INTERPRETER not in kinds


def missing_packages() -> list[str]:
    """Return the Debian packages whose programs are not found."""
    missing = {
        package
        for tool, package in _PACKAGES.items()
        if shutil.which(tool, path=search_path()) is None
    }
    if find_cni_folder() is None:
        missing.add("containernetworking-plugins")
    if find_busybox() is None:
        missing.add("busybox-static")
    return sorted(missing)


def ensure_packages(report: Report) -> None:
    """Install what is missing (root on Debian or Ubuntu), else say which command would.

    Raises MissingToolError.
    """
    missing = missing_packages()
    if not missing:
        return
    _install_or_explain(missing, report)
    still = missing_packages()
    if still:
        raise MissingToolError(
            f"installed, but their programs are not found: {', '.join(still)}",
            component="tools",
            remedy="on another distribution, install the same programs and put them on PATH",
        )


def require_busybox(report: Report) -> Path:
    """Return a statically linked busybox, installed if need be; raises MissingToolError."""
    if find_busybox() is None:
        _install_or_explain(["busybox-static"], report)
    found = find_busybox()
    if found is None:
        raise MissingToolError(
            "no static busybox on this machine",
            component="images",
            remedy=_remedy(["busybox-static"]),
        )
    return found


def require_faketime(report: Report) -> Path:
    """Return the library that tells a process another time, installed if need be."""
    found = _find_faketime()
    if found is None:
        _install_or_explain(["libfaketime"], report)
        found = _find_faketime()
    if found is None:
        raise MissingToolError(
            "no libfaketime on this machine", component="tools", remedy=_remedy(["libfaketime"])
        )
    return found


def _find_faketime() -> Path | None:
    folders = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
    found = (one for folder in folders for one in Path(folder).glob("**/faketime/libfaketime.so.1"))
    return next(found, None)


def _install_or_explain(missing: list[str], report: Report) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingToolError(
            f"these packages are missing: {', '.join(missing)}",
            component="tools",
            remedy=_remedy(missing),
        )
    with step(report, f"installing Debian packages: {' '.join(missing)}"):
        _install(missing)


def _remedy(packages: list[str]) -> str:
    names = " ".join(packages or sorted(set(_PACKAGES.values())))
    return f"as root: apt-get update && apt-get install --yes {names}"


def _install(packages: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    attempts = (["update"], ["install", "--yes", "--no-install-recommends", *packages])
    for arguments in attempts:
        done = subprocess.run(
            ["apt-get", "--quiet", "-o", "DPkg::Lock::Timeout=300", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        # A failing update may still leave lists that are good enough to install from.
        if done.returncode != 0 and arguments[0] == "install":
            raise MissingToolError(
                f"apt-get install ended with {done.returncode}",
                component="tools",
                log_tail="\n".join((done.stdout + done.stderr).splitlines()[-15:]),
                remedy=_remedy(packages),
            )
