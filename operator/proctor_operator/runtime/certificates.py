"""Keep the webhook's certificate: look, decide, do one thing, look again, until nothing is left to do."""

from __future__ import annotations

from typing import Final

import structlog

from proctor_operator.domain.certificate import Holding, SecretContent
from proctor_operator.domain.errors import Conflict, Fault
from proctor_operator.ports.certificates import CertificateAuthority, CertificateStore
from proctor_operator.ports.clock import Clock
from proctor_operator.reconcile.certificates import (
    CertificatePolicy,
    Issue,
    Nothing,
    Step,
    Store,
    WriteBundle,
    decide_certificates,
    lifetime,
)

_STEPS_AT_MOST: Final = 30
"""A renewal takes six; more means that somebody undoes what is done."""

log = structlog.get_logger(__name__)


class CertificateKeeper:
    """Two at once do no harm: each write is onto the version that was read, and who is late looks again."""

    def __init__(
        self,
        *,
        store: CertificateStore,
        authority: CertificateAuthority,
        clock: Clock,
        policy: CertificatePolicy,
    ) -> None:
        self._store = store
        self._authority = authority
        self._clock = clock
        self._policy = policy

    async def keep(self) -> Nothing:
        """Bring everything up to date; raises `Fault` when it cannot be."""
        for _ in range(_STEPS_AT_MOST):
            try:
                step = await self._take_a_step()
            except Conflict as conflict:
                log.info("Another one wrote first, looking again", error=str(conflict))
                continue
            if isinstance(step, Nothing):
                return step
        raise Fault(
            f"the webhook's certificate is not settled after {_STEPS_AT_MOST} steps: "
            "somebody else writes the Secret or the caBundle again and again"
        )

    async def _take_a_step(self) -> Step:
        # In this order, see `decide_certificates`.
        trusts = await self._store.fetch_trusts()
        content = await self._store.fetch_secret()
        if content.stranger:
            raise Fault(
                f"the Secret is made by {content.stranger}: run no role certs beside it "
                "(webhook.certManager.enabled), or delete the Secret"
            )
        holding = self._authority.read(content)
        step = decide_certificates(holding, trusts, self._policy, now=self._clock.now())
        match step:
            case Issue():
                await self._issue(step, holding, content)
            case WriteBundle():
                await self._store.write_bundle(step.trust, step.bundle)
                log.info("Bundle written", configuration=step.trust.kind)
            case Store():
                await self._store_it(step.holding, content)
                log.info("Secret written", what=step.what)
            case Nothing():
                log.info("Certificate is in order", renewal_due=step.until.isoformat())
        return step

    async def _issue(self, step: Issue, holding: Holding, content: SecretContent) -> None:
        begin, end = lifetime(self._policy, self._clock.now())
        issued = self._authority.issue(self._policy.dns_names, not_before=begin, not_after=end)
        new = Holding(
            serving=issued.pair if step.at_once else holding.serving,
            following=None if step.at_once else issued.pair,
            authorities=(*step.authorities, issued.authority),
        )
        await self._store_it(new, content)
        log.info(
            "Certificate issued",
            reason=step.reason,
            serves_at_once=step.at_once,
            not_after=end.isoformat(),
            dns_names=sorted(self._policy.dns_names),
        )

    async def _store_it(self, holding: Holding, content: SecretContent) -> None:
        await self._store.replace_secret(self._authority.write(holding, content.resource_version))
