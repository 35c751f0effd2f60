"""Brings clusters up and takes them down."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster import cgroups, kwok, network, processes, sandbox
from localcluster.binary import ensure_binaries
from localcluster.config import Addresses, Config, Level, Tuning, state_dir, state_root
from localcluster.controlplane import CONTROL_PLANE, write_control_plane_settings
from localcluster.errors import ClusterStateError, LocalClusterError, MissingToolError, UsageError
from localcluster.identities import KUBELET_CLIENT, write_identities
from localcluster.images import pause_image, write_image
from localcluster.node import PAUSE_IMAGE, write_node_settings
from localcluster.packages import ensure_packages, find_cni_folder
from localcluster.runtime import Runtime
from localcluster.space import GIB, require_space
from localcluster.waiting import Report, step

_STATE_SPACE = 1 * GIB


def bring_up(name: str, level: Level, tuning: Tuning, port: int | None, report: Report) -> Runtime:
    """Bring a new cluster up; on any failure, take what was started down again.

    Raises a LocalClusterError that names the component.
    """
    folder = state_dir(name)
    if level == "full":
        _require_root()
        ensure_packages(report)
        if port is not None:
            raise UsageError("a cluster of level full has addresses of its own: --port is for api")
    binaries = ensure_binaries(report)
    simulator = kwok.ensure_simulator(report) if level == "simulated" else None
    _make_folder(folder, name)
    with _exclusive(folder):
        try:
            require_space(folder, _STATE_SPACE, "a cluster")
            with step(report, f"starting cluster {name} (level {level})"):
                return _start(folder, name, level, tuning, port, binaries.folder, simulator)
        except BaseException:
            _remove(folder)
            raise


def take_down(name: str) -> bool:
    """Remove all that is left of a cluster; return whether there was anything.

    It goes by what is found on the machine, so it works whatever happened to `up`.
    """
    folder = state_dir(name)
    if not folder.exists():
        return _remove(folder)
    with _exclusive(folder):
        return _remove(folder)


def known_names() -> list[str]:
    """Return the names of all clusters of which anything is left."""
    root = state_root()
    found = {entry.name for entry in root.iterdir() if entry.is_dir()} if root.exists() else set()
    owners = [process.cluster for process in processes.marked_processes()]
    owners += network.owners()
    found |= {owner.name for owner in owners if owner.parent == root}
    return sorted(found | {*cgroups.names(root)})


def _require_root() -> None:
    if os.geteuid() != 0:
        raise MissingToolError(
            "a cluster with a node (level full) needs root",
            component="sandbox",
            remedy="run it as root, or use `--level api`, which needs no root",
        )


def _make_folder(folder: Path, name: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise ClusterStateError(
            f"there is a cluster {name} already, or the rest of one",
            remedy=f"use it, or remove it: python -m localcluster down --name {name}",
        ) from None


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Keep two processes from working on one cluster; a process that dies lets go of it."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # removed by somebody else just now
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ClusterStateError(
            f"another process is bringing cluster {folder.name} up or down",
            remedy="wait for it, or interrupt it",
        ) from None
    finally:
        os.close(handle)


def _start(
    folder: Path,
    name: str,
    level: Level,
    tuning: Tuning,
    port: int | None,
    binaries: Path,
    simulator: Path | None,
) -> Runtime:
    for inner in ("logs", "config", "node"):
        (folder / inner).mkdir()
    interface, addresses, plugins = "", network.loopback_addresses(port), ""
    if level == "full":
        interface, addresses = _make_sandbox(folder, binaries, name)
        plugins = str(find_cni_folder())
    config = Config(
        name,
        level,
        folder,
        binaries,
        addresses,
        tuning,
        interface,
        plugins,
        str(simulator or ""),
    )
    config.write()
    write_identities(config)
    write_control_plane_settings(config)
    runtime = Runtime(config)
    match level:
        case "api":
            _start_control_plane(runtime)
        case "simulated":
            _start_simulated(runtime)
        case "full":
            _start_full(runtime)
    return runtime


def _make_sandbox(folder: Path, binaries: Path, name: str) -> tuple[str, Addresses]:
    cgroups.create(cgroups.cgroup_name(folder))
    log = folder / "logs" / "sandbox.log"
    holder = sandbox.create(folder, folder / "node", binaries, f"{name}-node", log)
    return network.connect(folder, holder, sandbox.enter(holder))


def _start_control_plane(runtime: Runtime) -> None:
    names = runtime.component_names
    storage_and_api = CONTROL_PLANE[:2]
    runtime.start(storage_and_api)
    runtime.wait("kube-apiserver", "its port", runtime.port_open, needs=storage_and_api)
    # These give up when they find no API server within 10 s, which a busy machine may take.
    rest = [name for name in ("kube-controller-manager", "kube-scheduler") if name in names]
    runtime.start(rest)
    client = runtime.client()
    needs = (*storage_and_api, *rest)
    runtime.wait("kube-apiserver", "its readiness", client.ready, needs=needs)
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    runtime.wait(
        "kube-controller-manager",
        "the default service account",
        lambda: client.answers(account),
        needs=needs,
    )


def _start_simulated(runtime: Runtime) -> None:
    kwok.write_simulator_settings(runtime.config)
    _start_control_plane(runtime)
    for node in kwok.nodes(runtime.config):
        runtime.client().create("/api/v1/nodes", node)
    runtime.start([kwok.NAME])
    needs = runtime.component_names
    runtime.wait(kwok.NAME, "its nodes' readiness", runtime.simulated_nodes_ready, needs=needs)


def _start_full(runtime: Runtime) -> None:
    config = runtime.config
    write_node_settings(config)
    runtime.start(["containerd"])
    _start_control_plane(runtime)
    runtime.client().create(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", _kubelet_access()
    )
    runtime.wait_for("containerd")
    archive = write_image(pause_image(PAUSE_IMAGE), config.node_dir / "pause.tar")
    runtime.load_image(archive)
    archive.unlink()
    runtime.start(["kubelet", "kube-proxy"])
    needs = runtime.component_names
    runtime.wait("kubelet", "its node's readiness", runtime.node_ready, needs=needs)
    runtime.wait(
        "kube-proxy", "the API server's service address", runtime.service_works, needs=needs
    )


def _kubelet_access() -> dict[str, object]:
    """Let the API server read logs and run commands through the kubelet, which asks about it."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": KUBELET_CLIENT}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": KUBELET_CLIENT},
        "roleRef": role | {"name": "system:kubelet-api-admin"},
        "subjects": [user],
    }


def _remove(folder: Path) -> bool:
    found = folder.exists() or bool(processes.find(folder))
    group = cgroups.cgroup_name(folder)
    found = found or cgroups.exists(group)
    # Asked for before the kill: afterwards the kernel removes it, at a time of its own.
    interfaces = network.interfaces_of(folder)
    processes.end_all(folder)
    network.remove_interfaces([*interfaces, *network.interfaces_of(folder)])
    cgroups.remove(group)
    _remove_folder(folder)
    return found or bool(interfaces)


def _remove_folder(folder: Path) -> None:
    if not folder.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # say what is in the way
        try:
            shutil.rmtree(folder)
        except OSError as problem:
            raise LocalClusterError(
                f"cannot remove {folder}: {problem}", component="down"
            ) from None
