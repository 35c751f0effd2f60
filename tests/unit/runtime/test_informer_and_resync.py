"""News from watches and lists: into the cache, and the keys it concerns onto the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from random import Random

import pytest

from proctor_operator.domain.errors import ClusterUnavailable, Expired, Forbidden
from proctor_operator.domain.execution import ProcExecution
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.runtime.cache import BURIED_AT_MOST, ObjectCache, key_of
from proctor_operator.runtime.findings import GRACE_SECONDS, Findings
from proctor_operator.runtime.informer import RETENTION_DELAY_SECONDS, Informer
from proctor_operator.runtime.queue import WorkQueue
from proctor_operator.runtime.resync import Resync
from simulation.virtual_time import VirtualClock, run_virtually
from unit.builders import (
    EXECUTION_UID,
    JOB_NAME,
    KEY,
    NAMESPACE,
    STARTED,
    ended_pod,
    execution,
    finished_execution,
    job,
    pod,
    proc,
    running_pod,
)
from unit.fakes import FakeCluster, FakeMetrics

ORPHAN = ObjectKey(Kind.ORPHANED_JOB, NAMESPACE, JOB_NAME)
FINISHED = ObjectKey(Kind.FINISHED_EXECUTIONS, NAMESPACE, "grow-disk")
PROC_KEY = ObjectKey(Kind.PROC, NAMESPACE, "grow-disk")


class Station:
    """Cache, queue, informer and lists around a cluster; notes what is looked at, and when."""

    def __init__(self, cluster: FakeCluster | None = None, *, leads: bool = True) -> None:
        self.cluster = cluster or FakeCluster()
        self.cache = ObjectCache()
        self.looked: list[ObjectKey] = []
        self.queue = WorkQueue(
            self._look, workers=1, metrics=FakeMetrics(), clock=VirtualClock(), random=Random(1)
        )
        self.informer = Informer(self.cache, self.queue)
        self.leading = asyncio.Event()
        self.metrics = FakeMetrics()
        self.findings = Findings(self.metrics, VirtualClock())
        self.resync = Resync(
            cluster=self.cluster,
            cache=self.cache,
            informer=self.informer,
            findings=self.findings,
            metrics=self.metrics,
            random=Random(1),
            leading=self.leading,
        )
        if leads:
            self.leading.set()
            self.informer.feed()

    async def _look(self, key: ObjectKey) -> None:
        self.looked.append(key)

    async def settled(self) -> list[ObjectKey]:
        """Return what was looked at since the last time it was asked."""
        await asyncio.sleep(0.001)
        looked, self.looked = self.looked, []
        return looked


def at(station: Station, script: Callable[[Station], Awaitable[None]]) -> None:
    async def main() -> None:
        working = asyncio.create_task(station.queue.run())
        await script(station)
        working.cancel()
        await asyncio.wait([working])

    run_virtually(main())


def test_news_wakes_its_key_and_old_news_does_not() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution())
        assert await station.settled() == [KEY]
        station.informer.saw(execution())
        station.informer.saw(execution(resource_version="1"))
        assert await station.settled() == []

    at(Station(), script)


def test_an_execution_that_has_finished_brings_retention_once_and_not_at_once() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution())
        station.informer.saw(finished_execution(resource_version="201"))
        station.informer.saw(
            finished_execution(name="other", uid=Uid("other"), resource_version="202")
        )
        assert FINISHED not in await station.settled()
        await asyncio.sleep(RETENTION_DELAY_SECONDS * 1.3)
        assert (await station.settled()).count(FINISHED) == 1

    at(Station(), script)


def test_a_final_status_of_our_own_brings_retention_too() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution())
        station.cache.refresh(finished_execution(resource_version="201"))
        await asyncio.sleep(RETENTION_DELAY_SECONDS * 1.3)
        assert FINISHED in await station.settled()

    at(Station(), script)


def test_a_proc_that_changes_or_goes_brings_retention_where_something_has_finished() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(proc())
        await asyncio.sleep(RETENTION_DELAY_SECONDS * 1.3)
        assert FINISHED not in await station.settled()
        station.informer.saw(finished_execution())
        await asyncio.sleep(RETENTION_DELAY_SECONDS * 1.3)
        await station.settled()

        station.informer.saw(proc(resource_version="101"))
        await asyncio.sleep(RETENTION_DELAY_SECONDS * 1.3)
        assert FINISHED in await station.settled()
        station.informer.missed(proc(resource_version="101"))
        await asyncio.sleep(RETENTION_DELAY_SECONDS * 1.3)
        assert FINISHED in await station.settled()

    at(Station(), script)


def test_a_job_or_pod_wakes_the_execution_it_belongs_to() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution())
        await station.settled()

        station.informer.saw_job(job())
        assert await station.settled() == [KEY]
        station.informer.saw_pod(running_pod())
        assert await station.settled() == [KEY]
        station.informer.missed_pod(running_pod())
        assert await station.settled() == [KEY]
        station.informer.missed_job(job())
        assert await station.settled() == [KEY]

    at(Station(), script)


def test_a_job_or_pod_that_says_nothing_new_wakes_nobody() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution())
        station.informer.saw_job(job())
        station.informer.saw_pod(running_pod())
        await station.settled()

        station.informer.saw_job(job(resource_version="901"))
        station.informer.saw_pod(running_pod(resource_version="902"))
        assert await station.settled() == []

        station.informer.saw_job(job(resource_version="903", failed_pods=1))
        assert await station.settled() == [KEY]
        station.informer.saw_pod(ended_pod(resource_version="904"))
        assert await station.settled() == [KEY]

    at(Station(), script)


def test_a_job_without_its_execution_is_looked_at_even_if_it_says_nothing_new() -> None:
    async def script(station: Station) -> None:
        for _ in range(2):
            station.informer.saw_job(job())
            assert await station.settled() == [ORPHAN]

    at(Station(), script)


def test_a_job_whose_execution_has_not_been_seen_wakes_the_orphan_rules() -> None:
    async def script(station: Station) -> None:
        station.informer.saw_job(job())
        assert await station.settled() == [ORPHAN]
        station.informer.saw_job(job(owner_uid=None, resource_version="401"))
        assert await station.settled() == [ORPHAN]

    at(Station(), script)


def test_a_job_that_we_do_not_hold_wakes_nobody() -> None:
    async def script(station: Station) -> None:
        station.informer.saw_job(job(finalizers=()))
        station.informer.saw_pod(pod())
        station.informer.missed_pod(pod())
        assert await station.settled() == []

    at(Station(), script)


def test_the_label_of_a_job_wakes_nobody_its_owner_counts() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution())
        await station.settled()

        station.informer.saw_job(job(owner_uid=Uid("somebody"), finalizers=()))

        assert await station.settled() == []

    at(Station(), script)


def test_what_is_gone_is_removed_but_not_its_successor() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution(uid=Uid("successor")))
        station.informer.missed(execution())
        assert station.cache.get(KEY) is not None

        station.informer.missed(execution(uid=Uid("successor")))
        assert station.cache.get(KEY) is None

    at(Station(), script)


def test_lists_bring_everything_that_no_event_told() -> None:
    cluster = FakeCluster(proc(), execution())
    cluster.put_job(job())
    cluster.put_pod(pod())

    async def script(station: Station) -> None:
        await station.resync.list_own_objects()
        await station.resync.list_workloads()

        assert set(await station.settled()) == {KEY, PROC_KEY}
        assert station.cache.job_of(execution()) == job()
        assert station.cache.pods_of(EXECUTION_UID) == (pod(),)

    at(Station(cluster), script)


def test_what_vanished_unseen_is_removed_and_its_execution_looked_at() -> None:
    cluster = FakeCluster(proc(), execution())
    cluster.put_job(job())
    cluster.put_pod(ended_pod(3))

    async def script(station: Station) -> None:
        await station.resync.list_own_objects()
        await station.resync.list_workloads()
        await station.settled()
        del cluster.own[PROC_KEY]
        cluster.jobs.clear()
        cluster.pods.clear()

        await station.resync.list_own_objects()
        await station.resync.list_workloads()

        assert station.cache.get(PROC_KEY) is None
        assert station.cache.job_of(execution()) is None
        (last,) = station.cache.pods_of(EXECUTION_UID)
        assert last.is_gone
        assert last.end is not None
        assert await station.settled() == [KEY]

    at(Station(cluster), script)


def test_what_comes_while_a_list_is_read_is_not_taken_for_vanished() -> None:
    cluster = FakeCluster(proc())

    async def script(station: Station) -> None:
        def meanwhile(_: str) -> None:
            station.informer.saw(execution())

        cluster.before = meanwhile
        await station.resync.list_own_objects()

        assert station.cache.get(KEY) is not None

    at(Station(cluster), script)


def test_a_successor_of_the_same_name_that_a_list_brings_stays() -> None:
    cluster = FakeCluster(execution(uid=Uid("successor"), resource_version="900"))

    async def script(station: Station) -> None:
        station.informer.saw(execution())
        await station.resync.list_own_objects()

        known = station.cache.get(KEY)
        assert known is not None
        assert known.uid == "successor"

    at(Station(cluster), script)


def test_every_live_execution_is_looked_at_in_each_round_and_no_finished_one() -> None:
    over = finished_execution(name="over", uid=Uid("u2"))
    cluster = FakeCluster(execution(), over)

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await station.settled()
        for _ in range(3):
            await asyncio.sleep(73)
            looked = {key for key in await station.settled() if key.kind is Kind.PROC_EXECUTION}
            assert looked == {KEY}
        rounds.cancel()

    at(Station(cluster), script)


def test_a_round_comes_every_minute_and_every_fifth_lists_all_that_is_ours() -> None:
    cluster = FakeCluster()
    calls: list[tuple[str, float]] = []
    cluster.before = lambda call: calls.append((call, asyncio.get_running_loop().time()))

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(1200)
        rounds.cancel()

    at(Station(cluster), script)

    def gaps_of(*names: str) -> list[float]:
        moments = [moment for call, moment in calls if call in names]
        return [later - earlier for earlier, later in pairwise(moments)]

    for names in (("list_own", "changed_own"), ("list_jobs",), ("list_pods",)):
        gaps = gaps_of(*names)
        assert len(gaps) >= 16
        assert all(60 <= gap <= 72 for gap in gaps)
        assert len({round(gap, 3) for gap in gaps}) > 1
    assert all(300 <= gap <= 360 for gap in gaps_of("list_own"))
    assert len(gaps_of("list_own")) >= 3


def test_what_changed_or_went_is_found_without_a_list() -> None:
    over = finished_execution(name="over", uid=Uid("u2"))
    cluster = FakeCluster(proc(), over)
    calls: list[str] = []

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(1)
        await station.settled()
        cluster.before = calls.append
        deleted = finished_execution(
            name="over", uid=Uid("u2"), resource_version="900", deletion_time=STARTED
        )
        cluster.own = {KEY: execution(), key_of(over): deleted}

        await asyncio.sleep(72)

        assert {KEY, key_of(over)} <= set(await station.settled())
        known = station.cache.get(key_of(over))
        assert isinstance(known, ProcExecution)
        assert known.deletion_time == STARTED
        assert station.cache.get(PROC_KEY) is None
        assert calls == ["changed_own", "list_jobs", "list_pods"]
        rounds.cancel()

    at(Station(cluster), script)


def test_a_history_that_the_server_has_forgotten_is_made_up_for_by_a_list() -> None:
    cluster = FakeCluster(proc())

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(1)
        cluster.refuses["changed_own"] = Expired("too old", status=410)
        cluster.own = {KEY: execution()}

        await asyncio.sleep(72)

        assert station.cache.get(KEY) is not None
        assert station.cache.get(PROC_KEY) is None
        assert station.resync.problem is None
        rounds.cancel()

    at(Station(cluster), script)


def test_a_list_that_fails_is_tried_again_soon_and_readiness_waits_for_it() -> None:
    cluster = FakeCluster(execution())
    cluster.refuses["list_jobs"] = ClusterUnavailable("away", status=503)

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(30)
        assert not station.resync.has_listed.is_set()

        del cluster.refuses["list_jobs"]
        await asyncio.wait_for(station.resync.has_listed.wait(), timeout=2.1)
        rounds.cancel()

    at(Station(cluster), script)


@pytest.mark.parametrize("call", ["list_own", "list_jobs", "list_pods"])
def test_a_list_that_fails_removes_nothing(call: str) -> None:
    cluster = FakeCluster()
    cluster.refuses[call] = ClusterUnavailable("away", status=500)

    async def script(station: Station) -> None:
        station.informer.saw(execution())
        station.informer.saw_job(job())
        station.informer.saw_pod(pod())
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(0.5)
        rounds.cancel()

        is_own_kept = station.cache.get(KEY) is not None
        is_pod_kept = any(not one.is_gone for one in station.cache.pods_of(EXECUTION_UID))
        assert is_own_kept == (call == "list_own")
        assert is_pod_kept == (call == "list_own")

    at(Station(cluster), script)


def test_an_object_that_cannot_be_read_is_passed_over_and_not_taken_for_gone() -> None:
    """Its reader fails on it: so did the whole process, before."""
    cluster = FakeCluster(proc(), execution())
    cluster.put_job(job())
    cluster.put_pod(pod())
    other = execution(name="other", uid=Uid("other"))

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await station.resync.has_listed.wait()
        # In another state, so that what became of them is told of them too.
        cluster.own[KEY] = execution(resource_version="20000")
        cluster.own[key_of(other)] = other
        cluster.illegible = {EXECUTION_UID, job().uid, pod().uid}
        await asyncio.sleep(400)

        assert station.cache.get(KEY) == execution()
        assert [one.uid for one in station.cache.jobs()] == [job().uid]
        assert not any(one.is_gone for one in station.cache.pods_of(EXECUTION_UID))
        assert station.cache.get(key_of(other)) == other, "the list went on behind it"
        assert set(station.metrics.illegible) == {"own", "jobs", "pods"}
        assert station.resync.problem is None

        cluster.jobs.clear()
        cluster.pods.clear()
        cluster.own.clear()
        await asyncio.sleep(400)
        assert station.cache.get(KEY) is None
        assert [*station.cache.jobs()] == []
        rounds.cancel()

    at(Station(cluster), script)


def test_a_standby_keeps_its_cache_warm_and_looks_at_nothing() -> None:
    cluster = FakeCluster(proc(), execution())
    cluster.put_job(job())
    cluster.put_pod(pod())

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.wait_for(station.resync.has_listed.wait(), timeout=1)
        cluster.put_pod(running_pod(resource_version="501"))
        station.informer.saw_pod(running_pod(resource_version="501"))
        await asyncio.sleep(600)

        assert await station.settled() == []
        assert station.cache.get(KEY) is not None
        assert station.cache.job_of(execution()) == job()
        assert station.cache.pods_of(EXECUTION_UID) == (running_pod(resource_version="501"),)
        rounds.cancel()

    at(Station(cluster, leads=False), script)


def test_a_new_leader_lists_live_and_then_looks_at_everything() -> None:
    cluster = FakeCluster(proc(), execution())
    cluster.put_job(job(owner_uid=Uid("gone"), execution_uid=Uid("gone")))
    lists: list[str] = []
    cluster.before = lists.append

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(30)
        over = finished_execution(name="over", uid=Uid("u2"))
        cluster.own[key_of(over)] = over
        lists.clear()

        station.leading.set()

        assert set(await station.settled()) == {KEY, PROC_KEY, key_of(over), ORPHAN}
        await asyncio.sleep(RETENTION_DELAY_SECONDS * 1.3)
        assert await station.settled() == [FINISHED]
        assert lists == ["list_own", "list_jobs", "list_pods"]
        rounds.cancel()

    at(Station(cluster, leads=False), script)


def test_who_begins_to_lead_in_the_middle_of_a_list_lists_again() -> None:
    cluster = FakeCluster(execution())
    lists: list[str] = []

    async def script(station: Station) -> None:
        def note(call: str) -> None:
            lists.append(call)
            if len(lists) == 2:
                station.leading.set()

        cluster.before = note
        rounds = asyncio.create_task(station.resync.run())

        assert await station.settled() == [KEY]
        assert lists == ["list_own", "list_jobs", "list_pods"] * 2
        rounds.cancel()

    at(Station(cluster, leads=False), script)


def test_a_namespace_that_refuses_to_be_listed_holds_up_no_other() -> None:
    theirs = proc(namespace=Namespace("theirs"), uid=Uid("their-proc"))
    their_job = job(namespace=Namespace("theirs"), uid=Uid("their-job"))
    their_pod = ended_pod(namespace=Namespace("theirs"), uid=Uid("their-pod"))
    cluster = FakeCluster(proc(), theirs)
    for one in (job(), their_job):
        cluster.put_job(one)
    for a_pod in (pod(), their_pod):
        cluster.put_pod(a_pod)

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(1)
        cluster.own.clear()
        cluster.jobs.clear()
        cluster.pods.clear()
        cluster.own[KEY] = execution()
        no = Forbidden("no", status=403)
        cluster.refused_namespaces = {Namespace("theirs"): no}

        await asyncio.sleep(73)
        assert station.cache.get(KEY) is not None, "what is new elsewhere is found"
        assert station.cache.get(PROC_KEY) is None, "what is gone elsewhere is removed"
        assert station.cache.get(key_of(theirs)) == theirs, "of the rest nothing is known"
        assert list(station.cache.jobs()) == [their_job]
        assert [one.uid for one in station.cache.pods()] == ["their-pod"]

        cluster.refused_namespaces = {}
        await asyncio.sleep(20)
        assert station.cache.get(key_of(theirs)) is None, "it is looked at soon after"
        rounds.cancel()

    at(Station(cluster), script)


def test_work_begins_without_a_namespace_that_refuses_and_readiness_tells() -> None:
    cluster = FakeCluster(proc())
    cluster.refused_namespaces = {Namespace("theirs"): Forbidden("no", status=403)}
    problems: list[str | None] = []

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(1)
        problems.append(station.resync.problem)
        assert await station.settled() == [PROC_KEY]
        cluster.refused_namespaces = {}
        await asyncio.sleep(16)
        problems.append(station.resync.problem)
        rounds.cancel()

    at(Station(cluster), script)

    assert problems == ["no", None]


def test_what_only_a_list_told_of_is_counted_when_the_watches_had_their_time() -> None:
    cluster = FakeCluster(proc(), execution())
    cluster.put_job(job())
    cluster.put_pod(pod())

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(100)
        assert station.metrics.findings == [], "the first list has nothing to be compared with"

        cluster.own[KEY] = execution(resource_version="900")
        del cluster.own[PROC_KEY]
        cluster.jobs.clear()
        cluster.pods.clear()
        await asyncio.sleep(72)
        station.findings.told(EXECUTION_UID)
        assert station.metrics.findings == [], "the watches are given some time"

        await asyncio.sleep(GRACE_SECONDS + 72)
        assert sorted(station.metrics.findings) == ["Job", "Pod", "Proc"]
        await asyncio.sleep(300)
        assert len(station.metrics.findings) == 3, "each of them once"
        rounds.cancel()

    at(Station(cluster), script)


def test_what_the_watches_told_first_is_no_finding() -> None:
    cluster = FakeCluster(execution())
    cluster.put_pod(pod())

    async def script(station: Station) -> None:
        rounds = asyncio.create_task(station.resync.run())
        await asyncio.sleep(1)
        cluster.own[KEY] = execution(resource_version="900")
        station.informer.saw(execution(resource_version="900"))
        station.informer.missed_pod(pod())
        cluster.pods.clear()
        await asyncio.sleep(400)
        assert station.metrics.findings == []
        rounds.cancel()

    at(Station(cluster), script)


def test_what_is_gone_does_not_come_back_with_a_list_that_was_read_before() -> None:
    async def script(station: Station) -> None:
        station.informer.saw(execution())
        station.informer.missed(execution(resource_version="201"))
        await station.settled()

        assert not station.informer.saw(execution(resource_version="200"))

        assert station.cache.get(KEY) is None
        assert station.cache.knows(EXECUTION_UID, "999")
        assert await station.settled() == []
        assert station.informer.saw(execution(uid=Uid("successor"), resource_version="300"))

    at(Station(), script)


def test_not_all_that_ever_went_is_remembered() -> None:
    cache = ObjectCache()
    for number in range(BURIED_AT_MOST + 10):
        cache.bury(Uid(str(number)))

    assert not cache.knows(Uid("9"), "1")
    assert cache.knows(Uid("10"), "1")
    assert cache.knows(Uid(str(BURIED_AT_MOST)), "1")
