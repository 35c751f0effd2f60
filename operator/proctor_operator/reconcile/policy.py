"""What the operator's admin decides for every run: defaults and ceilings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace


@dataclass(frozen=True, slots=True)
class PodDefaults:
    """Added to every pod of a namespace, below what the Proc itself says."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    image_pull_secrets: tuple[str, ...] = ()
    resources: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """Defaults and ceilings; times in seconds.

    A finished Job is let go `release_after_seconds` after its end. More starts than
    `starts_told_at_once` within `rush_patience_seconds` are a rush: of the others is told so much later.
    """

    timeout_default: int = 3600
    timeout_ceiling: int = 86400
    pending_timeout_default: int = 900
    pending_timeout_ceiling: int = 86400
    retries_ceiling: int = 10
    release_after_seconds: int = 0
    starts_told_at_once: int = 30
    rush_patience_seconds: float = 10.0
    pod_defaults: PodDefaults = PodDefaults()
    pod_defaults_by_namespace: Mapping[Namespace, PodDefaults] = field(default_factory=dict)

    def timeout(self, wanted: int | None) -> int:
        """Seconds that one attempt may take."""
        return min(wanted or self.timeout_default, self.timeout_ceiling)

    def pending_timeout(self, wanted: int | None) -> int:
        """Seconds until an attempt that does not start is given up."""
        return min(wanted or self.pending_timeout_default, self.pending_timeout_ceiling)

    def retries(self, wanted: int) -> int:
        """Attempts after the first."""
        return min(wanted, self.retries_ceiling)

    def defaults_for(self, namespace: Namespace) -> PodDefaults:
        """The namespace's own defaults laid over the operator's."""
        own = self.pod_defaults_by_namespace.get(namespace)
        if own is None:
            return self.pod_defaults
        return PodDefaults(
            annotations={**self.pod_defaults.annotations, **own.annotations},
            labels={**self.pod_defaults.labels, **own.labels},
            image_pull_secrets=own.image_pull_secrets or self.pod_defaults.image_pull_secrets,
            resources=own.resources or self.pod_defaults.resources,
        )
