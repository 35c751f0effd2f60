"""The measurements, one function for each; what they promise stands in docs/benchmarks.md."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final

from bench.figures import Spread, between, each
from bench.load import CREATED, FINISHED, RUNNING, Arrivals, Load
from bench.machine import cpu_seconds
from bench.objects import ENDLESS_PROC, PROC, a_job_like, an_execution
from bench.stage import RAW, RUNS, Stage
from harness.operator_metrics import difference
from proctor_operator.adapters.kube.client import Resource
from proctor_operator.adapters.kube.cluster import EXECUTION_RESOURCE, JOB_RESOURCE

_POLL_SECONDS: Final = 0.1
_CALM_SECONDS: Final = 3.0


class NotAllSucceeded(Exception):
    """What did not run to its end cannot be measured."""


@dataclass(frozen=True, slots=True)
class Burst:
    """`count` of a kind at once. What is counted or used is per one of them."""

    kind: str
    count: int
    seconds: float
    per_second: float
    cpu_ms: dict[str, float]
    peak_mib: dict[str, float]
    served: dict[str, float]
    writes: dict[str, dict[str, float]]
    operator_requests: dict[str, float]
    operator_record_calls: dict[str, float]
    operator_watch_events: dict[str, float]
    operator_passes: float
    stall_ms: float
    """The longest stall of the operator's event loop since its start."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One rate of the ramp; times in seconds, from watch arrivals in the benchmark's process."""

    wanted_per_second: float
    count: int
    finished_per_second: float
    create_to_job: Spread
    job_end_to_final_status: Spread
    operator_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Restart:
    """A start with live executions: `settled_seconds` until nothing is left to do."""

    live: int
    ready_seconds: float
    settled_seconds: float
    peak_mib: float
    stall_ms: float
    stall_ms_before: float
    requests: dict[str, float]
    writes: dict[str, float]


@dataclass(frozen=True, slots=True)
class Quiet:
    """What the operator asks for while nothing happens."""

    seconds: float
    live: int
    writes: dict[str, int]
    requests: dict[str, float]
    cpu_seconds: float
    stall_ms: float


class Bench:
    """Measures on a stage; `run` numbers keep names apart."""

    def __init__(self, stage: Stage, load: Load, *, clients: int) -> None:
        self._stage = stage
        self._load = load
        self._clients = clients
        self._runs = 0

    async def job_burst(self, count: int) -> Burst:
        """Raw Jobs with the same pods as the executions' Jobs."""
        model = await self.a_job(PROC)
        names = self._names("raw", count)
        manifests = [a_job_like(model, name) for name in names]
        result = await self._burst("jobs", JOB_RESOURCE, RAW, manifests)
        await self._load.clear(RAW, JOB_RESOURCE)
        return result

    async def execution_burst(self, count: int) -> Burst:
        """Executions of one Proc."""
        manifests = [an_execution(name) for name in self._names("run", count)]
        result = await self._burst("executions", EXECUTION_RESOURCE, RUNS, manifests)
        await self.clear()
        return result

    async def rung(self, per_second: float, seconds: float) -> Rung:
        """Executions at a steady rate."""
        manifests = [
            an_execution(name) for name in self._names("ramp", round(per_second * seconds))
        ]
        before = self._stage.machine.usage()
        async with (
            self._load.following(EXECUTION_RESOURCE, RUNS) as executions,
            self._load.following(JOB_RESOURCE, RUNS) as jobs,
        ):
            await self._load.create_steadily(
                EXECUTION_RESOURCE, RUNS, manifests, per_second=per_second
            )
            await executions.until(FINISHED, len(manifests))
            cpu = cpu_seconds(before, self._stage.machine.usage())
        _require_success(executions)
        await self.clear()
        return Rung(
            wanted_per_second=per_second,
            count=len(manifests),
            finished_per_second=len(manifests) / _span(executions),
            create_to_job=Spread.of(between(executions.times[CREATED], jobs.times[CREATED])),
            job_end_to_final_status=Spread.of(
                between(jobs.times[FINISHED], executions.times[FINISHED])
            ),
            operator_cpu_ms=1000 * cpu["operator"] / len(manifests),
        )

    async def bring_to_life(self, count: int) -> None:
        """Executions that run until they are deleted."""
        manifests = [an_execution(name, ENDLESS_PROC) for name in self._names("live", count)]
        async with self._load.following(EXECUTION_RESOURCE, RUNS) as executions:
            await self._load.create_burst(
                EXECUTION_RESOURCE, RUNS, manifests, clients=self._clients
            )
            await executions.until(RUNNING, count)
        await self.settled()

    async def restart(self, live: int) -> Restart:
        """Stop the operator politely, start it, and see how long it takes to find its way."""
        stage = self._stage
        stall_before = stage.metrics().worst_stall()
        await asyncio.to_thread(stage.stop_operator)
        stage.audit.skip()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.to_thread(stage.start_operator)
        ready = loop.time() - began
        settled = await self.settled() - began
        metrics = stage.metrics()
        return Restart(
            live=live,
            ready_seconds=ready,
            settled_seconds=settled,
            peak_mib=stage.machine.usage()["operator"].peak_mib,
            stall_ms=1000 * metrics.worst_stall(),
            stall_ms_before=1000 * stall_before,
            requests=metrics.requests(),
            writes=dict(self._operator_writes()),
        )

    async def quiet(self, seconds: float, live: int) -> Quiet:
        """Do nothing, and see what the operator does."""
        stage = self._stage
        stage.audit.skip()
        requests, usage = stage.metrics().requests(), stage.machine.usage()
        await asyncio.sleep(seconds)
        spent = cpu_seconds(usage, stage.machine.usage())
        return Quiet(
            seconds=seconds,
            live=live,
            writes=dict(self._operator_writes()),
            requests=difference(requests, stage.metrics().requests()),
            cpu_seconds=spent["operator"],
            stall_ms=1000 * stage.metrics().worst_stall(),
        )

    async def clear(self) -> None:
        """Remove all executions with what belongs to them, and wait until the operator is calm."""
        await self._load.clear(RUNS, EXECUTION_RESOURCE)
        await self.settled()

    async def _burst(
        self, kind: str, resource: Resource, namespace: str, manifests: list[dict[str, object]]
    ) -> Burst:
        stage, count = self._stage, len(manifests)
        stage.audit.skip()
        stage.machine.forget_peaks()
        served, metrics, usage = stage.served(), stage.metrics(), stage.machine.usage()
        async with self._load.following(resource, namespace) as arrivals:
            began = asyncio.get_running_loop().time()
            await self._load.create_burst(resource, namespace, manifests, clients=self._clients)
            await arrivals.until(FINISHED, count)
            seconds = max(arrivals.times[FINISHED].values()) - began
        _require_success(arrivals)
        used = stage.machine.usage()
        await self.settled()
        counted = stage.metrics()
        return Burst(
            kind=kind,
            count=count,
            seconds=seconds,
            per_second=count / seconds,
            cpu_ms=each(_milliseconds(cpu_seconds(usage, used)), count),
            peak_mib={name: one.peak_mib for name, one in used.items()},
            served=each(difference(served, stage.served()), count),
            writes={who: each(done, count) for who, done in stage.audit.writes().items()},
            operator_requests=each(difference(metrics.requests(), counted.requests()), count),
            operator_record_calls=each(
                difference(metrics.record_calls(), counted.record_calls()), count
            ),
            operator_watch_events=each(
                difference(metrics.watch_events(), counted.watch_events()), count
            ),
            operator_passes=(counted.passes() - metrics.passes()) / count,
            stall_ms=1000 * counted.worst_stall(),
        )

    async def settled(self) -> float:
        """Wait until the operator has had nothing to do for a while; returns when that began."""
        loop = asyncio.get_running_loop()
        since, passes = loop.time(), -1.0
        while loop.time() - since < _CALM_SECONDS:
            metrics = await asyncio.to_thread(self._stage.metrics)
            now = metrics.passes()
            if now != passes or metrics.value("proctor_queue_depth"):
                since, passes = loop.time(), now
            await asyncio.sleep(_POLL_SECONDS)
        return since

    def _operator_writes(self) -> Counter[str]:
        return self._stage.audit.writes().get("proctor", Counter())

    async def a_job(self, proc: str) -> dict[str, object]:
        """The Job of one execution of that Proc, which is gone afterwards."""
        (name,) = self._names("model", 1)
        async with self._load.following(EXECUTION_RESOURCE, RUNS) as executions:
            await self._load.create(EXECUTION_RESOURCE, RUNS, an_execution(name, proc))
            await executions.until(FINISHED, 1)
        (job,) = self._stage.operator.list("jobs")
        await self.clear()
        return job

    def _names(self, prefix: str, count: int) -> list[str]:
        self._runs += 1
        return [f"{prefix}-{self._runs}-{number}" for number in range(count)]


def _milliseconds(seconds: dict[str, float]) -> dict[str, float]:
    return {name: 1000 * value for name, value in seconds.items()}


def _span(arrivals: Arrivals) -> float:
    return max(arrivals.times[FINISHED].values()) - min(arrivals.times[CREATED].values())


def _require_success(arrivals: Arrivals) -> None:
    others = {name: count for name, count in arrivals.endings.items() if name not in _GOOD}
    if others:
        raise NotAllSucceeded(f"ended otherwise: {others}")


_GOOD: Final = ("Complete", "Succeeded")
