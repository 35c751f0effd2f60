"""What lists find that watches should have told: the measure of how much the lists are needed."""

from __future__ import annotations

from collections import Counter
from typing import Final

import structlog

from proctor_operator.domain.naming import Uid
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.metrics import ClusterMetrics

GRACE_SECONDS: Final = 30.0
"""An event may be under way while a list is read; one that comes later than this came too late."""

log = structlog.get_logger(__name__)


class Findings:
    """A find is open until a watch tells of the same object, or until its time is over and it counts."""

    def __init__(self, metrics: ClusterMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._open: dict[Uid, tuple[str, float]] = {}

    def found(self, kind: str, uid: Uid) -> None:
        """A list has what the cache did not have, or lacks what it had."""
        self._open.setdefault(uid, (kind, self._clock.monotonic()))

    def told(self, uid: Uid) -> None:
        """A watch told of the object."""
        self._open.pop(uid, None)

    def settle(self) -> None:
        """Count the finds that no watch told of."""
        overdue = self._clock.monotonic() - GRACE_SECONDS
        missed = {uid: kind for uid, (kind, at) in self._open.items() if at <= overdue}
        for uid, kind in missed.items():
            del self._open[uid]
            self._metrics.resync_finding(kind)
        if missed:
            log.warning("Lists found what no watch told of", **Counter(missed.values()))
