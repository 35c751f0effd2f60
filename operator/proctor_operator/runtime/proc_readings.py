"""What the first review of a request read of a Proc, for the second one a moment later."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from proctor_operator.domain.naming import Namespace
from proctor_operator.domain.objects import UnreadableObject
from proctor_operator.domain.proc import Proc
from proctor_operator.ports.clock import Clock

KEPT_SECONDS: Final = 1.0
"""The API server asks the validating webhook milliseconds after the mutating one."""
READINGS_AT_MOST: Final = 1024

ReadProc = Proc | UnreadableObject


class ProcReadings:
    """Found by UID and generation: who asks after a change is stamped with the new one, and is read anew.

    So no verdict follows rules that were replaced before it was asked for.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._readings: OrderedDict[tuple[str, str, str, int], tuple[float, ReadProc]] = (
            OrderedDict()
        )

    def keep(self, proc: ReadProc) -> None:
        """Remember what was read just now."""
        key = (proc.namespace, proc.name, proc.uid, proc.generation)
        self._readings[key] = (self._clock.monotonic() + KEPT_SECONDS, proc)
        self._readings.move_to_end(key)
        while len(self._readings) > READINGS_AT_MOST:
            self._readings.popitem(last=False)

    def find(
        self, namespace: Namespace, name: str, uid: object, generation: object
    ) -> ReadProc | None:
        """The Proc of that UID and generation, if it was read not long ago."""
        if not isinstance(uid, str) or not isinstance(generation, int):
            return None
        until, proc = self._readings.get((namespace, name, uid, generation), (float("-inf"), None))
        return proc if self._clock.monotonic() < until else None
