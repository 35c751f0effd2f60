"""What admission adds to a create: the same creates with the webhook configurations and without, by turns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.figures import Spread, each
from bench.load import Load
from bench.machine import cpu_seconds
from bench.objects import PROC, PROC_BY_VERB, an_execution
from bench.stage import RUNS, Stage
from harness.operator_metrics import OperatorMetrics, difference
from proctor_operator.adapters.kube.cluster import EXECUTION_RESOURCE

RULES: Final = {"groups": PROC, "rbac": PROC_BY_VERB}
"""What allows the requester, and the Proc that says so."""
_WARM_UP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Turn:
    """Creates at a steady rate: the seconds that each took, and what all of them together used."""

    allowed_by: str
    is_judged: bool
    seconds: tuple[float, ...]
    cpu_seconds: Mapping[str, float]
    requests: Mapping[str, float]
    reviews: Mapping[str, float]
    review_seconds: Mapping[str, float]
    """Sums, by webhook as the reviews."""


@dataclass(frozen=True, slots=True)
class AdmissionCost:
    """One rule: creates without the webhook configurations and with them; latencies in seconds.

    `requests` of the webhook's account and `reviews` are per create, `review_ms` and `cpu_ms_per_review`
    per review, `cpu_ms` of all processes per create.
    """

    allowed_by: str
    unjudged: Spread
    judged: Spread
    added_p99_ms_by_round: list[float]
    requests: dict[str, float]
    reviews: dict[str, float]
    review_ms: dict[str, float]
    cpu_ms_per_review: float
    cpu_ms_unjudged: dict[str, float]
    cpu_ms_judged: dict[str, float]

    def added_ms(self) -> dict[str, float]:
        """How much later the answer comes, percentile by percentile."""
        return {
            name: 1000 * (getattr(self.judged, name) - getattr(self.unjudged, name))
            for name in ("p50", "p90", "p99")
        }


async def measure_admission(
    stage: Stage, load: Load, *, per_second: float, seconds: float, rounds: int
) -> list[AdmissionCost]:
    """Each rule without and with the configurations, round by round; the controller is stopped.

    Nothing takes the executions away again: that is the controller's to do.
    """
    taking = _Turns(stage, load, per_second)
    turns = [
        await taking.one(rule, seconds, is_judged=is_judged)
        for _ in range(rounds)
        for is_judged in (False, True)
        for rule in RULES
    ]
    return [cost_of(rule, turns) for rule in RULES]


def cost_of(allowed_by: str, turns: Iterable[Turn]) -> AdmissionCost:
    """Sum the turns of one rule up; those of one round stand in pairs."""
    mine = [turn for turn in turns if turn.allowed_by == allowed_by]
    unjudged = [turn for turn in mine if not turn.is_judged]
    judged = [turn for turn in mine if turn.is_judged]
    creates = sum(len(turn.seconds) for turn in judged)
    reviews = _sum(turn.reviews for turn in judged)
    review_seconds = _sum(turn.review_seconds for turn in judged)
    webhook_cpu = _sum(turn.cpu_seconds for turn in judged)["webhook"]
    return AdmissionCost(
        allowed_by=allowed_by,
        unjudged=_spread(unjudged),
        judged=_spread(judged),
        added_p99_ms_by_round=[
            1000 * (_spread([later]).p99 - _spread([earlier]).p99)
            for earlier, later in zip(unjudged, judged, strict=True)
        ],
        requests=each(_sum(turn.requests for turn in judged), creates),
        reviews=each(reviews, creates),
        review_ms={path: 1000 * review_seconds[path] / count for path, count in reviews.items()},
        cpu_ms_per_review=1000 * webhook_cpu / sum(reviews.values()),
        cpu_ms_unjudged=_cpu_ms_each(unjudged),
        cpu_ms_judged=_cpu_ms_each(judged),
    )


class _Turns:
    """Takes turns; numbers keep names apart."""

    def __init__(self, stage: Stage, load: Load, per_second: float) -> None:
        self._stage = stage
        self._load = load
        self._per_second = per_second
        self._taken = 0

    async def one(self, rule: str, seconds: float, *, is_judged: bool) -> Turn:
        """Creates at the rate, after some that do not count: connections are made meanwhile."""
        await asyncio.to_thread(self._stage.have_admission, there=is_judged)
        await self._create(rule, _WARM_UP_SECONDS)
        stage = self._stage
        usage, metrics = stage.machine.usage(), stage.webhook_metrics()
        took = await self._create(rule, seconds)
        used, counted = stage.machine.usage(), stage.webhook_metrics()
        return Turn(
            allowed_by=rule,
            is_judged=is_judged,
            seconds=tuple(took),
            cpu_seconds=cpu_seconds(usage, used),
            requests=difference(metrics.requests(), counted.requests()),
            reviews=difference(_reviews(metrics), _reviews(counted)),
            review_seconds=difference(_review_seconds(metrics), _review_seconds(counted)),
        )

    async def _create(self, rule: str, seconds: float) -> list[float]:
        self._taken += 1
        manifests = [
            an_execution(f"judged-{self._taken}-{number}", RULES[rule])
            for number in range(round(self._per_second * seconds))
        ]
        return await self._load.create_steadily(
            EXECUTION_RESOURCE, RUNS, manifests, per_second=self._per_second
        )


def _reviews(metrics: OperatorMetrics) -> dict[str, float]:
    return metrics.by("proctor_webhook_review_duration_seconds_count", "webhook")


def _review_seconds(metrics: OperatorMetrics) -> dict[str, float]:
    return metrics.by("proctor_webhook_review_duration_seconds_sum", "webhook")


def _spread(turns: Iterable[Turn]) -> Spread:
    return Spread.of([seconds for turn in turns for seconds in turn.seconds])


def _cpu_ms_each(turns: list[Turn]) -> dict[str, float]:
    creates = sum(len(turn.seconds) for turn in turns)
    spent = _sum(turn.cpu_seconds for turn in turns)
    return {name: 1000 * seconds / creates for name, seconds in spent.items()}


def _sum(many: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in many:
        for name, value in one.items():
            total[name] = total.get(name, 0.0) + value
    return total
