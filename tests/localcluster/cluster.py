"""A running local cluster, as tests and the command line use it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.binary import Binaries
from localcluster.certificates import Authority
from localcluster.config import DEFAULT_NAME, Config, Level, Tuning, state_dir
from localcluster.errors import ClusterStateError, LocalClusterError, tail
from localcluster.kubeconfig import certificate_user, token_user, write_kubeconfig
from localcluster.lifecycle import bring_up, take_down
from localcluster.runtime import Runtime
from localcluster.waiting import Report, silent

_TOKEN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class LocalCluster:
    """A cluster on this machine. Get one from ``up`` or ``connect``."""

    runtime: Runtime

    @property
    def config(self) -> Config:
        """What was fixed when the cluster was brought up."""
        return self.runtime.config

    @property
    def name(self) -> str:
        """The cluster's name, unique among this user's clusters."""
        return self.config.name

    @property
    def level(self) -> Level:
        """``api`` (no node) or ``full``."""
        return self.config.level

    @property
    def state_dir(self) -> Path:
        """The folder with everything that the cluster writes; removed by ``down``."""
        return self.config.state_dir

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.config.kubeconfig

    @property
    def context(self) -> str:
        """The only context in the administrator's kubeconfig."""
        return f"proctor-local-{self.name}"

    @property
    def server(self) -> str:
        """The API server's address for clients on this machine."""
        return self.config.addresses.url

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server, in PEM."""
        return self.config.pki / "ca.crt"

    @property
    def host_address(self) -> str:
        """The address at which the API server and pods reach a server on this machine."""
        return self.config.addresses.host

    @property
    def audit_log(self) -> Path:
        """One JSON line for each request that changes something (level Metadata)."""
        return self.config.audit_log

    @property
    def kubectl_path(self) -> Path:
        """The kubectl of the cluster's version."""
        return self.config.binaries / "kubectl"

    @property
    def helm_path(self) -> Path:
        """A Helm that fits the cluster's version."""
        return Binaries(self.config.binaries).path("helm")

    def environment(self) -> dict[str, str]:
        """Return the environment in which kubectl and helm act as the administrator."""
        cache = self.state_dir / "kubectl-cache"
        return os.environ | {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(cache)}

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, or as whoever ``kubeconfig`` is for.

        Raises LocalClusterError with kubectl's own words when it fails and ``check`` is set.
        """
        environment = self.environment()
        if kubeconfig is not None:
            environment["KUBECONFIG"] = str(kubeconfig)
        return run_tool([self.kubectl_path, *arguments], environment, stdin, check=check)

    def helm(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run Helm as the administrator; fails like ``kubectl``."""
        return run_tool([self.helm_path, *arguments], self.environment(), stdin, check=check)

    def client_kubeconfig(self, user: str, groups: Sequence[str], path: Path) -> Path:
        """Write a kubeconfig with a client certificate for a user in groups; return ``path``."""
        pair = Authority.read(self.config.pki, "ca").client(user, groups)
        return self._write_kubeconfig(path, certificate_user(pair))

    def service_account_kubeconfig(
        self, namespace: str, name: str, path: Path, *, seconds: int = _TOKEN_SECONDS
    ) -> Path:
        """Write a kubeconfig with a fresh token of a service account; return ``path``.

        The token is valid for ``seconds`` (at least 600).
        """
        answer = self.runtime.client().request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": seconds},
            },
        )
        return self._write_kubeconfig(path, token_user(answer["status"]["token"]))

    def load_image(self, path: Path) -> list[str]:
        """Import an image archive into the node; return the names of its images."""
        return self.runtime.load_image(path)

    def stop_component(self, name: str, *, seconds: float = 30) -> None:
        """Stop a component as a service manager would; with 0 ``seconds``, kill it at once."""
        self.runtime.stop(name, seconds=seconds)

    def start_component(self, name: str, *, wait: bool = True) -> None:
        """Start a stopped component, and ``wait`` until it does its work again."""
        self.runtime.start([name])
        if wait:
            self.runtime.wait_for(name)

    def component_log(self, name: str) -> Path:
        """Return the log file of a component."""
        self.runtime.component(name)
        return self.config.log(name)

    def component_log_tail(self, name: str) -> str:
        """Return the last lines of a component's log."""
        return tail(self.component_log(name))

    def down(self) -> None:
        """Remove the cluster with all that it left on the machine. Idempotent."""
        take_down(self.name)

    def _write_kubeconfig(self, path: Path, user: dict[str, object]) -> Path:
        ca = self.ca_file.read_bytes()
        return write_kubeconfig(path, context=self.context, server=self.server, ca=ca, user=user)


def up(
    name: str = DEFAULT_NAME,
    level: Level = "full",
    *,
    tuning: Tuning | None = None,
    port: int | None = None,
    report: Report = silent,
) -> LocalCluster:
    """Bring a new cluster up; ``port`` fixes the API server's port at level api.

    Raises a LocalClusterError that names the component at fault; nothing is left then.
    """
    return LocalCluster(bring_up(name, level, tuning or Tuning(), port, report))


def connect(name: str = DEFAULT_NAME) -> LocalCluster:
    """Return a cluster that was brought up before; raises ClusterStateError without one."""
    config = Config.read(state_dir(name))
    if config is None:
        raise ClusterStateError(
            f"there is no cluster {name}", remedy=f"python -m localcluster up --name {name}"
        )
    return LocalCluster(Runtime(config))


def run_tool(
    command: Sequence[str | Path], environment: dict[str, str], stdin: str | None, *, check: bool
) -> subprocess.CompletedProcess[str]:
    """Run a program; raises LocalClusterError with its own words if it fails under ``check``."""
    done = subprocess.run(
        command,
        env=environment,
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        words = " ".join(str(word) for word in command[1:])
        raise LocalClusterError(
            f"`{Path(command[0]).name} {words}` ended with {done.returncode}: {done.stderr.strip()}"
        )
    return done
