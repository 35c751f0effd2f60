"""Promise I6: the record holds what was printed, in order and once, or says why it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proctor_operator.domain.log import LogChunk, LogSummary
from proctor_operator.domain.run import RunKey
from simulation.log_table import LogTable
from simulation.record_store import RecordTable
from simulation.workload import Attempt, End, Truth

_EXCUSES: Final = frozenset({"PodGone", "NodeUnreachable", "Unavailable", "MayBeIncomplete"})


class LogPromise:
    """Checks on the chunks that are stored, and on what the outcome says of them."""

    def __init__(
        self,
        logs: LogTable,
        table: RecordTable,
        truths: dict[str, Truth],
        says: Callable[[str, str], None],
        is_late_write: Callable[[], bool],
        *,
        has_rival: bool,
    ) -> None:
        self._logs = logs
        self._table = table
        self._truths = truths
        self._says = says
        self._is_late_write = is_late_write
        self._has_rival = has_rival
        logs.observe(self._on_chunk)

    def _on_chunk(self, key: RunKey, chunk: LogChunk) -> None:
        row = self._table.row_of(key.uid)
        if row is None and key.uid not in self._table.lost:
            self._says("I2", f"output of {key.uid} without a row in the record")
        elif (
            row is not None
            and row.outcome is not None
            and not self._has_rival
            and not self._is_late_write()
        ):
            self._says("I6", f"chunk {chunk.span.sequence} of {row.request.name} after its outcome")

    def check(self, *, is_fault_free: bool) -> None:
        """Once everything is over."""
        for truth in self._truths.values():
            row = self._table.row_of(truth.uid) if truth.uid else None
            if row is None or row.outcome is None or truth.repeats_a_run:
                continue
            problem = self._problem_with(truth, row.outcome.log, is_fault_free=is_fault_free)
            if problem is not None and row.outcome.started_at is not None:
                self._says("I6", f"{truth.plan.name}: {problem}")

    def _problem_with(
        self, truth: Truth, said: LogSummary | None, *, is_fault_free: bool
    ) -> str | None:
        if said is None:
            # Who stores the outcome may not be who kept the output, where two believe to lead.
            return None if self._has_rival else "nothing is said of its output"
        for attempt in truth.attempts:
            problem = self._problem_with_lines(truth, attempt, said)
            if problem is not None:
                return problem
        if said.is_complete:
            return None
        if said.reason not in _EXCUSES:
            return f"{said.reason} is no excuse"
        is_torn = truth.job_torn_at is not None or truth.execution_torn_at is not None
        may_fail = is_torn or _went_with_its_node(truth)
        return None if may_fail or not is_fault_free else f"{said.reason} for no reason"

    def _problem_with_lines(self, truth: Truth, attempt: Attempt, said: LogSummary) -> str | None:
        printed = attempt.log.printed if attempt.log is not None else []
        stored = self._logs.lines(truth.uid, attempt.pod_uid)
        if not stored and truth.job_torn_at is not None:
            # A Job that was torn away before it was noted cannot be told from none.
            return None
        if stored == printed or (not said.is_complete and _is_within(stored, printed)):
            return None
        return f"printed {printed}, stored {stored}, and says {said.reason}"


def _is_within(some: list[bytes], every: list[bytes]) -> bool:
    """Whether `some` is `every` with items left out."""
    rest = iter(every)
    return all(one in rest for one in some)


def _went_with_its_node(truth: Truth) -> bool:
    return any(one.ended_by is End.NODE_LOST for one in truth.attempts)
