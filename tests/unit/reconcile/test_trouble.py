"""What runs tell of their Proc: only what is new, only what is the author's, and at most every 30 s."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from proctor_operator.domain.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    condition,
    merge,
)
from proctor_operator.domain.execution import (
    Phase,
    PinnedProc,
    ProcExecution,
    ProcExecutionStatus,
)
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import Proc
from proctor_operator.reconcile.proc import proc_conditions
from proctor_operator.reconcile.trouble import find_news
from unit.builders import (
    NOW,
    ago,
    argument_from,
    execution,
    execution_spec,
    parameter,
    proc,
    proc_spec,
)

SPEC = {
    "secrets": ({"name": "PASSWORD", "secretKeyRef": {"name": "admin", "key": "password"}},),
    "parameters": (parameter("TOKEN", sensitive=True),),
    "service_account_name": "archiver",
}
MISSING = 'secret "admin" not found'
A_MINUTE_AGO = ago(60)
GONE = (
    "no Secret 'admin': runs wait for it until their pending time-out; "
    "this word goes with the next run that starts"
)


def a_proc(*conditions: Condition, **fields: Any) -> Proc:
    return proc(proc_spec(**SPEC), conditions=conditions, **fields)


def stalled(at: datetime = A_MINUTE_AGO, **fields: Any) -> Condition:
    said = {"reason": "SecretNotFound", "message": GONE, "generation": 3, **fields}
    reason, message = said.pop("reason"), said.pop("message")
    return condition(ConditionType.STALLED, ConditionStatus.TRUE, reason, message, now=at, **said)


def run(
    reason: str = "CreateContainerConfigError", message: str = MISSING, **fields: Any
) -> ProcExecution:
    given = {"generation": 3, "phase": Phase.PENDING, "started": None, "secret": "mine", **fields}
    status = ProcExecutionStatus(
        phase=given["phase"],
        reason=reason,
        message=message,
        start_time=given["started"],
        proc=PinnedProc(uid=Uid("proc-uid-1"), generation=given["generation"], image="a:1"),
    )
    spec = execution_spec(arguments_from=(argument_from("TOKEN", secret=given["secret"]),))
    return execution(spec, status=status)


def told(execution_: ProcExecution, proc_: Proc) -> tuple[str, str, str] | None:
    news = find_news(execution_, proc_, NOW)
    return None if news is None else (news.status, news.reason, news.message)


NEWS: dict[str, tuple[ProcExecution, Proc, tuple[str, str, str] | None]] = {
    "a secret that is missing": (run(), a_proc(), ("True", "SecretNotFound", GONE)),
    "a key that is missing": (
        run(message="couldn't find key password in Secret apps/admin"),
        a_proc(),
        (
            "True",
            "SecretNotFound",
            GONE.replace("no Secret 'admin'", "the Secret 'admin' has no key 'password'"),
        ),
    ),
    "a helper's secret": (
        run(message='container helper: secret "other" not found'),
        a_proc(),
        ("True", "SecretNotFound", GONE.replace("admin", "other")),
    ),
    "the requester's secret": (run(message='secret "mine" not found'), a_proc(), None),
    "a secret of both": (run(secret="admin"), a_proc(), ("True", "SecretNotFound", GONE)),
    "another trouble": (run(message="runAsUser breaks non-root policy"), a_proc(), None),
    "a pull that fails": (run("ErrImagePull", MISSING), a_proc(), None),
    "no pod, perhaps for want of a service account": (
        run("PodNotCreated", "the job has no pod yet"),
        a_proc(),
        (
            "True",
            "PodNotCreated",
            (
                "the last run got no pod: is there still a service account 'archiver'? "
                "`kubectl describe job` on the Job of the execution tells"
            ),
        ),
    ),
    "no pod, and no service account that could be missing": (
        run("PodNotCreated", "the job has no pod yet"),
        proc(),
        None,
    ),
    "what is shown already": (run(), a_proc(stalled()), None),
    "a run of another generation": (run(generation=2), a_proc(), None),
    "what was said of another generation": (
        run(),
        a_proc(stalled(generation=2)),
        ("True", "SecretNotFound", GONE),
    ),
    "a change within half a minute": (
        run(),
        a_proc(stalled(ago(29), reason="PodNotCreated")),
        None,
    ),
    "the first word on a new proc is no change": (
        run(),
        a_proc(*proc_conditions(a_proc(), ago(5))),
        ("True", "SecretNotFound", GONE),
    ),
    "a run that is over": (run(phase=Phase.TIMED_OUT), a_proc(), None),
    "a run that started after it": (
        run("", "", phase=Phase.SUCCEEDED, started=ago(30)),
        a_proc(stalled()),
        ("False", "NothingWrong", ""),
    ),
    "a run that had started before it": (
        run("", "", phase=Phase.RUNNING, started=ago(90)),
        a_proc(stalled()),
        None,
    ),
    "a run that goes well, and nothing to take back": (
        run("", "", phase=Phase.RUNNING, started=ago(30)),
        a_proc(),
        None,
    ),
    "a mistake in the spec, which no run takes back": (
        run("", "", phase=Phase.RUNNING, started=ago(30)),
        a_proc(stalled(reason="InvalidSpec")),
        None,
    ),
}


@pytest.mark.parametrize(("execution_", "proc_", "expected"), NEWS.values(), ids=NEWS)
def test_a_run_tells_of_its_proc_only_what_is_new(
    execution_: ProcExecution, proc_: Proc, expected: tuple[str, str, str] | None
) -> None:
    assert told(execution_, proc_) == expected


def test_a_proc_whose_secret_is_missing_stays_ready_until_its_spec_changes() -> None:
    troubled = a_proc(stalled())
    said = {one.type: one for one in proc_conditions(troubled, NOW)}
    after = proc_conditions(a_proc(stalled(), generation=4), NOW)

    assert said[ConditionType.READY].status is ConditionStatus.TRUE
    assert said[ConditionType.STALLED] == stalled()
    assert {one.type: one.status for one in after}[ConditionType.STALLED] is ConditionStatus.FALSE


def test_what_was_told_is_not_told_again() -> None:
    news = find_news(run(), a_proc(), ago(60))
    assert news is not None

    assert find_news(run(), a_proc(*merge((), (news,))), NOW) is None
