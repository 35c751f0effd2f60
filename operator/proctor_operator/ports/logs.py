"""The output of containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from proctor_operator.domain.naming import Namespace


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where a log is asked for."""

    namespace: Namespace
    pod: str
    container: str


class PodLogs(Protocol):
    """Reads container logs through the API server, each line with its time in front."""

    def open(
        self, place: LogPlace, *, follows: bool, since: datetime | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Give the log as it comes; a `ClusterError` when it cannot be had, or breaks off.

        After a rotation by the kubelet it begins with the newest file. `since` is cut to whole seconds.
        A log that is followed ends when its container has ended, and with `ClusterUnavailable` after
        minutes of silence. It is opened when the first byte is there: the kubelet answers no sooner.
        """
        ...
