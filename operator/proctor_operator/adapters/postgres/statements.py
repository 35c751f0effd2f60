"""The SQL of a run's life: one statement for each write, so that each is one transaction."""

# ruff: noqa: S608 - what is put into these texts are column names of this package

from __future__ import annotations

from typing import Final

from proctor_operator.adapters.postgres.rows import (
    ALL_COLUMNS,
    OUTCOME_COLUMNS,
    REQUEST_COLUMNS,
)

_ROW: Final = ", ".join(ALL_COLUMNS)
_INSERTED: Final = (*REQUEST_COLUMNS, *OUTCOME_COLUMNS)
_INSERTED_VALUES: Final = ", ".join(f"${place}" for place in range(1, len(_INSERTED) + 1))
# The start is the fourth value of its statement, and stays where it was noted before.
_ENDED: Final = ", ".join(
    f"{column} = ${place}" for place, column in enumerate(OUTCOME_COLUMNS[1:], start=5)
)

# The run that is there is looked for first: a conflict would use up a number.
INSERT_RUN: Final = f"""
WITH present AS (
  SELECT {_ROW} FROM proctor.executions WHERE created_at = $1 AND uid = $2
), inserted AS (
  INSERT INTO proctor.executions ({", ".join(_INSERTED)})
  SELECT {_INSERTED_VALUES} WHERE NOT EXISTS (SELECT FROM present)
  ON CONFLICT (created_at, uid) DO NOTHING
  RETURNING {_ROW}
), noted AS (
  INSERT INTO proctor.transitions (created_at, uid, transition, phase, at)
  SELECT created_at, uid, 'Recorded', 'Pending', recorded_at FROM inserted
  UNION ALL
  SELECT created_at, uid, 'Ended', phase, completed_at FROM inserted WHERE phase IS NOT NULL
  ON CONFLICT DO NOTHING
)
SELECT {_ROW} FROM inserted UNION ALL SELECT {_ROW} FROM present
"""

# As above, and `is_waiting` behind the others; who claims holds the lock of its groups.
_CLAIMED: Final = (*_INSERTED, "is_waiting")
_CLAIMED_VALUES: Final = ", ".join(f"${place}" for place in range(1, len(_CLAIMED) + 1))
INSERT_CLAIMED: Final = f"""
WITH inserted AS (
  INSERT INTO proctor.executions ({", ".join(_CLAIMED)})
  VALUES ({_CLAIMED_VALUES})
  ON CONFLICT (created_at, uid) DO NOTHING
  RETURNING {_ROW}
), noted AS (
  INSERT INTO proctor.transitions (created_at, uid, transition, phase, at)
  SELECT created_at, uid, 'Recorded', 'Pending', recorded_at FROM inserted
  ON CONFLICT DO NOTHING
)
SELECT {_ROW} FROM inserted
"""

LOCK_GROUPS: Final = "SELECT pg_advisory_xact_lock(one) FROM unnest($1::bigint[]) AS one"

SELECT_RUN_TO_CLAIM: Final = f"""
SELECT {_ROW} FROM proctor.executions WHERE created_at = $1 AND uid = $2 FOR UPDATE
"""

SELECT_OCCUPANTS: Final = """
SELECT slots.group_key, created_at, uid, name, is_waiting, replaced_by
FROM proctor.slots JOIN proctor.executions USING (created_at, uid)
WHERE slots.group_key = ANY($1::text[]) AND phase IS NULL
ORDER BY created_at, uid
"""

PIN_COLUMNS: Final = (
    "arguments",
    "proc_uid",
    "proc_generation",
    "proc_spec",
    "granted_by",
    "fingerprint",
)
_PINNED: Final = ", ".join(
    f"{column} = ${place}" for place, column in enumerate(PIN_COLUMNS, start=3)
)
UPDATE_PIN: Final = f"""
UPDATE proctor.executions SET is_waiting = false, {_PINNED}
WHERE created_at = $1 AND uid = $2
RETURNING {_ROW}
"""

# In the order of the key: two that replace the same runs then wait for one another, and not in a ring.
MARK_REPLACED: Final = """
UPDATE proctor.executions SET replaced_by = $3
WHERE phase IS NULL AND replaced_by IS NULL AND (created_at, uid) IN (
  SELECT created_at, uid FROM proctor.executions
  WHERE (created_at, uid) IN (SELECT * FROM unnest($1::timestamptz[], $2::text[]))
  ORDER BY created_at, uid
  FOR UPDATE
)
"""

# The groups of a run that waits are others when its Proc was edited meanwhile.
WRITE_SLOTS: Final = """
WITH left_behind AS (
  DELETE FROM proctor.slots
  WHERE created_at = $1 AND uid = $2 AND group_key <> ALL ($3::text[])
)
INSERT INTO proctor.slots (group_key, created_at, uid)
SELECT one, $1, $2 FROM unnest($3::text[]) AS one
ON CONFLICT DO NOTHING
"""

SELECT_RUN: Final = f"SELECT {_ROW} FROM proctor.executions WHERE created_at = $1 AND uid = $2"

SELECT_BY_NUMBER: Final = f"SELECT {_ROW} FROM proctor.executions WHERE number = $1"

SELECT_BY_UID: Final = f"""
SELECT {_ROW} FROM proctor.executions WHERE uid = $1 ORDER BY number DESC LIMIT 1
"""

# Answers whether the run is in the record at all, as the next one does.
UPDATE_JOB: Final = """
WITH noted AS (
  UPDATE proctor.executions SET job_uid = $3
  WHERE created_at = $1 AND uid = $2 AND job_uid IS NULL AND phase IS NULL
)
SELECT EXISTS (SELECT FROM proctor.executions WHERE created_at = $1 AND uid = $2)
"""

UPDATE_STARTED: Final = """
WITH started AS (
  UPDATE proctor.executions
  SET job_uid = coalesce(job_uid, $3), started_at = $4
  WHERE created_at = $1 AND uid = $2 AND started_at IS NULL AND phase IS NULL
  RETURNING created_at, uid, started_at
), noted AS (
  INSERT INTO proctor.transitions (created_at, uid, transition, phase, at)
  SELECT created_at, uid, 'Started', 'Running', started_at FROM started
  ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM proctor.executions WHERE created_at = $1 AND uid = $2)
"""

# Answers with the row only where this call stored the outcome.
UPDATE_OUTCOME: Final = f"""
WITH ended AS (
  UPDATE proctor.executions
  SET job_uid = coalesce(job_uid, $3),
      started_at = coalesce(started_at, $4),
      {_ENDED}
  WHERE created_at = $1 AND uid = $2 AND phase IS NULL
  RETURNING {_ROW}
), noted AS (
  INSERT INTO proctor.transitions (created_at, uid, transition, phase, at)
  SELECT created_at, uid, 'Started', 'Running', started_at FROM ended
  WHERE started_at IS NOT NULL
  UNION ALL
  SELECT created_at, uid, 'Ended', phase, completed_at FROM ended
  ON CONFLICT DO NOTHING
), freed AS (
  DELETE FROM proctor.slots USING ended
  WHERE slots.created_at = ended.created_at AND slots.uid = ended.uid
)
SELECT {_ROW} FROM ended
"""

# The port's `is_earlier_run_of`. An index holds just these rows, which takes the same words there.
SELECT_EARLIER: Final = f"""
SELECT {_ROW} FROM proctor.executions
WHERE namespace = $1 AND name = $2 AND fingerprint = $3 AND uid <> $4
  AND fingerprint <> '' AND phase <> 'Refused' AND phase_reason <> 'AlreadyRun'
  AND (job_uid IS NOT NULL OR started_at IS NOT NULL OR phase = 'Lost')
ORDER BY number DESC LIMIT 1
"""

SELECT_RUNS: Final = f"SELECT {_ROW} FROM proctor.executions"

SELECT_TRANSITIONS: Final = """
SELECT transition, phase, at, recorded_at FROM proctor.transitions
WHERE created_at = $1 AND uid = $2 ORDER BY recorded_at, at
"""

SELECT_REVISION: Final = "SELECT version_num FROM proctor.alembic_version"
