"""Admission: one answer to each review, whatever its kind; the server around it only carries them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Final, Protocol

import structlog

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    TurnedAway,
)
from proctor_operator.domain.causes import cause_of
from proctor_operator.domain.conditions import shorten
from proctor_operator.domain.denial import Denial
from proctor_operator.domain.errors import Fault, Unreadable
from proctor_operator.domain.model import parse
from proctor_operator.domain.naming import PROC_EXECUTIONS, PROC_SCHEDULES, PROCS
from proctor_operator.domain.proc import ProcSpec
from proctor_operator.domain.shell import find_shell_warnings
from proctor_operator.ports.access import Access
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.cluster import AdmissionObjects
from proctor_operator.ports.metrics import AdmissionMetrics
from proctor_operator.ports.plugins import Plugins
from proctor_operator.reconcile.admission.stamps import Stamper, map_at, stamp_proc
from proctor_operator.runtime.complaints import Complaints
from proctor_operator.runtime.denials import DenialLog
from proctor_operator.runtime.execution_admission import ExecutionAdmission
from proctor_operator.runtime.proc_readings import ProcReadings
from proctor_operator.runtime.schedule_admission import ScheduleAdmission
from proctor_operator.runtime.submission import Submissions, as_answer

MESSAGE_LIMIT_BYTES: Final = 8192
"""Of a denial: a list of problems is as long as the object that has them."""

log = structlog.get_logger(__name__)


class KindReviewer(Protocol):
    """Judges one kind's objects; nothing is patched any more."""

    async def validate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Whether it may be stored."""
        ...


Judge = Callable[[AdmissionRequest, Stamper], Awaitable[AdmissionAnswer]]


class Admission:
    """The rules of admission with what they need to ask.

    `reviewers` judge kinds by their plural: those of Procs and of plugins. `operator_accounts` are user
    names that may bring stamps. Whatever is not expected is turned away.
    """

    def __init__(
        self,
        *,
        objects: AdmissionObjects,
        access: Access,
        plugins: Plugins,
        denials: DenialLog,
        metrics: AdmissionMetrics,
        clock: Clock,
        operator_accounts: Collection[str],
        reviewers: Mapping[str, KindReviewer],
    ) -> None:
        self._denials = denials
        self._metrics = metrics
        self._clock = clock
        self._complaints = Complaints(clock)
        self._operator_accounts = frozenset(operator_accounts)
        self._reviewers = dict(reviewers)
        submissions = Submissions(access, plugins)
        executions = ExecutionAdmission(objects, submissions, ProcReadings(clock))
        schedules = ScheduleAdmission(objects, submissions)
        self._stampers: Mapping[str, Judge] = {
            PROC_EXECUTIONS: executions.mutate,
            PROC_SCHEDULES: schedules.mutate,
            PROCS: _stamp_proc,
        }
        self._judges: Mapping[str, Judge] = {
            PROC_EXECUTIONS: executions.validate,
            PROC_SCHEDULES: schedules.validate,
            **dict.fromkeys(reviewers, self._ask_reviewer),
        }

    async def mutate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Stamp, or turn away a stamp that is not the requester's to give."""
        return await self._answer(self._stampers, request)

    async def validate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Whether it may be stored as it is now; what is turned away goes to the record."""
        return await self._answer(self._judges, request)

    async def _answer(
        self, judges: Mapping[str, Judge], request: AdmissionRequest
    ) -> AdmissionAnswer:
        judge = judges.get(request.resource)
        if judge is None or not _is_expected(request):
            return self._turn_away(request, _unexpected(request))
        stamper = Stamper(
            request.user, brings_stamps=request.user.username in self._operator_accounts
        )
        try:
            answer = await judge(request, stamper)
        except Unreadable as error:
            answer = TurnedAway("Unreadable", error.message, code=422)
        except Fault as fault:
            answer = self._unavailable(request, fault)
        return self._turn_away(request, answer) if isinstance(answer, TurnedAway) else answer

    async def _ask_reviewer(self, request: AdmissionRequest, stamper: Stamper) -> AdmissionAnswer:
        if stamper.may_clean_up and request.operation is Operation.UPDATE:
            old, new = request.old_object or {}, request.object or {}
            if old.get("spec") == new.get("spec"):
                return Admitted()
        answer = await self._reviewers[request.resource].validate(request)
        if request.resource != PROCS or isinstance(answer, TurnedAway):
            return answer
        spec = parse(ProcSpec, (request.object or {}).get("spec"), where="spec")
        return replace(answer, warnings=(*answer.warnings, *find_shell_warnings(spec)))

    def _unavailable(self, request: AdmissionRequest, fault: Fault) -> TurnedAway:
        """Nobody is let through because something did not answer; the cause is the operator's affair."""
        left_out = self._complaints.next_line(type(fault).__name__)
        if left_out is not None:
            log.warning(
                "Review could not be judged",
                review=request.uid,
                resource=request.resource,
                error=str(fault),
                similar_left_out=left_out,
            )
        message = "admission could not look at what it must look at; try again in a moment"
        return TurnedAway("AdmissionUnavailable", message, code=503)

    def _turn_away(self, request: AdmissionRequest, answer: TurnedAway) -> TurnedAway:
        told = replace(answer, message=shorten(answer.message, MESSAGE_LIMIT_BYTES))
        resource = request.resource if request.resource in self._judges else "other"
        self._metrics.admission_denied(resource, cause_of(told.reason))
        if not request.is_dry_run and told.code not in (400, 503):
            self._denials.tell(self._denial(request, told))
        return told

    def _denial(self, request: AdmissionRequest, answer: TurnedAway) -> Denial:
        manifest = request.object or {}
        proc = map_at(map_at(manifest, "spec"), "procRef").get("name")
        metadata = map_at(manifest, "metadata")
        return Denial(
            review=request.uid,
            denied_at=self._clock.now(),
            operation=request.operation.value,
            resource=request.resource,
            namespace=request.namespace,
            name=request.name or str(metadata.get("generateName") or ""),
            proc=proc if isinstance(proc, str) else "",
            requester=request.user,
            reason=answer.reason,
            message=answer.message,
        )


async def _stamp_proc(request: AdmissionRequest, stamper: Stamper) -> AdmissionAnswer:
    return as_answer(stamp_proc(request.object or {}, request.namespace, stamper))


def _is_expected(request: AdmissionRequest) -> bool:
    is_written = request.operation in (Operation.CREATE, Operation.UPDATE)
    has_old = request.operation is not Operation.UPDATE or request.old_object is not None
    return is_written and has_old and request.object is not None and not request.subresource


def _unexpected(request: AdmissionRequest) -> TurnedAway:
    what = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    message = f"this webhook does not judge {request.operation} of {what}"
    return TurnedAway("UnexpectedRequest", message, code=400)
