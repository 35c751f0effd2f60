"""The way of one operator process to the outside: latency, outages, faults at writes, and death."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol, TypeVar

from proctor_operator.app.clock import ClusterClock
from proctor_operator.domain.errors import (
    ClusterUnavailable,
    Fault,
    ProctorError,
    RecordUnavailable,
)
from simulation.chance import Chance
from simulation.plans import Plan, Trouble, Window, WriteFault
from simulation.standing_still import on_the_network
from simulation.virtual_time import TIME_ZERO
from simulation.workload import Deed

ResultT = TypeVar("ResultT")
_LATE_SECONDS: Final = 3.0
_STILL_SECONDS: Final = 25.0


@dataclass(frozen=True, slots=True)
class Side:
    """Something that can be away: how that shows, and after how long a caller gives up."""

    name: str
    outage: Trouble
    error: Callable[[str], Fault]
    deadline: float


API: Final = Side("api", Trouble.API_DOWN, ClusterUnavailable, 15.0)
RECORD: Final = Side("record", Trouble.RECORD_DOWN, RecordUnavailable, 10.0)


class FaultSchedule:
    """Which fault hits which durable write, and what is wrong at the moment.

    `note` tells the trace, `do` tells people to do something now.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        now: Callable[[], float],
        note: Callable[[str], None],
        do: Callable[[Deed], None],
    ) -> None:
        self._plan = plan
        self._deeds = dict(plan.deeds)
        self._do = do
        self._faults = dict(plan.writes)
        self._now = now
        self._note = note
        self._on_write: Callable[[str, str], None] = lambda *_: None
        self.writes = 0
        self.written_at: list[float] = []
        self.calls = 0
        self.last_fault_at = 0.0
        self.late_writes = 0
        self.is_late_write = False

    def watch_writes(self, watcher: Callable[[str, str], None]) -> None:
        """Call `watcher` with actor and deed when a durable write begins."""
        self._on_write = watcher

    def next_write(self, actor: str, what: str) -> WriteFault | None:
        """Number a durable write; the fault that is to hit it."""
        fault = self._faults.get(self.writes)
        deed = self._deeds.get(self.writes)
        self._note(f"write {self.writes}: {actor} {what}" + (f"  <== {fault}" if fault else ""))
        self._on_write(actor, what)
        self.written_at.append(self._now())
        self.writes += 1
        if deed is not None:
            self._do(deed)
        if fault is not None:
            self.hit()
        return fault

    def hit(self) -> None:
        """Something goes wrong at this moment."""
        self.last_fault_at = self._now()

    def is_on(self, trouble: Trouble) -> bool:
        """Whether that trouble goes on."""
        now = self._now()
        return any(one.trouble is trouble and one.start <= now < one.end for one in self.windows)

    def whole_second(self) -> datetime:
        """The time as answers name it."""
        return TIME_ZERO + timedelta(seconds=int(self._now()))

    @property
    def windows(self) -> tuple[Window, ...]:
        """Times of trouble."""
        return self._plan.windows

    @property
    def last_window_ends_at(self) -> float:
        """When the last trouble that was planned is over."""
        return max((window.end for window in self.windows), default=0.0)


class Mortal(Protocol):
    """Whoever the line belongs to."""

    @property
    def name(self) -> str:
        """For delays and the trace."""
        ...

    @property
    def is_cut_off(self) -> bool:
        """Whether it alone cannot reach the API server."""
        ...

    @property
    def is_alive(self) -> bool:
        """False once it has been killed; nothing it still does may have any effect."""
        ...

    def die(self, why: str) -> None:
        """Be killed."""
        ...

    def stand_still(self, seconds: float) -> None:
        """Take no step for so long, and then go on."""
        ...


class Line:
    """Carries calls. One that is under way when the process dies never comes back.

    What is under way is no longer in the hands of a process that stands still: it arrives.
    """

    def __init__(
        self, process: Mortal, faults: FaultSchedule, chance: Chance, clock: ClusterClock
    ) -> None:
        self._process = process
        self._clock = clock
        self._faults = faults
        self._chance = chance

    async def read(self, side: Side, what: str, act: Callable[[], ResultT]) -> ResultT:
        """Ask; the answer is as of the middle of the way."""
        return await on_the_network(self._read(side, what, act))

    async def listen(self, side: Side) -> None:
        """Something has come on a connection that is open; it breaks off when the other side is away."""
        await self._stay_if_dead()
        if self._faults.is_on(side.outage):
            raise side.error("the connection was cut")

    async def write(
        self,
        side: Side,
        what: str,
        act: Callable[[], ResultT],
        *,
        meddle: Callable[[], object] | None = None,
    ) -> ResultT:
        """Change something durable, unless the plan has a fault for it; `meddle` is another's write."""
        fault = self._faults.next_write(self._process.name, what)
        if fault is WriteFault.STANDS_STILL:
            self._process.stand_still(_STILL_SECONDS)
        return await on_the_network(self._write(side, what, act, fault, meddle))

    async def _read(self, side: Side, what: str, act: Callable[[], ResultT]) -> ResultT:
        await self._go(side, what)
        return await self._answer(side, act)

    async def _write(
        self,
        side: Side,
        what: str,
        act: Callable[[], ResultT],
        fault: WriteFault | None,
        meddle: Callable[[], object] | None,
    ) -> ResultT:
        await self._go(side, what)
        match fault:
            case WriteFault.CRASH_BEFORE:
                await self._die(f"crash before {what}")
            case WriteFault.CRASH_AFTER:
                with suppress(ProctorError):
                    act()
                await self._die(f"crash after {what}")
            case WriteFault.LOST_REQUEST:
                await self._give_up(side, what)
            case WriteFault.LOST_REPLY:
                with suppress(ProctorError):
                    act()
                await self._give_up(side, what)
            case WriteFault.LATE:
                self._send_late(side, act)
                await self._give_up(side, what)
            case WriteFault.MEDDLED if meddle is not None:
                meddle()
        return await self._answer(side, act)

    async def _answer(self, side: Side, act: Callable[[], ResultT]) -> ResultT:
        """An answer of the API server says what time it is there."""
        result = act()
        time_there = self._faults.whole_second()
        await self._latency()
        if side is API:
            self._clock.hear(time_there)
        return result

    async def tell(self, what: str, act: Callable[[], ResultT]) -> ResultT:
        """Send what nobody waits for; its delays are its own, so that it changes nobody else's."""
        await self._latency("telling")
        if self._is_away(API):
            raise API.error(f"{what}: connection refused")
        return act()

    async def exchange(self, what: str, act: Callable[[], ResultT]) -> ResultT:
        """A call about the Lease: on its own connection, neither counted nor numbered."""
        return await on_the_network(self._exchange(what, act))

    async def _exchange(self, what: str, act: Callable[[], ResultT]) -> ResultT:
        await self._latency("lease")
        if self._is_away(API):
            if self._chance.happens(0.5, "lease outage", self._process.name):
                await asyncio.sleep(API.deadline)
            raise API.error(f"{what}: connection refused")
        result = act()
        await self._latency("lease")
        return result

    async def _go(self, side: Side, what: str) -> None:
        self._faults.calls += 1
        await self._latency()
        if self._is_away(side):
            if self._chance.happens(0.5, "outage", self._process.name):
                await self._give_up(side, what)
            raise side.error(f"{what}: connection refused")

    def _is_away(self, side: Side) -> bool:
        return self._faults.is_on(side.outage) or (side is API and self._process.is_cut_off)

    async def _give_up(self, side: Side, what: str) -> NoReturn:
        await asyncio.sleep(side.deadline)
        await self._stay_if_dead()
        self._faults.hit()
        raise side.error(f"{what}: no answer in {side.deadline} s")

    async def _latency(self, of: str = "latency") -> None:
        await asyncio.sleep(self._chance.between(0.001, 0.03, of, self._process.name))
        await self._stay_if_dead()

    async def _die(self, why: str) -> NoReturn:
        self._process.die(why)
        await self._stay_if_dead()
        raise AssertionError("the process did not die")

    async def _stay_if_dead(self) -> None:
        if not self._process.is_alive:
            await asyncio.get_running_loop().create_future()

    def _send_late(self, side: Side, act: Callable[[], object]) -> None:
        self._faults.late_writes += 1
        delay = side.deadline + _LATE_SECONDS
        asyncio.get_running_loop().call_later(delay, self._arrive_late, act)

    def _arrive_late(self, act: Callable[[], object]) -> None:
        self._faults.hit()
        self._faults.late_writes -= 1
        self._faults.is_late_write = True
        with suppress(ProctorError):
            act()
        self._faults.is_late_write = False
