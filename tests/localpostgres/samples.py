"""Runs and outcomes to record, and a place that counts the calls."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from dataclasses import replace
from typing import Any

from proctor_operator.domain.execution import Phase
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.log import LogChunk, LogSource, LogSpan, LogSummary
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import Outcome, PinnedSpec, RunKey, RunRequest

CREATED = dt.datetime(2026, 11, 20, 9, 30, 15, tzinfo=dt.UTC)
STARTED = CREATED + dt.timedelta(seconds=3)
COMPLETED = CREATED + dt.timedelta(minutes=2)
JOB = Uid("job-1")


class SystemClock:
    """The clock of the machine."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)  # noqa: TID251 - this is the clock

    def monotonic(self) -> float:
        return time.monotonic()


class CountedCalls:
    """Keeps what was counted of the database; the rest is somebody else's test."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, str]] = []

    def record_call(self, operation: str, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.recorded.append((operation, result))

    def record_months_ahead(self, months: int) -> None: ...

    def queue_depth(self, keys: int) -> None: ...

    def pass_finished(self, kind: str, result: str, seconds: float) -> None: ...

    def execution_finished(self, phase: Phase) -> None: ...

    def cluster_call(self, verb: str, resource: str, code: int, seconds: float) -> None: ...

    def watch_event(self, resource: str) -> None: ...


def run_request(**changes: Any) -> RunRequest:
    """Return a run with a key of its own."""
    request = RunRequest(
        key=RunKey(created_at=CREATED, uid=Uid(str(uuid.uuid4()))),
        namespace=Namespace("apps"),
        name="grow-disk-x7",
        proc_name="grow-disk",
        requester=Requester(
            username="alice", uid="u1", groups=("dba", "sre"), extra={"scopes": ("a", "b")}
        ),
        reason="INC-1234",
        arguments={"SIZE_GB": 200, "REGIONS": ["eu", "us"], "TOKEN": "***"},
        pinned=PinnedSpec(
            name="grow-disk", uid=Uid("proc-1"), generation=4, spec={"image": "a:1", "retries": 0}
        ),
        grant="group dba",
        fingerprint="6f1e",
    )
    return replace(request, **changes)


def run_outcome(**changes: Any) -> Outcome:
    """Return how a run may have ended."""
    outcome = Outcome(
        phase=Phase.FAILED,
        reason="ExitCode",
        message="the container ended with 3",
        completed_at=COMPLETED,
        started_at=STARTED,
        exit_code=3,
        attempts=2,
        pod_name="grow-disk-x7-abc",
        image_id="a@sha256:0",
        result="no space",
        log=log_summary(),
    )
    return replace(outcome, **changes)


def log_summary(**changes: Any) -> LogSummary:
    """Return what may have become of a run's output."""
    summary = LogSummary(
        is_complete=False,
        reason="Truncated",
        message="more than 16 MiB",
        size=20_000_000,
        lines=40_000,
        dropped_lines=3_000,
        tail="no space left\n",
        is_tail_cut=True,
    )
    return replace(summary, **changes)


def log_chunk(data: bytes = b"", **changes: Any) -> LogChunk:
    """Return a chunk of one pod; `changes` are of its span."""
    span = LogSpan(
        source=LogSource(Uid("pod-1"), "proc"),
        sequence=0,
        first_line=0,
        first_byte=0,
        lines=data.count(b"\n"),
        size=len(data),
        first_at=STARTED,
        last_at=COMPLETED,
    )
    return LogChunk(replace(span, **changes), data)


def refusal(**changes: Any) -> Outcome:
    """Return the outcome of a run that never started."""
    outcome = Outcome(
        phase=Phase.REFUSED, reason="Forbidden", message="not for you", completed_at=COMPLETED
    )
    return replace(outcome, **changes)
