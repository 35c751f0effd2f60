"""Lives of a schedule with everything in them: crashes, a record that is away, edits, clocks that jump."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proctor_operator.domain.errors import Fault
from proctor_operator.domain.execution import ProcExecution, ProcRef
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.domain.occurrence import OccurrenceState
from proctor_operator.domain.occurrences import Timing, occurrences_between, read_timing
from proctor_operator.domain.schedule import CatchUp, CatchUpPolicy, ProcSchedule, ProcScheduleSpec
from proctor_operator.runtime.cache import key_of
from unit.builders import NAMESPACE, NOW, proc, requester, schedule
from unit.world import World

KEY = ObjectKey(Kind.PROC_SCHEDULE, NAMESPACE, "nightly")
CALLS = ("begin", "claim", "create_execution", "mark_started", "pass_over", "write_schedule_status")
CRONS = ("* * * * *", "*/2 * * * *", "*/5 * * * *")

waits = st.tuples(st.just("wait"), st.sampled_from([1, 20, 45, 60, 61, 130, 400, 1300]))
happenings = st.one_of(
    waits,
    waits,
    waits,
    st.tuples(st.just("crash"), st.sampled_from(CALLS)),
    st.tuples(st.just("away"), st.booleans()),
    st.tuples(st.just("cron"), st.sampled_from(CRONS)),
    st.tuples(st.just("suspend"), st.booleans()),
    st.tuples(st.just("clock"), st.sampled_from([-300, -61, -1])),
    st.tuples(st.just("delete"), st.just(0)),
)


class Life:
    """A world with one schedule, and a note of every execution that was ever made."""

    def __init__(self, policy: CatchUpPolicy) -> None:
        spec = ProcScheduleSpec(
            proc_ref=ProcRef(name="grow-disk"),
            cron=CRONS[0],
            requested_by=requester(),
            catch_up=CatchUp(policy=policy, limit=3),
        )
        self.world = World(proc(), schedule(spec=spec, creation_time=NOW))
        self.moment = NOW
        self.latest = NOW
        self.made: Counter[datetime] = Counter()
        self.noted: set[str] = set()
        self.times: set[str] = {CRONS[0]}
        self.world.clock.moment = NOW

    async def live(self, what: str, how: Any) -> None:
        """Let one thing happen, and have the schedule looked at."""
        match what:
            case "wait" | "clock":
                self.moment += timedelta(seconds=how)
                self.latest = max(self.latest, self.moment)
            case "crash":
                self.moment += timedelta(seconds=60)
                self.latest = max(self.latest, self.moment)
                self.world.occurrences.before = self.world.cluster.before = _crash_at(how)
            case "away":
                self.world.occurrences.is_away = how
            case "cron" | "suspend":
                self._edit({what: how})
            case _:
                self._delete_executions()
        await self.look(crashes=what == "crash")

    async def look(self, *, crashes: bool = False) -> None:
        """One pass; an operator that crashed begins anew."""
        self.world.clock.moment = self.moment
        with suppress(Fault):
            await self.world.pass_over(KEY)
        self._note()
        if crashes:
            self.world.occurrences.before = self.world.cluster.before = lambda _: None
            self.world.start()

    def _edit(self, fields: dict[str, Any]) -> None:
        known = self.known
        self.times |= {fields["cron"]} if "cron" in fields else set()
        spec = known.spec.model_copy(update=fields)
        if spec == known.spec:
            return
        change = {
            "spec": spec,
            "generation": known.generation + 1,
            "resource_version": self.world.cluster.next_version(),
        }
        self.world.cluster.own[KEY] = known.model_copy(update=change)

    def _delete_executions(self) -> None:
        for one in self._executions():
            del self.world.cluster.own[key_of(one)]
            self.world.cache.remove(key_of(one))
            self.world.occurrences.recorded[one.name] = one.uid

    def _executions(self) -> list[ProcExecution]:
        return [one for one in self.world.cluster.own.values() if isinstance(one, ProcExecution)]

    def _note(self) -> None:
        for one in self._executions():
            reference = one.spec.schedule_ref
            assert reference is not None
            assert reference.scheduled_time is not None
            if one.uid not in self.noted:
                self.noted.add(one.uid)
                self.made[reference.scheduled_time] += 1

    @property
    def known(self) -> ProcSchedule:
        found = self.world.cluster.own[KEY]
        assert isinstance(found, ProcSchedule)
        return found


def _crash_at(wanted: str) -> Any:
    def crash(call: str) -> None:
        if call == wanted:
            raise Fault("crashed")

    return crash


@settings(max_examples=400)
@given(st.sampled_from(list(CatchUpPolicy)), st.lists(happenings, max_size=25))
def test_whatever_happens_each_time_starts_at_most_once_and_all_settles(
    policy: CatchUpPolicy, story: list[tuple[str, Any]]
) -> None:
    asyncio.run(_live(policy, story))


async def _live(policy: CatchUpPolicy, story: list[tuple[str, Any]]) -> None:
    life = Life(policy)
    for what, how in story:
        await life.live(what, how)
    life.world.occurrences.is_away = False
    for _ in range(2):
        await life.look()

    assert all(count == 1 for count in life.made.values()), life.made
    planned = {one for cron in life.times for one in _planned(cron, life.latest)}
    assert set(life.made) <= planned
    rows = life.world.occurrences.table.rows
    started = {at for (_, at), row in rows.items() if row.state is OccurrenceState.STARTED}
    assert started == set(life.made), "each that was made is marked, and no other"
    assert all(row.state is not OccurrenceState.CLAIMED for row in rows.values())
    assert life.world.wakes or life.known.spec.suspend


def _planned(cron: str, until: datetime) -> tuple[datetime, ...]:
    timing = read_timing(ProcScheduleSpec(proc_ref=ProcRef(name="x"), cron=cron), "u")
    assert isinstance(timing, Timing)
    return occurrences_between(timing, NOW - timedelta(hours=3), until, 10_000)


async def test_undisturbed_every_minute_of_an_hour_is_started_once() -> None:
    life = Life(CatchUpPolicy.NONE)
    for _ in range(60):
        await life.live("wait", 60)

    assert len(life.made) == 60
    await life.live("wait", 2)
    assert life.known.status.missed == 0
    assert sum(life.made.values()) == 60
