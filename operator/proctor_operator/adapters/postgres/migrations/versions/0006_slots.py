"""Slots of groups: which runs that have not ended a limit counts, and which wait for one."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Small: a row goes in the statement that stores the run's outcome, and a run without a limit has none.
SLOTS = """
CREATE TABLE proctor.slots (
  group_key   text        NOT NULL,
  created_at  timestamptz NOT NULL,
  uid         text        NOT NULL,
  PRIMARY KEY (group_key, created_at, uid)
)
"""

SLOTS_OF_A_RUN = "CREATE INDEX slots_of_a_run ON proctor.slots (created_at, uid)"

COLUMNS = (
    "ALTER TABLE proctor.executions ADD COLUMN is_waiting boolean NOT NULL DEFAULT false",
    "ALTER TABLE proctor.executions ADD COLUMN replaced_by text",
)

# What a run was started with is never written over; only who still waits has nothing pinned.
FINAL_PIN = """
CREATE FUNCTION proctor.refuse_second_pin() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'run % has its slot, and what it was started with never changes', OLD.number
    USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""

FINAL_PIN_TRIGGER = """
CREATE TRIGGER executions_pin_is_final
BEFORE UPDATE OF is_waiting, arguments, proc_uid, proc_generation, proc_spec, granted_by, fingerprint
ON proctor.executions
FOR EACH ROW WHEN (NOT OLD.is_waiting) EXECUTE FUNCTION proctor.refuse_second_pin()
"""


def upgrade() -> None:
    """Add a table, two columns that no row need be written for, and what guards the pin."""
    for statement in (SLOTS, SLOTS_OF_A_RUN, *COLUMNS, FINAL_PIN, FINAL_PIN_TRIGGER):
        op.execute(statement)
