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
