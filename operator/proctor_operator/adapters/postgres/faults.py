"""Translates what asyncpg and the network raise into the operator's two faults, once."""

from __future__ import annotations

import asyncpg

from proctor_operator.domain.errors import Fault, RecordRejected, RecordUnavailable

DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # the network and TLS; TimeoutError is one
    EOFError,
)
"""Everything that using a connection can raise, apart from cancellation and our own mistakes."""

# SQLSTATE classes: data exception, integrity constraint violation, program limit exceeded.
_REFUSES_THE_ROW = ("22", "23", "54")
_CHECK_VIOLATION = "23514"
_READ_ONLY = "25006"
# Schema, table or column missing, or not granted: migrating is what makes and grants them.
_NOT_MIGRATED = ("3F000", "42P01", "42703", "42501")

MIGRATE_HINT = "run `proctor-operator migrate`"


def translate(error: Exception) -> Fault:
    """Say whether trying again can help (`RecordUnavailable`) or the row is at fault.

    The text of a refusal names the error and the constraint only: messages quote the row.
    """
    if isinstance(error, asyncpg.PostgresError):
        return _translate_answer(error)
    if isinstance(error, TimeoutError):
        return RecordUnavailable("PostgreSQL did not answer in time")
    return RecordUnavailable(f"PostgreSQL cannot be used: {type(error).__name__}: {error}")


def is_read_only(error: BaseException) -> bool:
    """Whether the server is a standby, or became one: its address must be looked up again."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == _READ_ONLY


def leaves_connection_usable(error: BaseException) -> bool:
    """Whether the server answered in full, so that the next statement may use the connection."""
    if isinstance(error, Fault):
        return True
    return isinstance(error, asyncpg.PostgresError) and not is_read_only(error)


def _translate_answer(error: asyncpg.PostgresError) -> Fault:
    state = error.sqlstate or ""
    constraint = getattr(error, "constraint_name", None)
    # The first line only: str(error) would add the details, which quote the row.
    said = f"{error.args[0] if error.args else type(error).__name__} (SQLSTATE {state})"
    if state in _NOT_MIGRATED:
        return RecordUnavailable(f"the schema does not fit this release: {said}: {MIGRATE_HINT}")
    if state == _CHECK_VIOLATION and constraint is None:
        # No constraint of ours: a partition was attached between routing and insert.
        return RecordUnavailable(f"partitions changed meanwhile: {said}")
    if state.startswith(_REFUSES_THE_ROW):
        return RecordRejected(
            f"PostgreSQL refuses the row: {type(error).__name__} (SQLSTATE {state}, "
            f"constraint {constraint or '-'})"
        )
    return RecordUnavailable(f"PostgreSQL said: {said}")
