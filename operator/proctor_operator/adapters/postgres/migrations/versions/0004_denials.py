"""What admission turned away, partitioned by month as the runs are."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# `created_at` is the time of the denial: the partitions' upkeep goes by that name.
DENIALS = """
CREATE TABLE proctor.denials (
  created_at          timestamptz NOT NULL,
  review_uid          text        NOT NULL,
  recorded_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  operation           text        NOT NULL,
  resource            text        NOT NULL,
  namespace           text        NOT NULL,
  name                text        NOT NULL,
  proc_name           text        NOT NULL,
  requester_username  text        NOT NULL,
  requester_uid       text        NOT NULL,
  requester_groups    jsonb       NOT NULL,
  reason              text        NOT NULL,
  message             text        NOT NULL,
  PRIMARY KEY (created_at, review_uid)
) PARTITION BY RANGE (created_at)
"""

INDEXES = (
    "CREATE INDEX denials_by_time ON proctor.denials (created_at DESC)",
    "CREATE INDEX denials_by_namespace ON proctor.denials (namespace, created_at DESC)",
)

DEFAULT_PARTITION = "CREATE TABLE proctor.denials_default PARTITION OF proctor.denials DEFAULT"


def upgrade() -> None:
    """Add a table; the months' partitions are upkeep's, which runs after every migration."""
    for statement in (DENIALS, *INDEXES, DEFAULT_PARTITION):
        op.execute(statement)
