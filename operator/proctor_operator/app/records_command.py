"""`proctor-operator records`: the record for admins, until the history API is there."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.postgres.denials import PostgresDenials
from proctor_operator.adapters.postgres.logs import PostgresLogs
from proctor_operator.adapters.postgres.pool import RecordPool
from proctor_operator.adapters.postgres.records import PostgresRecords
from proctor_operator.app.clock import SystemClock
from proctor_operator.app.log_printing import LogPrinter, LogWanted, what_became_of_the_log
from proctor_operator.app.settings import Settings
from proctor_operator.app.wiring import postgres_options
from proctor_operator.domain.denial import Denial
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.model import Model, format_timestamp
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.run import RecordedRun
from proctor_operator.domain.text import readable
from proctor_operator.ports.records import (
    DenialFilter,
    DenialReader,
    LogStore,
    RecordReader,
    RunFilter,
)

_COLUMNS = (
    "NUMBER",
    "NAMESPACE",
    "NAME",
    "PROC",
    "REQUESTER",
    "PHASE",
    "REASON",
    "RECORDED",
    "ENDED",
)


_MOST = 2**63 - 1
"""The highest number that the record can give."""

_DENIAL_COLUMNS = (
    "DENIED",
    "NAMESPACE",
    "RESOURCE",
    "NAME",
    "PROC",
    "REQUESTER",
    "REASON",
    "MESSAGE",
)


def add_records_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `list`, `denials`, `show` and `log`."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="runs, newest first")
    listing.add_argument("--namespace", "-n")
    listing.add_argument("--proc", help="name of the proc")
    listing.add_argument("--requester", help="user name of who asked")
    listing.add_argument("--phase", choices=[phase.value for phase in Phase])
    listing.add_argument("--since", type=_moment, metavar="TIME", help="created then or later")
    listing.add_argument(
        "--until",
        type=_moment,
        metavar="TIME",
        help="created before (2026-11-30, 2026-11-30T12:00Z)",
    )
    listing.add_argument(
        "--before", type=_count, metavar="NUMBER", help="continue below this number"
    )
    listing.add_argument("--limit", type=_limit, default=50, help="most rows (1 to 1000)")
    listing.add_argument("--output", "-o", choices=["table", "json"], default="table")
    denials = commands.add_parser("denials", help="what admission turned away, newest first")
    denials.add_argument("--namespace", "-n")
    denials.add_argument("--proc", help="name of the proc")
    denials.add_argument("--requester", help="user name of who asked")
    denials.add_argument("--since", type=_moment, metavar="TIME", help="denied then or later")
    denials.add_argument("--until", type=_moment, metavar="TIME", help="denied before")
    denials.add_argument("--limit", type=_limit, default=50, help="most rows (1 to 1000)")
    denials.add_argument("--output", "-o", choices=["table", "json"], default="table")
    show = commands.add_parser(
        "show", help="one run: its arguments, the proc as it was, its transitions and its end"
    )
    log = commands.add_parser("log", help="the output that is kept of a run")
    log.add_argument("--timestamps", action="store_true", help="with the time of each line")
    log.add_argument("--container", "-c", help="of this container only")
    part = log.add_mutually_exclusive_group()
    part.add_argument("--attempt", type=_count, help="of the first, second .. pod only")
    part.add_argument("--pod", metavar="UID", help="of this pod only")
    for command in (show, log):
        command.add_argument("run", type=_number_or_uid, help="its number, or the execution's UID")


async def run_records(parsed: argparse.Namespace, settings: Settings) -> int:
    """Print what was asked for; returns 1 when a run is not in the record, or has no such output."""
    options = postgres_options(settings.postgres)
    try:
        async with RecordPool(options, PrometheusMetrics(), SystemClock()) as pool:
            if parsed.command == "denials":
                await _list_denials(parsed, PostgresDenials(pool))
                return 0
            return await _answer(parsed, PostgresRecords(pool), PostgresLogs(pool))
    except BrokenPipeError:
        # Whoever read has enough (`| head`); what is left in the buffer must not fail at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


async def _answer(parsed: argparse.Namespace, records: RecordReader, logs: LogStore) -> int:
    if parsed.command == "list":
        _list(await records.list_runs(_filter(parsed)), as_json=parsed.output == "json")
        return 0
    run = await records.find_run(parsed.run)
    if run is None:
        return _complain(f"the record has no run {parsed.run}")
    if parsed.command == "log":
        return await _print_log(parsed, run, logs)
    transitions = await records.list_transitions(run.request.key)
    shown = {**asdict(run), "transitions": [asdict(one) for one in transitions]}
    sys.stdout.write(_as_json(shown) + "\n")
    return 0


def _list(runs: Sequence[RecordedRun], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(_as_json([asdict(run) for run in runs]) + "\n")
    else:
        sys.stdout.write(_as_table([_COLUMNS, *(_row(run) for run in runs)]))


async def _list_denials(parsed: argparse.Namespace, denials: DenialReader) -> None:
    wanted = DenialFilter(
        namespace=None if parsed.namespace is None else Namespace(parsed.namespace),
        proc_name=parsed.proc,
        requester=parsed.requester,
        denied_from=parsed.since,
        denied_before=parsed.until,
        limit=parsed.limit,
    )
    found = await denials.list_denials(wanted)
    if parsed.output == "json":
        sys.stdout.write(_as_json([asdict(one) for one in found]) + "\n")
    else:
        sys.stdout.write(_as_table([_DENIAL_COLUMNS, *(_denial_row(one) for one in found)]))


async def _print_log(parsed: argparse.Namespace, run: RecordedRun, logs: LogStore) -> int:
    spans = await logs.log_spans(run.request.key)
    wanted = LogWanted(parsed.attempt, Uid(parsed.pod) if parsed.pod else None, parsed.container)
    chosen = wanted.choose(spans)
    if spans and not chosen:
        there = {f"pod {one.source.pod_uid} container {one.source.container}" for one in spans}
        return _complain(f"run {run.number} kept no such output, only {', '.join(sorted(there))}")
    printer = LogPrinter(
        sys.stdout.buffer,
        _tell,
        with_times=parsed.timestamps,
        is_terminal=sys.stdout.isatty(),
    )
    await printer.print_log(logs, run.request.key, chosen)
    _tell(what_became_of_the_log(run, has_lines=bool(spans)))
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(_on_one_line(text) + "\n")


def _complain(text: str) -> int:
    _tell(f"proctor-operator: {text}")
    return 1


def _filter(parsed: argparse.Namespace) -> RunFilter:
    return RunFilter(
        namespace=None if parsed.namespace is None else Namespace(parsed.namespace),
        proc_name=parsed.proc,
        requester=parsed.requester,
        phase=Phase(parsed.phase) if parsed.phase else None,
        created_from=parsed.since,
        created_before=parsed.until,
        before_number=parsed.before,
        limit=parsed.limit,
    )


def _number_or_uid(text: str) -> int | Uid:
    return _number(text) if text.isdecimal() else Uid(text)


def _number(text: str) -> int:
    """What is longer than any number of the record is none either, and int() may refuse it."""
    return int(text.lstrip("0")[: len(str(_MOST)) + 1] or "0")


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= _number(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 1000")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= _number(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {_MOST}")
    return _number(text)


def _moment(text: str) -> datetime:
    """A day or a time of ISO 8601; without a zone it is UTC, as everything in the record."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text} is not like 2026-11-30T12:00Z") from None


def _row(run: RecordedRun) -> tuple[str, ...]:
    outcome = run.outcome
    phase = Phase.RUNNING if run.started_at else Phase.PENDING
    return (
        str(run.number),
        run.request.namespace,
        run.request.name,
        run.request.proc_name,
        run.request.requester.username if run.request.requester else "-",
        (outcome.phase if outcome else phase).value,
        outcome.reason if outcome else "-",
        format_timestamp(run.recorded_at),
        format_timestamp(outcome.completed_at) if outcome else "-",
    )


def _denial_row(denial: Denial) -> tuple[str, ...]:
    return (
        format_timestamp(denial.denied_at),
        denial.namespace or "-",
        denial.resource,
        denial.name or "-",
        denial.proc or "-",
        denial.requester.username,
        denial.reason,
        denial.message,
    )


def _as_table(texts: Sequence[Sequence[str]]) -> str:
    rows = [[_on_one_line(text) for text in row] for row in texts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _on_one_line(text: str) -> str:
    """User names are foreign text: nothing in them moves a terminal's cursor or forges a row."""
    return readable(text.encode(errors="replace")).replace("\n", "\\n").replace("\t", "\\t")


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, Model):
        return value.model_dump(mode="json", by_alias=True)
    return str(value)
