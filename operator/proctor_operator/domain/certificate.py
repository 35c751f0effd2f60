"""Certificates as values: what the webhook serves with, and whom the API server trusts for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate, in PEM, with what rules look at."""

    pem: str
    not_before: datetime
    not_after: datetime
    dns_names: frozenset[str] = frozenset()

    def is_valid_at(self, now: datetime) -> bool:
        """Whether its time has come and is not over."""
        return self.not_before <= now < self.not_after


@dataclass(frozen=True, slots=True)
class ServingPair:
    """A certificate and its key, which belong together and which a known authority vouches for."""

    certificate: Certificate
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """A new pair and the authority that signed it, whose key is gone: it signs nothing else."""

    pair: ServingPair
    authority: Certificate


@dataclass(frozen=True, slots=True)
class Unusable:
    """What stands in the place of a pair; the message says what is wrong with it."""

    message: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What the webhook's Secret holds.

    `authorities` are in the order in which they came. `following` waits until it is trusted everywhere,
    then takes the place of `serving`; None when none does.
    """

    serving: ServingPair | Unusable
    following: ServingPair | Unusable | None
    authorities: tuple[Certificate, ...]

    @property
    def bundle(self) -> str:
        """Everybody who vouches for what is served now or next, in PEM."""
        return "".join(one.pem for one in self.authorities)


@dataclass(frozen=True, slots=True)
class SecretContent:
    """The webhook's Secret as text; `resource_version` is the one it was read at."""

    resource_version: str
    certificate: str = ""
    key: str = field(default="", repr=False)
    authorities: str = ""
    next_certificate: str = ""
    next_key: str = field(default="", repr=False)
    stranger: str = ""
    """Who else makes this Secret's content, such as cert-manager; then it is left alone."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom one webhook configuration trusts: a bundle in PEM for each of its webhooks."""

    kind: str
    resource_version: str
    bundles: tuple[str, ...]

    def trusts(self, bundle: str) -> bool:
        """Whether every webhook has exactly that bundle."""
        return all(one == bundle for one in self.bundles)
