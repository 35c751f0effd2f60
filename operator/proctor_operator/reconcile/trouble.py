"""What a run tells of its Proc after the fact: a Secret that went missing, and that it is there again.

Ready stays as it is, because the way to find out that all is well again is to run the proc; Stalled says
that somebody must act. Only a change is news, so a run without any costs no write.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from proctor_operator.domain.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    condition,
)
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.proc import Proc

QUIET_AT_LEAST: Final = timedelta(seconds=30)
"""A Proc's word about its runs changes at most so often, however many there are."""

_SECRET_MISSING: Final = re.compile(r'(?:^|: )secret "([^"]+)" not found')
_KEY_MISSING: Final = re.compile(r"couldn't find key (\S+) in Secret [^/\s]+/(\S+)")
_NOT_FOUND: Final = "SecretNotFound"
_NO_POD: Final = "PodNotCreated"
TOLD_BY_RUNS: Final = frozenset({_NOT_FOUND, _NO_POD})
"""Reasons of a Stalled that only another run, or a change of the Proc, takes back."""


def find_news(execution: ProcExecution, proc: Proc, now: datetime) -> Condition | None:
    """The Proc's Stalled as this run would have it, where that is something new; None otherwise."""
    pinned = execution.status.proc
    if pinned is None or (pinned.uid, pinned.generation) != (proc.uid, proc.generation):
        return None
    shown = _stalled(proc)
    if shown is not None and _has_just_changed(shown, proc, now):
        return None
    found = None if execution.status.phase.is_terminal else _trouble(execution, proc)
    if found is not None:
        told = _say(proc, ConditionStatus.TRUE, *found, now)
        return None if shown is not None and _says(shown, found) else told
    if shown is None or shown.reason not in TOLD_BY_RUNS or not _began_after(execution, shown):
        return None
    return _say(proc, ConditionStatus.FALSE, "NothingWrong", "", now)


def told_by_runs(proc: Proc) -> Condition | None:
    """What runs of the Proc as it is now have told, which a look at the Proc alone must not take back."""
    shown = _stalled(proc)
    return shown if shown is not None and shown.reason in TOLD_BY_RUNS else None


def _trouble(execution: ProcExecution, proc: Proc) -> tuple[str, str] | None:
    status = execution.status
    account = proc.spec.service_account_name
    if status.reason == _NO_POD and account is not None:
        return _NO_POD, (
            f"the last run got no pod: is there still a service account {account!r}? "
            "`kubectl describe job` on the Job of the execution tells"
        )
    if status.reason != "CreateContainerConfigError":
        return None
    key = _KEY_MISSING.search(status.message)
    secret = _SECRET_MISSING.search(status.message)
    name = key[2] if key else secret[1] if secret else None
    if name is None or not _is_the_authors(name, execution, proc):
        return None
    missing = f"the Secret {name!r} has no key {key[1]!r}" if key else f"no Secret {name!r}"
    return _NOT_FOUND, (
        f"{missing}: runs wait for it until their pending time-out; "
        "this word goes with the next run that starts"
    )


def _is_the_authors(secret: str, execution: ProcExecution, proc: Proc) -> bool:
    """Whether the Proc names it; what only the requester named is no trouble of the Proc."""
    by_the_requester = {one.secret_key_ref.name for one in execution.spec.arguments_from}
    by_the_author = {one.secret_key_ref.name for one in proc.spec.secrets}
    return secret in by_the_author or secret not in by_the_requester


def _stalled(proc: Proc) -> Condition | None:
    found = (one for one in proc.conditions if one.type is ConditionType.STALLED)
    return next((one for one in found if one.observed_generation == proc.generation), None)


def _has_just_changed(shown: Condition, proc: Proc, now: datetime) -> bool:
    """Whether its last change is too recent for another; the first word on a Proc, Ready's too, is none."""
    first = {one.last_transition_time for one in proc.conditions if one.type is ConditionType.READY}
    at = shown.last_transition_time
    return at not in first and now - at < QUIET_AT_LEAST


def _says(shown: Condition, found: tuple[str, str]) -> bool:
    return (shown.status, shown.reason, shown.message) == (ConditionStatus.TRUE, *found)


def _began_after(execution: ProcExecution, shown: Condition) -> bool:
    began = execution.status.start_time
    return began is not None and began > shown.last_transition_time


def _say(
    proc: Proc, status: ConditionStatus, reason: str, message: str, now: datetime
) -> Condition:
    return condition(
        ConditionType.STALLED, status, reason, message, generation=proc.generation, now=now
    )
