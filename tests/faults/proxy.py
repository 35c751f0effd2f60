"""A TCP proxy that misbehaves on command; what passes through it, TLS included, is not touched.

It runs in a thread of its own, so that a test which waits for something cannot hold it up. Its port
stays its own while it refuses connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Self, TypeVar

_CHUNK_BYTES: Final = 64 * 1024
_COMMAND_SECONDS: Final = 10.0
_TURNS_TO_BE_LISTED: Final = 10
_NO_LINGER: Final = struct.pack("ii", 1, 0)

Answer = TypeVar("Answer")


class Door(Enum):
    """What a new connection meets."""

    OPEN = auto()
    REFUSED = auto()
    """Nobody listens."""
    RESET = auto()
    """It is accepted and reset at once."""
    SILENT = auto()
    """It is accepted, and nobody ever answers."""


class Way(Enum):
    """Which way bytes go."""

    TO_SERVER = auto()
    TO_CLIENT = auto()


class Cut(Enum):
    """How much of the bytes that trip a wire still arrives, before the connection is reset."""

    BEFORE = auto()
    """Nothing of them."""
    WITHIN = auto()
    """The first half: the other side is left in the middle of a message."""
    AFTER = auto()
    """All of them; only the answer never comes."""


@dataclass(frozen=True, slots=True)
class Travel:
    """How bytes travel one way: `loses` takes them and delivers nothing, `halts` does not even take them."""

    delay_seconds: float = 0.0
    bytes_per_second: float = 0.0
    loses: bool = False
    halts: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """How bytes travel both ways on a connection."""

    to_server: Travel = Travel()
    to_client: Travel = Travel()

    def travel(self, way: Way) -> Travel:
        """Return one of the two."""
        return self.to_server if way is Way.TO_SERVER else self.to_client


CLEAR: Final = Line()
SILENT: Final = Line(Travel(halts=True), Travel(halts=True))
ANSWERS_LOST: Final = Line(to_client=Travel(loses=True))


def slow(seconds: float) -> Line:
    """A line on which every chunk takes its time, there and back."""
    return Line(Travel(delay_seconds=seconds), Travel(delay_seconds=seconds))


def narrow(bytes_per_second: float) -> Line:
    """A line that carries so much and no more, each way."""
    return Line(
        Travel(bytes_per_second=bytes_per_second), Travel(bytes_per_second=bytes_per_second)
    )


@dataclass(slots=True)
class Tripwire:
    """Cuts the connection on which `message` is seen, or after `after_bytes`, `times` times in all."""

    way: Way
    cut: Cut = Cut.AFTER
    message: bytes = b""
    after_bytes: int = 0
    times: int = 1
    tripped: int = 0

    def trips(self, earlier: bytes, chunk: bytes, bytes_before: int) -> bool:
        """Whether these bytes trip it; `earlier` is the end of what went before."""
        if self.tripped >= self.times:
            return False
        if self.message:
            return self.message in earlier + chunk
        return bytes_before + len(chunk) >= self.after_bytes


@dataclass(eq=False, slots=True)
class _Connection:
    line: Line
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_cut: bool = False

    def behave(self, line: Line) -> None:
        self.line = line
        self.changed.set()

    def cut(self) -> None:
        """End it with a reset on both sides."""
        self.is_cut = True
        _reset(self.client)
        _reset(self.server)
        self.changed.set()

    def close(self) -> None:
        """End it in order: what was written still arrives. Nothing to do after a cut."""
        self.client.close()
        self.server.close()


class Proxy:
    """Listens on 127.0.0.1 and passes connections on to `server_port` there.

    Use it as a context manager. All methods may be called from any thread.
    """

    def __init__(self, server_port: int, host: str = "127.0.0.1") -> None:
        self._server_port = server_port
        self._host = host
        self._placeholder = _bound_socket(host)
        self.port: int = self._placeholder.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._door = Door.OPEN
        self._line = CLEAR
        self._tripwires: list[Tripwire] = []
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_COMMAND_SECONDS)
        self._loop.close()
        self._placeholder.close()

    @property
    def open_connections(self) -> int:
        """How many connections are open at this moment."""
        return len(self._connections)

    def behave(self, line: Line) -> None:
        """Let bytes travel so, on the connections that are open and on new ones."""
        self._do(self._set_line(line))

    @contextmanager
    def behaving(self, line: Line) -> Iterator[None]:
        """Let bytes travel so for a while."""
        self.behave(line)
        try:
            yield
        finally:
            self.behave(CLEAR)

    def change_open(self, line: Line) -> int:
        """Let bytes travel so on the open connections, and on no new one; return how many there are."""
        return self._do(self._change_open(line))

    def set_door(self, door: Door) -> None:
        """Meet new connections so; the open ones are left alone."""
        self._do(self._set_door(door))

    @contextmanager
    def shut(self, door: Door = Door.REFUSED) -> Iterator[None]:
        """Cut what is open and let nothing in for a while."""
        self.set_door(door)
        self.cut()
        try:
            yield
        finally:
            self.cut()
            self.set_door(Door.OPEN)

    def cut(self) -> int:
        """Reset every open connection; return how many there were."""
        return self._do(self._cut_all())

    def arm(self, wire: Tripwire) -> Tripwire:
        """Cut the next connections that trip this wire; `wire.tripped` counts them."""
        self._do(self._arm(wire))
        return wire

    def _do(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_COMMAND_SECONDS)

    async def _listen(self) -> None:
        listening = _bound_socket(self._host, self.port)
        self._listener = await asyncio.start_server(self._accept, sock=listening)

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        # Who was accepted just now is on nobody's list yet: some turns of the loop away from it.
        for _ in range(_TURNS_TO_BE_LISTED):
            await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await self._cut_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_line(self, line: Line) -> None:
        self._line = line
        await self._change_open(line)

    async def _change_open(self, line: Line) -> int:
        for connection in self._connections:
            connection.behave(line)
        return len(self._connections)

    async def _set_door(self, door: Door) -> None:
        self._door = door
        is_listening = self._listener is not None
        if door is Door.REFUSED and self._listener is not None:
            self._listener.close()
            self._listener = None
        elif door is not Door.REFUSED and not is_listening:
            await self._listen()

    async def _cut_all(self) -> int:
        cut = tuple(self._connections)
        for connection in cut:
            connection.cut()
        return len(cut)

    async def _arm(self, wire: Tripwire) -> None:
        self._tripwires.append(wire)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a callback of the server runs as a task"
        self._tasks.add(task)
        self.accepted += 1
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            # The other side of a fault: nothing to do but to let go.
            _reset(writer)
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._door is Door.SILENT:
            await self._wait_for_the_end(reader)
        if self._door is not Door.OPEN:
            _reset(writer)
            return
        from_server, to_server = await asyncio.open_connection(self._host, self._server_port)
        connection = _Connection(self._line, writer, to_server)
        self._connections.add(connection)
        pumps = (
            asyncio.create_task(self._pump(connection, Way.TO_SERVER, reader, to_server)),
            asyncio.create_task(self._pump(connection, Way.TO_CLIENT, from_server, writer)),
        )
        try:
            # Either side is done: so is the other, as with every protocol that passes here.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            connection.close()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._connections.discard(connection)

    async def _wait_for_the_end(self, reader: asyncio.StreamReader) -> None:
        while self._door is Door.SILENT and await reader.read(_CHUNK_BYTES):
            pass

    async def _pump(
        self,
        connection: _Connection,
        way: Way,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        earlier, count = b"", 0
        while not connection.is_cut:
            await _wait_while_halted(connection, way)
            chunk = await reader.read(_CHUNK_BYTES)
            if not chunk:
                return
            # What was set meanwhile counts: a read may have waited for long.
            await _wait_while_halted(connection, way)
            travel = connection.line.travel(way)
            await _take_time(travel, len(chunk))
            if travel.loses or connection.is_cut:
                continue  # the head of the loop sees the cut
            wire = self._tripped(way, earlier, chunk, count)
            if wire is not None:
                # Who sent it is cut off first: no answer may slip through.
                _reset(connection.client if way is Way.TO_SERVER else connection.server)
                await _deliver_before_the_cut(writer, chunk, wire.cut)
                connection.cut()
                return
            writer.write(chunk)
            await writer.drain()
            earlier, count = (earlier + chunk)[-1024:], count + len(chunk)

    def _tripped(self, way: Way, earlier: bytes, chunk: bytes, count: int) -> Tripwire | None:
        for wire in self._tripwires:
            if wire.way is way and wire.trips(
                earlier[-max(len(wire.message) - 1, 0) :], chunk, count
            ):
                wire.tripped += 1
                return wire
        return None


async def _wait_while_halted(connection: _Connection, way: Way) -> None:
    while connection.line.travel(way).halts and not connection.is_cut:
        connection.changed.clear()
        await connection.changed.wait()


async def _take_time(travel: Travel, size: int) -> None:
    seconds = travel.delay_seconds
    if travel.bytes_per_second:
        seconds += size / travel.bytes_per_second
    if seconds:
        await asyncio.sleep(seconds)


async def _deliver_before_the_cut(writer: asyncio.StreamWriter, chunk: bytes, cut: Cut) -> None:
    if cut is Cut.BEFORE:
        return
    writer.write(chunk if cut is Cut.AFTER else chunk[: len(chunk) // 2])
    await writer.drain()
    # A reset discards what the other side has not read yet: an orderly end to what was delivered.
    with suppress(OSError):
        writer.write_eof()
        await asyncio.sleep(0.05)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without a farewell: the other side finds its connection reset."""
    connected = writer.get_extra_info("socket")
    if connected is not None and not writer.is_closing():
        with suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


def _bound_socket(host: str, port: int = 0) -> socket.socket:
    """Bind a port that others of this process may bind as well, so that it is never given away."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((host, port))
    return made
