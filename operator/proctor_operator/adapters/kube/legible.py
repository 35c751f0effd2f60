"""One object that cannot be read holds up no other (I11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import Illegible

ReadT = TypeVar("ReadT")

UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    Unreadable,
)
"""What a reader of manifests raises for one that is not as the API server writes them."""


def read_if_legible(
    resource: str, read: Callable[[JsonObject], ReadT], manifest: JsonObject
) -> ReadT | Illegible:
    """Read; what its reader fails on comes back as that."""
    try:
        return read(manifest)
    except UNREADABLE as error:
        metadata = manifest["metadata"]
        # Without the words of the error, which may quote what stands there.
        why = type(error).__name__
        return Illegible(resource, metadata["name"], Uid(metadata["uid"]), why)
