"""The one Lease that controllers share."""

from __future__ import annotations

from typing import Protocol

from proctor_operator.domain.lease import Lease


class Leases(Protocol):
    """Calls on that Lease. Every one has a deadline and raises a `ClusterError` when it fails."""

    async def fetch_lease(self) -> Lease | None:
        """Read it live; None when it is not there."""
        ...

    async def create_lease(self, lease: Lease) -> Lease:
        """Create it; `AlreadyExists` when somebody was faster."""
        ...

    async def replace_lease(self, lease: Lease) -> Lease:
        """Write it onto the version it was read at; `Conflict` when it is no longer that."""
        ...
