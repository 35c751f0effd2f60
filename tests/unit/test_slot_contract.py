"""The records that tests put in PostgreSQL's place keep what it promises of slots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from harness.slot_contract import CONTRACT
from proctor_operator.ports.records import Records
from unit.fakes import FakeRecords


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda one: one.__name__)
async def test_the_record_of_the_unit_tests_promises_that(
    promise: Callable[[Records], Awaitable[None]],
) -> None:
    await promise(FakeRecords())
