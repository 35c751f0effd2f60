"""The server that the API server sends admission reviews to.

It admits nothing by itself: whatever goes wrong here is an HTTP error or a denial, and both keep the object
out under `failurePolicy: Fail`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from proctor_operator.adapters.http.certificates import ServingCertificate
from proctor_operator.domain.admission import Operation, TurnedAway
from proctor_operator.domain.causes import Cause
from proctor_operator.domain.errors import ClusterUnavailable, Unreadable
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.review import Reply, Verdict, our_error, read_review, read_uid, refusal
from proctor_operator.ports.metrics import WebhookMetrics
from proctor_operator.ports.reviews import ReviewDesk

BODY_BYTES_AT_MOST: Final = 8 * 1024 * 1024
"""An update brings the old and the new object, each up to etcd's 1.5 MiB, as JSON."""
REFUSED_UNREAD_FROM: Final = 2
"""Times `most_at_once`: from there on not even the body is read, so that memory stays bounded."""
HANDSHAKE_SECONDS: Final = 10.0
_RETRY_AFTER_SECONDS: Final = 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """`deadline_seconds` is for one review, from its first byte; it must be below the API server's own."""

    deadline_seconds: float
    drain_seconds: float
    most_at_once: int


class _State(Enum):
    NOT_YET = "not serving yet"
    SERVING = "serving"
    DRAINING = "draining: the process is about to end"
    ENDED = "not serving any more"


class WebhookServer:
    """Serves inside `serving`, until `drain` has taken it out of use."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        certificate: ServingCertificate,
        limits: WebhookLimits,
        metrics: WebhookMetrics,
    ) -> None:
        self._host = host
        self._asked_port = port
        self._certificate = certificate
        self._limits = limits
        self._metrics = metrics
        self._state = _State.NOT_YET
        self._under_way = 0
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def readiness_problem(self) -> str | None:
        """Why no reviews must be sent here, for `/readyz`."""
        return None if self._state is _State.SERVING else self._state.value

    @asynccontextmanager
    async def serving(self, desk: ReviewDesk) -> AsyncIterator[int]:
        """Serve the desk's paths meanwhile; gives the port that was bound.

        Raises `ClusterUnavailable` when it is taken.
        """
        await self._start(self._application(desk))
        watching = asyncio.create_task(self._certificate.watch(), name="certificate watch")
        try:
            self._state = _State.SERVING
            log.info("Webhook serves", port=self.port)
            yield self.port
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._stop()

    async def drain(self) -> None:
        """Be unready, serve on until nobody sends anything here, then finish what is under way and stop."""
        if self._state is not _State.SERVING:
            return
        self._state = _State.DRAINING
        log.info("Webhook drains", for_seconds=self._limits.drain_seconds)
        await asyncio.sleep(self._limits.drain_seconds)
        await self._stop()

    def _application(self, desk: ReviewDesk) -> web.Application:
        async def review(request: web.Request) -> web.Response:
            return await self._review(request, desk)

        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await handler(request)
            except web.HTTPException as refused:
                self._metrics.request_refused(refused.status)
                raise

        app = web.Application(client_max_size=BODY_BYTES_AT_MOST, middlewares=[count])
        app.add_routes([web.post(path, review) for path in desk.paths])
        return app

    async def _review(self, request: web.Request, desk: ReviewDesk) -> web.Response:
        began = time.monotonic()
        if self._under_way >= REFUSED_UNREAD_FROM * self._limits.most_at_once:
            raise web.HTTPServiceUnavailable(text="too many reviews at once\n")
        self._under_way += 1
        self._metrics.reviews_under_way(self._under_way)
        path = request.path
        try:
            raw = await _read(request, self._limits.deadline_seconds)
            operation, reply = await self._answer(desk, path, raw, began)
        finally:
            self._under_way -= 1
            self._metrics.reviews_under_way(self._under_way)
        self._metrics.review_answered(
            path, operation, reply.verdict, reply.cause, time.monotonic() - began
        )
        response = web.Response(body=orjson.dumps(reply.body), content_type="application/json")
        if self._state is not _State.SERVING:
            # The API server keeps connections; its next review must go where somebody will be.
            response.force_close()
        return response

    async def _answer(
        self, desk: ReviewDesk, path: str, raw: JsonObject, began: float
    ) -> tuple[Operation | None, Reply]:
        uid = read_uid(raw)
        try:
            review = read_review(raw)
        except Unreadable as problem:
            answer = TurnedAway("BadReview", f"the review cannot be read: {problem}", code=400)
            return None, Reply(refusal(uid, answer), Verdict.DENIED, Cause.OTHER)
        operation = review.request.operation
        if self._under_way > self._limits.most_at_once:
            body = refusal(uid, _TOO_MANY, retry_after_seconds=_RETRY_AFTER_SECONDS)
            return operation, Reply(body, Verdict.OVERLOADED, Cause.OTHER)
        deadline = self._limits.deadline_seconds
        left = asyncio.timeout(max(0.0, began + deadline - time.monotonic()))
        try:
            async with left:
                return operation, await desk.answer(path, review)
        except Exception:  # admission fails closed, whatever broke
            if left.expired():
                log.warning("Review took too long", path=path, review=uid, seconds=deadline)
                return operation, Reply(
                    refusal(uid, _too_late(deadline)), Verdict.TIMED_OUT, Cause.TIME
                )
            log.exception("Review failed", path=path, review=uid)
            return operation, Reply(refusal(uid, our_error(uid)), Verdict.FAILED, Cause.OTHER)

    async def _start(self, app: web.Application) -> None:
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=self._limits.deadline_seconds + 1,
        )
        await runner.setup()
        site = web.TCPSite(
            runner, self._host, self._asked_port, ssl_context=self._certificate.context
        )
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise ClusterUnavailable(
                f"cannot listen on {self._host}:{self._asked_port}: {error.strerror}"
            ) from error
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def _stop(self) -> None:
        """Stop listening, and finish what is under way; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._state = _State.DRAINING
            await runner.cleanup()
            self._state = _State.ENDED


async def _read(request: web.Request, seconds: float) -> JsonObject:
    """Read the body, or raise the HTTP error that says what is wrong with it."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Content-Type is not application/json\n")
    try:
        async with asyncio.timeout(seconds):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the review did not arrive in time\n") from None
    try:
        raw: JsonObject = orjson.loads(body)
        read_uid(raw)
    except (orjson.JSONDecodeError, Unreadable) as problem:
        raise web.HTTPBadRequest(text=f"no AdmissionReview: {problem}\n") from None
    return raw


_TOO_MANY: Final = TurnedAway(
    "TooManyRequests", "Proctor judges too many requests at this moment; try again", code=429
)


def _too_late(seconds: float) -> TurnedAway:
    return TurnedAway(
        "Timeout", f"Proctor could not judge this within {seconds:g} s; try again", code=504
    )
