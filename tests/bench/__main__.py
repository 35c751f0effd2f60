"""`python -m bench`: what `make bench` runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from bench.admission import measure_admission
from bench.load import Stuck, open_load
from bench.machine import describe
from bench.measuring import Bench, NotAllSucceeded
from bench.objects import a_cheap_proc, a_proc, a_proc_by_verb, an_endless_proc, the_verb_for
from bench.report import Results, render
from bench.schedules import NotOnce, TooLate, measure_schedules
from bench.stage import RUNS, Stage, the_stage
from harness.operator_process import OperatorError
from harness.requesters import plain
from localcluster.errors import LocalClusterError
from localpostgres.errors import LocalPostgresError
from proctor_operator.app.sections import RunSettings

PARTS = ("burst", "ramp", "schedules", "restart", "quiet", "admission")
_WARM_UP = 50
_TOLD = (
    LocalClusterError,
    LocalPostgresError,
    OperatorError,
    Stuck,
    NotAllSucceeded,
    NotOnce,
    TooLate,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a failure is said in words."""
    options = _parser().parse_args(arguments)
    try:
        with_webhook = options.admission or "admission" in options.parts
        with (
            tempfile.TemporaryDirectory() as folder,
            the_stage(
                Path(folder), with_webhook=with_webhook, rush_patience=options.rush_patience
            ) as stage,
        ):
            try:
                results = asyncio.run(_measure(stage, options))
            finally:
                if options.keep_log is not None:
                    options.keep_log.write_bytes(stage.operator.log.read_bytes())
    except _TOLD as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(render(results))
    if options.json is not None:
        options.json.write_text(json.dumps(results.as_json(), indent=2) + "\n")
    return 0


async def _measure(stage: Stage, options: argparse.Namespace) -> Results:
    results = Results(describe(stage.cluster), {**vars(options), "json": None, "keep_log": None})
    procs = a_proc(options.run_seconds), an_endless_proc(), a_cheap_proc(), a_proc_by_verb()
    stage.operator.apply(*procs)
    if stage.admission is not None:
        stage.have_admission(there=options.admission)
    async with open_load(stage.cluster, plain if options.admission else dict) as load:
        bench = Bench(stage, load, clients=options.clients)
        if "burst" in options.parts:
            await _bursts(bench, options, results)
        if "ramp" in options.parts:
            for per_second in options.ramp:
                _tell(f"{per_second:g} executions per second for {options.ramp_seconds:g} s")
                results.ramp.append(await bench.rung(per_second, options.ramp_seconds))
        if "schedules" in options.parts:
            count = options.schedules
            _tell(f"{count} CronJobs due in one minute, then {count} ProcSchedules")
            results.schedules = await measure_schedules(
                stage, load, bench, count=count, clients=options.clients
            )
        live = 0
        if "restart" in options.parts:
            live = options.live
            _tell(f"{live} executions that do not end")
            await bench.bring_to_life(live)
            _tell("restart")
            results.restart = await bench.restart(live)
        if "quiet" in options.parts:
            _tell(f"{options.quiet_seconds:g} s of quiet")
            results.quiet = await bench.quiet(options.quiet_seconds, live)
    if "admission" in options.parts:
        await _admission(stage, options, results)
    return results


async def _admission(stage: Stage, options: argparse.Namespace, results: Results) -> None:
    """The last part: its executions stay, and the operator is stopped for good."""
    _tell("creates without the webhook configurations and with them, by turns")
    stage.operator.apply(*the_verb_for("dba", RUNS))
    await asyncio.to_thread(stage.stop_operator)
    async with open_load(stage.cluster, plain) as load:
        results.admission = await measure_admission(
            stage,
            load,
            per_second=options.admission_rate,
            seconds=options.admission_seconds,
            rounds=options.rounds,
        )


async def _bursts(bench: Bench, options: argparse.Namespace, results: Results) -> None:
    _tell("warming up")
    await bench.job_burst(_WARM_UP)
    await bench.execution_burst(_WARM_UP)
    for number in range(1, options.rounds + 1):
        _tell(f"round {number}: {options.burst} raw Jobs, then {options.burst} executions")
        results.bursts.append(await bench.job_burst(options.burst))
        results.bursts.append(await bench.execution_burst(options.burst))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--burst", type=int, default=1000, help="size of a burst")
    parser.add_argument("--rounds", type=int, default=2, help="pairs of bursts, rounds of turns")
    parser.add_argument("--clients", type=int, default=20, help="clients that create a burst")
    parser.add_argument("--run-seconds", type=int, default=1, help="how long a pod runs")
    parser.add_argument(
        "--rush-patience",
        type=float,
        default=RunSettings().rush_patience_seconds,
        help="runs.rush_patience_seconds of the operator; 0 tells of every start at once",
    )
    parser.add_argument("--ramp", type=_rates, default=(5.0, 10.0, 20.0), help="rates, by comma")
    parser.add_argument("--ramp-seconds", type=float, default=20, help="how long each rate lasts")
    parser.add_argument("--schedules", type=int, default=1000, help="schedules due in one minute")
    parser.add_argument("--live", type=int, default=2000, help="live executions at the restart")
    parser.add_argument("--quiet-seconds", type=float, default=60, help="how long to look on")
    parser.add_argument(
        "--admission",
        action="store_true",
        help="have the webhook judge what the other parts create",
    )
    parser.add_argument("--admission-rate", type=float, default=50, help="creates per second")
    parser.add_argument("--admission-seconds", type=float, default=20, help="how long a turn lasts")
    parser.add_argument(
        "--parts", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)} (default: all)"
    )
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--keep-log", type=Path, help="file for the operator's log")
    return parser


def _rates(text: str) -> tuple[float, ...]:
    return tuple(float(one) for one in text.split(","))


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if not set(parts) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"some of {','.join(PARTS)}")
    return parts


def _tell(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
