"""May this be submitted: the Proc, the arguments, the requester's right, their Secrets, the gates.

The rules are those that the controller applies once more before the Job; here all that is wrong within one step
is told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    TurnedAway,
)
from proctor_operator.domain.arguments import arguments_for_the_record
from proctor_operator.domain.authorization import (
    AskRbac,
    AskVotes,
    Denied,
    decide_authorization,
)
from proctor_operator.domain.errors import NotFound
from proctor_operator.domain.execution import ProcExecutionSpec
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.plugin import Defer, Deny, Hook, Pass, Question, Vote
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcScheduleSpec
from proctor_operator.domain.shell import find_shell_warnings
from proctor_operator.ports.access import Access
from proctor_operator.ports.plugins import Plugins
from proctor_operator.reconcile.admission.stamps import ForeignStamps, Stamped
from proctor_operator.reconcile.refusal import (
    Refusal,
    find_mistaken_proc,
    find_suspended_proc,
    find_unfit_arguments,
    find_unready_proc,
    no_such_proc,
    secret_out_of_reach,
    unreadable_proc,
)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Submission:
    """Somebody wants a Proc to run with these arguments, now or on a schedule."""

    request: AdmissionRequest
    proc: Proc | UnreadableObject | None
    spec: ProcExecutionSpec | ProcScheduleSpec
    requester: Requester


@dataclass(frozen=True, slots=True)
class Submissions:
    """Asks whom the rules depend on: the API server's authorizer and the plugins."""

    access: Access
    plugins: Plugins

    async def find_objection(self, submission: Submission) -> TurnedAway | None:
        """The first step that something stands against, with all that does; None: it may."""
        proc = submission.proc
        if not isinstance(proc, Proc):
            return _turned_away(_no_proc(submission, proc))
        for refusal in (
            _find_unusable_proc(submission, proc),
            find_unfit_arguments(proc, submission.spec),
        ):
            if refusal is not None:
                return _turned_away(refusal)
        denials = await asyncio.gather(
            self._authorize(submission, proc), self._find_secret_out_of_reach(submission)
        )
        said = [refusal.message for refusal in denials if refusal is not None]
        return _turned_away(Refusal("NotPermitted", "; ".join(said))) if said else None

    async def find_lack_of_rights(self, submission: Submission) -> str | None:
        """Why the requester may not execute the Proc, whatever the arguments; None: they may."""
        proc = submission.proc
        refusal = (
            await self._authorize(submission, proc)
            if isinstance(proc, Proc)
            else _no_proc(submission, proc)
        )
        return refusal.message if refusal is not None else None

    async def ask_gates(self, hook: Hook, submission: Submission) -> AdmissionAnswer:
        """Let the gates have their say; one that is not ready to decide is a denial to try again."""
        if not isinstance(submission.proc, Proc):
            # Only a cancellation comes here without one: nothing is left that could be asked about.
            return Admitted()
        answer = await self.plugins.ask_gates(hook, _question(submission, submission.proc))
        match answer:
            case Pass(warnings):
                found = find_shell_warnings(submission.proc.spec)
                return Admitted(
                    warnings=(*warnings, *found) if hook is Hook.PRE_SUBMIT else warnings
                )
            case Deny(plugin, reason, message):
                return TurnedAway(reason, f"the gate {plugin} says no ({reason}): {message}")
            case Defer(plugin, reason, message, after_seconds):
                return TurnedAway(
                    reason,
                    f"the gate {plugin} says not now ({reason}): {message}; try again in "
                    f"{after_seconds:g} seconds",
                    code=429,
                )

    async def _authorize(self, submission: Submission, proc: Proc) -> Refusal | None:
        requester, rules = submission.requester, proc.spec.authorization
        holds_execute: bool | None = None
        votes: tuple[Vote, ...] | None = None
        while True:
            match decide_authorization(rules, requester, holds_execute=holds_execute, votes=votes):
                case AskVotes():
                    votes = await self.plugins.authorize(_question(submission, proc))
                case AskRbac():
                    holds_execute = await self.access.may_execute(
                        requester, proc.namespace, proc.name
                    )
                case Denied(message):
                    return Refusal("NotPermitted", message)
                case _:
                    return None

    async def _find_secret_out_of_reach(self, submission: Submission) -> Refusal | None:
        """Nobody borrows a Secret through an argument that they may not read themselves."""
        arguments = submission.spec.arguments_from
        namespace = submission.request.namespace
        names = list(dict.fromkeys(one.secret_key_ref.name for one in arguments))
        answers = await asyncio.gather(
            *(self.access.may_read_secret(submission.requester, namespace, one) for one in names)
        )
        readable = {name for name, may in zip(names, answers, strict=True) if may}
        refused = [
            secret_out_of_reach(one).message
            for one in arguments
            if one.secret_key_ref.name not in readable
        ]
        return Refusal("NotPermitted", "; ".join(refused)) if refused else None


async def read(
    fetch: Callable[[Namespace, str], Awaitable[Found]], namespace: Namespace, name: str
) -> Found | None:
    """Look live; None where nothing is named, or nothing has that name."""
    if not name:
        return None
    try:
        return await fetch(namespace, name)
    except NotFound:
        return None


def as_answer(result: Stamped | ForeignStamps) -> AdmissionAnswer:
    """What the mutating webhook answers."""
    if isinstance(result, Stamped):
        return Admitted(patch=result.patch)
    return TurnedAway("StampGiven", "; ".join(result.problems))


def find_lack_of_stamps(result: Stamped | ForeignStamps) -> TurnedAway | None:
    """What the validating webhook says when the mutating one did not see the object, or another changed it."""
    if isinstance(result, ForeignStamps):
        return TurnedAway("StampGiven", "; ".join(result.problems))
    if not result.patch:
        return None
    parts = [f"{outer}.{name}" for outer, inner in result.patch.items() for name in inner]
    return TurnedAway(
        "NotStamped",
        f"{', '.join(parts)}: not as admission stamps it; the mutating webhook of proctor.dev was not asked, "
        "or something changed the object after it",
    )


def _no_proc(submission: Submission, proc: UnreadableObject | None) -> Refusal:
    if proc is not None:
        return unreadable_proc(proc)
    return no_such_proc(submission.request.namespace, submission.spec.proc_ref.name)


def _find_unusable_proc(submission: Submission, proc: Proc) -> Refusal | None:
    """A schedule of a suspended Proc may be written: it runs when the Proc does."""
    refusals = [find_mistaken_proc(proc) or find_unready_proc(proc)]
    if isinstance(submission.spec, ProcExecutionSpec):
        refusals.append(find_suspended_proc(proc))
    found = [one for one in refusals if one is not None]
    if not found:
        return None
    return Refusal(found[0].reason, "; ".join(one.message for one in found))


def _question(submission: Submission, proc: Proc) -> Question:
    request, spec = submission.request, submission.spec
    return Question(
        invocation=request.uid,
        requester=submission.requester,
        proc=proc,
        arguments=arguments_for_the_record(
            proc.spec.parameters, spec.arguments, spec.arguments_from
        ),
        namespace=request.namespace,
        execution=request.name if isinstance(spec, ProcExecutionSpec) else "",
        is_dry_run=request.is_dry_run,
    )


def _turned_away(refusal: Refusal) -> TurnedAway:
    is_about_rights = refusal.reason == "NotPermitted"
    return TurnedAway(refusal.reason, refusal.message, code=403 if is_about_rights else 422)
