"""Starts and stops the components of one cluster, and waits until they work."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster import kwok, processes, sandbox
from localcluster.apiclient import ApiClient, ApiError
from localcluster.config import Config
from localcluster.controlplane import CONTROL_PLANE, Component, control_plane
from localcluster.errors import ClusterStateError, ComponentError, UsageError, tail
from localcluster.images import archive_tags
from localcluster.node import NODE, containerd, ctr, node, snapshotter
from localcluster.waiting import wait_until

_KUBELET_PORT = 10250
# A component that ends is noticed at once; this is for one that hangs on a busy machine.
_START_SECONDS = 180.0


@dataclass(frozen=True)
class Runtime:
    """A cluster's processes."""

    config: Config

    @property
    def component_names(self) -> tuple[str, ...]:
        """The names of the components that this cluster has."""
        if self.config.level == "api":
            return CONTROL_PLANE
        nodes = NODE if self.config.level == "full" else (kwok.NAME,)
        return (*CONTROL_PLANE, "kube-scheduler", *nodes)

    def component(self, name: str) -> Component:
        """Return a component with its command."""
        if name not in self.component_names:
            raise UsageError(
                f"this cluster has no {name}; it has {', '.join(self.component_names)}"
            )
        if name == "containerd":
            return containerd(self.config)
        if name == kwok.NAME:
            return kwok.simulator(self.config)
        parts = control_plane(self.config)
        if name in NODE:
            parts = node(self.config)
        return next(part for part in parts if part.name == name)

    def prefix(self) -> tuple[str, ...]:
        """Return what to put before a command to run it where the components run."""
        if not self.config.has_sandbox:
            return ()
        holder = sandbox.holder_pid(self.config.state_dir)
        if holder is None:
            raise ClusterStateError(
                f"cluster {self.config.name} does not run any more",
                remedy=f"remove what is left of it: down --name {self.config.name}",
            )
        return sandbox.enter(holder)

    def start(self, names: Iterable[str]) -> None:
        """Start components without waiting for them."""
        prefix = self.prefix()
        for name in names:
            command = self.component(name).command
            log = self.config.log(name)
            processes.start(self.config.state_dir, name, command, log, prefix)

    def stop(self, name: str, *, seconds: float) -> None:
        """Stop a component, and kill it where it has not ended after ``seconds``."""
        self.component(name)
        processes.stop(self.config.state_dir, name, seconds=seconds)

    def running(self) -> set[str]:
        """Return the names of the components that run."""
        found = processes.find(self.config.state_dir)
        return {one.component for one in found if one.is_component}

    def wait(
        self,
        component: str,
        what: str,
        check: Callable[[], bool],
        *,
        needs: Sequence[str],
        seconds: float = _START_SECONDS,
    ) -> None:
        """Wait for ``check``; ``needs`` are the components without which it cannot come true.

        Raises ComponentError at once when one of these has ended, or when the time is over.
        """
        missing: set[str] = set()
        ended: set[str] = set()

        def settled() -> bool:
            nonlocal missing, ended
            if check():
                return True
            # A process shows no name for an instant while it becomes another program: look twice.
            earlier, missing = missing, set(needs) - self.running()
            ended = earlier & missing
            return bool(ended)

        arrived = wait_until(settled, seconds=seconds)
        if ended:
            self._fail(min(ended), f"ended while the cluster waited for {what}")
        if not arrived:
            hint = f"{what} did not come about within {seconds:.0f} s{self._api_problem()}"
            self._fail(component, hint)

    def _api_problem(self) -> str:
        """Return what is wrong between us and the API server, if anything is."""
        try:
            self.client().request("GET", "/readyz?verbose")
        except ApiError as problem:
            return f" ({problem.message})"
        return ""

    def wait_for(self, name: str) -> None:
        """Wait until a component that was started again does its work."""
        if name in ("etcd", "kube-apiserver"):
            self.wait(name, "the API server's readiness", self.client().ready, needs=[name])
        elif name == "containerd":
            # The kubelet gives up when it does not find its runtime.
            self.wait(name, "its socket", self.containerd_answers, needs=[name])
        elif name == "kubelet":
            self.wait(name, "its port", self._kubelet_listens, needs=[name])

    def _kubelet_listens(self) -> bool:
        return self._accepts(self.config.addresses.server, _KUBELET_PORT)

    def _fail(self, component: str, message: str) -> None:
        log = self.config.log(component)
        text = tail(log)
        remedy = f"the whole log is {log}"
        if "address already in use" in text:
            remedy = "another process has taken its port meanwhile: run `up` again"
        if "too many open files" in text:
            remedy = (
                "many clusters at once use up the kernel's file watchers: take one down, or raise the limit, "
                "`sysctl fs.inotify.max_user_instances=512`"
            )
        raise ComponentError(message, component=component, log_tail=text, remedy=remedy)

    def client(self) -> ApiClient:
        """Return a client that acts as the administrator."""
        addresses = self.config.addresses
        return self._client(addresses.server, addresses.apiserver_port)

    def service_works(self) -> bool:
        """Whether the API server answers at its service's address, through kube-proxy."""
        address = (self.config.addresses.service_ip, 443)
        return self._accepts(*address) and self._client(*address).ready()

    def port_open(self) -> bool:
        """Whether the API server accepts connections, which it does before it is ready."""
        return self._accepts(self.config.addresses.server, self.config.addresses.apiserver_port)

    def _accepts(self, address: str, port: int) -> bool:
        # A connection begun before kube-proxy had its rules would never get there: give up soon.
        try:
            socket.create_connection((address, port), timeout=0.2).close()
        except OSError:
            return False
        return True

    def _client(self, address: str, port: int) -> ApiClient:
        pki = self.config.pki
        return ApiClient(address, port, pki / "ca.crt", pki / "admin.crt", pki / "admin.key")

    def node_ready(self) -> bool:
        """Whether the node is ready and takes pods."""
        return self._takes_pods(self.config.node_name)

    def simulated_nodes_ready(self) -> bool:
        """Whether all the nodes that are only played take pods."""
        return all(self._takes_pods(name) for name in kwok.node_names(self.config))

    def _takes_pods(self, node_name: str) -> bool:
        try:
            found = self.client().request("GET", f"/api/v1/nodes/{node_name}")
        except ApiError:
            return False
        conditions = found.get("status", {}).get("conditions", [])
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        return ready and not found["spec"].get("taints")

    def load_image(self, path: Path) -> list[str]:
        """Import an image archive into the node; return the names of its images."""
        if self.config.level != "full":
            raise UsageError(
                f"a cluster of level {self.config.level} has no node to load images into"
            )
        tags = archive_tags(path)
        # Unpacked for the kubelet's containers at once, not when the first of them starts.
        unpack = ["--local", f"--snapshotter={snapshotter(self.config)}"]
        with path.open("rb") as archive:
            done = subprocess.run(
                [*self.prefix(), *ctr(self.config), "images", "import", *unpack, "-"],
                stdin=archive,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise ComponentError(
                f"cannot import {path}",
                component="containerd",
                log_tail=(done.stdout + done.stderr).strip(),
            )
        return tags

    def containerd_answers(self) -> bool:
        """Whether the container runtime takes requests."""
        ask = [*self.prefix(), *ctr(self.config), "version"]
        done = subprocess.run(ask, capture_output=True, check=False)
        return done.returncode == 0
