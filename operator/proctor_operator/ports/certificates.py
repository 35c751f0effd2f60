"""The webhook's certificate where it is kept, and who makes one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from proctor_operator.domain.certificate import Holding, Issued, SecretContent, Trust


class CertificateStore(Protocol):
    """The Secret and the two webhook configurations. Every call has a deadline and raises a `ClusterError`."""

    async def fetch_trusts(self) -> tuple[Trust, ...]:
        """Read both configurations; `NotFound` names one that is not there."""
        ...

    async def fetch_secret(self) -> SecretContent:
        """Read the Secret; `NotFound` when it is not there."""
        ...

    async def replace_secret(self, content: SecretContent) -> None:
        """Write it onto the version it was read at; `Conflict` when it is no longer that."""
        ...

    async def write_bundle(self, trust: Trust, bundle: str) -> None:
        """Give each webhook of a configuration the bundle; `Conflict` when it changed since it was read."""
        ...


class CertificateAuthority(Protocol):
    """X.509."""

    def read(self, content: SecretContent) -> Holding:
        """Read what a Secret holds; what cannot be used says why."""
        ...

    def write(self, holding: Holding, resource_version: str) -> SecretContent:
        """The same the other way round."""
        ...

    def issue(
        self, dns_names: Collection[str], *, not_before: datetime, not_after: datetime
    ) -> Issued:
        """Make an authority, and have it sign the one pair that it ever signs."""
        ...
