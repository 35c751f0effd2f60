"""The webhook's certificate: from what is found, and the time, to the one next step.

A new pair gets an authority of its own, whose key nobody keeps. So that the API server trusts what is
served at every moment:

1. the new pair is put beside the one that serves, and its authority into the Secret's bundle;
2. both webhook configurations get that bundle: now both pairs would be trusted;
3. the new pair takes the place of the old one;
4. an authority leaves the bundle when its own time is over. Its key is gone, so it can do no harm.

Each step is decided anew from what is there: a crash between two of them costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.certificate import Certificate, Holding, ServingPair, Trust, Unusable

BACKDATED: Final = timedelta(hours=1)
"""A clock that is behind by less finds a new certificate valid."""


@dataclass(frozen=True, slots=True)
class CertificatePolicy:
    """What the certificate must be: for these names, and of this life."""

    dns_names: frozenset[str]
    life: timedelta = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Issue:
    """Make a new pair. `at_once` it serves, for what serves now is of no use; else it waits to be trusted."""

    reason: str
    at_once: bool
    authorities: tuple[Certificate, ...]
    """Those that stay in the bundle beside the new one."""


@dataclass(frozen=True, slots=True)
class WriteBundle:
    """Make a webhook configuration trust the bundle, onto the version that was seen."""

    trust: Trust
    bundle: str


@dataclass(frozen=True, slots=True)
class Store:
    """Write the Secret's new content, onto the version that was seen."""

    what: str
    holding: Holding


@dataclass(frozen=True, slots=True)
class Nothing:
    """All is as it should be until then."""

    until: datetime


Step = Issue | WriteBundle | Store | Nothing


def decide_certificates(
    holding: Holding, trusts: tuple[Trust, ...], policy: CertificatePolicy, *, now: datetime
) -> Step:
    """Return the one thing to do next; trusts must have been read before the Secret.

    In that order, because a bundle is only ever written from a Secret that is newer than the
    configuration that it is written onto: a slow run cannot take back what another has added.
    """
    alive = tuple(one for one in holding.authorities if now < one.not_after)
    serving = holding.serving
    if isinstance(serving, Unusable):
        return Issue(serving.message, at_once=True, authorities=alive)
    problem = find_problem(serving.certificate, policy, now=now)
    if problem is not None:
        return Issue(problem, at_once=True, authorities=alive)
    if is_due(serving.certificate, now) and not _is_good(holding.following, policy, now):
        return Issue("due for renewal", at_once=False, authorities=alive)
    if alive != holding.authorities:
        return Store("authorities whose time is over left", replace(holding, authorities=alive))
    for trust in trusts:
        if not trust.trusts(holding.bundle):
            return WriteBundle(trust, holding.bundle)
    if holding.following is not None:
        return _end_of_renewal(holding, policy, now)
    return Nothing(until=due_at(serving.certificate))


def find_problem(
    certificate: Certificate, policy: CertificatePolicy, *, now: datetime
) -> str | None:
    """Why a certificate is of no use; None when it can serve."""
    missing = policy.dns_names - certificate.dns_names
    if missing:
        return f"it is not for {', '.join(sorted(missing))}"
    if now < certificate.not_before:
        return f"it is valid from {certificate.not_before:%Y-%m-%dT%H:%M:%SZ} only"
    if now >= certificate.not_after:
        return f"it expired at {certificate.not_after:%Y-%m-%dT%H:%M:%SZ}"
    return None


def due_at(certificate: Certificate) -> datetime:
    """When two thirds of a certificate's life are over."""
    life = certificate.not_after - certificate.not_before
    return certificate.not_before + life * 2 / 3


def is_due(certificate: Certificate, now: datetime) -> bool:
    """Whether it is time for the next one."""
    return now >= due_at(certificate)


def lifetime(policy: CertificatePolicy, now: datetime) -> tuple[datetime, datetime]:
    """From when until when a certificate that is made now is valid; in whole seconds, as X.509 has them."""
    begin = now.replace(microsecond=0) - BACKDATED
    return begin, begin + policy.life


def _is_good(pair: ServingPair | Unusable | None, policy: CertificatePolicy, now: datetime) -> bool:
    if not isinstance(pair, ServingPair) or is_due(pair.certificate, now):
        return False
    return find_problem(pair.certificate, policy, now=now) is None


def _end_of_renewal(holding: Holding, policy: CertificatePolicy, now: datetime) -> Store:
    following = holding.following
    if isinstance(following, ServingPair) and _is_good(following, policy, now):
        return Store(
            "the next certificate serves", replace(holding, serving=following, following=None)
        )
    return Store("a next certificate of no use is dropped", replace(holding, following=None))
