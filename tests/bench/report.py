"""The results for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.admission import AdmissionCost
from bench.figures import Spread, median
from bench.measuring import Burst, Quiet, Restart, Rung
from bench.schedules import DueTogether

Row = Sequence[str]
_WORTH_SAYING: Final = 0.01
_PROCESSES: Final = (
    "operator",
    "webhook",
    "postgresql",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
    "kube-scheduler",
    "kwok",
    "bench",
)


@dataclass
class Results:
    """Everything that one run measured; what was left out is empty."""

    machine: dict[str, str]
    options: dict[str, Any]
    bursts: list[Burst] = field(default_factory=list)
    ramp: list[Rung] = field(default_factory=list)
    schedules: list[DueTogether] = field(default_factory=list)
    restart: Restart | None = None
    quiet: Quiet | None = None
    admission: list[AdmissionCost] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The same, with the ratios that the table shows."""
        return {
            **asdict(self),
            "ratios": self.ratios(),
            "cpu_ratios": self.cpu_ratios(),
            "total_cpu_ratios": self.total_cpu_ratios(),
            "delay_ratios": self.delay_ratios(),
            "admission_added_ms": {one.allowed_by: one.added_ms() for one in self.admission},
        }

    def ratios(self) -> list[float]:
        """Rate of executions by the rate of the raw Jobs just before them, pair by pair."""
        return [runs.per_second / jobs.per_second for jobs, runs in self._pairs()]

    def cpu_ratios(self) -> list[float]:
        """CPU of the operator per execution by that of the controller manager per raw Job."""
        return [
            runs.cpu_ms["operator"] / jobs.cpu_ms["kube-controller-manager"]
            for jobs, runs in self._pairs()
        ]

    def total_cpu_ratios(self) -> list[float]:
        """CPU of all processes together for a raw Job by that for an execution.

        Where the processors are the limit, this is what the ratio of the rates tends to; it suffers
        less from what else the machine does.
        """
        return [
            sum(jobs.cpu_ms.values()) / sum(runs.cpu_ms.values()) for jobs, runs in self._pairs()
        ]

    def delay_ratios(self) -> dict[str, float]:
        """How late the Jobs of schedules are by how late those of CronJobs are."""
        if not self.schedules:
            return {}
        cron_jobs, schedules = (one.delay for one in self.schedules)
        return {"p50": schedules.p50 / cron_jobs.p50, "p99": schedules.p99 / cron_jobs.p99}

    def _pairs(self) -> list[tuple[Burst, Burst]]:
        jobs = [one for one in self.bursts if one.kind == "jobs"]
        runs = [one for one in self.bursts if one.kind == "executions"]
        return list(zip(jobs, runs, strict=False))


def render(results: Results) -> str:
    """The whole report as text."""
    parts = [_title("Machine"), _table(results.machine.items())]
    if results.bursts:
        parts += [_title("Bursts"), *_bursts(results)]
    if results.ramp:
        parts += [_title("Ramp (milliseconds)"), _ramp(results.ramp)]
    if results.schedules:
        parts += [_title("Due in one minute"), *_due(results)]
    if results.restart is not None:
        parts += [_title("Restart"), _restart(results.restart)]
    if results.quiet is not None:
        parts += [_title("Quiet"), _quiet(results.quiet)]
    if results.admission:
        parts += [_title("Admission (milliseconds)"), _admission(results.admission)]
    return "\n".join(parts)


def _bursts(results: Results) -> Iterable[str]:
    ratios, cpu, total = results.ratios(), results.cpu_ratios(), results.total_cpu_ratios()
    yield _table(
        [
            ("", *(f"{one.kind} {one.count}" for one in results.bursts)),
            ("finished per s", *(f"{one.per_second:.1f}" for one in results.bursts)),
            *(
                (f"CPU ms each: {name}", *(f"{one.cpu_ms[name]:.1f}" for one in results.bursts))
                for name in _processes(results.bursts[0].cpu_ms)
            ),
            *(
                (f"peak MiB: {name}", *(f"{one.peak_mib[name]:.0f}" for one in results.bursts))
                for name in ("operator", "webhook", "kube-controller-manager")
                if name in results.bursts[0].peak_mib
            ),
        ]
    )
    if ratios:
        yield f"\nrate, executions / jobs: {_listed(ratios)}, median {median(ratios):.2f}"
        yield f"CPU of everything, job / execution: {_listed(total)}, median {median(total):.2f}"
        yield f"CPU, operator / controller manager: {_listed(cpu)}, median {median(cpu):.2f}"
    last = {one.kind: one for one in results.bursts}
    for kind, burst in last.items():
        yield f"\nwrites for each of the {kind} (the last burst), by account:"
        yield _table((who, _counts(done)) for who, done in sorted(burst.writes.items()))
        yield f"all requests for each of them: {_counts(burst.served)}"
    if "executions" in last:
        burst = last["executions"]
        yield "\nof the operator, for each execution (the last burst):"
        yield _table(
            [
                ("requests", _counts(burst.operator_requests)),
                ("record", _counts(burst.operator_record_calls)),
                ("watch events", _counts(burst.operator_watch_events)),
                ("passes", f"{burst.operator_passes:.2f}"),
                ("longest stall ms", f"{burst.stall_ms:.0f}"),
            ]
        )


def _ramp(rungs: Sequence[Rung]) -> str:
    head = ("wanted/s", "finished/s", "create to Job", "end of Job to final status", "CPU each")
    return _table(
        [
            head,
            *(
                (
                    f"{one.wanted_per_second:g}",
                    f"{one.finished_per_second:.1f}",
                    _spread(one.create_to_job),
                    _spread(one.job_end_to_final_status),
                    f"{one.operator_cpu_ms:.1f}",
                )
                for one in rungs
            ),
        ]
    )


def _due(results: Results) -> Iterable[str]:
    both = results.schedules
    yield _table(
        [
            ("", *(f"{one.kind} {one.count}" for one in both)),
            ("until the Job, ms, p50 / p90 / p99", *(_spread(one.delay) for one in both)),
            ("longest", *(f"{1000 * one.delay.longest:.0f}" for one in both)),
            *(
                (f"CPU ms each: {name}", *(f"{one.cpu_ms[name]:.1f}" for one in both))
                for name in _processes(both[0].cpu_ms)
            ),
            ("operator's passes", *(f"{one.operator_passes:.2f}" for one in both)),
            ("longest stall ms", *(f"{one.stall_ms:.0f}" for one in both)),
        ]
    )
    ratios = results.delay_ratios().items()
    yield f"\ndelay, schedules / cronjobs: {', '.join(f'{name} {one:.2f}' for name, one in ratios)}"
    for one in both:
        yield f"\nwrites for each of the {one.kind}, by account:"
        yield _table((who, _counts(done)) for who, done in sorted(one.writes.items()))
    yield "\nof the operator, for each schedule:"
    yield _table(
        [
            ("requests", _counts(both[-1].operator_requests)),
            ("record", _counts(both[-1].operator_record_calls)),
        ]
    )


def _restart(restart: Restart) -> str:
    return _table(
        [
            ("live executions", str(restart.live)),
            ("ready after s", f"{restart.ready_seconds:.1f}"),
            ("settled after s", f"{restart.settled_seconds:.1f}"),
            ("peak MiB", f"{restart.peak_mib:.0f}"),
            ("longest stall ms, before", f"{restart.stall_ms_before:.0f}"),
            ("longest stall ms, since", f"{restart.stall_ms:.0f}"),
            ("requests", _counts(restart.requests)),
            ("writes", _counts(restart.writes) or "none"),
        ]
    )


def _quiet(quiet: Quiet) -> str:
    return _table(
        [
            ("seconds", f"{quiet.seconds:.0f}"),
            ("live executions", str(quiet.live)),
            ("writes, Lease renewals apart", _counts(quiet.writes) or "none"),
            ("requests", _counts(quiet.requests) or "none"),
            ("CPU s", f"{quiet.cpu_seconds:.1f}"),
            ("longest stall ms", f"{quiet.stall_ms:.0f}"),
        ]
    )


def _admission(costs: Sequence[AdmissionCost]) -> str:
    return _table(
        [
            ("allowed by", *(one.allowed_by for one in costs)),
            ("creates, judged", *(str(one.judged.count) for one in costs)),
            ("p50 / p90 / p99 without", *(_spread(one.unjudged, 1) for one in costs)),
            ("p50 / p90 / p99 with", *(_spread(one.judged, 1) for one in costs)),
            (
                "added",
                *(" / ".join(f"{ms:.1f}" for ms in one.added_ms().values()) for one in costs),
            ),
            ("added to p99, by round", *(_listed(one.added_p99_ms_by_round) for one in costs)),
            *(
                (f"in a review: {path}", *(f"{one.review_ms.get(path, 0):.1f}" for one in costs))
                for path in costs[0].review_ms
            ),
            ("reviews for each create", *(_counts(one.reviews) for one in costs)),
            ("webhook's requests for each", *(_counts(one.requests) for one in costs)),
            ("CPU of the webhook per review", *(f"{one.cpu_ms_per_review:.2f}" for one in costs)),
            *(
                (
                    f"CPU for each without, with: {name}",
                    *(
                        f"{one.cpu_ms_unjudged[name]:.1f}, {one.cpu_ms_judged[name]:.1f}"
                        for one in costs
                    ),
                )
                for name in _processes(costs[0].cpu_ms_judged)
            ),
        ]
    )


def _processes(used: Mapping[str, float]) -> Iterable[str]:
    return (name for name in _PROCESSES if name in used)


def _title(text: str) -> str:
    return f"\n{text}\n{'-' * len(text)}"


def _table(rows: Iterable[Row]) -> str:
    """Columns as wide as they need to be, the first to the left."""
    cells = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in (0, len(widths)) or len(row) == 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _counts(counts: Mapping[str, float]) -> str:
    shown = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(
        f"{name} {count:.2f}".removesuffix(".00") for name, count in shown if count >= _WORTH_SAYING
    )


def _spread(spread: Spread, digits: int = 0) -> str:
    values = (spread.p50, spread.p90, spread.p99)
    return " / ".join(f"{1000 * value:.{digits}f}" for value in values)


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)
