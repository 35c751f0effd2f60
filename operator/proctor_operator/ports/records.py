"""The record: who ran what, and what came of it. It outlives every Kubernetes object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from proctor_operator.domain.concurrency import SlotClaim, SlotVerdict
from proctor_operator.domain.denial import Denial
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import Outcome, RecordedRun, RunKey, RunRequest, Transition


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list, newest first; None means any. `before_number` continues a listing.

    The times are of the executions' creation.
    """

    namespace: Namespace | None = None
    proc_name: str | None = None
    requester: str | None = None
    phase: Phase | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    before_number: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What became of a claim, and the run as it is recorded now; None: it is not in the record.

    Without a verdict nothing was asked: the run has its slots, its end or a successor already.
    """

    verdict: SlotVerdict | None
    run: RecordedRun | None


class Records(Protocol):
    """Durable writes of a run's life. Every write is idempotent by the run's key: what is there stays.

    All methods have a deadline and raise `RecordUnavailable` when the database is away or too slow.
    """

    async def record_run(self, request: RunRequest) -> RecordedRun:
        """Insert the run if it is not there, and return what *is* recorded.

        The answer may be of an earlier try, with an older pin, a Job and even an outcome: go on
        from there, not from `request`.
        """
        ...

    async def claim_slots(self, request: RunRequest, claims: tuple[SlotClaim, ...]) -> SlotAnswer:
        """Decide by `decide_slots` and record what follows, in one transaction that no other claim overlaps.

        Granted: the run is there as `request` has it, pin and all. It waits: the run is there without a
        pin, and those that it replaces are told. Otherwise nothing is written.
        """
        ...

    async def fetch_place(self, key: RunKey, claims: tuple[SlotClaim, ...]) -> SlotVerdict:
        """What `claim_slots` would decide now; it may be otherwise in a moment."""
        ...

    async def record_refusal(self, request: RunRequest, outcome: Outcome) -> RecordedRun:
        """Insert a run that never starts together with its outcome; one that is there stays."""
        ...

    async def record_job(self, key: RunKey, job_uid: Uid) -> None:
        """Note that `job_uid` is the Job of the run, which has not started yet; the first note stays."""
        ...

    async def record_started(self, key: RunKey, job_uid: Uid, started_at: datetime) -> None:
        """Note that the Job `job_uid` runs; the first note stays."""
        ...

    async def record_outcome(self, key: RunKey, job_uid: Uid | None, outcome: Outcome) -> Outcome:
        """Store how the run ended, in one transaction with its transitions; return what is stored.

        The first outcome stays for ever. A start that was not noted is noted here with
        `outcome.started_at`.
        """
        ...

    async def fetch_run(self, key: RunKey) -> RecordedRun | None:
        """Read one run, or None when the record does not know it."""
        ...

    async def fetch_earlier(self, request: RunRequest) -> RecordedRun | None:
        """The newest run that `is_earlier_run_of` the request, or None."""
        ...


class LogStore(Protocol):
    """The output of runs, in chunks. Errors and deadlines as in `Records`."""

    async def append_log(self, key: RunKey, chunk: LogChunk) -> bool:
        """Store a chunk; True as well when exactly it is there: an answer was lost.

        False when the source's sequence number is taken by another chunk: somebody else writes, too.
        """
        ...

    async def log_spans(self, key: RunKey) -> tuple[LogSpan, ...]:
        """Everything stored of a run without its text: sources by their first time, then by sequence."""
        ...

    async def fetch_log_chunk(self, key: RunKey, source: LogSource, sequence: int) -> bytes | None:
        """The text of one chunk, or None when it is not there (any more)."""
        ...

    async def drop_log(self, key: RunKey, spans: tuple[LogSpan, ...]) -> None:
        """Delete these chunks: the limit of the run left no room for them."""
        ...


@dataclass(frozen=True, slots=True)
class DenialFilter:
    """Which denials to list, newest first; None means any."""

    namespace: Namespace | None = None
    proc_name: str | None = None
    requester: str | None = None
    denied_from: datetime | None = None
    denied_before: datetime | None = None
    limit: int = 50


class DenialStore(Protocol):
    """Denials of admission. Errors and deadlines as in `Records`."""

    async def record_denial(self, denial: Denial) -> None:
        """Insert it; one of the same review that is there stays."""
        ...


class DenialReader(Protocol):
    """Reads them for admins."""

    async def list_denials(self, wanted: DenialFilter) -> tuple[Denial, ...]:
        """Denials that match, newest first."""
        ...


class RecordUpkeep(Protocol):
    """What the owner role must see to, and the running operator can only look at."""

    async def months_ahead(self) -> int:
        """For how many months after this one rows have a place of their own; -1: not even for this."""
        ...


class RecordReader(Protocol):
    """Reads for admins, and for the history API."""

    async def list_runs(self, wanted: RunFilter) -> tuple[RecordedRun, ...]:
        """Runs that match, newest (highest number) first."""
        ...

    async def find_run(self, number_or_uid: int | Uid) -> RecordedRun | None:
        """Find one run by its number or by the execution's UID."""
        ...

    async def list_transitions(self, key: RunKey) -> tuple[Transition, ...]:
        """The steps of a run's life, in the order in which they were recorded."""
        ...
