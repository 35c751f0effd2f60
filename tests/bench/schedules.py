"""Schedules that are all due in the same minute: how late their Jobs are, beside those of CronJobs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.figures import Spread, each
from bench.load import CREATED, FINISHED, Arrivals, Load, Manifest, read_execution, read_job
from bench.machine import cpu_seconds
from bench.measuring import Bench
from bench.objects import CHEAP_PROC, a_cron_job, a_schedule
from bench.stage import RAW, RUNS, Stage
from harness.operator_metrics import difference
from proctor_operator.adapters.kube.client import Resource
from proctor_operator.adapters.kube.cluster import (
    EXECUTION_RESOURCE,
    JOB_RESOURCE,
    SCHEDULE_RESOURCE,
)

CRON_JOB_RESOURCE: Final = Resource("batch", "v1", "cronjobs")
CRON_JOBS: Final = "cronjobs"
SCHEDULES: Final = "schedules"

_CREATES_PER_SECOND: Final = 50
_MARGIN: Final = timedelta(seconds=15)
_MINUTE: Final = timedelta(minutes=1)
_IDLE_LOOKS: Final = 10
_POLL_SECONDS: Final = 0.1


class TooLate(Exception):
    """The minute came before everything was there that is due in it."""


class NotOnce(Exception):
    """Some ran never, or more than once; the message counts them."""


@dataclass(frozen=True, slots=True)
class DueTogether:
    """`count` of a kind, all due at one instant. What is counted or used is per one of them."""

    kind: str
    count: int
    delay: Spread
    """Seconds from the due instant until a watch brings the Job."""
    cpu_ms: dict[str, float]
    writes: dict[str, dict[str, float]]
    operator_requests: dict[str, float]
    operator_record_calls: dict[str, float]
    operator_passes: float
    stall_ms: float


async def measure_schedules(
    stage: Stage, load: Load, bench: Bench, *, count: int, clients: int
) -> list[DueTogether]:
    """CronJobs first, then ProcSchedules, with the same pods; each must have run once."""
    model = await bench.a_job(CHEAP_PROC)
    part = _Part(stage, load, bench, clients)
    names = [f"due-{number}" for number in range(count)]
    return [
        await part.cron_jobs(model, names),
        await part.schedules(names),
    ]


class _Part:
    def __init__(self, stage: Stage, load: Load, bench: Bench, clients: int) -> None:
        self._stage = stage
        self._load = load
        self._bench = bench
        self._clients = clients

    async def cron_jobs(self, model: Manifest, names: Sequence[str]) -> DueTogether:
        due = _minute_to_come(len(names))
        manifests = [a_cron_job(model, name, due) for name in names]
        async with self._load.following(JOB_RESOURCE, RAW, read_owned_job) as jobs:
            await self._create_before(due, CRON_JOB_RESOURCE, RAW, manifests)
            measured = await self._measure(CRON_JOBS, due, jobs, jobs, len(names))
        require_once(names, jobs.times[CREATED])
        await self._load.clear(RAW, CRON_JOB_RESOURCE)
        return measured

    async def schedules(self, names: Sequence[str]) -> DueTogether:
        due = _minute_to_come(len(names))
        manifests = [a_schedule(name, due) for name in names]
        async with (
            self._load.following(EXECUTION_RESOURCE, RUNS, read_planned_execution) as executions,
            self._load.following(JOB_RESOURCE, RUNS, read_owned_job) as jobs,
        ):
            await self._create_before(due, SCHEDULE_RESOURCE, RUNS, manifests)
            measured = await self._measure(SCHEDULES, due, jobs, executions, len(names))
        planned = executions.times[CREATED]
        require_once(names, planned)
        require_once([_second(one) for one in planned], jobs.times[CREATED])
        await self._load.clear(RUNS, SCHEDULE_RESOURCE, EXECUTION_RESOURCE)
        await self._bench.settled()
        return measured

    async def _create_before(
        self, due: datetime, resource: Resource, namespace: str, manifests: Sequence[Manifest]
    ) -> None:
        await self._load.create_burst(resource, namespace, manifests, clients=self._clients)
        await self._until_idle()
        if _now() >= due:
            raise TooLate(f"{len(manifests)} {resource.plural} took until after they were due")

    async def _measure(
        self, kind: str, due: datetime, jobs: Arrivals, ends: Arrivals, count: int
    ) -> DueTogether:
        """From the due instant until the last has ended and shows it; clean-up comes later and is not counted."""
        stage = self._stage
        due_at = asyncio.get_running_loop().time() + (due - _now()).total_seconds()
        stage.audit.skip()
        metrics, usage = stage.metrics(), stage.machine.usage()
        await asyncio.sleep(max(0.0, due_at - asyncio.get_running_loop().time()))
        await ends.until(FINISHED, count)
        used = stage.machine.usage()
        await self._until_idle()
        counted = stage.metrics()
        cpu = {name: 1000 * spent for name, spent in cpu_seconds(usage, used).items()}
        return DueTogether(
            kind=kind,
            count=count,
            delay=Spread.of([at - due_at for at in jobs.times[CREATED].values()]),
            cpu_ms=each(cpu, count),
            writes={who: each(done, count) for who, done in stage.audit.writes().items()},
            operator_requests=each(difference(metrics.requests(), counted.requests()), count),
            operator_record_calls=each(
                difference(metrics.record_calls(), counted.record_calls()), count
            ),
            operator_passes=(counted.passes() - metrics.passes()) / count,
            stall_ms=1000 * counted.worst_stall(),
        )

    async def _until_idle(self) -> None:
        """Wait until nothing waits in the operator's queue; looks of schedules at their clock go on for ever."""
        looks = 0
        while looks < _IDLE_LOOKS:
            metrics = await asyncio.to_thread(self._stage.metrics)
            looks = 0 if metrics.value("proctor_queue_depth") else looks + 1
            await asyncio.sleep(_POLL_SECONDS)


def read_owned_job(manifest: Manifest) -> tuple[str, Iterable[str], str]:
    """A Job by its owner's name and its own, so that a second one of the same owner is seen."""
    owner, states, ending = read_job(manifest)
    return f"{owner}/{manifest['metadata']['name']}", states, ending


def read_planned_execution(manifest: Manifest) -> tuple[str, Iterable[str], str]:
    """An execution by its schedule's name and its own."""
    name, states, phase = read_execution(manifest)
    schedule = manifest["spec"].get("scheduleRef", {}).get("name", "")
    return f"{schedule}/{name}", states, phase


def require_once(expected: Sequence[str], arrived: Iterable[str]) -> None:
    """Each of the expected owners has exactly one, and nobody else has any; or `NotOnce`."""
    found = Counter(one.partition("/")[0] for one in arrived)
    never = [name for name in expected if name not in found]
    twice = [name for name, times in found.items() if times > 1]
    strange = found.keys() - set(expected)
    if never or twice or strange:
        raise NotOnce(
            f"of {len(expected)}, {len(never)} never ran, {len(twice)} ran more than once, and "
            f"{len(strange)} ran that nobody asked for"
        )


def minute_to_come(now: datetime, count: int) -> datetime:
    """The next full minute that leaves enough time to create so many."""
    ready = now + _MARGIN + timedelta(seconds=count / _CREATES_PER_SECOND)
    return ready.replace(second=0, microsecond=0) + _MINUTE


def _minute_to_come(count: int) -> datetime:
    return minute_to_come(_now(), count)


def _second(planned: str) -> str:
    return planned.partition("/")[2]


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - CronJobs follow the real clock
