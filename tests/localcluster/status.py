"""What there is on this machine, told to a person."""

from __future__ import annotations

from dataclasses import dataclass

from localcluster import processes
from localcluster.config import Config, state_dir
from localcluster.lifecycle import known_names
from localcluster.runtime import Runtime


@dataclass(frozen=True)
class ClusterStatus:
    """One cluster as it is found now.

    ``config`` is None where `up` was cut short before it had written it. ``missing`` are the
    components that should run and do not.
    """

    name: str
    config: Config | None
    running: frozenset[str]
    missing: frozenset[str]
    answers: bool

    @property
    def verdict(self) -> str:
        """One word for the whole."""
        if self.config is None:
            return "remains"
        if not self.running:
            return "dead"
        return "ready" if self.answers and not self.missing else "degraded"


def look_at(name: str) -> ClusterStatus:
    """Return the status of one cluster, known or not."""
    folder = state_dir(name)
    config = Config.read(folder)
    if config is None:
        running = frozenset(one.component for one in processes.find(folder))
        return ClusterStatus(name, None, running, frozenset(), answers=False)
    runtime = Runtime(config)
    running = frozenset(runtime.running())
    missing = frozenset(runtime.component_names) - running
    answers = "kube-apiserver" in running and runtime.client().ready()
    return ClusterStatus(name, config, running, missing, answers=answers)


def all_statuses() -> list[ClusterStatus]:
    """Return the status of every cluster of which anything is left."""
    return [look_at(name) for name in known_names()]


def describe(status: ClusterStatus) -> str:
    """Return some lines about a cluster, with what to do where it is not well."""
    lines = [f"{status.name}: {status.verdict}"]
    if (config := status.config) is not None:
        lines[0] += f" (level {config.level}, {config.addresses.url})"
        lines.append(f"  kubeconfig: {config.kubeconfig}")
    if status.missing:
        lines.append(f"  not running: {', '.join(sorted(status.missing))}")
    if status.verdict in ("dead", "remains"):
        lines.append(f"  remove it: python -m localcluster down --name {status.name}")
    elif status.verdict == "degraded":
        lines.append(f"  its logs: {config.log('*') if config else ''}")
    return "\n".join(lines)
