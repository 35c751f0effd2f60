"""Builds Kubernetes, Helm and containerd once per machine; keeps them in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import BuildError, tail
from localcluster.space import GIB, require_space
from localcluster.toolchain import build_environment, find_go, required_version
from localcluster.waiting import Report, step

SOURCE = Path(__file__).parent / "binary"
_RUNTIME_SOURCE = SOURCE / "containerd"
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
RUNTIME_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")
_KUBERNETES = "k8s.io/kubernetes"
_HELM = "helm.sh/helm/v3"
_CONTAINERD = "github.com/containerd/containerd/v2"
# The first three would need C libraries, or tools on the machine; traces go nowhere here.
_CONTAINERD_TAGS = ("no_btrfs", "no_devmapper", "no_zfs", "no_tracing")
_MULTI_CALL = "k8s"
_BUILD_SPACE = 5 * GIB
_FIRST_BUILD = "the first time on a machine this takes several minutes"


@dataclass(frozen=True)
class Binaries:
    """The folder of one build: executables of all components, of the runtime, kubectl and helm."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the executable called ``name``."""
        return self.folder / name

    @property
    def complete(self) -> bool:
        """Whether every executable is there."""
        names = (*COMPONENTS, *RUNTIME_PROGRAMS, "helm")
        return all(self.path(name).exists() for name in names)


@dataclass(frozen=True)
class Program:
    """What one call of ``go build`` makes, in a module; without ``out``, named by its packages.

    ``names`` are further ones, for a program that does what it is called.
    """

    title: str
    source: Path
    packages: tuple[str, ...]
    link: str
    tags: tuple[str, ...] = ()
    out: str = ""
    names: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of ``go build`` that the result depends on."""
        return ("-tags", ",".join(self.tags), "-ldflags", self.link, *self.packages)


def cache_root() -> Path:
    """Return the folder that survives clusters: builds, and Go where it had to be fetched."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "proctor" / "localcluster"


def build_key() -> str:
    """Return what a build depends on: its source files, the flags and the processor."""
    digest = hashlib.sha256(platform.machine().encode())
    for program in _programs():
        digest.update(" ".join(program.arguments).encode())
    for source in (SOURCE, _RUNTIME_SOURCE):
        for name in ("go.mod", "go.sum"):
            digest.update((source / name).read_bytes())
    digest.update((SOURCE / "main.go").read_bytes())
    return digest.hexdigest()[:16]


def module_version(module: str, source: Path = SOURCE) -> str:
    """Return the version of a module that go.mod asks for, such as ``v1.34.4``."""
    found = re.search(
        rf"^(?:require)?\s*{re.escape(module)} (v\S+)",
        (source / "go.mod").read_text(),
        re.MULTILINE,
    )
    if found is None:
        raise BuildError(f"go.mod does not require {module}", component="build")
    return found[1]


def ensure_binaries(report: Report) -> Binaries:
    """Return the cached build, making it first where it is not there yet."""
    root = cache_root()
    binaries = Binaries(root / build_key())
    if binaries.complete:
        return binaries
    root.mkdir(parents=True, exist_ok=True)
    with _build_lock(root, report):
        if not binaries.complete:
            _build_into(root, binaries.folder, _programs(), report)
    return binaries


def ensure_program(program: Program, report: Report) -> Path:
    """Return the cached executable of a program that few need, making it first where it is not there.

    It needs ``out``, and a module of its own.
    """
    root = cache_root()
    executable = root / f"{program.out}-{_program_key(program)}" / program.out
    if executable.exists():
        return executable
    root.mkdir(parents=True, exist_ok=True)
    with _build_lock(root, report):
        if not executable.exists():
            _build_into(root, executable.parent, [program], report)
    return executable


def _program_key(program: Program) -> str:
    digest = hashlib.sha256(platform.machine().encode())
    digest.update(" ".join(program.arguments).encode())
    for name in ("go.mod", "go.sum"):
        digest.update((program.source / name).read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _build_lock(root: Path, report: Report) -> Iterator[None]:
    with (root / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(report, "waiting for another process that builds the cluster binary"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_into(root: Path, folder: Path, programs: Sequence[Program], report: Report) -> None:
    """Build in the cache, with its lock held, and move the whole to ``folder``."""
    _remove_leftovers(root)
    for place in (root, _go_cache_place()):
        require_space(place, _BUILD_SPACE, "building the cluster's programs")
    modules = [program.source / "go.mod" for program in programs]
    go = find_go(max(modules, key=required_version), root, report)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=root))
    try:
        for program in programs:
            _go_build(go, program, work, report)
            for name in program.names:
                (work / name).symlink_to(program.out)
        shutil.rmtree(folder, ignore_errors=True)
        work.chmod(0o755)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    """Remove what a killed build left; the build lock is held, so nobody works in there."""
    for old in root.glob("building-*"):
        shutil.rmtree(old, ignore_errors=True)


def _go_cache_place() -> Path:
    place = Path(os.environ.get("GOCACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home())
    while not place.exists():
        place = place.parent
    return place


def _programs() -> list[Program]:
    kubernetes, helm = module_version(_KUBERNETES), module_version(_HELM)
    containerd = module_version(_CONTAINERD, _RUNTIME_SOURCE)
    return [
        Program(
            f"Kubernetes {kubernetes} ({_FIRST_BUILD})",
            SOURCE,
            (".",),
            _kubernetes_flags(kubernetes),
            out=_MULTI_CALL,
            names=COMPONENTS,
        ),
        Program(f"Helm {helm}", SOURCE, (f"{_HELM}/cmd/helm",), _helm_flags(helm, kubernetes)),
        Program(
            f"containerd {containerd}",
            _RUNTIME_SOURCE,
            tuple(f"{_CONTAINERD}/cmd/{name}" for name in RUNTIME_PROGRAMS),
            f"-s -w -X {_CONTAINERD}/version.Version={containerd}",
            tags=_CONTAINERD_TAGS,
        ),
    ]


def _kubernetes_flags(version: str) -> str:
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    # The first is what components say they are, the second what they call themselves to others.
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = (f"-X {place}.{key}={value}" for place in packages for key, value in values.items())
    return " ".join(["-s", "-w", *flags])


def _helm_flags(version: str, kubernetes: str) -> str:
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    values = {"internal/version.version": version}
    for package in ("pkg/lint/rules", "pkg/chartutil"):
        values |= {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
    flags = (f"-X {_HELM}/{key}={value}" for key, value in values.items())
    return " ".join(["-s", "-w", *flags])


def _go_build(go: Path, program: Program, folder: Path, report: Report) -> None:
    log = folder / "build.log"
    command = [str(go), "build", "-v", "-trimpath", "-buildvcs=false"]

    def now_building() -> str:
        lines = log.read_text(errors="replace").splitlines()
        return f"{len(lines)} packages, now at {lines[-1]}" if lines else ""

    with step(report, f"building {program.title}", now_building), log.open("wb") as sink:
        done = subprocess.run(
            [*command, "-o", f"{folder}/{program.out}", *program.arguments],
            cwd=program.source,
            env=build_environment(go),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise BuildError(
            f"go build of {' '.join(program.packages)} ended with {done.returncode}",
            component="build",
            log_tail=tail(log),
            remedy="see the end of the log; a download that failed may go through when run again",
        )
    log.unlink()
