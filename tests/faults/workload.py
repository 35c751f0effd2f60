"""What happens to executions: drawn by a seed beforehand, and noted as it comes about.

The fates are the plan, the truths what became of it in the world; the oracle judges by the truths.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from random import Random
from typing import Final

from faults.admin import EXECUTIONS, Admin, Manifest, Round
from harness.running import execution
from localcluster.apiclient import ApiError

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
PROC: Final = "work"
HASTY_PROC: Final = "hasty"
"""One whose first container must start within `HASTY_SECONDS`."""
HASTY_SECONDS: Final = 4
NEVER: Final = float("inf")


class Stop(Enum):
    """What a person does to an execution that is under way."""

    CANCEL = "cancel"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Fate:
    """The plan of one execution; times in seconds.

    `at` counts from the begin of the load, `starts_after` from the first sight of the pod, `runs_for`
    from the container's start, `stops_after` from the execution's creation. A container that starts
    `NEVER` is one of the hasty proc, or it would be waited for long.
    """

    name: str
    of: str = PROC
    at: float = 0.0
    exit_code: int = 0
    starts_after: float = 0.0
    runs_for: float = 0.5
    stop: Stop | None = None
    stops_after: float = 0.0


@dataclass(slots=True)
class Truth:
    """What really became of an execution.

    `exit_codes` are those that the API server took from the kubelet, by pod; `may_have_ended` holds
    when a report was sent whose answer never came. `lost_its_namespace`: everything there was deleted.
    `is_under_retention`: the operator may delete it when it is over.
    """

    fate: Fate
    uid: str = ""
    pods: set[str] = field(default_factory=set)
    exit_codes: dict[str, int] = field(default_factory=dict)
    may_have_ended: bool = False
    was_stopped: bool = False
    lost_its_namespace: bool = False
    is_under_retention: bool = False


@dataclass(frozen=True, slots=True)
class Mix:
    """How many of a hundred fail, are cancelled and are deleted; the rest succeed."""

    failed: int = 20
    cancelled: int = 15
    deleted: int = 15


EVERYTHING: Final = Mix()


def draw(
    random: Random, count: int, *, over_seconds: float, prefix: str, mix: Mix = EVERYTHING
) -> list[Fate]:
    """Draw the fates of so many executions, created at random moments of that time."""
    return [_draw_one(random, f"{prefix}-{number}", over_seconds, mix) for number in range(count)]


def _draw_one(random: Random, name: str, over_seconds: float, mix: Mix) -> Fate:
    lot = random.uniform(0, 100)
    fate = Fate(
        name,
        at=random.uniform(0, over_seconds),
        starts_after=random.choice((0.0, random.uniform(0.2, 1.5))),
        runs_for=random.choice((0.0, random.uniform(0.2, 1), random.uniform(1, 4))),
    )
    if lot < mix.failed:
        return replace(fate, exit_code=random.randint(1, 125))
    lot -= mix.failed
    if lot < mix.cancelled + mix.deleted:
        stop = Stop.CANCEL if lot < mix.cancelled else Stop.DELETE
        return replace(fate, stop=stop, stops_after=random.uniform(0, 4))
    return fate


class People(Round):
    """Creates, cancels and deletes executions when their time has come; repeats what was not answered."""

    def __init__(self, admin: Admin) -> None:
        super().__init__("people", interval=0.02)
        self._admin = admin
        self._agenda: list[tuple[float, int, Truth]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self._agenda

    def expect(self, truths: Iterable[Truth]) -> None:
        """Put executions on the agenda; their times count from now."""
        now = time.monotonic()
        for truth in truths:
            self._plan(now + truth.fate.at, truth)

    def work(self) -> None:
        """Do what is due; what fails stays on the agenda."""
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            entry = self._agenda[0]
            self._act(entry[2])
            with self._lock:
                self._agenda.remove(entry)
                heapq.heapify(self._agenda)

    def _plan(self, at: float, truth: Truth) -> None:
        with self._lock:
            heapq.heappush(self._agenda, (at, next(self._numbers), truth))

    def _act(self, truth: Truth) -> None:
        if truth.uid:
            truth.was_stopped = True
            self._stop(truth)
            return
        truth.uid = self._create(truth.fate)["metadata"]["uid"]
        if truth.fate.stop is not None:
            self._plan(time.monotonic() + truth.fate.stops_after, truth)

    def _create(self, fate: Fate) -> Manifest:
        try:
            return self._admin.create(EXECUTIONS, execution(fate.name, of=fate.of))
        except ApiError as problem:
            if problem.status != _CONFLICT:
                raise
            # The answer to an earlier try was lost.
            return self._admin.request("GET", f"{EXECUTIONS}/{fate.name}")

    def _stop(self, truth: Truth) -> None:
        try:
            if truth.fate.stop is Stop.CANCEL:
                self._admin.patch(EXECUTIONS, truth.fate.name, {"spec": {"cancel": True}})
            else:
                self._admin.request("DELETE", f"{EXECUTIONS}/{truth.fate.name}")
        except ApiError as problem:
            if problem.status != _NOT_FOUND:
                raise
