"""What the outcome of an execution may be, told from the world's truth alone (promise I5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from proctor_operator.domain.run import Outcome
from simulation.virtual_time import TIME_ZERO
from simulation.workload import Attempt, End, Truth

Words = tuple[str, str]
"""Phase and reason."""

_OWN_END: Final[dict[End, Words]] = {
    End.SUCCESS: ("Succeeded", "Completed"),
    End.EXIT_CODE: ("Failed", "NonZeroExitCode"),
    End.OUT_OF_MEMORY: ("Failed", "OOMKilled"),
    End.TOO_LONG: ("TimedOut", "DeadlineExceeded"),
    End.EVICTED: ("Failed", "Evicted"),
    End.NODE_LOST: ("Failed", "NodeLost"),
    End.PREEMPTED: ("Failed", "Preempted"),
    End.BAD_COMMAND: ("Failed", "StartError"),
    End.INIT_FAILS: ("Failed", "InitContainerFailed"),
}
_GOES_WITH_ITS_POD: Final = frozenset({End.NODE_LOST, End.PREEMPTED})
_NOT_SEEN: Words = ("Failed", "BackoffLimitExceeded")
"""The Job's own word: all that is left for who did not see its pods."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is allowed; nothing else is true."""

    words: frozenset[Words]
    exit_codes: frozenset[int | None]
    starts: tuple[float, ...]
    may_miss_the_start: bool

    def problem_with(self, outcome: Outcome) -> str | None:
        """Why the outcome is not true, or None."""
        said = (outcome.phase.value, outcome.reason)
        if said not in self.words:
            return f"outcome {'/'.join(said)}, but true would be {sorted(self.words)}"
        if outcome.exit_code not in self.exit_codes:
            return f"exit code {outcome.exit_code}, but true would be {self.exit_codes}"
        return self._problem_with_the_start(outcome)

    def _problem_with_the_start(self, outcome: Outcome) -> str | None:
        if outcome.phase.value in ("Refused", "Lost"):
            return None
        started_at = outcome.started_at
        starts = [TIME_ZERO + timedelta(seconds=int(start)) for start in self.starts]
        if started_at is None:
            may_be_missing = self.may_miss_the_start or not starts
            return None if may_be_missing else f"no start, but it truly started at {starts[0]}"
        if started_at not in starts:
            return f"started at {started_at}, but truly at {starts or 'no time'}"
        if outcome.completed_at < started_at:
            return f"completed at {outcome.completed_at}, before it started"
        return None


def verdict(truth: Truth) -> Verdict:
    """Judge one execution, once it is over."""
    # A Job that a late request made after the end is stopped, and no part of the run.
    attempts = truth.attempts if truth.job_uids else []
    starts = tuple(one.started_at for one in attempts if one.started_at is not None)
    return Verdict(
        words=frozenset(_words(truth) | _given_up(truth)),
        exit_codes=_exit_codes(truth),
        # Who has not seen the first attempt knows only of a later one.
        starts=starts,
        may_miss_the_start=_pods_vanished(truth),
    )


def _words(truth: Truth) -> set[Words]:
    stops = _stops(truth)
    if truth.plan.refusal is not None:
        return {("Refused", truth.plan.refusal), *stops}
    if any(one.exit_code == 0 for one in truth.attempts):
        # Whatever else happened, a container that ended well did its work, unless its pod went unseen.
        is_unseen = _pods_vanished(truth) or truth.job_torn_at is not None
        return {("Succeeded", "Completed"), *(_torn(truth) if is_unseen else ())}
    last = truth.attempts[-1] if truth.attempts else None
    if last is not None and last.ended_by is not None:
        words = {_OWN_END[last.ended_by], *_torn(truth), *_stops(truth, before_the_end=True)}
        return words | _if_it_vanished(truth)
    if _was_given_up(truth, last):
        return {_ended_by_the_operator(last), *stops, *_torn(truth)}
    if truth.pod_deleted_at is not None:
        return {("Failed", "PodDeleted"), *stops, *_torn(truth), *_if_it_vanished(truth)}
    return stops or _torn(truth)


def _if_it_vanished(truth: Truth) -> set[Words]:
    """Words of one who did not see the last pod in time: nothing holds a pod that is being deleted."""
    if not _pods_vanished(truth):
        return set()
    return {_NOT_SEEN, *(_OWN_END[one.ended_by] for one in truth.attempts if one.ended_by)}


def _was_given_up(truth: Truth, last: Attempt | None) -> bool:
    """Whether the newest attempt was such that the operator was to end it, when the Job was deleted."""
    if truth.job_made_at is None or truth.job_deleted_at is None:
        return False
    if truth.job_ended_at is not None and truth.job_ended_at < truth.job_deleted_at:
        return False
    if last is not None and last.plan.end is End.WANTS_ROOT:
        return last.started_at is None
    is_first = last is None or len(truth.attempts) == 1
    since = truth.job_made_at if last is None or is_first else last.made_at
    # A container may start while its Job is being deleted for want of one.
    until = last.started_at if last is not None and last.started_at else truth.job_deleted_at
    return until - since > truth.plan.pending_timeout_seconds - 1


def _ended_by_the_operator(last: Attempt | None) -> Words:
    if last is not None and last.plan.end is End.WANTS_ROOT:
        return "Failed", "RunsAsRoot"
    return "TimedOut", "PendingTimeout"


def _stops(truth: Truth, *, before_the_end: bool = False) -> set[Words]:
    """Words for a user's stop, if it came in time to have an effect."""
    latest = truth.job_ended_at if before_the_end else None

    def counts(at: float | None) -> bool:
        return at is not None and (latest is None or int(at) <= int(latest))

    words = set()
    if counts(truth.cancelled_at):
        words.add(("Cancelled", "Cancelled"))
    if counts(truth.deleted_at):
        words.add(("Cancelled", "Deleted"))
    if counts(truth.execution_torn_at):
        words.add(("Cancelled", "ExecutionRemoved"))
        if not truth.job_uids:
            # It stood in line, and who came after it found that it was gone.
            words.add(("Lost", "ExecutionRemoved"))
    if counts(truth.replaced_at):
        words.add(("Cancelled", "Replaced"))
    if truth.plan.policy == "Forbid" and not truth.job_uids:
        words.add(("Refused", "AlreadyRunning"))
    return words


def _torn(truth: Truth) -> set[Words]:
    """Words for a Job that somebody deleted, with or without our finalizer."""
    if truth.job_removed_at is None:
        return set()
    words = {("Failed", "JobDeleted")}
    if truth.job_torn_at is not None:
        words.add(("Lost", "JobMissing"))
    if len(truth.job_uids) > 1 and not any(one.started_at for one in truth.attempts):
        # Nobody had noted the first one, so it was made anew: then that one waited in vain.
        words.add(("TimedOut", "PendingTimeout"))
    return words


def _given_up(truth: Truth) -> set[Words]:
    """The Job was let go, and then the record came back after all: what came of it, nobody knows."""
    return (
        {("Lost", "JobMissing"), ("Lost", "ExecutionRemoved")}
        if truth.given_up_at is not None
        else set()
    )


def _exit_codes(truth: Truth) -> frozenset[int | None]:
    codes = [one.exit_code for one in truth.attempts]
    if 0 in codes and not _pods_vanished(truth) and not _was_disturbed(truth):
        return frozenset({0})
    if not codes or _was_disturbed(truth) or _pods_vanished(truth):
        return frozenset({None, *codes})
    return frozenset({codes[-1]})


def _pods_vanished(truth: Truth) -> bool:
    """Whether the traces of a start can be gone before anybody looks: nothing holds a deleted pod."""
    return any(one.was_killed or one.ended_by in _GOES_WITH_ITS_POD for one in truth.attempts)


def _was_disturbed(truth: Truth) -> bool:
    marks = (
        truth.cancelled_at,
        truth.deleted_at,
        truth.job_removed_at,
        truth.pod_deleted_at,
        truth.execution_torn_at,
        truth.replaced_at,
    )
    return any(at is not None for at in marks)
