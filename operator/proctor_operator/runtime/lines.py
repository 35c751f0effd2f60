"""Those that wait for slots, as far as this process knows: whom to wake when one is free.

A restart forgets all of it. Then everybody is looked at once, and stands in line again.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from proctor_operator.domain.concurrency import SlotClaim, Waits, owner_of
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.proc import ConcurrencyPolicy
from proctor_operator.domain.run import RunKey

_Place = tuple[datetime, Uid]


@dataclass(frozen=True, slots=True)
class _Standing:
    place: _Place
    claims: tuple[SlotClaim, ...]
    waits: Waits


class Lines:
    """One line for each group, in the order in which they are served; only the first is ever woken.

    `is_there` tells whether an execution is still known: who was torn away leaves without a word.
    """

    def __init__(self, wake: Callable[[Uid], None], is_there: Callable[[Uid], bool]) -> None:
        self._wake = wake
        self._is_there = is_there
        self._lines: dict[str, list[_Place]] = {}
        self._standing: dict[Uid, _Standing] = {}
        self._generations: dict[Uid, int] = {}

    def stand(self, key: RunKey, claims: tuple[SlotClaim, ...], waits: Waits) -> None:
        """This run waits."""
        place = key.created_at, key.uid
        known = self._standing.get(key.uid)
        if known is None or known.claims != claims:
            self.leave(key.uid)
            for claim in claims:
                insort(self._lines.setdefault(claim.group, []), place)
        self._standing[key.uid] = _Standing(place, claims, waits)

    def leave(self, uid: Uid) -> None:
        """This run waits no longer, and who stood behind it may be next."""
        standing = self._standing.pop(uid, None)
        if standing is None:
            return
        groups = [claim.group for claim in standing.claims]
        for group in groups:
            self._take_out(group, standing.place)
        self.freed(groups)

    def freed(self, groups: Iterable[str]) -> None:
        """There may be room in these groups."""
        for group in groups:
            first = next(iter(self._first(group, 1)), None)
            if first is not None:
                self._wake(first)

    def freed_somewhere(self) -> None:
        """There may be room, and nobody can tell where."""
        self.freed(tuple(self._lines))

    def rules_changed(self, owner: Uid, generation: int) -> None:
        """The Proc or the schedule of that UID may say otherwise now: all that wait for it look again."""
        lines = [line for group, line in self._lines.items() if owner_of(group) == owner]
        known = self._generations.pop(owner, None)
        if not lines:
            return
        self._generations[owner] = generation
        if generation != known:
            for uid in [uid for line in lines for _, uid in line]:
                self._wake(uid)

    def remembered(self, uid: Uid, claims: tuple[SlotClaim, ...]) -> Waits | None:
        """What was said last, if so many stand before it that it need not be asked again."""
        known = self._standing.get(uid)
        if known is None or known.claims != claims:
            return None
        is_behind = any(
            uid not in self._first(claim.group, claim.limit)
            for claim in claims
            if claim.policy is ConcurrencyPolicy.QUEUE
        )
        # Who has ended since is nobody to look for.
        return replace(known.waits, holders=(), ahead=()) if is_behind else None

    def _first(self, group: str, most: int) -> list[Uid]:
        """The first that are still there; who is not is forgotten."""
        found: list[Uid] = []
        gone: list[_Place] = []
        for place in self._lines.get(group, ()):
            if len(found) == most:
                break
            if self._is_there(place[1]):
                found.append(place[1])
            else:
                gone.append(place)
        for place in gone:
            self._standing.pop(place[1], None)
            self._take_out(group, place)
        return found

    def _take_out(self, group: str, place: _Place) -> None:
        line = self._lines.get(group, [])
        if place in line:
            line.remove(place)
        if not line:
            self._lines.pop(group, None)
