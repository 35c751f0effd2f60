"""The account in a pod: its token is read anew, because the kubelet changes the file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as LoopbackServer
from kubernetes.config import incluster_config

from localcluster.certificates import Authority
from proctor_operator.adapters.kube import connection
from proctor_operator.adapters.kube.connection import load_connection, open_session


class HastyLoader(incluster_config.InClusterConfigLoader):  # type: ignore[misc] # the library has no types
    """Reads the file whenever it is asked, not once a minute."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self._token_refresh_period = timedelta(0)


@pytest.fixture
def write_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """A pod's service account: files in a folder, and where the API server is in the environment."""
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    authority.write_bytes(Authority.create("test").pair.certificate)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setattr(incluster_config, "InClusterConfigLoader", HastyLoader)
    monkeypatch.setattr(connection, "_TOKEN_SECONDS", 0.0)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return token.write_text


async def test_a_token_that_is_rotated_is_used_from_the_next_request_on(
    write_token: Callable[[str], object],
) -> None:
    shown: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        shown.append(request.headers.get("Authorization"))
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/", answer)
    write_token("old")
    known = load_connection(kubeconfig=None, context=None)
    async with LoopbackServer(app) as server, open_session(known) as session:
        await session.get(server.make_url("/"))
        write_token("new")
        await session.get(server.make_url("/"))

    assert shown == ["bearer old", "bearer new"]
