"""Events on their way: never waited for, counted instead of repeated, few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proctor_operator.domain.errors import ClusterUnavailable, Forbidden, NotLeading
from proctor_operator.domain.event import Event, EventAction, EventType, Regarding
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.ports.events import EventSeries
from proctor_operator.runtime.event_relay import (
    BURST,
    PER_SECOND,
    REMEMBERED_AT_MOST,
    REPEAT_AFTER_SECONDS,
    TRIES_AT_MOST,
    WAITING_AT_MOST,
    EventRelay,
)
from simulation.virtual_time import VirtualClock, run_virtually
from unit.fakes import FakeMetrics


def event(name: str = "a", reason: str = "OOMKilled", message: str = "m") -> Event:
    about = Regarding("ProcExecution", Namespace("apps"), name, Uid(f"uid-{name}"))
    return Event(about, EventType.WARNING, reason, message, EventAction.RUN)


class Store:
    """Keeps what it was given, or answers as the test wants."""

    def __init__(self) -> None:
        self.stored: list[EventSeries] = []
        self.at: list[float] = []
        self.answers: list[Exception | float] = []
        self.counted_before = 0

    async def store(self, series: EventSeries) -> int:
        self.at.append(round(asyncio.get_running_loop().time(), 3))
        answer = self.answers.pop(0) if self.answers else 0.0
        if isinstance(answer, Exception):
            raise answer
        await asyncio.sleep(answer)
        self.stored.append(series)
        return series.count + self.counted_before


def relay(
    script: Callable[[EventRelay], Awaitable[None]], store: Store | None = None
) -> tuple[Store, FakeMetrics]:
    store, metrics = store or Store(), FakeMetrics()

    async def main() -> None:
        events = EventRelay(store, metrics, VirtualClock())
        running = asyncio.create_task(events.run())
        await script(events)
        running.cancel()
        await asyncio.wait([running])

    run_virtually(main())
    return store, metrics


def test_an_event_is_stored_at_once() -> None:
    async def script(events: EventRelay) -> None:
        await asyncio.sleep(3)
        events.tell(event())
        await asyncio.sleep(1)

    store, metrics = relay(script)

    assert store.at == [3]
    assert (store.stored[0].count, store.stored[0].is_stored) == (1, False)
    assert metrics.events == ["sent"]


def test_what_is_told_a_thousand_times_is_two_requests_and_a_count() -> None:
    async def script(events: EventRelay) -> None:
        for number in range(1000):
            events.tell(event(message=f"try {number}"))
            await asyncio.sleep(0.05)
        await asyncio.sleep(500)

    store, _ = relay(script)

    assert store.at == [0, REPEAT_AFTER_SECONDS]
    assert store.stored[-1].count == 1000
    assert store.stored[-1].is_stored
    assert store.stored[-1].event.message == "try 999"


def test_one_object_costs_a_request_a_minute_for_each_reason_however_often_it_is_told() -> None:
    reasons = ["Unschedulable", "ImagePullBackOff", "CreateContainerError"]

    async def script(events: EventRelay) -> None:
        for _ in range(3600):
            for reason in reasons:
                events.tell(event(reason=reason))
            await asyncio.sleep(1)

    store, metrics = relay(script)

    assert len(store.stored) <= len(reasons) * (3600 / REPEAT_AFTER_SECONDS + 1)
    assert len({one.event.series for one in store.stored}) == len(reasons)
    assert "dropped" not in metrics.events


def test_a_count_goes_on_where_an_earlier_process_left_it() -> None:
    async def script(events: EventRelay) -> None:
        events.tell(event())
        await asyncio.sleep(100)
        events.tell(event())
        await asyncio.sleep(100)

    store = Store()
    store.counted_before = 5
    relay(script, store)

    assert store.stored[-1].count == 7


def test_a_storm_of_different_events_is_sent_slowly_and_the_rest_is_dropped() -> None:
    async def script(events: EventRelay) -> None:
        for number in range(2 * WAITING_AT_MOST):
            events.tell(event(f"n{number}"))
        await asyncio.sleep(1)
        assert len(store.stored) <= BURST + PER_SECOND + 1
        await asyncio.sleep(1000)

    store = Store()
    _, metrics = relay(script, store)

    assert metrics.events.count("dropped") == WAITING_AT_MOST
    assert metrics.events.count("sent") == WAITING_AT_MOST
    assert len(store.stored) == WAITING_AT_MOST


def test_series_without_number_do_not_fill_the_memory() -> None:
    async def script(events: EventRelay) -> None:
        for number in range(REMEMBERED_AT_MOST + 500):
            events.tell(event(f"n{number}"))
            await asyncio.sleep(1)
        assert len(events._series) == REMEMBERED_AT_MOST

    relay(script)


def test_telling_never_waits_even_while_the_server_hangs() -> None:
    async def script(events: EventRelay) -> None:
        events.tell(event("a"))
        await asyncio.sleep(1)
        events.tell(event("b"))
        await asyncio.sleep(60)

    store = Store()
    store.answers = [10_000.0]
    _, metrics = relay(script, store)

    names = [one.event.regarding.name for one in store.stored]
    assert sorted(names) == ["a", "b"], "a deadline ended the first try, and it came again"
    assert metrics.events == ["sent", "sent"]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Forbidden("no", status=403), 1),
        (NotLeading("another"), 1),
        (ClusterUnavailable("away"), TRIES_AT_MOST),
    ],
    ids=["a missing right", "another leader", "an outage"],
)
def test_an_event_that_cannot_be_stored_is_given_up(error: Exception, tries: int) -> None:
    async def script(events: EventRelay) -> None:
        events.tell(event())
        await asyncio.sleep(300)

    store = Store()
    store.answers = [error] * 10
    _, metrics = relay(script, store)

    assert len(store.at) == tries
    assert metrics.events == ["failed"]
