"""Leases, apart from the API server's history: their renewals would push everything else into the past."""

from __future__ import annotations

from typing import Any, Final

from proctor_operator.domain.errors import AlreadyExists, Conflict, NotFound

Manifest = dict[str, Any]
Key = tuple[str, str, str]
LEASES: Final = "leases"


class LeaseStore:
    """As the API server keeps them: one growing version, 409 on a stale write."""

    def __init__(self) -> None:
        self._leases: dict[Key, Manifest] = {}
        self.version = 0

    def get(self, key: Key) -> Manifest:
        """Read; `NotFound` when it is not there."""
        if key not in self._leases:
            raise NotFound(f"lease {key[2]!r} not found", status=404)
        return self._leases[key]

    def create(self, key: Key, manifest: Manifest) -> Manifest:
        """POST."""
        if key in self._leases:
            raise AlreadyExists(f"lease {key[2]!r} already exists", status=409)
        return self._store(key, manifest)

    def replace(self, key: Key, manifest: Manifest) -> Manifest:
        """PUT, onto the version that the manifest names."""
        if self.get(key)["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            raise Conflict(f"lease {key[2]!r}: the object has been modified", status=409)
        return self._store(key, manifest)

    @property
    def holder(self) -> str:
        """Who holds the one Lease there is; empty when nobody does."""
        return next((str(one["spec"]["holderIdentity"]) for one in self._leases.values()), "")

    def _store(self, key: Key, manifest: Manifest) -> Manifest:
        self.version += 1
        metadata = {**manifest["metadata"], "resourceVersion": str(self.version)}
        self._leases[key] = {**manifest, "metadata": metadata}
        return self._leases[key]
