"""What is said of a run's output: the summary that is stored with its outcome, and its condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proctor_operator.domain.conditions import MESSAGE_LIMIT_BYTES, shorten
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.log_limits import Tally
from proctor_operator.domain.log_lines import text_of
from proctor_operator.domain.text import newest_lines, readable
from proctor_operator.domain.workload import JobFacts, PodFacts

TAIL_LIMIT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class LogProblem:
    """Why the output of one pod may not be in the record as a whole; the first of these words counts most."""

    reason: str
    message: str


_GRAVEST_FIRST: Final = ("PodGone", "NodeUnreachable", "Unavailable", "MayBeIncomplete")


def summarize_log(
    counted: Tally, problems: Sequence[LogProblem], tail: Sequence[bytes] | None
) -> LogSummary:
    """Sum up; `tail` holds the newest lines, None where the Proc wants none in the status."""
    problem = _gravest([*problems, *_gap_problem(counted)])
    reason, message = (problem.reason, problem.message) if problem else _good_news(counted)
    text, is_cut = _tail_text(counted, tail) if tail is not None else (None, False)
    return LogSummary(
        is_complete=problem is None,
        reason=reason,
        message=shorten(message, MESSAGE_LIMIT_BYTES),
        size=counted.size,
        lines=counted.lines,
        dropped_lines=counted.dropped_lines,
        tail=text,
        is_tail_cut=is_cut,
    )


def count_unseen(job: JobFacts | None, pods: Sequence[PodFacts]) -> int:
    """How many pods of a run that has started were gone before anybody could read all that they printed."""
    counted = job.failed_pods + job.succeeded_pods if job is not None else 0
    # It has started, so there was one, whether or not the Job has counted it yet.
    missing = max(counted, 1) - len(pods)
    return sum(pod.may_have_run_unseen for pod in pods) + max(0, missing)


def _gap_problem(counted: Tally) -> list[LogProblem]:
    if not counted.gaps:
        return []
    where = f"at {counted.gaps} places" if counted.gaps > 1 else "at one place"
    message = (
        f"lines may be missing {where}: the node turned the log over before it was read, as far as can "
        "be told"
    )
    return [LogProblem("MayBeIncomplete", message)]


def _gravest(problems: Sequence[LogProblem]) -> LogProblem | None:
    return min(problems, key=lambda one: _GRAVEST_FIRST.index(one.reason), default=None)


def _good_news(counted: Tally) -> tuple[str, str]:
    left_out = []
    if counted.dropped_lines:
        left_out.append(f"{counted.dropped_lines} of {counted.lines} lines were dropped")
    if counted.cut_bytes:
        left_out.append(f"{counted.cut_bytes} bytes of lines longer than 1 MiB were cut off")
    if left_out:
        return "Truncated", f"beyond the limits, {' and '.join(left_out)}"
    if not counted.lines:
        return "NoOutput", "the container printed nothing"
    return "Captured", f"{counted.lines} lines, {counted.size} bytes"


def _tail_text(counted: Tally, lines: Sequence[bytes]) -> tuple[str, bool]:
    printed = b"".join(text_of(line) + b"\n" for line in lines)
    text, is_cut = newest_lines(readable(printed), TAIL_LIMIT_BYTES)
    return text, is_cut or counted.size > len(printed)
