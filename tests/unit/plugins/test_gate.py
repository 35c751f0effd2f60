"""The Gate plugin against a real HTTP server that speaks Gate's contract, well and badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proctor_plugin import (
    Allow,
    AuthorizeRequest,
    Deny,
    NoOpinion,
    PluginFailure,
    Principal,
    ProcInfo,
)
from proctor_plugin.testing import check_contract
from proctor_plugin_gate import GatePlugin

ADA = "ada@example.org"
TOKEN = "svc-token-1"


@dataclass
class Gate:
    """A Gate server: users by email, and what is wrong with it."""

    address: str = ""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    token: str = TOKEN
    trouble: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    end: Event = field(default_factory=Event)

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append((path, headers))
        query = parse_qs(urlsplit(path).query)
        sent = headers.get("authorization", "").removeprefix("Bearer ")
        if self.token not in (sent, query.get("access_token", [""])[0]):
            return 401, b"{}"
        match self.trouble:
            case "slow":
                self.end.wait(5)
            case "garbage":
                return 200, b"<html>"
            case "list":
                return 200, b"[]"
            case "deep":
                return 200, b"[" * 100_000
            case "huge":
                return 200, b" " * 2_000_000
            case "500" | "302" | "204":
                return int(self.trouble), b""
            case "somebody else":
                return 200, json.dumps(self.users[ADA] | {"email": "eve@example.org"}).encode()
            case "active as text":
                return 200, json.dumps(self.users[ADA] | {"active": "true"}).encode()
        user = self.users.get(query.get("email", [""])[0])
        return (200, json.dumps(user).encode()) if user else (404, b"")


@pytest.fixture
def gate() -> Iterator[Gate]:
    known = Gate()
    known.users[ADA] = {
        "email": ADA,
        "name": "Ada",
        "active": True,
        "groups": [{"id": 1, "name": "dba"}, {"id": 2, "name": "sre"}],
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            code, body = known.answer(self.path, headers)
            try:
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", f"{known.address}/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # the plugin has had enough

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    known.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield known
    known.end.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@dataclass
class Asking:
    token_file: Path
    made: list[GatePlugin] = field(default_factory=list)

    async def plugin(self, **config: Any) -> GatePlugin:
        plugin = GatePlugin()
        await plugin.configure({"timeoutSeconds": 1.0, **config}, self.token_file)
        self.made.append(plugin)
        return plugin


@pytest.fixture
async def asking(token_file: Path) -> AsyncIterator[Asking]:
    asking = Asking(token_file)
    yield asking
    for plugin in asking.made:
        await plugin.close()


def about(username: str = ADA, *groups: str) -> AuthorizeRequest:
    return AuthorizeRequest(
        invocation_id="i",
        principal=Principal(username=username),
        proc=ProcInfo(namespace="apps", name="grow", uid="p", generation=1, groups=groups),
    )


async def test_it_keeps_the_contract(gate: Gate, token_file: Path) -> None:
    config = {"endpoint": gate.address, "groups": ["dba"]}

    await check_contract(
        GatePlugin, config=config, credentials_file=token_file, requests=(about(),)
    )


@pytest.mark.parametrize(
    ("config", "groups", "verdict"),
    [
        ({"groups": ["dba", "sre"]}, (), Allow),
        ({"groups": ["dba", "ops"]}, (), Deny),
        ({"groups": ["dba", "ops"], "match": "Any"}, (), Allow),
        ({"groups": ["ops"], "match": "Any"}, (), Deny),
        ({}, ("dba",), Allow),
        ({}, ("ops",), Deny),
        ({"groups": ["dba"]}, ("ops",), Allow),
    ],
)
async def test_groups_are_matched_all_or_any(
    gate: Gate, asking: Asking, config: dict[str, Any], groups: tuple[str, ...], verdict: type
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, **config)

    assert isinstance(await plugin.authorize(about(ADA, *groups)), verdict)


async def test_without_any_group_there_is_no_opinion_and_no_request(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address)

    assert isinstance(await plugin.authorize(about()), NoOpinion)
    assert gate.asked == []


async def test_unknown_and_inactive_users_are_denied(gate: Gate, asking: Asking) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])

    unknown = await plugin.authorize(about("eve@example.org"))
    gate.users[ADA]["active"] = False
    inactive = await plugin.authorize(about())

    assert unknown == Deny(message="Gate does not know the user")
    assert inactive == Deny(message="Gate says that the user is inactive")


async def test_the_token_goes_into_a_header_and_never_into_the_url(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])

    await plugin.authorize(about())

    ((path, headers),) = gate.asked
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert path == "/api/v1/users/profile?email=ada%40example.org"


async def test_the_predecessors_form_of_the_request_is_a_matter_of_configuration(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"], tokenIn="query")

    assert isinstance(await plugin.authorize(about()), Allow)
    ((path, headers),) = gate.asked
    assert parse_qs(urlsplit(path).query) == {"email": [ADA], "access_token": [TOKEN]}
    assert "authorization" not in headers


async def test_a_rotated_token_is_used_at_once(gate: Gate, asking: Asking) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])
    gate.token = "svc-token-2"
    with pytest.raises(PluginFailure, match="refuses the service token"):
        await plugin.authorize(about())

    asking.token_file.write_text("svc-token-2")

    assert isinstance(await plugin.authorize(about()), Allow)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("slow", "did not answer within 0.3 s"),
        ("garbage", "no profile"),
        ("list", "no profile"),
        ("deep", "no profile"),
        ("huge", "longer than"),
        ("500", "answered 500"),
        ("302", "answered 302"),
        ("204", "answered 204"),
        ("somebody else", "profile of somebody else"),
        ("active as text", "no profile"),
    ],
)
@pytest.mark.parametrize("token_in", ["header", "query"])
async def test_what_is_no_answer_is_a_failure_and_shows_no_token(
    gate: Gate, asking: Asking, trouble: str, said: str, token_in: str
) -> None:
    plugin = await asking.plugin(
        endpoint=gate.address, groups=["dba"], timeoutSeconds=0.3, tokenIn=token_in
    )
    gate.trouble = trouble

    with pytest.raises(PluginFailure, match=said) as failure:
        await plugin.authorize(about())

    assert TOKEN not in str(failure.value)


async def test_a_server_that_is_not_there_is_a_failure(asking: Asking) -> None:
    plugin = await asking.plugin(endpoint="http://127.0.0.1:1", groups=["dba"], tokenIn="query")

    with pytest.raises(PluginFailure, match="cannot be reached: ConnectError"):
        await plugin.authorize(about())


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://gate.example.org",
        "ftp://127.0.0.1",
        "gate.example.org",
        "http://127.0.0.1.example.org",
        "https://user:word@gate.example.org",
        "https://gate.example.org?access_token=x",
        "https://",
    ],
)
async def test_an_address_that_would_show_the_token_is_refused(
    asking: Asking, endpoint: str
) -> None:
    with pytest.raises(PluginFailure, match=r"spec\.config\.endpoint"):
        await asking.plugin(endpoint=endpoint)


@pytest.mark.parametrize("content", ["", "\n", "a\x00b", "tök"])
async def test_a_file_without_a_token_is_a_failure(
    gate: Gate, asking: Asking, content: str
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])
    asking.token_file.write_text(content)

    with pytest.raises(PluginFailure, match=r"spec\.credentialsFile"):
        await plugin.authorize(about())
    assert gate.asked == []


async def test_questions_at_once_do_not_get_into_each_others_way(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])

    verdicts = await asyncio.gather(
        *(plugin.authorize(about(ADA if n % 2 else "eve@example.org")) for n in range(20))
    )

    assert [isinstance(one, Allow) for one in verdicts] == [bool(n % 2) for n in range(20)]
