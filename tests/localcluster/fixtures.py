"""Pytest fixtures. Load them with ``pytest_plugins = ["localcluster.fixtures"]``.

``api_cluster`` is a cluster of level api, ``node_cluster`` one that runs pods and has the image
``proctor.local/busybox:1``. Each is brought up at its first use in a pytest process and taken down
at its end. ``PROCTOR_TEST_CONTEXT`` names a context of your kubeconfig to use as ``node_cluster``.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from localcluster.cluster import LocalCluster, up
from localcluster.config import Level, Tuning
from localcluster.errors import ClusterStateError
from localcluster.existing import ExistingCluster, NodeCluster
from localcluster.images import busybox_image, write_image
from localcluster.lifecycle import known_names, take_down
from localcluster.waiting import to_stderr

CONTEXT_VARIABLE = "PROCTOR_TEST_CONTEXT"
_NAME_PREFIX = "pytest"
BUSYBOX_IMAGE = "proctor.local/busybox:1"
_NOTICES_A_LOST_NODE = Tuning(
    extra_args={"kube-controller-manager": ("--node-monitor-grace-period=12s",)},
    kubelet_config={"nodeLeaseDurationSeconds": 8},
)
"""After 12 seconds, not 50; the kubelet says every 2 that it is there."""


@pytest.fixture(scope="session")
def api_cluster() -> Iterator[LocalCluster]:
    """A cluster without nodes: the API server and the controllers."""
    with temporary_cluster("api") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def node_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    """A cluster that runs pods, with the busybox image loaded."""
    archive = tmp_path_factory.mktemp("images") / "busybox.tar"
    write_image(busybox_image(BUSYBOX_IMAGE), archive)
    context = os.environ.get(CONTEXT_VARIABLE)
    if context:
        existing = ExistingCluster.of(context, tmp_path_factory.mktemp("existing-cluster"))
        existing.load_image(archive)
        yield existing
        return
    with temporary_cluster("full", tuning=_NOTICES_A_LOST_NODE) as cluster:
        cluster.load_image(archive)
        yield cluster


@pytest.fixture
def local_node_cluster(node_cluster: NodeCluster) -> LocalCluster:
    """The same cluster for tests that stop its components or read its audit log."""
    if not isinstance(node_cluster, LocalCluster):
        pytest.skip(f"needs a cluster of its own, and {CONTEXT_VARIABLE} names an existing one")
    return node_cluster


@contextmanager
def temporary_cluster(
    level: Level, label: str = "", *, tuning: Tuning | None = None
) -> Iterator[LocalCluster]:
    """Bring a cluster of this pytest process up, and take it down however the process ends.

    A process that is killed outright cannot clean up: the next one that starts a cluster does.
    """
    remove_abandoned()
    name = f"{_NAME_PREFIX}-{os.getpid()}-{label or level}"

    def remove() -> None:
        take_down(name)

    atexit.register(remove)
    try:
        with _interruptible():
            yield up(name, level, tuning=tuning, report=to_stderr)
    finally:
        remove()
        atexit.unregister(remove)


def remove_abandoned() -> None:
    """Remove clusters of pytest processes that are gone."""
    for name in known_names():
        match = re.fullmatch(rf"{_NAME_PREFIX}-(\d+)-.+", name)
        if match is not None and not Path(f"/proc/{match[1]}").exists():
            # Another process may be removing it at this moment.
            with suppress(ClusterStateError):
                take_down(name)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Treat a polite request to end like Ctrl-C, so that pytest ends its fixtures."""
    polite = (signal.SIGTERM, signal.SIGHUP)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, signal.default_int_handler) for number in polite}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
