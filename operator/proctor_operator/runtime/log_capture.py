"""The output of runs, from the nodes into the record: who is read, and when that is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from proctor_operator.domain.errors import RecordUnavailable
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.redaction import Redactor
from proctor_operator.domain.run import RunKey
from proctor_operator.domain.workload import PodFacts
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.live import LivePublisher
from proctor_operator.ports.logs import PodLogs
from proctor_operator.ports.metrics import LogMetrics
from proctor_operator.ports.records import LogStore
from proctor_operator.reconcile.logs import TAIL_LIMIT_BYTES, LogProblem, summarize_log
from proctor_operator.runtime.log_intake import ReaderParts
from proctor_operator.runtime.log_reader import Findings, LogReader
from proctor_operator.runtime.log_streams import CaptureLimits, Streams
from proctor_operator.runtime.run_log import RunLog

_INLINE_SECONDS: Final = 0.5
_ATTACH_SECONDS: Final = 2.0
_FORGOTTEN_AFTER_SECONDS: Final = 600.0
_LOOKS_FOR_THE_LOST_EVERY_SECONDS: Final = 60.0
"""Not with each new run: a burst would look through all runs for each of them."""


@dataclass(frozen=True, slots=True)
class LogWishes:
    """What the pinned Proc wants of its output."""

    masks: tuple[str, ...] = ()
    tail: bool = True


@dataclass(slots=True)
class _Run:
    """One execution whose output is read."""

    key: RunKey
    redactor: Redactor
    record: RunLog
    readers: dict[Uid, LogReader] = field(default_factory=dict)
    finishing_since: float | None = None
    touched_at: float = 0.0

    @property
    def is_read(self) -> bool:
        return all(reader.is_done.is_set() for reader in self.readers.values())


class LogCapture:
    """Owns a reader for each pod of each run.

    Nothing in here is the only copy of a fact: what was read is in the record, and what was not is on
    the node. `wake` is called with the UID of an execution whose output is wanted and has become ready.
    """

    def __init__(
        self,
        *,
        logs: PodLogs,
        store: LogStore,
        live: LivePublisher,
        clock: Clock,
        metrics: LogMetrics,
        limits: CaptureLimits,
        wake: Callable[[Uid], None],
    ) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._wake = wake
        self._parts = ReaderParts(logs, clock, live, Streams(limits, metrics), limits)
        self._runs: dict[Uid, _Run] = {}
        self._born_at = clock.now()
        self._looks_again_at = 0.0

    def learn(self, execution_uid: Uid, pods: Sequence[PodFacts]) -> None:
        """Pass on the newest facts of pods that are being read."""
        run = self._runs.get(execution_uid)
        if run is None:
            return
        run.touched_at = self._clock.monotonic()
        for pod in pods:
            if (reader := run.readers.get(pod.uid)) is not None:
                reader.learn(pod)

    def followed(self, execution_uid: Uid) -> frozenset[Uid]:
        """The pods that have a reader."""
        run = self._runs.get(execution_uid)
        return frozenset(run.readers) if run is not None else frozenset()

    def attached(self, execution_uid: Uid) -> frozenset[Uid]:
        """The pods whose log is being followed, or has been read."""
        run = self._runs.get(execution_uid)
        readers = run.readers.items() if run is not None else ()
        return frozenset(uid for uid, reader in readers if reader.is_attached.is_set())

    def follow(self, key: RunKey, wishes: LogWishes, pod: PodFacts) -> None:
        """Have the output of a pod read: in the background, until the container has ended."""
        self._reader_of(self._run_of(key, wishes), pod)

    async def attach(self, key: RunKey, wishes: LogWishes, pod: PodFacts) -> None:
        """The same at once, because the container is about to be stopped.

        Returns when the log is open, or after 2 s: a container that prints nothing does not answer,
        and a stop waits for no log.
        """
        reader = self._reader_of(self._run_of(key, wishes), pod)
        reader.attach()
        await _at_most(_ATTACH_SECONDS, reader.is_attached)

    async def finish(
        self, key: RunKey, wishes: LogWishes, pods: Sequence[PodFacts], *, unseen: int = 0
    ) -> LogSummary | None:
        """Read the last lines of pods that have ended, and sum up; `unseen` ones are lost.

        None when that takes longer than a moment: ask again, latest when woken. After 30 s there is a
        summary in any case. `RecordUnavailable` when it is the record that is waited for.
        """
        run = self._run_of(key, wishes)
        if run.finishing_since is None:
            run.finishing_since = self._clock.monotonic()
        for pod in pods:
            self._reader_of(run, pod)
        if not await self._are_read(run):
            return None
        return await self._sum_up(run, wishes, pods, unseen)

    async def forget(self, execution_uid: Uid) -> None:
        """The execution is over, or gone."""
        run = self._runs.pop(execution_uid, None)
        if run is None:
            return
        self._live.end(execution_uid)
        await asyncio.gather(*(reader.stop() for reader in run.readers.values()))

    async def stop(self) -> None:
        """Break every reading off."""
        await asyncio.gather(*(self.forget(uid) for uid in tuple(self._runs)))

    def _run_of(self, key: RunKey, wishes: LogWishes) -> _Run:
        run = self._runs.get(key.uid)
        if run is None:
            self._forget_the_lost()
            # Of what is older than this process, an earlier one may have read some.
            is_new = key.created_at >= self._born_at
            record = RunLog(key, self._store, self._metrics, is_new=is_new)
            run = _Run(key, Redactor(wishes.masks), record)
            self._runs[key.uid] = run
        run.touched_at = self._clock.monotonic()
        return run

    def _forget_the_lost(self) -> None:
        """Let go of runs that nobody has asked about for long: their executions are gone."""
        now = self._clock.monotonic()
        if now < self._looks_again_at:
            return
        self._looks_again_at = now + _LOOKS_FOR_THE_LOST_EVERY_SECONDS
        oldest = now - _FORGOTTEN_AFTER_SECONDS
        lost = [uid for uid, run in self._runs.items() if run.is_read and run.touched_at < oldest]
        for uid in lost:
            del self._runs[uid]
            self._live.end(uid)

    def _reader_of(self, run: _Run, pod: PodFacts) -> LogReader:
        reader = run.readers.get(pod.uid)
        if reader is not None:
            reader.learn(pod)
            return reader
        reader = LogReader(pod, run.record, run.redactor, self._parts, run.key.uid)
        run.readers[pod.uid] = reader
        reader.start(lambda: self._reader_is_done(run))
        return reader

    def _reader_is_done(self, run: _Run) -> None:
        if run.finishing_since is not None and run.is_read:
            self._wake(run.key.uid)

    async def _are_read(self, run: _Run) -> bool:
        """Wait for a moment; give up after half a minute, unless it is the record that is waited for."""
        await _at_most(_INLINE_SECONDS, *(reader.is_done for reader in run.readers.values()))
        if run.is_read:
            return True
        assert run.finishing_since is not None, "the caller set it"  # noqa: S101 - narrows the type
        waited = self._clock.monotonic() - run.finishing_since
        if run.record.is_record_away:
            raise RecordUnavailable("the last lines of the output cannot be stored")
        if waited < self._limits.finish_within_seconds:
            return False
        await asyncio.gather(*(reader.stop() for reader in run.readers.values()))
        return True

    async def _sum_up(
        self, run: _Run, wishes: LogWishes, pods: Sequence[PodFacts], unseen: int
    ) -> LogSummary:
        counted = await run.record.tally()
        problems = [
            problem
            for pod in pods
            if (problem := problem_with(pod, run.readers[pod.uid].findings)) is not None
        ]
        if unseen or (not pods and not counted.lines):
            message = f"{unseen or 'all'} of the run's pods were gone before anybody saw them"
            problems.append(LogProblem("PodGone", message))
        tail: list[bytes] | None = None
        if wishes.tail:
            last = run.readers[pods[-1].uid].source if pods else None
            tail = await run.record.newest_lines(last, TAIL_LIMIT_BYTES + 1) if last else []
        return summarize_log(counted, problems, tail)


def problem_with(pod: PodFacts, found: Findings) -> LogProblem | None:
    """Why the log of a pod may not be in the record to its end."""
    if found.refusal:
        return LogProblem("Unavailable", f"the record did not take the output: {found.refusal}")
    if found.is_read_to_the_end:
        return None
    if found.is_gone or pod.is_gone:
        return LogProblem(
            "PodGone", f"the pod {pod.name} was gone before its log was read to the end"
        )
    error = found.last_error
    if error is None:
        message = f"the log of {pod.name} was still being read when the time for it was over"
        return LogProblem("MayBeIncomplete", message)
    reason = "NodeUnreachable" if error.status >= 500 else "Unavailable"
    return LogProblem(reason, f"the log of {pod.name} could not be read to its end: {error}")


async def _at_most(seconds: float, *events: asyncio.Event) -> None:
    """Wait for all of them, or for so long."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events if not event.is_set()]
    if not waiting:
        return
    try:
        await asyncio.wait(waiting, timeout=seconds)
    finally:
        for one in waiting:
            one.cancel()
