"""Procs as runs have them pinned, parsed once for all runs of a generation."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.model import parse
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import ProcSpec
from proctor_operator.domain.run import PinnedSpec, RecordedRun

REMEMBERED_AT_MOST: Final = 200


def pinned_spec(run: RecordedRun) -> ProcSpec | None:
    """Parse the Proc as it was recorded; None when there is none, or this release cannot read it."""
    if run.request.pinned is None:
        return None
    try:
        return parse(ProcSpec, run.request.pinned.spec, where="pinned proc")
    except Unreadable:
        return None


class Pins:
    """Thousands of live runs share a few Procs: one value of each is kept, not one for each run."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Uid, int], tuple[PinnedSpec, ProcSpec | None]] = (
            OrderedDict()
        )

    def share(self, run: RecordedRun) -> tuple[RecordedRun, ProcSpec | None]:
        """The run with the value that others have as well, and that value parsed.

        Only what is equal is shared: the record, and not a generation, says what is pinned.
        """
        pinned = run.request.pinned
        if pinned is None:
            return run, None
        key = pinned.uid, pinned.generation
        known = self._known.get(key)
        if known is None or known[0] != pinned:
            known = pinned, pinned_spec(run)
            self._known[key] = known
            if len(self._known) > REMEMBERED_AT_MOST:
                self._known.popitem(last=False)
        return replace(run, request=replace(run.request, pinned=known[0])), known[1]
