"""What the run-time role may do: write runs, note transitions, keep logs, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proctor_operator.adapters.postgres.chunks import CHUNK_COLUMNS
from proctor_operator.adapters.postgres.denials import DENIAL_COLUMNS
from proctor_operator.adapters.postgres.occurrences import (
    MARK_COLUMNS,
    OCCURRENCE_COLUMNS,
    PROGRESS_COLUMNS,
)
from proctor_operator.adapters.postgres.rows import OUTCOME_COLUMNS, REQUEST_COLUMNS
from proctor_operator.adapters.postgres.statements import PIN_COLUMNS
from proctor_operator.domain.errors import RecordRejected

if TYPE_CHECKING:
    import asyncpg

_INSERTED: Final = ", ".join((*REQUEST_COLUMNS, *OUTCOME_COLUMNS, "is_waiting"))
_NOTED: Final = "created_at, uid, transition, phase, at"
_KEPT: Final = ", ".join(CHUNK_COLUMNS)
# A trigger sees to it that the pin is written once.
_UPDATED: Final = ", ".join(
    ("job_uid", *OUTCOME_COLUMNS, "is_waiting", "replaced_by", *PIN_COLUMNS)
)

_PROGRESS: Final = ", ".join(PROGRESS_COLUMNS)
_CLAIMED: Final = ", ".join(OCCURRENCE_COLUMNS)
_MARKED: Final = ", ".join(MARK_COLUMNS)

_ROLE_EXISTS: Final = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"

# Numbers and times of recording come from the database alone. `{role}` is a quoted identifier.
_GRANTS: Final = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA proctor FROM {role}",
    "REVOKE ALL ON ALL SEQUENCES IN SCHEMA proctor FROM {role}",
    "REVOKE ALL ON SCHEMA proctor FROM {role}",
    "GRANT USAGE ON SCHEMA proctor TO {role}",
    "GRANT SELECT ON proctor.alembic_version TO {role}",
    "GRANT USAGE ON SEQUENCE proctor.execution_numbers TO {role}",
    f"GRANT SELECT, INSERT ({_INSERTED}), UPDATE ({_UPDATED}) ON proctor.executions TO {{role}}",
    f"GRANT SELECT, INSERT ({_NOTED}) ON proctor.transitions TO {{role}}",
    # The limit of a log's size takes chunks out of its middle; nothing else is ever deleted.
    f"GRANT SELECT, INSERT ({_KEPT}), DELETE ON proctor.log_chunks TO {{role}}",
    "GRANT SELECT, INSERT, DELETE ON proctor.slots TO {role}",
    f"GRANT SELECT, INSERT ({', '.join(DENIAL_COLUMNS)}) ON proctor.denials TO {{role}}",
    f"GRANT SELECT, INSERT ({_PROGRESS}), UPDATE ({_PROGRESS}) ON proctor.schedules TO {{role}}",
    f"GRANT SELECT, INSERT ({_CLAIMED}), UPDATE ({_MARKED}) ON proctor.occurrences TO {{role}}",
)


async def grant_to(connection: asyncpg.Connection, role: str) -> None:
    """Give `role` exactly the run-time rights, in one transaction.

    Raises `RecordRejected` when the role does not exist. The owner itself is left as it is.
    """
    if role == await connection.fetchval("SELECT current_user"):
        return
    if not await connection.fetchval(_ROLE_EXISTS, role):
        raise RecordRejected(f"the run-time role {role} does not exist: CREATE ROLE it with LOGIN")
    quoted = '"' + role.replace('"', '""') + '"'
    async with connection.transaction():
        for grant in _GRANTS:
            await connection.execute(grant.format(role=quoted))
