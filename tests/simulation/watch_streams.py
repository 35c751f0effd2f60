"""Watches as they really are: late, silent, repeating, in no order between kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from proctor_operator.adapters.kube.mapping import read_execution, read_proc, read_schedule
from proctor_operator.adapters.kube.workloads import read_job, read_pod
from proctor_operator.domain.naming import MANAGED_LABEL, Uid
from proctor_operator.runtime.findings import Findings
from proctor_operator.runtime.informer import Informer
from simulation.api_server import (
    DELETED,
    EXECUTIONS,
    JOBS,
    PODS,
    PROCS,
    ApiServer,
    Commit,
    Manifest,
)
from simulation.chance import Chance
from simulation.line import FaultSchedule, Mortal
from simulation.plans import Plan, Trouble, Weather

_SCHEDULES: Final = "procschedules"
_OWN_READERS: Final[dict[str, Callable[[Manifest], Any]]] = {
    PROCS: read_proc,
    EXECUTIONS: read_execution,
    _SCHEDULES: read_schedule,
}
_WATCHED: Final = (*_OWN_READERS, JOBS, PODS)


class EventNumbers:
    """Numbers the events of a run, over all processes, so that a plan can name the one to drop."""

    def __init__(self) -> None:
        self.count = 0

    def next(self) -> int:
        """The number of the next event."""
        number = self.count
        self.count += 1
        return number


class WatchStreams:
    """One stream per kind, from `from_version` on; within a kind the order is kept, as the real one keeps it."""

    def __init__(
        self,
        server: ApiServer,
        informer: Informer,
        findings: Findings,
        *,
        plan: Plan,
        numbers: EventNumbers,
        faults: FaultSchedule,
        chance: Chance,
        owner: Mortal,
    ) -> None:
        self._server = server
        self._informer = informer
        self._findings = findings
        self._plan = plan
        self._numbers = numbers
        self._faults = faults
        self._chance = chance
        self._process = owner
        self._owner = owner.name
        self._last: dict[str, float] = {}
        self._is_open = False

    def open(self, from_version: int) -> None:
        """Bring what there was at that version, then everything since, then everything new."""
        self._is_open = True
        for plural in _WATCHED:
            for manifest in self._server.list_of(plural, at_version=from_version):
                if _is_watched(plural, manifest):
                    self._bring(plural, manifest, is_gone=False)
        for commit in self._server.commits[from_version:]:
            self._send(commit)
        self._server.observe(self._send)

    def close(self) -> None:
        """Bring nothing any more."""
        self._is_open = False

    def _send(self, commit: Commit) -> None:
        plural = commit.key[0]
        if not self._is_open or not _is_watched(plural, commit.after):
            return
        if self._is_lost(self._numbers.next()):
            self._faults.hit()
            return
        self._schedule(plural, commit)
        if self._plan.weather is Weather.ROUGH and self._chance.happens(0.15, "twice", self._owner):
            self._schedule(plural, commit)

    def _is_lost(self, number: int) -> bool:
        is_silent = (
            self._faults.is_on(Trouble.SILENCE)
            or self._faults.is_on(Trouble.API_DOWN)
            or self._process.is_cut_off
        )
        is_rough = self._plan.weather is Weather.ROUGH
        return (
            is_silent
            or number in self._plan.drop
            or (is_rough and self._chance.happens(0.15, "lost", self._owner))
        )

    def _schedule(self, plural: str, commit: Commit) -> None:
        loop = asyncio.get_running_loop()
        slowest = 0.05
        if self._plan.weather is Weather.ROUGH and self._chance.happens(0.2, "late", self._owner):
            slowest = 8.0
        delay = self._chance.between(0.002, slowest, "watch", self._owner, plural)
        when = max(loop.time() + delay, self._last.get(plural, 0.0) + 1e-6)
        self._last[plural] = when
        loop.call_at(when, self._bring_commit, plural, commit)

    def _bring_commit(self, plural: str, commit: Commit) -> None:
        if self._is_open:
            self._bring(plural, commit.after, is_gone=commit.type == DELETED)

    def _bring(self, plural: str, manifest: Manifest, *, is_gone: bool) -> None:
        informer = self._informer
        self._findings.told(Uid(manifest["metadata"]["uid"]))
        if plural == JOBS:
            (informer.missed_job if is_gone else informer.saw_job)(read_job(manifest))
        elif plural == PODS:
            (informer.missed_pod if is_gone else informer.saw_pod)(read_pod(manifest))
        else:
            (informer.missed if is_gone else informer.saw)(_OWN_READERS[plural](manifest))


def _is_watched(plural: str, manifest: Manifest) -> bool:
    if plural in _OWN_READERS:
        return True
    labels = manifest["metadata"].get("labels") or {}
    return plural in _WATCHED and labels.get(MANAGED_LABEL) == "true"
