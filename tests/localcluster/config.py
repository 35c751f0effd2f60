"""What a cluster is made of, as written to its state folder before anything is started."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from localcluster.errors import UsageError

Level = Literal["api", "simulated", "full"]

DEFAULT_NAME = "proctor"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def state_root() -> Path:
    """Return the folder that holds a folder for each cluster."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return (Path(base) / "proctor" / "localcluster").absolute()


def state_dir(name: str) -> Path:
    """Return the folder of one cluster; raises UsageError for a name that cannot be one."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} cannot be the name of a cluster",
            remedy="use at most 40 lower case letters, digits and inner hyphens",
        )
    return state_root() / name


@dataclass(frozen=True)
class Addresses:
    """Where a cluster listens. Ports that a node's own namespace makes private are the usual ones.

    ``host`` is the address at which the cluster reaches servers on the host.
    """

    host: str
    server: str
    pod_cidr: str
    service_cidr: str
    service_ip: str
    apiserver_port: int
    etcd_port: int
    etcd_peer_port: int
    controller_manager_port: int
    scheduler_port: int = 10259
    simulator_port: int = 10247

    @property
    def url(self) -> str:
        """The API server's address for clients."""
        return f"https://{self.server}:{self.apiserver_port}"


@dataclass(frozen=True)
class Tuning:
    """What a test may change: more flags for components, more settings for the kubelet."""

    extra_args: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kubelet_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """All that is fixed when a cluster is brought up; its other files follow from it."""

    name: str
    level: Level
    state_dir: Path
    binaries: Path
    addresses: Addresses
    tuning: Tuning
    interface: str = ""
    cni_folder: str = ""
    simulator: str = ""

    @property
    def has_sandbox(self) -> bool:
        """Whether it lives in namespaces of its own; without them it listens on loopback."""
        return self.level == "full"

    @property
    def node_name(self) -> str:
        """The name of the cluster's only node."""
        return f"{self.name}-node"

    @property
    def pki(self) -> Path:
        """The folder of keys and certificates."""
        return self.state_dir / "pki"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state_dir / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """One JSON line for each request that changes something, as the API server answers it."""
        return self.state_dir / "audit.log"

    @property
    def node_dir(self) -> Path:
        """The folder of the node's own files: images, volumes, container logs."""
        return self.state_dir / "node"

    def log(self, component: str) -> Path:
        """Return the log file of a component."""
        return self.state_dir / "logs" / f"{component}.log"

    def settings(self, name: str) -> Path:
        """Return the configuration file called ``name``."""
        return self.state_dir / "config" / name

    def write(self) -> None:
        """Write the configuration to the state folder, whole or not at all."""
        target = self.state_dir / "cluster.json"
        draft = target.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self), indent=2, default=str))
        draft.replace(target)

    @classmethod
    def read(cls, folder: Path) -> Config | None:
        """Read a cluster's configuration; None where it is missing or was cut short."""
        try:
            raw = json.loads((folder / "cluster.json").read_text())
            tuning = raw.pop("tuning")
            extra = {name: tuple(flags) for name, flags in tuning["extra_args"].items()}
            return cls(
                name=raw["name"],
                level=cast("Level", raw["level"]),
                state_dir=folder,
                binaries=Path(raw["binaries"]),
                addresses=Addresses(**raw["addresses"]),
                tuning=Tuning(extra, tuning["kubelet_config"]),
                interface=raw["interface"],
                cni_folder=raw["cni_folder"],
                simulator=raw["simulator"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
