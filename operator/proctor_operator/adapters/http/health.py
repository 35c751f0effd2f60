"""`/livez`, `/readyz` and `/metrics` on one small server, outside Kopf."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from proctor_operator.domain.errors import ClusterUnavailable

Check = Callable[[], Awaitable[str | None]]
"""Answers None when all is well, else what is not."""


@dataclass(frozen=True, slots=True)
class HealthServer:
    """Serves until closed; `port` is the one that was really bound."""

    port: int
    _runner: web.AppRunner

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()


async def serve_health(
    *,
    host: str,
    port: int,
    is_alive: Check,
    readiness: Mapping[str, Check],
    facts: Mapping[str, Callable[[], str]],
    render_metrics: Callable[[], bytes],
) -> HealthServer:
    """Start the server; port 0 takes a free one. `facts` are told with `/readyz` and decide nothing.

    Raises `ClusterUnavailable` when the port is taken.
    """

    async def livez(_: web.Request) -> web.Response:
        return _answer({"alive": await is_alive()})

    async def readyz(_: web.Request) -> web.Response:
        found = {name: await check() for name, check in readiness.items()}
        return _answer(found, {name: tell() for name, tell in facts.items()})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=render_metrics(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise ClusterUnavailable(f"cannot listen on {host}:{port}: {error.strerror}") from error
    bound: int = runner.addresses[0][1]
    return HealthServer(bound, runner)


def _answer(
    found: Mapping[str, str | None], facts: Mapping[str, str] | None = None
) -> web.Response:
    lines = [f"{name}: {problem or 'ok'}" for name, problem in found.items()]
    lines += [f"{name}: {words}" for name, words in (facts or {}).items()]
    is_well = not any(found.values())
    return web.Response(text="\n".join(lines) + "\n", status=200 if is_well else 503)
