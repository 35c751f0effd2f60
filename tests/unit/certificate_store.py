"""The webhook's Secret and configurations in memory, with versions, conflicts and a judge of trust."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from proctor_operator.adapters.x509 import X509Authority
from proctor_operator.domain.certificate import SecretContent, Trust
from proctor_operator.domain.errors import Conflict
from proctor_operator.reconcile.certificates import CertificatePolicy
from proctor_operator.runtime.certificates import CertificateKeeper

NAME = "proctor-webhook.proctor-system.svc"
POLICY = CertificatePolicy(frozenset({NAME}), life=timedelta(days=90))
START = datetime(2026, 11, 28, 2, 0, 0, tzinfo=UTC)
KINDS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


@dataclass
class Clock:
    """The time as a test sets it."""

    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()


@dataclass
class MemoryStore:
    """What stands in the cluster; `writes` says what was written, `random` mixes who goes first."""

    clock: Clock = field(default_factory=Clock)
    random: Random | None = None
    secret: SecretContent = field(default_factory=lambda: SecretContent("0"))
    trusts: dict[str, Trust] = field(
        default_factory=lambda: {kind: Trust(kind, "0", ("", "")) for kind in KINDS}
    )
    writes: list[str] = field(default_factory=list)
    distrusted: list[str] = field(default_factory=list)
    """Writes after which something that had been trusted was so no more."""

    def keeper(self, policy: CertificatePolicy = POLICY) -> CertificateKeeper:
        return CertificateKeeper(
            store=self, authority=X509Authority(), clock=self.clock, policy=policy
        )

    async def fetch_trusts(self) -> tuple[Trust, ...]:
        found = []
        for kind in KINDS:
            await self._dawdle()
            found.append(self.trusts[kind])
        return tuple(found)

    async def fetch_secret(self) -> SecretContent:
        await self._dawdle()
        return self.secret

    async def replace_secret(self, content: SecretContent) -> None:
        await self._dawdle()
        if content.resource_version != self.secret.resource_version:
            raise Conflict("secret", status=409)
        before = self.is_trusted()
        self.secret = replace(content, resource_version=self._next())
        self._note("secret", before=before)

    async def write_bundle(self, trust: Trust, bundle: str) -> None:
        await self._dawdle()
        found = self.trusts[trust.kind]
        if trust.resource_version != found.resource_version:
            raise Conflict(trust.kind, status=409)
        before = self.is_trusted()
        self.trusts[trust.kind] = Trust(trust.kind, self._next(), (bundle,) * len(found.bundles))
        self._note(trust.kind, before=before)

    def is_trusted(self) -> bool:
        """Whether every webhook of both configurations trusts what is served, at this moment."""
        bundles = [one for trust in self.trusts.values() for one in trust.bundles]
        return all(trusts(bundle, self.secret.certificate, self.clock.time) for bundle in bundles)

    async def _dawdle(self) -> None:
        for _ in range(self.random.randint(0, 3) if self.random else 0):
            await asyncio.sleep(0)

    def _next(self) -> str:
        return str(len(self.writes) + 1)

    def _note(self, what: str, *, before: bool) -> None:
        self.writes.append(what)
        if before and not self.is_trusted():
            self.distrusted.append(what)


def trusts(bundle: str, certificate: str, now: datetime, names: Collection[str] = (NAME,)) -> bool:
    """Whether a strict client with that bundle takes the certificate, for each of the names."""
    if not bundle or not certificate:
        return False
    try:
        store = Store(x509.load_pem_x509_certificates(bundle.encode()))
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        for name in names:
            policy = PolicyBuilder().store(store).time(now.replace(tzinfo=None))
            policy.build_server_verifier(x509.DNSName(name)).verify(leaf, [])
    except (ValueError, VerificationError):
        return False
    return True
