"""How far each schedule has come, and what came of each of its planned instants."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# One row for each ProcSchedule; whatever is planned up to `handled_until` has had its turn.
SCHEDULES = """
CREATE TABLE proctor.schedules (
  uid              text        PRIMARY KEY,
  namespace        text        NOT NULL,
  name             text        NOT NULL,
  timing           text        NOT NULL,
  is_suspended     boolean     NOT NULL,
  handled_until    timestamptz NOT NULL,
  last_occurrence  timestamptz,
  missed           bigint      NOT NULL,
  asked            text        NOT NULL,
  asked_since      timestamptz NOT NULL,
  updated_at       timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

# `created_at` is the planned instant: the partitions' upkeep goes by that name.
OCCURRENCES = """
CREATE TABLE proctor.occurrences (
  created_at      timestamptz NOT NULL,
  schedule_uid    text        NOT NULL,
  recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  namespace       text        NOT NULL,
  schedule_name   text        NOT NULL,
  execution_name  text        NOT NULL,
  state           text        NOT NULL,
  reason          text        NOT NULL,
  message         text        NOT NULL,
  execution_uid   text,
  PRIMARY KEY (created_at, schedule_uid)
) PARTITION BY RANGE (created_at)
"""

INDEXES = (
    "CREATE INDEX occurrences_by_schedule ON proctor.occurrences (schedule_uid, created_at DESC)",
    # Few rows at any time: what was claimed and is not made yet.
    """
    CREATE INDEX occurrences_open ON proctor.occurrences (schedule_uid, created_at)
    WHERE state = 'Claimed'
    """,
)

DEFAULT_PARTITION = (
    "CREATE TABLE proctor.occurrences_default PARTITION OF proctor.occurrences DEFAULT"
)


def upgrade() -> None:
    """Add two tables; the months' partitions are upkeep's, which runs after every migration."""
    for statement in (SCHEDULES, OCCURRENCES, *INDEXES, DEFAULT_PARTITION):
        op.execute(statement)
