"""The webhook's certificate over months, with two at work, crashes and meddling."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from proctor_operator.domain.certificate import SecretContent, Trust
from proctor_operator.domain.errors import ClusterUnavailable, Conflict, Fault
from proctor_operator.reconcile.certificates import CertificatePolicy
from unit.certificate_store import KINDS, POLICY, START, Clock, MemoryStore


async def test_the_first_run_makes_a_certificate_that_both_configurations_trust() -> None:
    store = MemoryStore()

    end = await store.keeper().keep()

    assert store.writes == ["secret", *KINDS]
    assert store.is_trusted()
    assert end.until == START - timedelta(hours=1) + timedelta(days=60)


async def test_a_second_run_writes_nothing() -> None:
    store = MemoryStore()
    await store.keeper().keep()
    store.writes.clear()

    await store.keeper().keep()

    assert store.writes == []


async def test_a_client_whose_clock_is_half_an_hour_behind_trusts_a_new_certificate() -> None:
    store = MemoryStore()
    await store.keeper().keep()

    store.clock.time -= timedelta(minutes=30)

    assert store.is_trusted()


async def test_in_two_years_of_daily_runs_what_is_served_is_trusted_at_every_moment() -> None:
    store = MemoryStore()
    await store.keeper().keep()
    served = set()

    for _ in range(730):
        store.clock.time += timedelta(days=1)
        assert store.is_trusted(), store.clock.time
        await store.keeper().keep()
        served.add(store.secret.certificate)
        assert store.secret.authorities.count("BEGIN") <= 3
        assert not store.secret.next_certificate

    assert store.distrusted == []
    assert len(served) == 13


async def test_a_renewal_is_trusted_before_it_serves() -> None:
    store = MemoryStore()
    await store.keeper().keep()
    store.writes.clear()
    store.clock.time += timedelta(days=61)

    await store.keeper().keep()

    assert store.writes == ["secret", *KINDS, "secret"]
    assert store.distrusted == []


async def test_a_certificate_that_has_expired_is_replaced_at_once() -> None:
    store = MemoryStore()
    await store.keeper().keep()
    old = store.secret
    store.clock.time += timedelta(days=91)

    await store.keeper().keep()

    assert store.is_trusted()
    assert store.secret.authorities.count("BEGIN") == 1, "the old authority has expired as well"
    assert old.authorities not in store.secret.authorities


class Crash(Exception):
    """The process ended at a write."""


class CrashingStore(MemoryStore):
    """Ends whoever works with it at the n-th write, before or after it came about."""

    left: int = 0
    after: bool = False

    async def replace_secret(self, content: SecretContent) -> None:
        await self._or_crash(super().replace_secret(content))

    async def write_bundle(self, trust: Trust, bundle: str) -> None:
        await self._or_crash(super().write_bundle(trust, bundle))

    async def _or_crash(self, write: object) -> None:
        assert asyncio.iscoroutine(write)
        self.left -= 1
        if self.left == 0 and not self.after:
            write.close()
            raise Crash
        await write
        if self.left == 0:
            raise Crash


@pytest.mark.parametrize("moment", ["before the write", "after the write"])
@pytest.mark.parametrize("crash_at", [1, 2, 3, 4])
async def test_a_crash_in_a_renewal_breaks_no_trust_and_the_next_run_ends_it(
    crash_at: int, moment: str
) -> None:
    store = CrashingStore()
    await store.keeper().keep()
    old = store.secret.certificate
    store.clock.time += timedelta(days=61)
    store.left, store.after = crash_at, moment == "after the write"

    with pytest.raises(Crash):
        await store.keeper().keep()
    assert store.is_trusted()
    await store.keeper().keep()

    assert store.distrusted == []
    assert store.is_trusted()
    assert store.secret.certificate != old
    assert not store.secret.next_certificate


@pytest.mark.parametrize("seed", range(40))
async def test_two_runs_at_once_never_break_trust_and_agree(seed: int) -> None:
    store = MemoryStore(random=Random(seed))
    await asyncio.gather(store.keeper().keep(), store.keeper().keep())
    assert store.is_trusted()
    store.clock.time += timedelta(days=61)

    await asyncio.gather(*(store.keeper().keep() for _ in range(3)))

    assert store.distrusted == []
    assert store.is_trusted()
    assert store.secret.authorities.count("BEGIN") == 2
    assert store.secret.next_certificate == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bundle", ["", "nonsense"])
async def test_a_bundle_that_somebody_changed_is_put_right(kind: str, bundle: str) -> None:
    store = MemoryStore()
    await store.keeper().keep()
    right = store.trusts[kind].bundles
    store.trusts[kind] = Trust(kind, "77", (right[0], bundle))
    store.writes.clear()

    await store.keeper().keep()

    assert store.trusts[kind].bundles == right
    assert store.writes == [kind]


async def test_a_certificate_for_another_service_is_replaced() -> None:
    store = MemoryStore()
    await store.keeper(CertificatePolicy(frozenset({"other.svc"}))).keep()

    await store.keeper().keep()

    assert store.is_trusted()


@pytest.mark.parametrize(
    "broken",
    [
        {"certificate": ""},
        {"key": ""},
        {"certificate": "nonsense"},
        {"key": "nonsense"},
        {"authorities": ""},
        {"authorities": "nonsense"},
    ],
    ids=str,
)
async def test_what_cannot_be_used_is_made_anew(broken: dict[str, str]) -> None:
    store = MemoryStore()
    await store.keeper().keep()
    store.secret = replace(store.secret, **broken)

    await store.keeper().keep()

    assert store.is_trusted()


async def test_a_next_certificate_that_cannot_be_used_is_dropped() -> None:
    store = MemoryStore()
    await store.keeper().keep()
    served = store.secret.certificate
    store.secret = replace(store.secret, next_certificate="nonsense", next_key="nonsense")

    await store.keeper().keep()

    assert (store.secret.certificate, store.secret.next_certificate) == (served, "")


async def test_a_secret_of_cert_manager_is_left_alone_and_said() -> None:
    store = MemoryStore()
    store.secret = replace(store.secret, stranger="cert-manager")

    with pytest.raises(Fault, match="made by cert-manager"):
        await store.keeper().keep()
    assert store.writes == []


class Contested(MemoryStore):
    """Somebody else is always faster."""

    async def replace_secret(self, content: SecretContent) -> None:
        raise Conflict(content.resource_version, status=409)


async def test_a_fight_that_does_not_end_is_given_up_and_said() -> None:
    with pytest.raises(Fault, match="not settled after 30 steps"):
        await Contested().keeper().keep()


class Away(MemoryStore):
    """The API server does not answer."""

    async def fetch_secret(self) -> SecretContent:
        raise ClusterUnavailable("no answer")


async def test_an_api_server_that_is_away_is_a_fault() -> None:
    with pytest.raises(ClusterUnavailable):
        await Away(Clock()).keeper().keep()


async def test_no_key_is_shown_when_a_value_is_printed() -> None:
    store = MemoryStore()
    await store.keeper().keep()

    assert "PRIVATE KEY" in store.secret.key
    assert "PRIVATE KEY" not in repr(store.secret)
    assert POLICY.dns_names
