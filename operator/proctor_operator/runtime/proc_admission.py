"""A Proc is checked when it is written: by its own rules, by its author's rights, and by the API server.

Only writes of a Proc's spec come to the questions to the API server, never an execution.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    TurnedAway,
)
from proctor_operator.domain.conditions import shorten
from proctor_operator.domain.errors import Forbidden, Rejected, Unreadable
from proctor_operator.domain.model import JsonObject, parse
from proctor_operator.domain.naming import PROCS, Uid
from proctor_operator.domain.proc import ProcSpec
from proctor_operator.ports.access import Access
from proctor_operator.ports.dry_run import DryRun, Fit
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.reconcile.proc import find_proc_problem
from proctor_operator.reconcile.trial import (
    build_trial_job,
    find_pod_problems,
    in_the_words_of_the_proc,
)

_MESSAGE_LIMIT_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class _Trial:
    """What came of the Job: problems that only the author can mend, and what else to say."""

    job: JsonObject
    problem: str | None = None
    warnings: tuple[str, ...] = ()


class ProcAdmission:
    """Answers reviews of resource `procs`.

    A question that nobody answers raises a `Fault`: whoever asked for the review lets nothing through.
    """

    def __init__(self, *, access: Access, dry_run: DryRun, policy: RunPolicy) -> None:
        self._access = access
        self._dry_run = dry_run
        self._policy = policy

    async def validate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Judge a Proc that is created, or whose spec changes; anything else is let through."""
        if request.resource != PROCS or request.subresource or not _writes_a_spec(request):
            return Admitted()
        written = (request.object or {}).get("spec")
        try:
            spec = parse(ProcSpec, written, where="spec")
        except Unreadable as unreadable:
            return _turned_away("InvalidSpec", unreadable.message, 422)
        problem = find_proc_problem(spec)
        if problem is not None:
            return _turned_away(problem.reason, problem.message, 422)
        return await self._ask_the_cluster(request, spec)

    async def _ask_the_cluster(self, request: AdmissionRequest, spec: ProcSpec) -> AdmissionAnswer:
        try:
            if not await self._access.may_create_jobs(request.user, request.namespace):
                return _turned_away("NotPermitted", _lacks_the_right(request), 403)
            trial = await self._try(request, spec)
        except Forbidden as forbidden:
            message = f"the operator's own account lacks a right, which a cluster admin gives: {forbidden}"
            return _turned_away("OperatorNotPermitted", message, 503)
        return _verdict(request, trial)

    async def _try(self, request: AdmissionRequest, spec: ProcSpec) -> _Trial:
        uid = Uid(request.uid)
        job = build_trial_job(request.namespace, request.name, spec, self._policy, uid=uid)
        try:
            answer = await self._dry_run.try_job(request.namespace, job)
        except Rejected as rejected:
            return _Trial(job, problem=in_the_words_of_the_proc(str(rejected), job, spec))
        if isinstance(answer, Fit):
            return _Trial(answer.job)
        said = f"a job of this proc would be refused at the moment: {answer.message}"
        return _Trial(job, warnings=(shorten(said, _MESSAGE_LIMIT_BYTES),))


def _verdict(request: AdmissionRequest, trial: _Trial) -> AdmissionAnswer:
    """What the server says of the Job and what Pod Security says of its pods, both at once."""
    level = request.pod_security
    pods = find_pod_problems(trial.job, level)
    said = []
    if trial.problem is not None:
        said.append(f"the API server would refuse the job of an execution: {trial.problem}")
    if pods:
        namespace = request.namespace
        said.append(
            f"namespace {namespace} enforces the Pod Security level {level}: {'; '.join(pods)}"
        )
    warnings = trial.warnings
    if not said:
        return Admitted(warnings=warnings)
    if trial.problem is not None:
        return _turned_away("JobRejected", "; ".join(said), 422, warnings)
    return _turned_away("PodSecurity", "; ".join(said), 403, warnings)


def _writes_a_spec(request: AdmissionRequest) -> bool:
    if request.operation is Operation.CREATE:
        return True
    return request.operation is Operation.UPDATE and _spec_of(request.object) != _spec_of(
        request.old_object
    )


def _spec_of(manifest: JsonObject | None) -> str:
    """As text: in Python `True` equals 1, and a spec that changes by that has changed."""
    return json.dumps((manifest or {}).get("spec"), sort_keys=True)


def _lacks_the_right(request: AdmissionRequest) -> str:
    return (
        f"{request.user.username} may not publish procs in namespace {request.namespace}: whoever does "
        "decides what pods run there, so it takes the right to create jobs as well (verb create, "
        "apiGroup batch, resource jobs)"
    )


def _turned_away(
    reason: str, message: str, code: int, warnings: tuple[str, ...] = ()
) -> TurnedAway:
    return TurnedAway(reason, shorten(message, _MESSAGE_LIMIT_BYTES), code, warnings)
