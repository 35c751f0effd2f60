"""A real HTTP server that speaks Gate's contract, well and badly, and a Gate plugin to ask it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from proctor_plugin import AuthorizeRequest, Principal, ProcInfo
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


@contextmanager
def gate_at_work(tls: ssl.SSLContext | None = None) -> Iterator[Gate]:
    """Serve on a free port of this machine; it knows Ada."""
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
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    known.address = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield known
    finally:
        known.end.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Asking:
    """Makes plugins with that token; whoever made them closes them."""

    token_file: Path
    made: list[GatePlugin] = field(default_factory=list)

    async def plugin(self, **config: Any) -> GatePlugin:
        plugin = GatePlugin()
        await plugin.configure({"timeoutSeconds": 1.0, **config}, self.token_file)
        self.made.append(plugin)
        return plugin

    async def close(self) -> None:
        for plugin in self.made:
            await plugin.close()


def about(username: str = ADA, *groups: str) -> AuthorizeRequest:
    return AuthorizeRequest(
        invocation_id="i",
        principal=Principal(username=username),
        proc=ProcInfo(namespace="apps", name="grow", uid="p", generation=1, groups=groups),
    )
