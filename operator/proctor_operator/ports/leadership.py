"""Whether this process may act on the world."""

from __future__ import annotations

from typing import Protocol


class Leadership(Protocol):
    """Asked before each side effect, right before it: an answer is worth nothing a moment later."""

    def assert_leading(self) -> None:
        """Raise `NotLeading` unless this process, and no other, may write."""
        ...
