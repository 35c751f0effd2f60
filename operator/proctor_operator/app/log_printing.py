"""Prints the kept output of a run: chunk by chunk, so that memory does not grow with the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from proctor_operator.domain.log import LogSource, LogSpan
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.run import RecordedRun, RunKey
from proctor_operator.domain.text import readable
from proctor_operator.ports.records import LogStore


@dataclass(frozen=True, slots=True)
class LogWanted:
    """Which part of a log to print; `attempt` counts pods of which lines are kept, from 1."""

    attempt: int | None = None
    pod_uid: Uid | None = None
    container: str | None = None

    def choose(self, spans: Iterable[LogSpan]) -> dict[LogSource, list[LogSpan]]:
        """Group the spans that are wanted by their source, in the order in which sources began."""
        pods: dict[Uid, int] = {}
        chosen: dict[LogSource, list[LogSpan]] = {}
        for span in spans:
            attempt = pods.setdefault(span.source.pod_uid, len(pods) + 1)
            if self._takes(span.source, attempt):
                chosen.setdefault(span.source, []).append(span)
        return chosen

    def _takes(self, source: LogSource, attempt: int) -> bool:
        return (
            self.attempt in (None, attempt)
            and self.pod_uid in (None, source.pod_uid)
            and self.container in (None, source.container)
        )


class LogPrinter:
    """Writes lines to `out`, and what is to be said about them to `tell`, one line at a time.

    On a terminal, control characters are written out; elsewhere bytes stay as they are.
    """

    def __init__(
        self, out: BinaryIO, tell: Callable[[str], None], *, with_times: bool, is_terminal: bool
    ) -> None:
        self._out = out
        self._tell = tell
        self._with_times = with_times
        self._is_terminal = is_terminal

    async def print_log(
        self, store: LogStore, key: RunKey, sources: dict[LogSource, list[LogSpan]]
    ) -> None:
        """Print the chunks of these sources, and tell where lines are missing between them."""
        for source, spans in sources.items():
            if len(sources) > 1:
                self._tell(f"==> pod {source.pod_uid}, container {source.container} <==")
            line, byte = 0, 0
            for span in spans:
                self._tell_of_gap(span.first_line - line, span.first_byte - byte)
                line, byte = span.first_line + span.lines, span.first_byte + span.size
                if span.lines == 0:
                    # A mark of the reader, which lost its place; see docs/adr/0006.
                    self._tell_between("... lines may be missing here ...")
                    continue
                data = await store.fetch_log_chunk(key, source, span.sequence)
                if data is None:
                    self._tell_of_gap(span.lines, span.size)
                else:
                    self._print(data)
            self._out.flush()

    def _print(self, data: bytes) -> None:
        lines = data.removesuffix(b"\n").split(b"\n")
        texts = lines if self._with_times else [line.partition(b" ")[2] for line in lines]
        if self._is_terminal:
            texts = [readable(text).encode() for text in texts]
        self._out.write(b"\n".join((*texts, b"")))

    def _tell_of_gap(self, lines: int, size: int) -> None:
        if lines > 0:
            self._tell_between(f"... {lines} lines ({size} bytes) are not kept ...")

    def _tell_between(self, text: str) -> None:
        # In its place, where both go to one terminal.
        self._out.flush()
        self._tell(text)


def what_became_of_the_log(run: RecordedRun, *, has_lines: bool) -> str:
    """Say how much of the output the record has, and why not all of it."""
    name = f"the log of run {run.number}"
    log = run.outcome.log if run.outcome is not None else None
    if run.outcome is None:
        return f"{name} goes on: the run has not ended"
    if log is None:
        return f"{name}: nothing is known of it" + ("" if has_lines else ", and nothing is kept")
    printed = f"{log.lines} lines, {log.size} bytes"
    if not has_lines and log.size > 0:
        return f"{name} ({printed}) is not kept, or not any more (retention.log_days)"
    if log.is_complete:
        return f"{name} is complete: {printed}"
    dropped = f", {log.dropped_lines} lines dropped" if log.dropped_lines else ""
    return f"{name} is not complete ({log.reason}): {log.message} ({printed}{dropped})"
