"""The elector on a Lease in memory, in virtual time: taking, keeping, losing and letting go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest

from proctor_operator.domain.errors import ClusterUnavailable, Forbidden, NotLeading
from proctor_operator.domain.lease import Lease, new_lease
from proctor_operator.reconcile.leadership import Terms
from proctor_operator.runtime.elector import Elector, Unopposed
from simulation.virtual_time import VirtualClock, run_virtually
from unit.builders import NOW
from unit.fakes import FakeLeases, FakeMetrics

TERMS = Terms(duration=15, renew_every=5.0, give_up_after=10.0, look_every=1.0)


class Candidate:
    """An elector that is ready, and the task in which it runs."""

    def __init__(self, leases: FakeLeases, name: str = "host_1", *, is_ready: bool = True) -> None:
        self.metrics = FakeMetrics()
        self.elector = Elector(
            leases=leases,
            clock=VirtualClock(),
            metrics=self.metrics,
            terms=TERMS,
            identity=name,
            random=Random(name),
        )
        self.ready = asyncio.Event()
        if is_ready:
            self.ready.set()
        self.task = asyncio.ensure_future(self.elector.run(ready=self.ready))

    def leads(self) -> bool:
        try:
            self.elector.assert_leading()
        except NotLeading:
            return False
        return True

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.elector.release()

    async def lost(self) -> str:
        """Wait until it ends of itself, and return what it says."""
        with pytest.raises(NotLeading) as caught:
            await self.task
        return str(caught.value)


def now() -> float:
    return asyncio.get_running_loop().time()


def play(script: Callable[[FakeLeases], Awaitable[None]], lease: Lease | None = None) -> None:
    async def main() -> None:
        await script(FakeLeases(lease))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    run_virtually(main())


def held(holder: str = "host_2") -> Lease:
    return replace(new_lease(holder, now=NOW, duration_seconds=15), resource_version="0")


async def kept_alive(leases: FakeLeases) -> None:
    """Another process renews, every five seconds."""
    while True:
        assert leases.lease is not None
        at = VirtualClock().now()
        leases.put(leases.lease.held_by("host_2", now=at, duration_seconds=15))
        await asyncio.sleep(5.0)


def test_the_first_one_makes_the_lease_and_leads_at_once() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()

        assert now() < 0.1
        assert one.leads()
        assert one.elector.describe() == "leading"
        assert one.metrics.is_held
        assert leases.lease is not None
        assert leases.lease.holder == "host_1"

    play(script)


def test_a_leader_renews_every_five_seconds_and_writes_nothing_else() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        for _ in range(58):
            await asyncio.sleep(1.0)
            assert one.leads()

        assert len(leases.writes) == 12
        assert {lease.transitions for lease in leases.writes} == {0}
        assert leases.reads == 1

    play(script)


def test_a_standby_never_writes_and_looks_every_one_to_two_seconds() -> None:
    async def script(leases: FakeLeases) -> None:
        alive = asyncio.ensure_future(kept_alive(leases))
        one = Candidate(leases)
        await asyncio.sleep(600)

        assert not one.leads()
        assert leases.writes == []
        assert 300 <= leases.reads <= 601
        assert one.elector.describe() == "standby (host_2 leads)"
        assert not one.metrics.is_held
        alive.cancel()

    play(script, held())


def test_a_leader_that_fell_silent_is_followed_after_the_duration() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()

        assert 15.0 <= now() < 15.1
        assert leases.lease is not None
        assert leases.lease.transitions == 1

    play(script, held())


def test_a_lease_that_was_let_go_is_taken_at_the_next_look() -> None:
    async def script(leases: FakeLeases) -> None:
        first, second = Candidate(leases), Candidate(leases, "host_2")
        await asyncio.sleep(60)
        assert (first.leads(), second.leads()) == (True, False)

        await first.stop()
        assert not first.leads()
        await second.elector.leading.wait()

        assert now() - 60 <= 2.0

    play(script)


def test_who_is_not_ready_does_not_take_the_lease() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases, is_ready=False)
        await asyncio.sleep(60)
        assert leases.lease is None
        assert one.elector.describe() == "standby (nobody leads)"

        one.ready.set()
        await one.elector.leading.wait()

        assert now() < 60.1

    play(script)


def test_a_silent_leader_runs_out_while_the_one_after_it_gets_ready() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases, is_ready=False)
        await asyncio.sleep(14)
        one.ready.set()
        await one.elector.leading.wait()

        assert now() < 15.1

    play(script, held())


def test_a_stolen_lease_is_lost_at_the_next_renewal() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        leases.put(held("thief"))

        assert await one.lost() == "leadership lost: thief holds the Lease"

        assert now() < 5.1
        assert not one.leads()
        assert not one.metrics.is_held

    play(script)


def test_a_deleted_lease_is_lost() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        leases.lease = None

        assert await one.lost() == "leadership lost: the Lease was deleted"

    play(script)


def test_an_edit_that_leaves_the_holder_is_not_a_loss() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        for _ in range(10):
            assert leases.lease is not None
            leases.put(leases.lease)
            await asyncio.sleep(5.0)
            assert one.leads()

    play(script)


@pytest.mark.parametrize("way", ["refused", "hanging", "answers lost"])
def test_a_leader_that_cannot_renew_writes_nothing_from_the_tenth_second_on(way: str) -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        began = now()
        leases.refuses = Forbidden("may not update leases") if way == "refused" else None
        leases.hangs = way == "hanging"
        leases.loses_answers = way == "answers lost"

        await asyncio.sleep(began + 9.999 - now())
        assert one.leads()
        await asyncio.sleep(0.001)
        assert not one.leads()
        said = await one.lost()

        assert now() - began < 10.1
        assert said.startswith("leadership lost: the Lease could not be renewed for 10 s (")
        if way == "refused":
            assert "may not update leases" in said

    play(script)


def test_an_outage_shorter_than_that_is_survived() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        await asyncio.sleep(4.5)
        leases.hangs = True
        await asyncio.sleep(3.0)
        leases.hangs = False
        for _ in range(30):
            await asyncio.sleep(1.0)
            assert one.leads()

    play(script)


def test_leadership_counts_from_before_the_claim_was_sent_however_long_its_answer_took() -> None:
    async def script(leases: FakeLeases) -> None:
        leases.answers_after = 3.0
        one = Candidate(leases)
        await one.elector.leading.wait()
        leases.hangs = True
        await asyncio.sleep(9.9 - now())
        assert one.leads()
        await one.lost()

        assert now() == pytest.approx(10.0)

    play(script)


def test_an_answer_that_comes_too_late_does_not_bring_leadership_back() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        leases.answers_after = 1.0
        await asyncio.sleep(5.5)
        # The process is stopped while its renewal is under way, and goes on a minute later.
        one.elector._clock = Late(VirtualClock(), by=60.0)
        assert not one.leads()

        said = await one.lost()

        assert said == "leadership lost: the Lease could not be renewed for 10 s"
        assert len(leases.writes) == 2

    play(script)


class Late:
    """A clock that has moved on while its process did not."""

    def __init__(self, clock: VirtualClock, *, by: float) -> None:
        self._clock = clock
        self._by = by
        self.now = clock.now

    def monotonic(self) -> float:
        return self._clock.monotonic() + self._by


def test_a_candidate_waits_out_an_api_server_that_is_away() -> None:
    async def script(leases: FakeLeases) -> None:
        leases.refuses = ClusterUnavailable("connection refused")
        one = Candidate(leases)
        await asyncio.sleep(600)
        assert not one.task.done()
        assert one.elector.describe() == "standby (connection refused)"

        leases.refuses = None
        await one.elector.leading.wait()

        assert now() < 601

    play(script)


def test_a_claim_whose_answer_was_lost_is_made_again() -> None:
    async def script(leases: FakeLeases) -> None:
        leases.loses_answers = True
        one = Candidate(leases)
        await asyncio.sleep(7.0)
        assert leases.lease is not None
        assert leases.lease.holder == "host_1"
        assert not one.leads(), "nothing proves that it was our claim which was accepted, and when"

        leases.loses_answers = False
        await asyncio.wait_for(one.elector.leading.wait(), timeout=6.0)

        assert one.leads()

    play(script)


def test_a_claim_under_way_at_the_stop_is_let_go_as_well() -> None:
    async def script(leases: FakeLeases) -> None:
        leases.loses_answers = True
        one = Candidate(leases)
        await asyncio.sleep(0.5)
        leases.loses_answers = False

        await one.stop()

        assert leases.lease is not None
        assert leases.lease.holder == ""

    play(script)


def test_what_another_one_holds_is_not_let_go() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        leases.put(held("thief"))

        await one.stop()

        assert leases.lease is not None
        assert leases.lease.holder == "thief"

    play(script)


def test_a_stop_does_not_wait_long_for_an_api_server_that_is_away() -> None:
    async def script(leases: FakeLeases) -> None:
        one = Candidate(leases)
        await one.elector.leading.wait()
        leases.hangs = True
        began = now()

        await one.stop()

        assert now() - began <= 3.1
        assert not one.leads()

    play(script)


@pytest.mark.parametrize("seed", range(5))
def test_two_never_lead_at_once_whatever_becomes_of_leaders(seed: int) -> None:
    async def script(leases: FakeLeases) -> None:
        random = Random(seed)
        everybody = [Candidate(leases, "host_0"), Candidate(leases, "host_1")]
        for turn in range(2, 30):
            leader = await the_only_leader_of(everybody)
            match random.choice(("killed", "robbed", "stopped")):
                case "killed":
                    leader.task.cancel()
                case "robbed":
                    assert leases.lease is not None
                    at = VirtualClock().now()
                    leases.put(leases.lease.held_by("thief", now=at, duration_seconds=15))
                case "stopped":
                    await leader.stop()
            while leader.leads():
                await asyncio.sleep(0.1)
                assert sum(one.leads() for one in everybody) <= 1
            everybody.append(Candidate(leases, f"host_{turn}"))
        tasks = [one.task for one in everybody]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    play(script)


async def the_only_leader_of(everybody: list[Candidate]) -> Candidate:
    """Somebody leads within the duration and one look, and nobody else does."""
    until = now() + 15.0 + 2.1
    while True:
        leaders = [one for one in everybody if one.leads()]
        assert len(leaders) <= 1
        if leaders:
            return leaders[0]
        assert now() < until
        await asyncio.sleep(0.1)


async def test_the_only_one_always_leads() -> None:
    alone = Unopposed(FakeMetrics())

    alone.assert_leading()
    assert alone.leading.is_set()
    assert alone.describe() == "off"
