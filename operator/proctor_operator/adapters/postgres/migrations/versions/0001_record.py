"""The record: executions and their transitions, partitioned by month of creation."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBERS = "CREATE SEQUENCE proctor.execution_numbers AS bigint"

# `number` has no unique constraint, which would have to hold the partition key: only the sequence
# gives it, and the run-time role may not write it.
EXECUTIONS = """
CREATE TABLE proctor.executions (
  created_at          timestamptz NOT NULL,
  uid                 text        NOT NULL,
  number              bigint      NOT NULL DEFAULT nextval('proctor.execution_numbers'),
  recorded_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  namespace           text        NOT NULL,
  name                text        NOT NULL,
  proc_name           text        NOT NULL,
  requester_username  text,
  requester_uid       text,
  requester_groups    jsonb,
  requester_extra     jsonb,
  requester_via       text,
  request_reason      text        NOT NULL,
  arguments           jsonb       NOT NULL,
  proc_uid            text,
  proc_generation     bigint,
  proc_spec           jsonb,
  granted_by          text        NOT NULL,
  job_uid             text,
  started_at          timestamptz,
  phase               text,
  phase_reason        text,
  phase_message       text,
  completed_at        timestamptz,
  exit_code           bigint,
  attempts            bigint,
  pod_name            text,
  image_id            text,
  result              text,
  PRIMARY KEY (created_at, uid),
  CONSTRAINT executions_outcome_is_whole CHECK (
    (phase IS NULL) = (phase_reason IS NULL)
    AND (phase IS NULL) = (phase_message IS NULL)
    AND (phase IS NULL) = (completed_at IS NULL)
  ),
  CONSTRAINT executions_pin_is_whole CHECK (
    (proc_uid IS NULL) = (proc_generation IS NULL) AND (proc_uid IS NULL) = (proc_spec IS NULL)
  )
) PARTITION BY RANGE (created_at)
"""

EXECUTIONS_INDEXES = (
    "CREATE INDEX executions_number ON proctor.executions (number DESC)",
    "CREATE INDEX executions_uid ON proctor.executions (uid)",
    """
    CREATE INDEX executions_namespace_number ON proctor.executions (namespace, number DESC)
    """,
    """
    CREATE INDEX executions_namespace_proc_number
    ON proctor.executions (namespace, proc_name, number DESC)
    """,
)

TRANSITIONS = """
CREATE TABLE proctor.transitions (
  created_at   timestamptz NOT NULL,
  uid          text        NOT NULL,
  transition   text        NOT NULL,
  phase        text        NOT NULL,
  at           timestamptz NOT NULL,
  recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (created_at, uid, transition)
) PARTITION BY RANGE (created_at)
"""

# They take what no month's partition takes: a restored object, a wrong clock, missed upkeep.
DEFAULT_PARTITIONS = (
    "CREATE TABLE proctor.executions_default PARTITION OF proctor.executions DEFAULT",
    "CREATE TABLE proctor.transitions_default PARTITION OF proctor.transitions DEFAULT",
)

# The statements see to it already; this holds against a mistake in a later release, too.
FINAL_OUTCOME = """
CREATE FUNCTION proctor.refuse_second_outcome() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'run % has its outcome, which never changes', OLD.number
    USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""

FINAL_OUTCOME_TRIGGER = """
CREATE TRIGGER executions_outcome_is_final BEFORE UPDATE ON proctor.executions
FOR EACH ROW WHEN (OLD.phase IS NOT NULL) EXECUTE FUNCTION proctor.refuse_second_outcome()
"""


def upgrade() -> None:
    """Create everything; the months' partitions are upkeep's, which runs after every migration."""
    for statement in (
        NUMBERS,
        EXECUTIONS,
        *EXECUTIONS_INDEXES,
        TRANSITIONS,
        *DEFAULT_PARTITIONS,
        FINAL_OUTCOME,
        FINAL_OUTCOME_TRIGGER,
    ):
        op.execute(statement)
