"""Who answers admission reviews; the server that receives them knows no rule."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from proctor_operator.domain.review import Reply, Review


class ReviewDesk(Protocol):
    """Takes one review at a path; there are no other paths than these."""

    @property
    def paths(self) -> Collection[str]:
        """Each is `/STEP/RESOURCE` or `/STEP/RESOURCE/LEVEL`."""
        ...

    async def answer(self, path: str, review: Review) -> Reply:
        """Answer it; whoever calls sets the deadline."""
        ...
