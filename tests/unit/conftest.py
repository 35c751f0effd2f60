"""What every unit test gets."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from structlog.testing import capture_logs

# A busy machine is no failure; `--hypothesis-profile=ci` draws the same examples every time.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """Keep what is logged for the test to look at; drawing tracebacks for nobody takes seconds."""
    with capture_logs() as entries:
        yield entries
