"""Between the domain's values and the columns of `proctor.executions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proctor_operator.adapters.postgres.cleaning import (
    MOST_MESSAGE_BYTES,
    MOST_RESULT_BYTES,
    MOST_TAIL_BYTES,
    clean_name,
    clean_text,
    clip,
    from_json,
    to_json,
)
from proctor_operator.domain.errors import RecordRejected
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.identity import Requester, Via
from proctor_operator.domain.log import LogSummary
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import (
    Outcome,
    PinnedSpec,
    RecordedRun,
    RunKey,
    RunRequest,
    Transition,
)

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

REQUEST_COLUMNS: Final = (
    "created_at",
    "uid",
    "namespace",
    "name",
    "proc_name",
    "requester_username",
    "requester_uid",
    "requester_groups",
    "requester_extra",
    "requester_via",
    "request_reason",
    "arguments",
    "proc_uid",
    "proc_generation",
    "proc_spec",
    "granted_by",
    "fingerprint",
)
OUTCOME_COLUMNS: Final = (
    "started_at",
    "phase",
    "phase_reason",
    "phase_message",
    "completed_at",
    "exit_code",
    "attempts",
    "pod_name",
    "image_id",
    "result",
    "log_is_complete",
    "log_reason",
    "log_message",
    "log_size",
    "log_lines",
    "log_dropped_lines",
    "log_tail",
    "log_is_tail_cut",
)
ALL_COLUMNS: Final = (
    *REQUEST_COLUMNS,
    *OUTCOME_COLUMNS,
    "number",
    "recorded_at",
    "job_uid",
    "is_waiting",
    "replaced_by",
)


def key_values(key: RunKey) -> tuple[datetime, str]:
    """Return the primary key; raises `RecordRejected` for a time without a zone."""
    return instant(key.created_at), clean_name(key.uid)


def request_values(request: RunRequest) -> tuple[object, ...]:
    """Return the values of `REQUEST_COLUMNS`."""
    pinned = request.pinned
    return (
        *key_values(request.key),
        clean_name(request.namespace),
        clean_name(request.name),
        clean_name(request.proc_name),
        *_requester_values(request.requester),
        clean_text(request.reason),
        to_json(request.arguments),
        None if pinned is None else clean_name(pinned.uid),
        None if pinned is None else pinned.generation,
        None if pinned is None else to_json(pinned.spec),
        clean_text(request.grant),
        clean_name(request.fingerprint),
    )


def outcome_values(outcome: Outcome | None) -> tuple[object, ...]:
    """Return the values of `OUTCOME_COLUMNS`, cut to the limits that `Outcome` states."""
    if outcome is None:
        return (None,) * len(OUTCOME_COLUMNS)
    if not outcome.phase.is_terminal:
        raise RecordRejected(f"phase {outcome.phase} is not an outcome")
    return (
        None if outcome.started_at is None else instant(outcome.started_at),
        outcome.phase.value,
        clean_name(outcome.reason),
        clip(outcome.message, MOST_MESSAGE_BYTES),
        instant(outcome.completed_at),
        outcome.exit_code,
        outcome.attempts,
        None if outcome.pod_name is None else clean_name(outcome.pod_name),
        None if outcome.image_id is None else clip(outcome.image_id, MOST_MESSAGE_BYTES),
        None if outcome.result is None else clip(outcome.result, MOST_RESULT_BYTES),
        *_log_values(outcome.log),
    )


def earlier_values(request: RunRequest) -> tuple[str, str, str, str]:
    """Return what recognises an object that was applied before, and the UID that it has now."""
    return (
        clean_name(request.namespace),
        clean_name(request.name),
        clean_name(request.fingerprint),
        clean_name(request.key.uid),
    )


def start_values(job_uid: Uid | None, started_at: datetime | None) -> tuple[object, object]:
    """Return the Job and the time it started, as they are stored."""
    return (
        None if job_uid is None else clean_name(job_uid),
        None if started_at is None else instant(started_at),
    )


def to_run(row: asyncpg.Record) -> RecordedRun:
    """Read a row of `ALL_COLUMNS`; raises `RecordRejected` when a newer release wrote it."""
    try:
        return RecordedRun(
            request=_to_request(row),
            number=row["number"],
            recorded_at=row["recorded_at"],
            job_uid=None if row["job_uid"] is None else Uid(row["job_uid"]),
            started_at=row["started_at"],
            outcome=_to_outcome(row),
            is_waiting=row["is_waiting"],
            replaced_by=row["replaced_by"] or "",
        )
    except ValueError as error:
        raise RecordRejected(
            f"run {row['number']} does not read back with this release: {error}"
        ) from None


def to_transition(row: asyncpg.Record) -> Transition:
    """Read a row of `proctor.transitions`; raises `RecordRejected` when a newer release wrote it."""
    try:
        phase = Phase(row["phase"])
    except ValueError as error:
        raise RecordRejected(
            f"a transition does not read back with this release: {error}"
        ) from None
    return Transition(row["transition"], phase, row["at"], row["recorded_at"])


def _to_request(row: asyncpg.Record) -> RunRequest:
    return RunRequest(
        key=RunKey(created_at=row["created_at"], uid=Uid(row["uid"])),
        namespace=Namespace(row["namespace"]),
        name=row["name"],
        proc_name=row["proc_name"],
        requester=_to_requester(row),
        reason=row["request_reason"],
        arguments=from_json(row["arguments"]),
        pinned=_to_pinned(row),
        grant=row["granted_by"],
        fingerprint=row["fingerprint"],
    )


def _requester_values(requester: Requester | None) -> tuple[object, ...]:
    if requester is None:
        return (None,) * 5
    return (
        clean_text(requester.username),
        clean_text(requester.uid),
        to_json(requester.groups),
        to_json(requester.extra),
        requester.via.value,
    )


def _to_requester(row: asyncpg.Record) -> Requester | None:
    if row["requester_username"] is None:
        return None
    extra = from_json(row["requester_extra"])
    return Requester(
        username=row["requester_username"],
        uid=row["requester_uid"],
        groups=tuple(from_json(row["requester_groups"])),
        extra={key: tuple(values) for key, values in extra.items()},
        via=Via(row["requester_via"]),
    )


def _to_pinned(row: asyncpg.Record) -> PinnedSpec | None:
    if row["proc_uid"] is None:
        return None
    return PinnedSpec(
        # A run uses the Proc it names, so the pin has no name of its own.
        name=row["proc_name"],
        uid=Uid(row["proc_uid"]),
        generation=row["proc_generation"],
        spec=from_json(row["proc_spec"]),
    )


def _to_outcome(row: asyncpg.Record) -> Outcome | None:
    if row["phase"] is None:
        return None
    return Outcome(
        phase=Phase(row["phase"]),
        reason=row["phase_reason"],
        message=row["phase_message"],
        completed_at=row["completed_at"],
        started_at=row["started_at"],
        exit_code=row["exit_code"],
        attempts=row["attempts"],
        pod_name=row["pod_name"],
        image_id=row["image_id"],
        result=row["result"],
        log=_to_log(row),
    )


def _log_values(log: LogSummary | None) -> tuple[object, ...]:
    if log is None:
        return (None,) * 8
    return (
        log.is_complete,
        clean_name(log.reason),
        clip(log.message, MOST_MESSAGE_BYTES),
        log.size,
        log.lines,
        log.dropped_lines,
        None if log.tail is None else clip(log.tail, MOST_TAIL_BYTES),
        log.is_tail_cut,
    )


def _to_log(row: asyncpg.Record) -> LogSummary | None:
    if row["log_is_complete"] is None:
        return None
    return LogSummary(
        is_complete=row["log_is_complete"],
        reason=row["log_reason"],
        message=row["log_message"],
        size=row["log_size"],
        lines=row["log_lines"],
        dropped_lines=row["log_dropped_lines"],
        tail=row["log_tail"],
        is_tail_cut=row["log_is_tail_cut"],
    )


def instant(moment: datetime) -> datetime:
    """Return a time that has its zone; raises `RecordRejected` otherwise."""
    # The driver would take a time without a zone for local time.
    if moment.tzinfo is None:
        raise RecordRejected(f"{moment.isoformat()} has no time zone")
    return moment
