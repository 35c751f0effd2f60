"""The webhook server over real TLS: what it lets near the rules, and how it waits and ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from localcluster.certificates import Authority
from proctor_operator.domain.errors import ClusterUnavailable
from proctor_operator.domain.review import Reply, Review
from unit.webhooks import (
    JSON,
    LIMITS,
    PATH,
    Desk,
    Folder,
    Served,
    review,
    served,
    until,
)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.fixture
async def at_work(folder: Folder, authority: Authority) -> AsyncIterator[tuple[Served, Desk]]:
    desk = Desk()
    async with served(desk, folder, authority) as running:
        yield running, desk


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/validate",
        "/validate/",
        "/validate/jobs",
        "/validate/procexecutions/",
        "/validate/procexecutions/baseline",
        "/validate/procs/privileged",
        "/validate//procexecutions",
        "/Validate/procexecutions",
        "/validate-procexecutions",
        "/validate%2Fprocexecutions",
        "/mutate/procplugins",
        "/metrics",
        "/readyz",
    ],
)
async def test_a_path_that_is_not_ours_is_not_found(
    at_work: tuple[Served, Desk], path: str
) -> None:
    running, desk = at_work

    async with running.client.post(running.url + path, json=review()) as answer:
        assert answer.status == 404
        assert "allowed" not in await answer.text()
    assert desk.seen == []
    assert running.counted("proctor_webhook_refused_requests_total", code="404") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_only_post_is_served(at_work: tuple[Served, Desk], method: str) -> None:
    running, desk = at_work

    async with running.client.request(method, running.url + PATH, json=review()) as answer:
        assert answer.status == 405
    assert desk.seen == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/yaml", "application/jsonx", ""]
)
async def test_only_json_is_read(at_work: tuple[Served, Desk], content_type: str) -> None:
    running, desk = at_work

    async with running.client.post(
        running.url + PATH, data=json.dumps(review()), headers={"Content-Type": content_type}
    ) as answer:
        assert answer.status == 415
    assert desk.seen == []


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in review().items() if name != key}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "no AdmissionReview"),
        ("{", "no AdmissionReview"),
        ("[]", "not of kind AdmissionReview"),
        ("null", "not of kind AdmissionReview"),
        ('"AdmissionReview"', "not of kind AdmissionReview"),
        ('{"allowed": true}', "not of kind AdmissionReview"),
        (json.dumps(without("kind")), "not of kind AdmissionReview"),
        (json.dumps(review() | {"kind": "Review"}), "not of kind AdmissionReview"),
        (json.dumps(without("apiVersion")), "apiVersion is not admission.k8s.io/v1"),
        (
            json.dumps(review() | {"apiVersion": "admission.k8s.io/v1beta1"}),
            "apiVersion is not admission.k8s.io/v1",
        ),
        (json.dumps(without("request")), "request is missing"),
        (json.dumps(review() | {"request": []}), "request is missing"),
        (json.dumps(review(uid="")), "request.uid is missing"),
        (json.dumps(review() | {"request": {"uid": 7}}), "request.uid is missing"),
        ("[" * 2000 + "]" * 2000, "no AdmissionReview"),
        ('{"kind": NaN}', "no AdmissionReview"),
    ],
)
async def test_what_is_no_review_is_a_bad_request(
    at_work: tuple[Served, Desk], body: str, said: str
) -> None:
    running, desk = at_work

    async with running.client.post(running.url + PATH, data=body, headers=JSON) as answer:
        assert answer.status == 400
        assert said in await answer.text()
    assert desk.seen == []
    assert running.counted("proctor_webhook_refused_requests_total", code="400") == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"operation": "PURGE"}, "request.operation is none of CREATE, UPDATE, DELETE, CONNECT"),
        ({"operation": None}, "request.operation"),
        ({"userInfo": None}, "request.userInfo"),
        ({"userInfo": {}}, "request.userInfo.username"),
        ({"userInfo": {"username": ""}}, "request.userInfo.username"),
        ({"userInfo": {"username": "ada", "groups": "dba"}}, "request.userInfo.groups"),
        ({"resource": {"group": "proctor.dev"}}, "request.resource.version"),
        ({"kind": "ProcExecution"}, "request.kind"),
        ({"object": "text"}, "request.object"),
        ({"object": {"spec": nested(99)}}, "request.object has more than 100 levels"),
        ({"object": {"spec": nested(900)}}, "request.object has more than 100 levels"),
        ({"oldObject": []}, "request.oldObject"),
        ({"dryRun": "false"}, "request.dryRun"),
        ({"namespace": 7}, "request.namespace"),
    ],
)
async def test_a_review_with_a_field_gone_wrong_is_denied_and_the_field_named(
    at_work: tuple[Served, Desk], changed: dict[str, Any], said: str
) -> None:
    running, desk = at_work

    response = await running.ask(review(**changed))

    assert response["allowed"] is False
    assert response["uid"] == "review-1"
    assert said in response["status"]["message"]
    assert response["status"]["code"] == 400
    assert desk.seen == []


async def test_a_hundred_levels_are_read(at_work: tuple[Served, Desk]) -> None:
    running, _ = at_work

    assert (await running.ask(review(object={"spec": nested(98)})))["allowed"] is True


async def test_a_review_comes_whole_with_its_uid_and_user(at_work: tuple[Served, Desk]) -> None:
    running, desk = at_work

    response = await running.ask(review(dryRun=True), PATH)

    assert response == {"uid": "review-1", "allowed": True}
    (seen,) = desk.seen
    request = seen.request
    assert (request.uid, request.operation, request.resource) == (
        "review-1",
        "CREATE",
        "procexecutions",
    )
    assert (request.namespace, request.name, request.is_dry_run) == ("team-a", "grow-1", True)
    assert (request.user.username, request.user.uid) == ("ada", "7")
    assert request.user.groups == ("dba", "system:authenticated")
    assert request.user.extra == {"example.org/scopes": ("a", "b")}
    assert request.object == review()["request"]["object"]
    assert request.old_object is None


async def test_a_query_as_the_api_server_adds_it_changes_nothing(
    at_work: tuple[Served, Desk],
) -> None:
    running, _ = at_work

    assert (await running.ask(review(), f"{PATH}?timeout=10s"))["allowed"] is True


async def test_a_body_of_one_and_a_half_megabytes_passes(at_work: tuple[Served, Desk]) -> None:
    running, desk = at_work
    manifest = review()["request"]["object"]
    manifest["spec"]["arguments"] = {"TEXT": "x" * 1_500_000}

    response = await running.ask(review(operation="UPDATE", object=manifest, oldObject=manifest))

    assert response["allowed"] is True
    assert desk.seen[0].request.object == manifest


async def test_a_body_of_nine_megabytes_is_refused(at_work: tuple[Served, Desk]) -> None:
    running, desk = at_work
    body = BytesIO(json.dumps(review(name="x" * 9 * 1024 * 1024)).encode())

    async with running.client.post(running.url + PATH, data=body, headers=JSON) as answer:
        assert answer.status == 413
    assert desk.seen == []


async def test_a_slow_reviewer_is_a_denial_within_the_deadline(
    folder: Folder, authority: Authority
) -> None:
    desk = Desk(wait=asyncio.Event().wait)
    limits = replace(LIMITS, deadline_seconds=0.3)
    async with served(desk, folder, authority, limits=limits) as running:
        began = asyncio.get_running_loop().time()
        response = await running.ask(review())
        took = asyncio.get_running_loop().time() - began

        assert 0.3 <= took < 3
        assert response["allowed"] is False
        assert response["status"] == {
            "status": "Failure",
            "reason": "Timeout",
            "message": "Proctor could not judge this within 0.3 s; try again",
            "code": 504,
        }
        assert (
            running.counted(
                "proctor_webhook_reviews_total",
                webhook="validate",
                resource="procexecutions",
                operation="CREATE",
                verdict="timed-out",
                cause="Time",
            )
            == 1
        )


async def test_a_body_that_never_ends_is_given_up(folder: Folder, authority: Authority) -> None:
    async def dribble() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    limits = replace(LIMITS, deadline_seconds=0.2)
    async with (
        served(Desk(), folder, authority, limits=limits) as running,
        running.client.post(running.url + PATH, data=dribble(), headers=JSON) as answer,
    ):
        assert answer.status == 408


async def test_what_breaks_behind_the_server_is_a_denial_that_tells_nothing(
    folder: Folder, authority: Authority, logged: list[dict[str, Any]]
) -> None:
    async def burst() -> None:
        raise ZeroDivisionError("the password is hunter2")

    async with served(Desk(wait=burst), folder, authority) as running:
        response = await running.ask(review())

    assert response["allowed"] is False
    assert response["status"]["code"] == 500
    assert "hunter2" not in json.dumps(response)
    assert "review-1" in response["status"]["message"]
    (line,) = (one for one in logged if one["event"] == "Review failed")
    assert line["exc_info"]


async def test_more_reviews_than_allowed_are_told_to_come_again(
    folder: Folder, authority: Authority
) -> None:
    gate = asyncio.Event()
    desk = Desk(wait=gate.wait)
    limits = replace(LIMITS, most_at_once=2)
    async with served(desk, folder, authority, limits=limits) as running:
        held = [asyncio.create_task(running.ask(review(uid=f"held-{n}"))) for n in range(2)]
        await until(lambda: len(desk.seen) == 2)

        response = await running.ask(review(uid="one-more"))
        gate.set()
        answers = await asyncio.gather(*held)

        assert response["uid"] == "one-more"
        assert response["allowed"] is False
        assert response["status"]["code"] == 429
        assert response["status"]["reason"] == "TooManyRequests"
        assert response["status"]["details"] == {"retryAfterSeconds": 1}
        assert [one["allowed"] for one in answers] == [True, True]
        assert (await running.ask(review()))["allowed"] is True


async def test_far_more_than_allowed_are_refused_unread(
    folder: Folder, authority: Authority
) -> None:
    async def dribble() -> AsyncIterator[bytes]:
        yield b"{"
        await gate.wait()
        yield b"}"

    async def send_slowly() -> int:
        async with running.client.post(running.url + PATH, data=dribble(), headers=JSON) as answer:
            return answer.status

    gate = asyncio.Event()
    limits = replace(LIMITS, most_at_once=1)
    async with served(Desk(), folder, authority, limits=limits) as running:
        slow = [asyncio.create_task(send_slowly()) for _ in range(2)]
        await until(lambda: running.counted("proctor_webhook_reviews_under_way") == 2)

        async with running.client.post(running.url + PATH, json=review()) as answer:
            assert answer.status == 503
        gate.set()
        assert await asyncio.gather(*slow) == [400, 400]


async def test_it_is_ready_only_while_it_serves(folder: Folder, authority: Authority) -> None:
    async with served(Desk(), folder, authority) as running:
        assert await running.server.readiness_problem() is None
        await running.server.drain()
        assert await running.server.readiness_problem() == "not serving any more"


async def test_draining_is_unready_first_serves_on_and_finishes_what_is_under_way(
    folder: Folder, authority: Authority
) -> None:
    gate = asyncio.Event()
    desk = Desk(wait=gate.wait)
    limits = replace(LIMITS, drain_seconds=0.5)
    async with served(desk, folder, authority, limits=limits) as running:
        under_way = asyncio.create_task(running.ask(review(uid="before")))
        await desk.begun.wait()

        draining = asyncio.create_task(running.server.drain())
        await until(lambda: running.server._state.name == "DRAINING")
        assert await running.server.readiness_problem() is not None

        late = asyncio.create_task(running.ask(review(uid="meanwhile")))
        await until(lambda: len(desk.seen) == 2)
        await until(lambda: not _listens(running.server.port))
        assert not draining.done(), "it waits for what is under way"

        gate.set()
        assert (await under_way)["allowed"] is True
        assert (await late)["allowed"] is True
        await draining
        with pytest.raises(aiohttp.ClientConnectionError):
            await running.ask(review())


async def test_while_it_drains_connections_are_not_kept(
    folder: Folder, authority: Authority
) -> None:
    limits = replace(LIMITS, drain_seconds=30)
    async with served(Desk(), folder, authority, limits=limits) as running:
        async with running.client.post(running.url + PATH, json=review()) as kept:
            assert kept.headers.get("Connection") != "close"
        draining = asyncio.create_task(running.server.drain())
        await until(lambda: running.server._state.name == "DRAINING")
        async with running.client.post(running.url + PATH, json=review()) as last:
            assert last.headers["Connection"] == "close"
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)


async def test_a_taken_port_is_said(folder: Folder, authority: Authority) -> None:
    async with served(Desk(), folder, authority) as running:
        taken = running.server.port
        running.server._asked_port = taken
        with pytest.raises(ClusterUnavailable, match=f"cannot listen on 127.0.0.1:{taken}"):
            async with running.server.serving(Desk()):
                pass


async def test_http_without_tls_gets_nothing(at_work: tuple[Served, Desk]) -> None:
    running, desk = at_work

    with pytest.raises(aiohttp.ClientConnectionError):
        await running.client.post(running.url.replace("https", "http") + PATH, json=review())
    assert desk.seen == []


async def test_a_reply_goes_out_as_the_desk_gave_it(folder: Folder, authority: Authority) -> None:
    class Silent(Desk):
        async def answer(self, path: str, review: Review) -> Reply:
            reply = await super().answer(path, review)
            return replace(reply, body={"response": {"uid": "x", "allowed": False}})

    async with served(Silent(), folder, authority) as running:
        assert await running.ask(review()) == {"uid": "x", "allowed": False}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
