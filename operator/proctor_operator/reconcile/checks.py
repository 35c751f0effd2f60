"""May this execution start? One function per check, asked in the order of `CHECKS`.

A check answers with a `Refusal`, with a question to ask first, or with None: nothing against it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proctor_operator.domain.authorization import (
    AskRbac,
    AskVotes,
    Denied,
    decide_authorization,
)
from proctor_operator.domain.objects import UnreadableObject, Unseen
from proctor_operator.domain.plugin import Defer, Deny, Opinion
from proctor_operator.domain.proc import Proc
from proctor_operator.reconcile.decision import (
    AskMayExecute,
    AskMayReadSecret,
    AskPlugins,
    AskPreLaunch,
    ReadProc,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.refusal import (
    Refusal,
    find_mistaken_proc,
    find_suspended_proc,
    find_unfit_arguments,
    no_such_proc,
    secret_out_of_reach,
    unreadable_proc,
)

FAILED_VOTE_RETRY_SECONDS: Final = 10.0

Question = ReadProc | AskPlugins | AskMayExecute | AskMayReadSecret | AskPreLaunch
Check = Callable[[ObservedExecution], Refusal | Defer | Question | None]


def find_refusal(observed: ObservedExecution) -> Refusal | Defer | Question | None:
    """Run the checks in order; the first that has something to say decides."""
    return _first_answer(CHECKS, observed)


def find_unfit_proc(observed: ObservedExecution) -> Refusal | Defer | Question | None:
    """The same of those that ask nobody but the Proc: enough while the run waits for its turn."""
    return _first_answer(CHECKS_OF_THE_PROC, observed)


def _first_answer(
    checks: tuple[Check, ...], observed: ObservedExecution
) -> Refusal | Defer | Question | None:
    for check in checks:
        answer = check(observed)
        if answer is not None:
            return answer
    return None


def requester_is_known(observed: ObservedExecution) -> Refusal | None:
    """The identity stands in the spec: admission stamped it, and lets nobody else write it."""
    if observed.execution.spec.requested_by is not None:
        return None
    return Refusal("IdentityMissing", "spec.requestedBy is missing: nobody vouched for who asked")


def proc_has_been_read(observed: ObservedExecution) -> Question | None:
    """A Proc is at hand, and not an older one than admission looked at."""
    spec = observed.execution.spec
    look = ReadProc(spec.proc_ref.name)
    if observed.is_proc_live:
        return None
    if not isinstance(observed.proc, Proc):
        return look
    if spec.proc_uid is not None and spec.proc_uid != observed.proc.uid:
        return look
    if spec.proc_generation is not None and spec.proc_generation > observed.proc.generation:
        return look
    return None


def proc_exists(observed: ObservedExecution) -> Refusal | None:
    """There is a Proc of that name in the execution's own namespace."""
    if not isinstance(observed.proc, Unseen):
        return None
    execution = observed.execution
    return no_such_proc(execution.namespace, execution.spec.proc_ref.name)


def proc_is_readable(observed: ObservedExecution) -> Refusal | None:
    """The Proc parses."""
    if isinstance(observed.proc, UnreadableObject):
        return unreadable_proc(observed.proc)
    return None


def proc_is_runnable(observed: ObservedExecution) -> Refusal | None:
    """The Proc has no mistake and asks for nothing this release cannot do."""
    return find_mistaken_proc(_proc(observed))


def proc_is_not_suspended(observed: ObservedExecution) -> Refusal | None:
    """The author has not switched it off."""
    return find_suspended_proc(_proc(observed))


def arguments_fit(observed: ObservedExecution) -> Refusal | None:
    """Every argument is declared and in range, and none is missing."""
    return find_unfit_arguments(_proc(observed), observed.execution.spec)


def plugins_have_answered(observed: ObservedExecution) -> Defer | Question | None:
    """A plugin that failed has denied nothing for good: nothing starts, and it is asked again."""
    if observed.votes is None:
        return AskPlugins()
    against = [vote for vote in observed.votes if vote.opinion is Opinion.DENY]
    if not against or not all(vote.is_failure for vote in against):
        return None
    failed = against[0]
    return Defer(failed.plugin, "PluginFailed", failed.message, FAILED_VOTE_RETRY_SECONDS)


def requester_is_allowed(observed: ObservedExecution) -> Refusal | Question | None:
    """The Proc's authorization allows the requester."""
    requester = observed.execution.spec.requested_by
    if requester is None:
        return Refusal("IdentityMissing", "spec.requestedBy is missing")
    verdict = decide_authorization(
        _proc(observed).spec.authorization,
        requester,
        holds_execute=observed.holds_execute,
        votes=observed.votes,
    )
    match verdict:
        case AskVotes():
            return AskPlugins()
        case AskRbac():
            return AskMayExecute()
        case Denied(message):
            return Refusal("NotPermitted", message)
        case _:
            return None


def requester_may_read_named_secrets(observed: ObservedExecution) -> Refusal | Question | None:
    """Nobody borrows a Secret through an argument that they may not read themselves."""
    for argument in observed.execution.spec.arguments_from:
        secret = argument.secret_key_ref.name
        allowed = observed.reads_secrets.get(secret)
        if allowed is None:
            return AskMayReadSecret(secret)
        if not allowed:
            return secret_out_of_reach(argument)
    return None


def gates_let_it_start(observed: ObservedExecution) -> Refusal | Defer | Question | None:
    """No gate is against a start now; asked last, so that no gate sees what may not run anyway."""
    match observed.pre_launch:
        case None:
            return AskPreLaunch()
        case Deny(plugin, reason, message):
            return Refusal(reason, f"the plugin {plugin} denies the start: {message}")
        case Defer() as defer:
            return defer
        case _:
            return None


def _proc(observed: ObservedExecution) -> Proc:
    assert isinstance(observed.proc, Proc), "an earlier check in CHECKS made sure"  # noqa: S101 - narrows the type
    return observed.proc


CHECKS_OF_THE_PROC: Final[tuple[Check, ...]] = (
    requester_is_known,
    proc_has_been_read,
    proc_exists,
    proc_is_readable,
    proc_is_runnable,
    proc_is_not_suspended,
    arguments_fit,
)
CHECKS: Final[tuple[Check, ...]] = (
    *CHECKS_OF_THE_PROC,
    plugins_have_answered,
    requester_is_allowed,
    requester_may_read_named_secrets,
    gates_let_it_start,
)
