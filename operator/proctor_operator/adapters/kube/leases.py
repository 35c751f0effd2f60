"""The `Leases` port on the real API server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.adapters.kube.mapping import moment
from proctor_operator.domain.errors import NotFound
from proctor_operator.domain.lease import Lease
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace

LEASE_RESOURCE: Final = Resource("coordination.k8s.io", "v1", "leases")


class KubeLeases:
    """One Lease by its name."""

    def __init__(self, client: KubeClient, namespace: Namespace, name: str) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name

    async def fetch_lease(self) -> Lease | None:
        """See the port."""
        try:
            return read_lease(await self._client.get(LEASE_RESOURCE, self._namespace, self._name))
        except NotFound:
            return None

    async def create_lease(self, lease: Lease) -> Lease:
        """See the port."""
        stored = await self._client.create(LEASE_RESOURCE, self._namespace, self._manifest(lease))
        return read_lease(stored)

    async def replace_lease(self, lease: Lease) -> Lease:
        """See the port. Somebody who deleted it is met as `NotFound`."""
        manifest = self._manifest(lease)
        stored = await self._client.replace(LEASE_RESOURCE, self._namespace, self._name, manifest)
        return read_lease(stored)

    def _manifest(self, lease: Lease) -> JsonObject:
        metadata = {**lease.metadata, "name": self._name, "namespace": self._namespace}
        if lease.resource_version:
            metadata["resourceVersion"] = lease.resource_version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": lease.holder,
                "leaseDurationSeconds": lease.duration_seconds,
                "acquireTime": _micro_time(lease.acquire_time),
                "renewTime": _micro_time(lease.renew_time),
                "leaseTransitions": lease.transitions,
            },
        }


def read_lease(manifest: Mapping[str, Any]) -> Lease:
    """Read a Lease, however sparsely somebody filled it in."""
    metadata = manifest["metadata"]
    spec = manifest.get("spec") or {}
    return Lease(
        resource_version=metadata["resourceVersion"],
        holder=spec.get("holderIdentity") or "",
        duration_seconds=spec.get("leaseDurationSeconds") or 0,
        acquire_time=moment(spec.get("acquireTime")),
        renew_time=moment(spec.get("renewTime")),
        transitions=spec.get("leaseTransitions") or 0,
        metadata=metadata,
    )


def _micro_time(at: datetime | None) -> str | None:
    """A MicroTime: always six digits behind the point."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at is not None else None
