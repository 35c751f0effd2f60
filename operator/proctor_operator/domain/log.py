"""The output of a run as it is kept: chunks of whole lines, and what can be said of it as a whole.

Limits (promise I6): 16 MiB per execution, whole; beyond it the first 1 MiB and the newest 15 MiB, with
a count of what lies between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from proctor_operator.domain.naming import Uid


@dataclass(frozen=True, slots=True)
class LogSource:
    """One container of one pod: an attempt has its own."""

    pod_uid: Uid
    container: str


@dataclass(frozen=True, slots=True)
class LogSpan:
    """Where a chunk stands in the output of its source.

    `sequence` counts the chunks of a source from 0. `first_line` and `first_byte` are what the source
    printed before it, also what has been dropped since, so that a gap between two chunks tells how
    much is missing. `lines` and `size` (bytes) are the chunk's own, line ends included, times not.
    """

    source: LogSource
    sequence: int
    first_line: int
    first_byte: int
    lines: int
    size: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Consecutive whole lines, masked; each is its time (RFC 3339, nanoseconds), a space, and the text."""

    span: LogSpan
    data: bytes


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What became of the output of a run; stored with its outcome.

    `is_complete` means that every line within the limits is in the record; otherwise `reason` (one
    CamelCase word) and `message` say why not. `size` (bytes) and `lines` are what was printed,
    `dropped_lines` what of it was left out by the limits. `tail` is the end, at most 4 KiB, fit for a
    status; None where the Proc wants none.
    """

    is_complete: bool
    reason: str
    message: str
    size: int = 0
    lines: int = 0
    dropped_lines: int = 0
    tail: str | None = None
    is_tail_cut: bool = False
