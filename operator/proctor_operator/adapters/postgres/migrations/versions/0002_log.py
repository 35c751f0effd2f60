"""The output of runs, what became of it, and the fingerprint that recognises a run applied again."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The columns are empty in every row there is, so adding them rewrites nothing, and the check need
# not read the old rows.
SUMMARY = """
ALTER TABLE proctor.executions
  ADD COLUMN fingerprint        text    NOT NULL DEFAULT '',
  ADD COLUMN log_is_complete    boolean,
  ADD COLUMN log_reason         text,
  ADD COLUMN log_message        text,
  ADD COLUMN log_size           bigint,
  ADD COLUMN log_lines          bigint,
  ADD COLUMN log_dropped_lines  bigint,
  ADD COLUMN log_tail           text,
  ADD COLUMN log_is_tail_cut    boolean,
  ADD CONSTRAINT executions_log_is_whole CHECK (
    (phase IS NOT NULL OR log_is_complete IS NULL)
    AND (log_is_complete IS NULL) = (log_reason IS NULL)
    AND (log_is_complete IS NULL) = (log_message IS NULL)
    AND (log_is_complete IS NULL) = (log_size IS NULL)
    AND (log_is_complete IS NULL) = (log_lines IS NULL)
    AND (log_is_complete IS NULL) = (log_dropped_lines IS NULL)
    AND (log_is_complete IS NULL) = (log_is_tail_cut IS NULL)
    AND (log_is_complete IS NOT NULL OR log_tail IS NULL)
  ) NOT VALID
"""

# What `fetch_earlier` looks for; it repeats the condition word for word.
EARLIER = """
CREATE INDEX executions_earlier
ON proctor.executions (namespace, name, fingerprint, number DESC)
WHERE fingerprint <> '' AND phase <> 'Refused' AND phase_reason <> 'AlreadyRun'
  AND (job_uid IS NOT NULL OR started_at IS NOT NULL OR phase = 'Lost')
"""

LOG_CHUNKS = """
CREATE TABLE proctor.log_chunks (
  created_at   timestamptz NOT NULL,
  uid          text        NOT NULL,
  pod_uid      text        NOT NULL,
  container    text        NOT NULL,
  sequence     bigint      NOT NULL,
  first_line   bigint      NOT NULL,
  first_byte   bigint      NOT NULL,
  lines        bigint      NOT NULL,
  size         bigint      NOT NULL,
  first_at     timestamptz NOT NULL,
  last_at      timestamptz NOT NULL,
  recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  data         bytea       NOT NULL,
  PRIMARY KEY (created_at, uid, pod_uid, container, sequence)
) PARTITION BY RANGE (created_at)
"""

# The data comes compressed (zstd); trying again would cost the server time and gain nothing.
STORED_AS_IT_COMES = "ALTER TABLE proctor.log_chunks ALTER COLUMN data SET STORAGE EXTERNAL"

DEFAULT_PARTITION = (
    "CREATE TABLE proctor.log_chunks_default PARTITION OF proctor.log_chunks DEFAULT"
)


def upgrade() -> None:
    """Add to what is there; the months' partitions are upkeep's, which runs after every migration."""
    for statement in (SUMMARY, EARLIER, LOG_CHUNKS, STORED_AS_IT_COMES, DEFAULT_PARTITION):
        op.execute(statement)
