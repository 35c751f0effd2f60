"""The `Cluster`, `PodLogs` and `Access` ports on HTTP: what is asked for, and what it then is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer as LoopbackServer

from proctor_operator.adapters.kube.access import KubeAccess
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.cluster import KubeCluster
from proctor_operator.adapters.kube.podlogs import KubePodLogs
from proctor_operator.domain.conditions import ConditionType
from proctor_operator.domain.errors import AlreadyExists, Conflict, NotFound, PartlyListed
from proctor_operator.domain.execution import Phase, ProcExecution, ProcExecutionStatus
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import Illegible, UnreadableObject
from proctor_operator.domain.occurrence import Claim
from proctor_operator.domain.proc import Proc
from proctor_operator.domain.schedule import ProcSchedule, ProcScheduleStatus
from proctor_operator.ports.logs import LogPlace
from proctor_operator.reconcile.jobspec import build_job
from proctor_operator.reconcile.policy import RunPolicy
from proctor_operator.reconcile.scheduled_run import build_scheduled_execution, is_run_of
from unit.api_server import ApiServer, status
from unit.builders import (
    EXECUTION_UID,
    JOB_NAME,
    NAMESPACE,
    NOW,
    execution,
    job,
    pod,
    proc_spec,
    recorded_run,
    requester,
    says,
    schedule,
)
from unit.fakes import FakeMetrics

OURS = "/apis/proctor.dev/v1alpha1/namespaces/apps"
EXECUTION = f"{OURS}/procexecutions/grow-disk-x7"
JOB = f"/apis/batch/v1/namespaces/apps/jobs/{JOB_NAME}"
POD = f"/api/v1/namespaces/apps/pods/{JOB_NAME}-abcde"


def metadata(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "apps",
        "uid": EXECUTION_UID,
        "generation": 1,
        "creationTimestamp": "2026-11-20T09:29:00Z",
        **more,
    }


class Line:
    def __init__(self, server: ApiServer, url: str, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.client = KubeClient(url, session, FakeMetrics(), deadline=5)
        self.cluster = KubeCluster(self.client, (NAMESPACE,))

    def put_execution(self, spec: Any = None, **more: Any) -> None:
        spec = spec or {"procRef": {"name": "grow-disk"}}
        self.server.put(EXECUTION, {"metadata": metadata("grow-disk-x7", **more), "spec": spec})

    async def execution(self) -> ProcExecution:
        found = await self.cluster.fetch_execution(NAMESPACE, "grow-disk-x7")
        assert isinstance(found, ProcExecution)
        return found


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    server = ApiServer()
    async with LoopbackServer(server.app()) as loopback, aiohttp.ClientSession() as session:
        yield Line(server, str(loopback.make_url("")).rstrip("/"), session)


async def test_objects_are_read_live(line: Line) -> None:
    line.put_execution()
    proc = {"metadata": metadata("grow-disk"), "spec": {"description": "d", "image": "i"}}
    line.server.put(f"{OURS}/procs/grow-disk", proc)

    assert (await line.execution()).uid == EXECUTION_UID
    assert isinstance(await line.cluster.fetch_proc(NAMESPACE, "grow-disk"), Proc)
    with pytest.raises(NotFound):
        await line.cluster.fetch_job(NAMESPACE, "none")


async def test_a_job_is_created_once_and_what_the_server_stored_comes_back(line: Line) -> None:
    manifest = build_job(execution(), recorded_run(), proc_spec(), RunPolicy())

    created = await line.cluster.create_job(NAMESPACE, manifest)

    assert (created.name, created.owner_uid) == (JOB_NAME, EXECUTION_UID)
    assert created.is_held
    with pytest.raises(AlreadyExists):
        await line.cluster.create_job(NAMESPACE, manifest)


async def test_a_status_is_written_once_on_the_version_that_was_read(line: Line) -> None:
    line.put_execution()
    read = await line.execution()

    stored = await line.cluster.write_status(
        read, ProcExecutionStatus(phase=Phase.RUNNING, pod_name="p")
    )
    assert isinstance(stored, ProcExecution)
    assert stored.status.phase is Phase.RUNNING
    later = await line.cluster.write_status(stored, ProcExecutionStatus(phase=Phase.FAILED))
    assert isinstance(later, ProcExecution)
    assert later.status == ProcExecutionStatus(phase=Phase.FAILED)

    with pytest.raises(Conflict):
        await line.cluster.write_status(read, ProcExecutionStatus(phase=Phase.LOST))


async def test_an_execution_is_created_once(line: Line) -> None:
    claim = Claim(NOW, "nightly-1")
    manifest = build_scheduled_execution(schedule(), None, claim)

    made = await line.cluster.create_execution(NAMESPACE, manifest)

    assert isinstance(made, ProcExecution)
    assert is_run_of(schedule(), claim, made)
    with pytest.raises(AlreadyExists):
        await line.cluster.create_execution(NAMESPACE, manifest)


async def test_the_status_of_a_schedule_is_patched_with_what_changed(line: Line) -> None:
    path = f"{OURS}/procschedules/nightly"
    spec = {"procRef": {"name": "grow-disk"}, "cron": "0 1 * * *"}
    line.server.put(path, {"metadata": metadata("nightly"), "spec": spec})
    read = await line.cluster.fetch_schedule(NAMESPACE, "nightly")
    assert isinstance(read, ProcSchedule)

    planned = ProcScheduleStatus(next_occurrence=NOW, missed=0)
    stored = await line.cluster.write_schedule_status(read, planned)
    assert isinstance(stored, ProcSchedule)
    later = await line.cluster.write_schedule_status(stored, ProcScheduleStatus(missed=3))

    assert stored.status == planned
    assert isinstance(later, ProcSchedule)
    assert later.status == ProcScheduleStatus(missed=3)
    assert "nextOccurrence" not in line.server.objects[path]["status"]
    with pytest.raises(Conflict):
        await line.cluster.write_schedule_status(read, planned)


async def test_conditions_are_written_and_nothing_else_of_a_status(line: Line) -> None:
    path = f"{OURS}/procs/grow-disk"
    line.server.put(
        path,
        {
            "metadata": metadata("grow-disk") | {"generation": 4},
            "spec": {},
            "status": {"active": 3},
        },
    )
    read = await line.cluster.fetch_proc(NAMESPACE, "grow-disk")

    await line.cluster.write_conditions(read, (says(ConditionType.READY),))

    written = line.server.objects[path]["status"]
    assert (written["active"], written["observedGeneration"]) == (3, 4)
    assert [one["type"] for one in written["conditions"]] == ["Ready"]
    with pytest.raises(Conflict):
        await line.cluster.write_conditions(read, ())


async def test_what_cannot_be_read_is_marked_as_refused(line: Line) -> None:
    line.put_execution({"procRef": 5})
    odd = await line.cluster.fetch_execution(NAMESPACE, "grow-disk-x7")
    assert isinstance(odd, UnreadableObject)

    await line.cluster.write_refusal(odd, (says(ConditionType.FAILED),), odd.problem)

    written = line.server.objects[EXECUTION]["status"]
    assert (written["phase"], written["reason"]) == ("Refused", "Unreadable")
    assert written["message"] == odd.problem


async def test_a_job_is_deleted_with_its_pods_in_the_background_and_by_uid(line: Line) -> None:
    line.server.put(JOB, {"metadata": metadata(JOB_NAME, uid="successor")})

    with pytest.raises(Conflict):
        await line.cluster.delete_job(job())
    await line.cluster.delete_job(replace(job(), uid=Uid("successor")))
    await line.cluster.delete_job(job())

    assert {body["propagationPolicy"] for _, _, _, body in line.server.requests} == {"Background"}
    assert JOB not in line.server.objects


async def test_an_execution_is_deleted_by_uid_and_version(line: Line) -> None:
    stored = line.server.put(EXECUTION, {"metadata": metadata("grow-disk-x7")})
    version = stored["metadata"]["resourceVersion"]

    with pytest.raises(Conflict):
        await line.cluster.delete_execution(execution(resource_version="1"))
    await line.cluster.delete_execution(execution(resource_version=version))
    await line.cluster.delete_execution(execution(resource_version=version))

    assert [body["propagationPolicy"] for _, _, _, body in line.server.requests] == [
        "Background"
    ] * 3
    assert EXECUTION not in line.server.objects


async def test_a_pod_is_deleted_with_its_grace_period_and_by_uid(line: Line) -> None:
    line.server.put(POD, {"metadata": metadata(pod().name, uid="pod-uid-1")})

    await line.cluster.delete_pod(pod())
    await line.cluster.delete_pod(pod())

    assert line.server.requests[0][3] == {"preconditions": {"uid": "pod-uid-1"}}
    assert POD not in line.server.objects


FINALIZERS = ("other/one", "proctor.dev/record", "other/two")


@pytest.mark.parametrize("is_being_deleted", [True, False])
async def test_a_job_is_let_go_without_touching_anothers_finalizers(
    line: Line, *, is_being_deleted: bool
) -> None:
    more = {"deletionTimestamp": "2026-11-20T09:30:00Z"} if is_being_deleted else {}
    manifest = {"metadata": metadata(JOB_NAME, finalizers=list(FINALIZERS), **more), "spec": {}}
    line.server.put(JOB, manifest)
    found = await line.cluster.fetch_job(NAMESPACE, JOB_NAME)

    await line.cluster.release_job(found, ttl_seconds=120)

    left = line.server.objects[JOB]
    assert left["metadata"]["finalizers"] == ["other/one", "other/two"]
    expected = {} if is_being_deleted else {"ttlSecondsAfterFinished": 120}
    assert left["spec"] == expected
    patches = [one for one in line.server.requests if one[0] == "PATCH"]
    assert len(patches) == 1, "one patch does both"


async def test_an_execution_is_let_go_and_one_that_is_gone_needs_nothing(line: Line) -> None:
    line.put_execution(finalizers=list(FINALIZERS))
    found = await line.execution()

    await line.cluster.release_execution(found)
    left = line.server.objects.pop(EXECUTION)
    await line.cluster.release_execution(found)

    assert left["metadata"]["finalizers"] == ["other/one", "other/two"]


async def test_finalizers_that_changed_meanwhile_are_a_conflict(line: Line) -> None:
    line.put_execution(finalizers=list(FINALIZERS))
    found = await line.execution()
    line.put_execution(finalizers=["new/zero", *FINALIZERS])

    with pytest.raises(Conflict):
        await line.cluster.release_execution(found)

    assert "new/zero" in line.server.objects[EXECUTION]["metadata"]["finalizers"]


async def test_lists_go_through_every_page_and_every_namespace(line: Line) -> None:
    for number in range(3):
        name = f"x{number}"
        spec = {"procRef": {"name": "a"}}
        path = f"{OURS}/procexecutions/{name}"
        line.server.put(path, {"metadata": metadata(name), "spec": spec})
    cluster = KubeCluster(line.client, (NAMESPACE, Namespace("other")))

    found = [one.name async for one in cluster.list_own()]
    jobs = [one async for one in cluster.list_jobs()]
    pods = [one async for one in cluster.list_pods()]

    assert (found, jobs, pods) == (["x0", "x1", "x2"], [], [])
    asked = [(path, query.get("labelSelector")) for _, path, query, _ in line.server.requests]
    for namespace in ("apps", "other"):
        jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        assert (jobs_path, "proctor.dev/managed=true") in asked
        assert (f"/api/v1/namespaces/{namespace}/pods", "proctor.dev/managed=true") in asked


async def test_an_object_that_its_reader_fails_on_is_named_among_the_others(line: Line) -> None:
    for kind, path in (("pods", "/api/v1"), ("jobs", "/apis/batch/v1")):
        for number in range(3):
            name = f"x{number}"
            status = {"phase": "Unheard", "conditions": [{"status": "True"}]} if number == 1 else {}
            item = {"metadata": metadata(name), "status": status}
            line.server.put(f"{path}/namespaces/apps/{kind}/{name}", item)
    nobodys = {**metadata("x1"), "creationTimestamp": "the day before yesterday"}
    line.server.put(f"{OURS}/procs/x1", {"metadata": nobodys, "spec": {}})
    cluster = KubeCluster(line.client, (NAMESPACE,))

    own = [one async for one in cluster.list_own()]
    pods = [one async for one in cluster.list_pods()]
    jobs = [one async for one in cluster.list_jobs()]

    assert own == [Illegible("procs", "x1", own[0].uid, "ValueError")]
    for kind, found in (("pods", pods), ("jobs", jobs)):
        assert [one.name for one in found] == ["x0", "x1", "x2"]
        assert found[1] == Illegible(kind, "x1", found[1].uid, "KeyError")


async def test_a_namespace_that_refuses_is_named_after_all_others_were_listed(line: Line) -> None:
    line.server.put("/apis/batch/v1/namespaces/apps/jobs/j", {"metadata": metadata("j")})
    known = line.server.objects

    async def answer(request: web.Request) -> web.Response:
        if "/namespaces/theirs/" in request.path:
            return status(403, "Forbidden", 'cannot list resource "jobs" in the namespace "theirs"')
        return web.json_response({"metadata": {}, "items": list(known.values())})

    line.server.answer = answer
    cluster = KubeCluster(line.client, (Namespace("theirs"), NAMESPACE))
    jobs = cluster.list_jobs()

    assert (await anext(jobs)).name == "j"
    with pytest.raises(PartlyListed, match='cannot list resource "jobs"') as partly:
        await anext(jobs)
    assert partly.value.leaves_out(Namespace("theirs"))
    assert not partly.value.leaves_out(NAMESPACE)


async def test_without_namespaces_the_whole_cluster_is_listed(line: Line) -> None:
    cluster = KubeCluster(line.client, ())

    assert [one async for one in cluster.list_jobs()] == []
    assert line.server.requests[0][1] == "/apis/batch/v1/jobs"


async def test_pods_are_asked_for_by_the_label_of_their_execution(line: Line) -> None:
    line.server.put(POD, {"metadata": metadata(pod().name)})

    (found,) = await line.cluster.fetch_pods(NAMESPACE, EXECUTION_UID)

    assert found.name == pod().name
    query = line.server.requests[0][2]
    assert query == {"labelSelector": f"proctor.dev/execution-uid={EXECUTION_UID}"}


SINCE = datetime(2026, 11, 20, 11, 30, 5, 999999, tzinfo=timezone(timedelta(hours=2)))
LOG_READINGS: dict[str, tuple[bool, datetime | None, dict[str, str]]] = {
    "all there is": (False, None, {}),
    "from some time on, in whole seconds": (
        False,
        SINCE,
        {"sinceTime": "2026-11-20T09:30:05Z"},
    ),
    "and what comes": (True, None, {"follow": "true"}),
}


@pytest.mark.parametrize("case", LOG_READINGS.values(), ids=LOG_READINGS)
async def test_a_log_is_read_with_its_times(
    line: Line, case: tuple[bool, datetime | None, dict[str, str]]
) -> None:
    follows, since, query = case
    data = b"x" * 300_000 + b"\xff\x00end"

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=data)

    line.server.answer = answer

    place = LogPlace(NAMESPACE, "p", "proc")
    async with KubePodLogs(line.client).open(place, follows=follows, since=since) as pieces:
        read = [piece async for piece in pieces]

    assert b"".join(read) == data
    assert max(map(len, read)) <= 64 * 1024
    asked = line.server.requests[0][2]
    assert asked == {"container": "proc", "timestamps": "true", **query}


REVIEWS: dict[str, tuple[dict[str, bool], bool]] = {
    "allowed": ({"allowed": True}, True),
    "not allowed": ({"allowed": False}, False),
    "denied by one authorizer counts more": ({"allowed": True, "denied": True}, False),
    "no word": ({}, False),
}


@pytest.mark.parametrize(("verdict", "is_allowed"), REVIEWS.values(), ids=REVIEWS)
async def test_the_api_server_is_asked_about_the_user_and_not_about_us(
    line: Line, verdict: dict[str, bool], *, is_allowed: bool
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"status": verdict}, status=201)

    line.server.answer = answer
    alice = requester(uid="u1", extra={"scopes": ("a", "b")})
    access = KubeAccess(line.client)

    assert await access.may_execute(alice, NAMESPACE, "grow-disk") is is_allowed
    assert await access.may_read_secret(alice, NAMESPACE, "my-token") is is_allowed

    specs = [body["spec"] for _, _, _, body in line.server.requests]
    for spec in specs:
        assert (spec["user"], spec["uid"], spec["groups"]) == ("alice", "u1", ["dba"])
        assert spec["extra"] == {"scopes": ["a", "b"]}
    assert specs[0]["resourceAttributes"] == {
        "group": "proctor.dev",
        "resource": "procs",
        "verb": "execute",
        "namespace": "apps",
        "name": "grow-disk",
    }
    assert specs[1]["resourceAttributes"] == {
        "group": "",
        "resource": "secrets",
        "verb": "get",
        "namespace": "apps",
        "name": "my-token",
    }
