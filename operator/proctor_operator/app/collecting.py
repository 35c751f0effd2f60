"""When Python's garbage collector looks around: seldom, and never among what stays."""

from __future__ import annotations

import gc
from typing import Final

_NEW_OBJECTS: Final = 10_000
"""So many more than go, before the youngest are looked through; Python's own 700 come with every event."""
_YOUNG_ROUNDS: Final = 3
"""After so many, what survived them is looked through: with Python's ten rounds a stall of a sixth of a
second while thousands of executions come to life."""
_MIDDLE_ROUNDS: Final = 40


def leave_out_what_stays() -> None:
    """Take all that is loaded now out of every later collection.

    Call it when the modules are in memory, and again when the first list is, where there is one: to walk
    either takes a tenth of a second, in which the event loop stands still, and finds nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS, _MIDDLE_ROUNDS)
