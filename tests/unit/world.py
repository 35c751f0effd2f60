"""A cluster, a record and an operator between them, in memory, to let whole passes run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from proctor_operator.adapters.live import LiveLog
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Uid
from proctor_operator.domain.objects import ObjectKey
from proctor_operator.domain.workload import JobEnd
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.ports.leadership import Leadership
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.reconcile.retention import RetentionPolicy
from proctor_operator.reconcile.schedule_policy import SchedulePolicy
from proctor_operator.runtime.cache import ObjectCache
from proctor_operator.runtime.effects import ExecutionEffects
from proctor_operator.runtime.elector import Unopposed
from proctor_operator.runtime.guarded import (
    GuardedCluster,
    GuardedLogStore,
    GuardedOccurrences,
    GuardedRecords,
)
from proctor_operator.runtime.log_capture import LogCapture
from proctor_operator.runtime.log_streams import CaptureLimits
from proctor_operator.runtime.orphans import OrphanRunner
from proctor_operator.runtime.reporter import Reporter
from proctor_operator.runtime.retention import RetentionRunner
from proctor_operator.runtime.runner import Runner
from proctor_operator.runtime.schedule_reporter import ScheduleReporter
from proctor_operator.runtime.schedules import ScheduleRunner
from unit.builders import ENDED, KEY, NOW, ended_pod, running_pod
from unit.fakes import (
    FakeAccess,
    FakeCluster,
    FakeEvents,
    FakeLogs,
    FakeLogStore,
    FakeMetrics,
    FakeOccurrences,
    FakePlugins,
    FakeRecords,
)


class StillClock:
    """Moves when the test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds


class World:
    """A cluster, a record, and an operator that can be started anew."""

    def __init__(
        self,
        *own: OwnObject,
        leadership: Leadership | None = None,
    ) -> None:
        self.cluster = FakeCluster(*own)
        self.records = FakeRecords()
        self.occurrences = FakeOccurrences()
        self.schedule_policy = SchedulePolicy()
        self.wakes: list[tuple[ObjectKey, float]] = []
        self.logs = FakeLogs()
        self.log_store = FakeLogStore()
        self.access = FakeAccess()
        self.plugins = FakePlugins()
        self.metrics = FakeMetrics()
        self.events = FakeEvents()
        self.woken: list[Uid] = []
        self.policy = RunPolicy()
        self.leadership = leadership or Unopposed(self.metrics)
        self.start()

    def start(self) -> None:
        self.cache = ObjectCache()
        clock = self.clock = StillClock()
        cluster = GuardedCluster(self.cluster, self.leadership)
        records = GuardedRecords(self.records, self.leadership)
        self.capture = LogCapture(
            logs=self.logs,
            store=GuardedLogStore(self.log_store, self.leadership),
            live=LiveLog(),
            clock=clock,
            metrics=self.metrics,
            limits=CaptureLimits(),
            wake=lambda _: None,
        )
        self.effects = ExecutionEffects(
            cache=self.cache,
            cluster=cluster,
            records=records,
            capture=self.capture,
            access=self.access,
            plugins=self.plugins,
            clock=clock,
            wake=self.woken.append,
        )
        reporter = Reporter(self.metrics, self.events, clock)
        self.runner = Runner(
            cache=self.cache,
            cluster=cluster,
            effects=self.effects,
            clock=clock,
            reporter=reporter,
            policy=self.policy,
            orphans=OrphanRunner(
                cluster=cluster,
                records=records,
                capture=self.capture,
                clock=clock,
                reporter=reporter,
                ended=self.effects.ended_elsewhere,
            ),
            capture=self.capture,
            retention=RetentionRunner(
                cache=self.cache,
                cluster=cluster,
                clock=clock,
                metrics=self.metrics,
                policy=RetentionPolicy(),
            ),
            schedules=ScheduleRunner(
                cache=self.cache,
                cluster=cluster,
                occurrences=GuardedOccurrences(self.occurrences, self.leadership),
                clock=clock,
                reporter=ScheduleReporter(self.metrics, self.events, clock),
                policy=self.schedule_policy,
                saw=self.cache.put,
                look_again=lambda key, seconds: self.wakes.append((key, seconds)),
            ),
        )

    def look_around(self) -> None:
        """Bring the cache up to date, as watches and lists do."""
        for one in self.cluster.own.values():
            self.cache.put(one)
        for a_job in self.cluster.jobs.values():
            self.cache.put_job(a_job)
        for a_pod in self.cluster.pods.values():
            self.cache.put_pod(a_pod)

    async def pass_over(self, key: ObjectKey = KEY) -> float | None:
        self.look_around()
        return await self.runner.run(key)

    @property
    def execution(self) -> ProcExecution:
        found = self.cluster.own[KEY]
        assert isinstance(found, ProcExecution)
        return found

    def start_container(self) -> None:
        (made,) = self.cluster.jobs.values()
        self.cluster.put_pod(running_pod(owner_uid=made.uid))
        self.logs.data[running_pod().name] = b"growing\ndone\n"

    def end_container(self, exit_code: int = 0) -> None:
        (made,) = self.cluster.jobs.values()
        self.cluster.put_pod(ended_pod(exit_code, owner_uid=made.uid, resource_version="600"))
        end = JobEnd(succeeded=exit_code == 0, reason="X", message="", at=ENDED)
        failed = 0 if exit_code == 0 else 1
        self.cluster.put_job(
            replace(made, end=end, resource_version=self.cluster.next_version(), failed_pods=failed)
        )
