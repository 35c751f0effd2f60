"""The proxy does what it says: a fault that does not happen would prove nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from faults.proxy import (
    ANSWERS_LOST,
    CLEAR,
    SILENT,
    Cut,
    Door,
    Line,
    Proxy,
    Tripwire,
    Way,
    narrow,
    slow,
)
from localcluster.waiting import wait_until


class Echo:
    """A server that sends back what it gets, and keeps what it got."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                threading.Thread(target=self._talk, args=(accepted,), daemon=True).start()

    def _talk(self, accepted: socket.socket) -> None:
        with accepted, suppress(OSError):
            while data := accepted.recv(65536):
                self.heard += data
                accepted.sendall(data)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as made:
        yield made


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def said_back(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    answer = b""
    while len(answer) < len(words) and (data := client.recv(65536)):
        answer += data
    return answer


def test_bytes_pass_unchanged_both_ways(proxy: Proxy) -> None:
    much = bytes(range(256)) * 4096

    with connected(proxy) as client:
        assert said_back(client, much) == much
        assert proxy.open_connections == 1
    assert wait_until(lambda: proxy.open_connections == 0, seconds=5)


def test_a_refusing_door_refuses_and_its_port_comes_back(proxy: Proxy) -> None:
    with proxy.shut(), pytest.raises(ConnectionRefusedError):
        connected(proxy)

    with connected(proxy) as client:
        assert said_back(client, b"again") == b"again"


def test_a_resetting_door_resets(proxy: Proxy) -> None:
    proxy.set_door(Door.RESET)

    with pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(1)


def test_a_silent_door_takes_the_connection_and_says_nothing(proxy: Proxy, echo: Echo) -> None:
    proxy.set_door(Door.SILENT)

    with connected(proxy) as client:
        client.settimeout(0.2)
        client.sendall(b"anybody?")
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert echo.heard == b""


def test_a_cut_resets_what_is_open(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert said_back(client, b"hello") == b"hello"
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_silent_line_holds_bytes_back_and_delivers_them_later(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as client:
        assert said_back(client, b"one") == b"one"
        assert proxy.change_open(SILENT) == 1
        client.settimeout(0.2)
        client.sendall(b"two")
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert echo.heard == b"one"
        with connected(proxy) as other:
            assert said_back(other, b"new") == b"new"
        proxy.change_open(CLEAR)
        client.settimeout(5)
        assert client.recv(3) == b"two"


def test_lost_answers_are_lost_though_the_request_arrives(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as client:
        assert said_back(client, b"one") == b"one"
        with proxy.behaving(ANSWERS_LOST):
            client.settimeout(0.2)
            client.sendall(b"two")
            with pytest.raises(TimeoutError):
                client.recv(1)
        assert echo.heard == b"onetwo"


@pytest.mark.parametrize("line", [slow(0.15), narrow(100)], ids=["slow", "narrow"])
def test_a_slow_and_a_narrow_line_take_their_time_and_lose_nothing(
    proxy: Proxy, line: Line
) -> None:
    proxy.behave(line)

    with connected(proxy) as client:
        began = time.monotonic()
        assert said_back(client, b"0123456789abcdef") == b"0123456789abcdef"
        assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("cut", "heard"), [(Cut.BEFORE, b""), (Cut.WITHIN, b"COMM"), (Cut.AFTER, b"COMMIT x")]
)
def test_a_tripwire_cuts_at_a_message_and_delivers_so_much_of_it(
    proxy: Proxy, echo: Echo, cut: Cut, heard: bytes
) -> None:
    wire = proxy.arm(Tripwire(Way.TO_SERVER, cut, message=b"COMMIT"))

    with connected(proxy) as client:
        assert said_back(client, b"BEGIN") == b"BEGIN"
        client.sendall(b"COMMIT x")
        assert wait_until(lambda: wire.tripped == 1, seconds=5)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    assert wait_until(lambda: echo.heard == b"BEGIN" + heard, seconds=5)
    with connected(proxy) as client:
        assert said_back(client, b"COMMIT") == b"COMMIT", "it trips once"


def test_a_tripwire_sees_a_message_that_comes_in_two_parts(proxy: Proxy) -> None:
    wire = proxy.arm(Tripwire(Way.TO_SERVER, message=b"COMMIT"))

    with connected(proxy) as client:
        assert said_back(client, b"COM") == b"COM"
        client.sendall(b"MIT")
        assert wait_until(lambda: wire.tripped == 1, seconds=5)


@pytest.mark.parametrize("way", list(Way))
def test_a_tripwire_cuts_after_so_many_bytes(proxy: Proxy, way: Way) -> None:
    wire = proxy.arm(Tripwire(way, Cut.BEFORE, after_bytes=10))

    with connected(proxy) as client:
        assert said_back(client, b"123456789") == b"123456789"
        client.sendall(b"0")
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    assert wire.tripped == 1
