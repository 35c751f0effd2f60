"""Indexes for every filter of a listing, newest first; see `listing` for why the number is negated."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

REPLACED = (
    "DROP INDEX proctor.executions_namespace_number",
    "DROP INDEX proctor.executions_namespace_proc_number",
)

INDEXES = (
    "CREATE INDEX executions_by_namespace ON proctor.executions (namespace, (-number))",
    """
    CREATE INDEX executions_by_namespace_proc
    ON proctor.executions (namespace, proc_name, (-number))
    """,
    """
    CREATE INDEX executions_by_namespace_phase
    ON proctor.executions (namespace, phase, (-number))
    """,
    "CREATE INDEX executions_by_proc ON proctor.executions (proc_name, (-number))",
    # A user name may be as long as an identity provider likes; an entry of an index may not.
    """
    CREATE INDEX executions_by_requester
    ON proctor.executions (left(requester_username, 200), (-number))
    """,
    "CREATE INDEX executions_by_phase ON proctor.executions (phase, (-number))",
)


def upgrade() -> None:
    """Build them; writers wait meanwhile, and executions say `RecordUnavailable`."""
    for statement in (*REPLACED, *INDEXES):
        op.execute(statement)
