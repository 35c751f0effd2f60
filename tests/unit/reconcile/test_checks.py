"""May an execution start: every refusal, every question, and the order in which they are asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Kind, Unseen
from proctor_operator.domain.plugin import Defer, Opinion, Vote
from proctor_operator.reconcile.checks import (
    CHECKS,
    FAILED_VOTE_RETRY_SECONDS,
    arguments_fit,
    find_refusal,
    gates_let_it_start,
    plugins_have_answered,
    proc_exists,
    proc_has_been_read,
    proc_is_not_suspended,
    proc_is_readable,
    proc_is_runnable,
    requester_is_allowed,
    requester_is_known,
    requester_may_read_named_secrets,
)
from proctor_operator.reconcile.decision import (
    AskMayExecute,
    AskMayReadSecret,
    AskPlugins,
    ReadProc,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.refusal import Refusal
from unit.builders import (
    argument_from,
    execution,
    execution_spec,
    observed,
    parameter,
    proc,
    proc_spec,
    unreadable,
)

TOKEN = parameter("TOKEN", sensitive=True)
WITH_TOKEN = proc(proc_spec(parameters=(TOKEN,)))
ASKS_FOR_A_SECRET = execution(execution_spec(arguments_from=(argument_from("TOKEN"),)))
ONLY_BOB = {"users": ["bob"], "rbac": "Ignored"}
ONLY_THE_VERB = {"rbac": "Sufficient"}
UNPARSED = unreadable(Kind.PROC, problem="spec.image: Field required")


def with_proc(**fields: object) -> ObservedExecution:
    return observed(proc=proc(proc_spec(**fields)))


REFUSALS: dict[str, tuple[ObservedExecution, str, str]] = {
    "nobody is named": (
        observed(execution(execution_spec(requested_by=None))),
        "IdentityMissing",
        "nobody vouched",
    ),
    "the proc does not exist": (
        observed(proc=Unseen.ABSENT, is_proc_live=True),
        "ProcNotFound",
        "no proc 'grow-disk' in namespace 'apps'",
    ),
    "the proc cannot be parsed": (
        observed(proc=UNPARSED, is_proc_live=True),
        "ProcNotReady",
        "spec.image: Field required",
    ),
    "the proc has a mistake": (
        with_proc(parameters=(parameter("LD_PRELOAD"),)),
        "ProcNotReady",
        "InvalidSpec",
    ),
    "the proc is suspended": (with_proc(suspend=True), "ProcSuspended", "'grow-disk'"),
    "an argument does not fit": (
        with_proc(parameters=(parameter("A"), parameter("B"))),
        "InvalidArguments",
        "argument A: required and not given; argument B: required and not given",
    ),
    "the requester is not among those who may": (
        with_proc(authorization=ONLY_BOB),
        "NotPermitted",
        "alice is not among those",
    ),
    "the requester lacks the verb": (
        replace(with_proc(authorization=ONLY_THE_VERB), holds_execute=False),
        "NotPermitted",
        "alice is not among those",
    ),
    "a plugin denies, though a group allows": (
        replace(with_proc(), votes=(Vote("gate", Opinion.DENY, "alice is on leave"),)),
        "NotPermitted",
        "the plugin gate denies: alice is on leave",
    ),
    "the requester may not read the secret she names": (
        observed(ASKS_FOR_A_SECRET, proc=WITH_TOKEN, reads_secrets={"my-token": False}),
        "NotPermitted",
        "argument TOKEN: the requester may not read the secret 'my-token'",
    ),
}


@pytest.mark.parametrize(("seen", "reason", "words"), REFUSALS.values(), ids=REFUSALS)
def test_an_execution_is_refused_when(seen: ObservedExecution, reason: str, words: str) -> None:
    refusal = find_refusal(seen)

    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert words in refusal.message


OLDER_PROC = execution(execution_spec(proc_uid=Uid("proc-uid-1"), proc_generation=4))
OTHER_PROC = execution(execution_spec(proc_uid=Uid("proc-uid-2"), proc_generation=1))
QUESTIONS: dict[str, tuple[ObservedExecution, object]] = {
    "the proc has not been seen": (observed(proc=Unseen.NOT_READ), ReadProc("grow-disk")),
    "the cached proc does not parse: perhaps it does by now": (
        observed(proc=UNPARSED),
        ReadProc("grow-disk"),
    ),
    "the cached proc is older than what admission looked at": (
        observed(OLDER_PROC),
        ReadProc("grow-disk"),
    ),
    "the cached proc is another than what admission looked at": (
        observed(OTHER_PROC),
        ReadProc("grow-disk"),
    ),
    "plugins have not voted": (replace(with_proc(), votes=None), AskPlugins()),
    "only the verb can allow": (with_proc(authorization=ONLY_THE_VERB), AskMayExecute()),
    "an argument names a secret": (
        observed(ASKS_FOR_A_SECRET, proc=WITH_TOKEN),
        AskMayReadSecret("my-token"),
    ),
    "an argument names a second secret": (
        observed(
            execution(
                execution_spec(
                    arguments_from=(argument_from("TOKEN"), argument_from("KEY", secret="second"))
                )
            ),
            proc=proc(proc_spec(parameters=(TOKEN, parameter("KEY", sensitive=True)))),
            reads_secrets={"my-token": True},
        ),
        AskMayReadSecret("second"),
    ),
}


@pytest.mark.parametrize(("seen", "question"), QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_is_asked_first_when(seen: ObservedExecution, question: object) -> None:
    assert find_refusal(seen) == question


FREE: dict[str, ObservedExecution] = {
    "the cached proc is at hand and fits": observed(),
    "the proc is newer than what admission looked at": observed(
        execution(execution_spec(proc_uid=Uid("proc-uid-1"), proc_generation=2))
    ),
    "the proc was replaced since admission, by a live read": observed(
        OTHER_PROC, is_proc_live=True
    ),
    "the verb is held": replace(with_proc(authorization=ONLY_THE_VERB), holds_execute=True),
    "the secret may be read": observed(
        ASKS_FOR_A_SECRET, proc=WITH_TOKEN, reads_secrets={"my-token": True}
    ),
}


@pytest.mark.parametrize("seen", FREE.values(), ids=FREE)
def test_nothing_stands_against_it_when(seen: ObservedExecution) -> None:
    assert find_refusal(seen) is None


def test_the_checks_stand_in_this_order() -> None:
    # Order is behaviour: nobody learns about a proc before being known, nothing is asked of the
    # API server for arguments that cannot be right.
    assert list(CHECKS) == [
        requester_is_known,
        proc_has_been_read,
        proc_exists,
        proc_is_readable,
        proc_is_runnable,
        proc_is_not_suspended,
        arguments_fit,
        plugins_have_answered,
        requester_is_allowed,
        requester_may_read_named_secrets,
        gates_let_it_start,
    ]


FAILED = Vote("gate", Opinion.DENY, "it failed", is_failure=True)


def test_a_plugin_that_fails_puts_the_start_off_and_refuses_nobody_for_good() -> None:
    answer = find_refusal(replace(with_proc(), votes=(FAILED,)))

    assert answer == Defer("gate", "PluginFailed", "it failed", FAILED_VOTE_RETRY_SECONDS)


def test_a_plugin_that_denies_decides_whatever_else_has_failed() -> None:
    votes = (FAILED, Vote("leave", Opinion.DENY, "alice is on leave"))

    answer = find_refusal(replace(with_proc(), votes=votes))

    assert isinstance(answer, Refusal)
    assert answer.reason == "NotPermitted"


def test_of_several_reasons_against_it_the_first_in_order_is_told() -> None:
    everything_wrong = {
        "parameters": (parameter("A"),),
        "authorization": ONLY_BOB,
        "suspend": True,
    }
    told = []
    for cure in ({"suspend": False}, {"parameters": ()}, {"authorization": {"anyone": True}}):
        refusal = find_refusal(with_proc(**everything_wrong))
        assert isinstance(refusal, Refusal)
        told.append(refusal.reason)
        everything_wrong |= cure

    assert told == ["ProcSuspended", "InvalidArguments", "NotPermitted"]
    assert find_refusal(with_proc(**everything_wrong)) is None
