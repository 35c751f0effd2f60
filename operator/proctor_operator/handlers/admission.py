"""Kopf's admission handlers: a review in, the `Reviewer`'s answer out, and nothing let through by mistake.

Kopf lets pass what none of its handlers minds: another path, another kind, an operation that it leaves out
(docs/adr/0009). So what does not belong to a path is denied before Kopf sees it; each handler writes down its
answer beside Kopf's, and only two that agree admit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Protocol, cast

import kopf
import structlog

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    TurnedAway,
)
from proctor_operator.domain.causes import Cause, cause_of
from proctor_operator.domain.merge_patch import merge
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import (
    GROUP,
    PROC_EXECUTIONS,
    PROC_PLUGINS,
    PROC_SCHEDULES,
    PROCS,
    VERSION,
)
from proctor_operator.domain.pod_security import PodSecurityLevel
from proctor_operator.domain.review import Reply, Review, Verdict, our_error, refusal

log = structlog.get_logger(__name__)


class Reviewer(Protocol):
    """The rules of admission."""

    async def mutate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Stamp it, or turn it away."""
        ...

    async def validate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Judge it as it would be stored."""
        ...


class Step(StrEnum):
    """Mutating webhooks are called before validating ones."""

    MUTATE = "mutate"
    VALIDATE = "validate"


@dataclass(frozen=True, slots=True)
class Route:
    """What comes at one path, and nothing else may."""

    step: Step
    resource: str
    kind: str
    level: PodSecurityLevel = PodSecurityLevel.PRIVILEGED

    @property
    def parts(self) -> tuple[str, ...]:
        """The words of its path."""
        is_told = self.level is not PodSecurityLevel.PRIVILEGED
        return (self.step.value, self.resource, *((self.level.value,) if is_told else ()))

    @property
    def path(self) -> str:
        """Where the API server sends reviews."""
        return "/" + "/".join(self.parts)

    @property
    def handler_id(self) -> str:
        """Kopf's name for the handler."""
        return "-".join(self.parts)


ROUTES: Final = (
    Route(Step.MUTATE, PROC_EXECUTIONS, "ProcExecution"),
    Route(Step.MUTATE, PROC_SCHEDULES, "ProcSchedule"),
    Route(Step.MUTATE, PROCS, "Proc"),
    Route(Step.VALIDATE, PROC_EXECUTIONS, "ProcExecution"),
    Route(Step.VALIDATE, PROC_SCHEDULES, "ProcSchedule"),
    Route(Step.VALIDATE, PROC_PLUGINS, "ProcPlugin"),
    Route(Step.VALIDATE, PROCS, "Proc"),
    Route(Step.VALIDATE, PROCS, "Proc", PodSecurityLevel.BASELINE),
    Route(Step.VALIDATE, PROCS, "Proc", PodSecurityLevel.RESTRICTED),
)
REVIEWED_KINDS: Final = (PROCS, PROC_EXECUTIONS, PROC_SCHEDULES, PROC_PLUGINS)
"""One that the API server learns of after the start would be denied: Kopf looks once."""


@dataclass(slots=True)
class _UnderWay:
    """One review on its way through Kopf, which hides the request and its UID from handlers."""

    review: Review
    answer: AdmissionAnswer | None = None
    verdict: Verdict = Verdict.FAILED


_UNDER_WAY: ContextVar[_UnderWay | None] = ContextVar("review under way", default=None)


def register(registry: kopf.OperatorRegistry, reviewer: Reviewer) -> None:
    """Add a handler for each route."""
    for route in ROUTES:
        decorate = kopf.on.mutate if route.step is Step.MUTATE else kopf.on.validate
        decorate(
            GROUP,
            VERSION,
            route.resource,
            id=route.handler_id,
            registry=registry,
        )(_handler(route, reviewer))
    logging.getLogger("kopf.objects").addFilter(_is_not_about_a_review)


@dataclass(frozen=True, slots=True)
class KopfDesk:
    """The `ReviewDesk` port on the function that Kopf gives to servers."""

    kopf_answers: kopf.WebhookFn
    _routes: Mapping[str, Route] = field(
        default_factory=lambda: {route.path: route for route in ROUTES}
    )

    @property
    def paths(self) -> Collection[str]:
        """See the port."""
        return self._routes.keys()

    async def answer(self, path: str, review: Review) -> Reply:
        """See the port."""
        route = self._routes[path]
        problem = find_mismatch(route, review)
        if problem is not None:
            body = refusal(review.request.uid, problem)
            return Reply(body, Verdict.DENIED, cause_of(problem.reason))
        under_way = _UnderWay(review)
        token = _UNDER_WAY.set(under_way)
        try:
            response = await self.kopf_answers(
                cast("Any", _without_uids(review.raw)), webhook=route.handler_id
            )
        finally:
            _UNDER_WAY.reset(token)
        is_allowed = response["response"]["allowed"] is True
        match under_way.answer:
            case Admitted() if is_allowed:
                return Reply(cast("JsonObject", response), Verdict.ADMITTED, Cause.NONE)
            case TurnedAway() as answer if not is_allowed:
                body = refusal(review.request.uid, answer)
                return Reply(body, under_way.verdict, cause_of(answer.reason))
        raise RuntimeError(
            f"Kopf and its handler do not agree: {is_allowed=}, answer={under_way.answer!r}"
        )


def _handler(route: Route, reviewer: Reviewer) -> Callable[..., Any]:
    async def on_review(patch: kopf.Patch, warnings: list[str], **_: Any) -> None:
        under_way = _UNDER_WAY.get()
        if under_way is None:
            raise RuntimeError("Kopf was asked for a review by nobody of ours")
        answer, under_way.verdict = await _judge(route, reviewer, under_way.review)
        under_way.answer = answer
        warnings.extend(answer.warnings)
        if isinstance(answer, TurnedAway):
            raise kopf.AdmissionError(answer.message, answer.code)
        if answer.patch:
            patch.fns.append(_laying_over(answer.patch))

    return on_review


async def _judge(
    route: Route, reviewer: Reviewer, review: Review
) -> tuple[AdmissionAnswer, Verdict]:
    request = replace(review.request, pod_security=route.level)
    try:
        answer = await _ask(route.step, reviewer, request)
    except Exception:  # admission fails closed, whatever broke
        log.exception("Review failed", path=route.path, **_facts(request))
        return our_error(request.uid), Verdict.FAILED
    if isinstance(answer, TurnedAway):
        log.info("Review denied", path=route.path, reason=answer.reason, **_facts(request))
        return answer, Verdict.DENIED
    return answer, Verdict.ADMITTED


async def _ask(step: Step, reviewer: Reviewer, request: AdmissionRequest) -> AdmissionAnswer:
    if step is Step.MUTATE:
        return await reviewer.mutate(request)
    answer = await reviewer.validate(request)
    if isinstance(answer, Admitted) and answer.patch:
        raise RuntimeError("a validating webhook cannot change an object")
    return answer


def find_mismatch(route: Route, review: Review) -> TurnedAway | None:
    """Why this does not belong to that path, if it does not: somebody configured a webhook wrongly."""
    request = review.request
    found = (review.group, review.version, request.resource, review.kind)
    if found != (GROUP, VERSION, route.resource, route.kind):
        return _unexpected(route, f"{request.resource}.{review.version}.{review.group}")
    if request.subresource:
        return _unexpected(route, f"the subresource {request.subresource}")
    if request.operation not in (Operation.CREATE, Operation.UPDATE):
        return _unexpected(route, f"the operation {request.operation}")
    if request.object is None:
        return _unexpected(route, f"{request.operation} without request.object")
    if request.operation is Operation.UPDATE and request.old_object is None:
        return _unexpected(route, f"{request.operation} without request.oldObject")
    return None


def _unexpected(route: Route, what: str) -> TurnedAway:
    return TurnedAway(
        "UnexpectedRequest",
        f"the webhook {route.path} does not judge {what}; its configuration must not send that",
        code=400,
    )


def _facts(request: AdmissionRequest) -> dict[str, str]:
    """What a line of the log says of a review."""
    return {
        "review": request.uid,
        "operation": request.operation.value,
        "namespace": request.namespace,
        "name": request.name,
        "user": request.user.username,
    }


def _laying_over(patch: JsonObject) -> kopf.PatchFn:
    """Kopf's own merging goes wrong where a user wrote something that is no map (`spec: text`)."""

    def lay_over(body: Any) -> None:
        merged = merge(dict(body), patch)
        body.clear()
        body.update(merged)

    return lay_over


def _without_uids(raw: JsonObject) -> JsonObject:
    """The review for Kopf: of each UID that it meets outside CREATE it would keep a memory for ever."""
    request = dict(raw["request"])
    for key in ("object", "oldObject"):
        manifest = request.get(key)
        if isinstance(manifest, dict) and isinstance(manifest.get("metadata"), dict):
            metadata = {name: it for name, it in manifest["metadata"].items() if name != "uid"}
            request[key] = {**manifest, "metadata": metadata}
    return {**raw, "request": request}


def _is_not_about_a_review(_: logging.LogRecord) -> bool:
    """Kopf logs each denial as a failure of its handler, with the whole message."""
    return _UNDER_WAY.get() is None
