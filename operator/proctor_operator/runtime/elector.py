"""Keeping the Lease, and saying at any moment whether it is still ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Final, Protocol

import structlog

from proctor_operator.domain.errors import (
    AlreadyExists,
    ClusterError,
    Conflict,
    NotFound,
    NotLeading,
)
from proctor_operator.domain.lease import Lease, new_lease
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.leadership import Leadership
from proctor_operator.ports.leases import Leases
from proctor_operator.ports.metrics import ProcessMetrics
from proctor_operator.reconcile.leadership import (
    Claim,
    Look,
    Lost,
    Standing,
    Terms,
    Wait,
    next_move,
)

_PAUSE_AFTER_FAILURE_SECONDS: Final = 0.5
_NOBODY: Final = "nobody"
_RELEASE_SECONDS: Final = 3.0
_SHARE_OF_TIME_LEFT: Final = 2 / 3
"""Of the time until a leader must give up, for one call: one that hangs leaves time for another."""

log = structlog.get_logger(__name__)


class Election(Leadership, Protocol):
    """Decides whether this process works. `leading` is set when it begins to, and never cleared."""

    leading: asyncio.Event

    async def run(self, *, ready: asyncio.Event) -> None:
        """Take part until cancelled, as a candidate once `ready` is set; `NotLeading` ends it."""
        ...

    async def release(self) -> None:
        """Stand down; whoever calls has seen to it that nothing is under way any more."""
        ...

    def describe(self) -> str:
        """How things stand, for people."""
        ...


class Unopposed:
    """The `Election` of a process that is known to be the only one."""

    def __init__(self, metrics: ProcessMetrics) -> None:
        self.leading = asyncio.Event()
        self.leading.set()
        metrics.lease_held(held=True)

    def assert_leading(self) -> None:
        """See the port."""

    async def run(self, *, ready: asyncio.Event) -> None:
        """See the protocol."""
        del ready
        await asyncio.Event().wait()

    async def release(self) -> None:
        """See the protocol."""

    def describe(self) -> str:
        """See the protocol."""
        return "off"


class Elector:
    """The `Election` by a Lease; `identity` is this process's, and no other's before or after it.

    Once lost, leadership does not come back: the process ends and another one takes its turn.
    """

    def __init__(
        self,
        *,
        leases: Leases,
        clock: Clock,
        metrics: ProcessMetrics,
        terms: Terms,
        identity: str,
        random: Random,
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._metrics = metrics
        # Standbys look at different moments, one to two times the interval apart.
        self._terms = replace(terms, look_every=terms.look_every * (1 + random.random()))
        self._standing = Standing(identity)
        self._has_claimed = False
        self._is_lost = False
        self._problem = ""
        self.leading = asyncio.Event()
        metrics.lease_held(held=False)

    def assert_leading(self) -> None:
        """See the port: by the clock, not by what `run` has noticed yet."""
        if not self._standing.leads(self._terms, self._clock.monotonic()):
            raise NotLeading(f"{self._standing.identity} does not hold the Lease")

    async def run(self, *, ready: asyncio.Event) -> None:
        """See the protocol."""
        while True:
            match next_move(self._standing, self._terms, self._clock.monotonic()):
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Lost(why):
                    raise self._lost(why)
                case Look():
                    await self._try(self._look)
                case Claim() if self._standing.renewed_at is None and not ready.is_set():
                    await self._wait_for(ready)
                case Claim():
                    await self._try(self._claim)

    async def release(self) -> None:
        """See the protocol. A standby need not wait then until the Lease runs out.

        A Lease that was lost is another's, or out of reach.
        """
        self._stop_leading()
        if not self._has_claimed or self._is_lost:
            return
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                if await self._let_go():
                    log.info("Lease released", identity=self._standing.identity)
        except (ClusterError, TimeoutError) as error:
            log.warning("Lease not released, it will run out", error=str(error) or "no answer")

    def describe(self) -> str:
        """See the protocol."""
        if self._standing.leads(self._terms, self._clock.monotonic()):
            return "leading"
        leader = self._standing.lease.holder if self._standing.lease is not None else ""
        return f"standby ({self._problem or f'{leader or _NOBODY} leads'})"

    async def _try(self, call: Callable[[float], Awaitable[None]]) -> None:
        """Do it within the time there is; what fails is tried again, as long as there is any."""
        sent_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._time_left() * _SHARE_OF_TIME_LEFT):
                await call(sent_at)
        except (Conflict, AlreadyExists, NotFound):
            self._standing = self._standing.must_look()
        except (ClusterError, TimeoutError) as error:
            if not self._problem:
                log.warning("Lease out of reach", error=str(error) or "no answer in time")
            self._problem = str(error) or "no answer from the API server in time"
            await asyncio.sleep(min(_PAUSE_AFTER_FAILURE_SECONDS, self._time_left()))
        else:
            if self._problem:
                log.info("Lease can be reached again")
            self._problem = ""

    def _time_left(self) -> float:
        """Until we must give up; who has nothing to lose takes as long as a leader has."""
        if self._standing.renewed_at is None:
            return self._terms.give_up_after
        ends_at = self._standing.renewed_at + self._terms.give_up_after
        return max(0.0, ends_at - self._clock.monotonic())

    async def _look(self, _: float) -> None:
        before = self._standing.lease
        lease = await self._leases.fetch_lease()
        self._standing = self._standing.saw(lease, now=self._clock.monotonic())
        is_news = lease is not None and (before is None or before.holder != lease.holder)
        if lease is not None and is_news and lease.holder not in ("", self._standing.identity):
            log.info("Standing by", leader=lease.holder, identity=self._standing.identity)

    async def _claim(self, sent_at: float) -> None:
        self._has_claimed = True
        seen, identity = self._standing.lease, self._standing.identity
        seconds = self._terms.duration
        if seen is None:
            wanted = new_lease(identity, now=self._clock.now(), duration_seconds=seconds)
            stored = await self._leases.create_lease(wanted)
        else:
            wanted = seen.held_by(identity, now=self._clock.now(), duration_seconds=seconds)
            stored = await self._leases.replace_lease(wanted)
        now = self._clock.monotonic()
        was_leading = self._standing.renewed_at is not None
        if was_leading and not self._standing.leads(self._terms, now):
            return  # Too late: writes have been refused meanwhile, and it stays so.
        self._standing = self._standing.holds(stored, sent_at=sent_at, now=now)
        if not was_leading:
            self._begin_to_lead(stored)

    def _begin_to_lead(self, lease: Lease) -> None:
        log.info("Leading", identity=self._standing.identity, transitions=lease.transitions)
        self._metrics.lease_held(held=True)
        self.leading.set()

    def _lost(self, why: str) -> NotLeading:
        self._is_lost = True
        self._stop_leading()
        words = f"{why} ({self._problem})" if self._problem else why
        log.error("Leadership lost", identity=self._standing.identity, why=words)
        return NotLeading(f"leadership lost: {words}")

    def _stop_leading(self) -> None:
        self._standing = replace(self._standing, renewed_at=None)
        self._metrics.lease_held(held=False)

    async def _wait_for(self, ready: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._terms.look_every):
                await ready.wait()
        self._standing = self._standing.must_look()

    async def _let_go(self) -> bool:
        """Look first: the answer to the last claim may have been lost, or it may still be under way."""
        while True:
            lease = await self._leases.fetch_lease()
            if lease is None or lease.holder != self._standing.identity:
                return False
            try:
                await self._leases.replace_lease(lease.let_go(now=self._clock.now()))
            except Conflict:
                continue
            return True
