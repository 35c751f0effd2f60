"""What every unit test gets."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """Keep what is logged for the test to look at; drawing tracebacks for nobody takes seconds."""
    with capture_logs() as entries:
        yield entries
