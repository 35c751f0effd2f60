"""Writing what a Proc's executions do into its status: now and then, and only what changed."""

from __future__ import annotations

from typing import Final

from proctor_operator.domain.errors import Conflict, NotFound
from proctor_operator.domain.objects import ObjectKey
from proctor_operator.domain.proc import Proc
from proctor_operator.ports.cluster import Cluster
from proctor_operator.reconcile.activity import activity_of
from proctor_operator.runtime.cache import ObjectCache

ACTIVITY_DELAY_SECONDS: Final = 30.0
"""From the first change until the write, and so between two writes, whatever happens in between."""


class ActivityRunner:
    """Nothing waits for it, and nothing is decided by what it writes."""

    def __init__(self, *, cache: ObjectCache, cluster: Cluster) -> None:
        self._cache = cache
        self._cluster = cluster

    async def run(self, key: ObjectKey) -> float | None:
        """Do one pass; returns the seconds after which to look again, or None."""
        proc = self._cache.proc(key.namespace, key.name)
        if not isinstance(proc, Proc):
            return None
        activity = activity_of(self._cache.activity.of(key), proc.activity)
        if activity == proc.activity:
            return None
        try:
            stored = await self._cluster.write_activity(proc, activity)
        except Conflict:
            return ACTIVITY_DELAY_SECONDS
        except NotFound:
            return None
        self._cache.refresh(stored)
        return None
