"""Kopf and our handlers together: nothing gets in that the rules have not let in."""

from __future__ import annotations

import base64
import copy
import json
import logging
from collections.abc import MutableMapping
from typing import Any

import jsonpatch
import kopf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    TurnedAway,
)
from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.merge_patch import merge
from proctor_operator.domain.pod_security import PodSecurityLevel
from proctor_operator.domain.review import Reply, Verdict, read_review
from proctor_operator.handlers.admission import ROUTES, KopfDesk, Route, Step, register
from unit.webhooks import Manifest, Rules, kopf_desk, review

STAMP = {
    "metadata": {
        "labels": {"proctor.dev/shard": "7"},
        "finalizers": ["proctor.dev/record"],
    },
    "spec": {
        "requestedBy": {
            "username": "ada",
            "groups": ["dba"],
            "extra": {"example.org/a~b": ["x"]},
            "via": "API",
        }
    },
}
MUTATING = [route for route in ROUTES if route.step is Step.MUTATE]


async def ask(rules: Rules, route: Route, **changed: Any) -> Reply:
    sent = review(route.resource, **changed)
    return await kopf_desk(rules).desk.answer(route.path, read_review(sent))


def is_allowed(reply: Reply) -> bool:
    allowed = reply.body["response"]["allowed"]
    assert isinstance(allowed, bool)
    return allowed


def patched(manifest: Manifest, reply: Reply) -> Any:
    response = reply.body["response"]
    assert response["patchType"] == "JSONPatch"
    operations = json.loads(base64.b64decode(response["patch"]))
    return jsonpatch.apply_patch(copy.deepcopy(manifest), operations)


def test_the_paths_are_those_of_the_chart() -> None:
    assert {route.path: route.handler_id for route in ROUTES} == {
        "/mutate/procexecutions": "mutate-procexecutions",
        "/mutate/procschedules": "mutate-procschedules",
        "/mutate/procs": "mutate-procs",
        "/validate/procexecutions": "validate-procexecutions",
        "/validate/procschedules": "validate-procschedules",
        "/validate/procplugins": "validate-procplugins",
        "/validate/procs": "validate-procs",
        "/validate/procs/baseline": "validate-procs-baseline",
        "/validate/procs/restricted": "validate-procs-restricted",
    }


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_each_route_asks_its_step_with_its_level_and_the_uid(
    route: Route, operation: str
) -> None:
    rules = Rules()
    reply = await ask(rules, route, operation=operation, dryRun=True)

    assert is_allowed(reply)
    assert reply.verdict is Verdict.ADMITTED
    (asked,) = rules.asked
    assert (asked.uid, asked.resource) == ("review-1", route.resource)
    assert asked.pod_security is route.level
    assert asked.is_dry_run
    assert asked.object is not None
    assert asked.object["metadata"]["uid"] == "object-1"


def test_the_levels_are_told_by_the_path() -> None:
    levels = {route.path: route.level for route in ROUTES if route.resource == "procs"}
    assert levels["/validate/procs"] is PodSecurityLevel.PRIVILEGED
    assert levels["/validate/procs/baseline"] is PodSecurityLevel.BASELINE
    assert levels["/validate/procs/restricted"] is PodSecurityLevel.RESTRICTED


OTHER = {"group": "proctor.dev", "version": "v1alpha1"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"operation": "DELETE"}, "the operation DELETE"),
        ({"operation": "CONNECT"}, "the operation CONNECT"),
        ({"subResource": "status"}, "the subresource status"),
        ({"subResource": "scale"}, "the subresource scale"),
        ({"kind": {**OTHER, "kind": "Other"}}, "does not judge"),
        ({"object": None}, "CREATE without request.object"),
        ({"operation": "UPDATE", "oldObject": None}, "UPDATE without request.oldObject"),
    ],
)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_what_does_not_belong_to_a_route_never_reaches_the_rules_nor_the_cluster(
    route: Route, changed: dict[str, Any], said: str
) -> None:
    rules = Rules()
    reply = await ask(rules, route, **changed)

    assert not is_allowed(reply)
    assert said in reply.body["response"]["status"]["message"]
    assert reply.body["response"]["status"]["code"] == 400
    assert rules.asked == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_a_kind_of_ours_at_another_kind_s_path_is_denied(route: Route) -> None:
    for other in ROUTES:
        if other.resource != route.resource:
            rules = Rules()
            sent = read_review(review(other.resource))
            reply = await kopf_desk(rules).desk.answer(route.path, sent)
            assert not is_allowed(reply)
            assert rules.asked == []


@pytest.mark.parametrize(
    "resource",
    [
        {"group": "batch", "version": "v1", "resource": "procexecutions"},
        {"group": "proctor.dev", "version": "v2", "resource": "procexecutions"},
        {"group": "", "version": "v1", "resource": "pods"},
    ],
)
async def test_a_kind_that_is_not_ours_is_denied(resource: dict[str, str]) -> None:
    rules = Rules()
    reply = await ask(rules, ROUTES[3], resource=resource)

    assert not is_allowed(reply)
    assert rules.asked == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_a_denial_keeps_its_words_code_reason_and_warnings(route: Route) -> None:
    async def deny(_: AdmissionRequest) -> AdmissionAnswer:
        return TurnedAway("NotPermitted", "ada may not run grow-disk", 403, ("look here",))

    reply = await ask(Rules(deny, deny), route)

    assert reply.verdict is Verdict.DENIED
    assert reply.cause == "Request"
    assert reply.body["response"] == {
        "uid": "review-1",
        "allowed": False,
        "status": {
            "status": "Failure",
            "reason": "NotPermitted",
            "message": "ada may not run grow-disk",
            "code": 403,
        },
        "warnings": ["look here"],
    }


async def test_warnings_of_what_is_admitted_are_passed_on() -> None:
    async def warn(_: AdmissionRequest) -> AdmissionAnswer:
        return Admitted(warnings=("a shell will read this", "and this"))

    reply = await ask(Rules(warn, warn), ROUTES[3])

    assert reply.body["response"]["warnings"] == ["a shell will read this", "and this"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_an_error_of_a_rule_is_a_denial_that_tells_nothing_and_is_logged(
    route: Route, logged: list[MutableMapping[str, Any]]
) -> None:
    async def burst(_: AdmissionRequest) -> AdmissionAnswer:
        raise KeyError("the password is hunter2")

    logged.clear()
    reply = await ask(Rules(burst, burst), route)

    assert reply.verdict is Verdict.FAILED
    assert not is_allowed(reply)
    assert reply.body["response"]["status"]["code"] == 500
    assert "hunter2" not in json.dumps(reply.body)
    assert "review-1" in reply.body["response"]["status"]["message"]
    (line,) = logged
    assert (line["event"], line["review"], line["user"]) == ("Review failed", "review-1", "ada")
    assert line["exc_info"]


async def test_a_rule_that_gives_no_answer_is_a_denial() -> None:
    async def forget(_: AdmissionRequest) -> AdmissionAnswer:
        return None  # type: ignore[return-value] # what the test is about

    with pytest.raises(RuntimeError, match="do not agree"):
        await ask(Rules(forget, forget), ROUTES[3])


async def test_a_patch_of_a_validating_rule_is_an_error() -> None:
    async def change(_: AdmissionRequest) -> AdmissionAnswer:
        return Admitted({"spec": {"cancel": True}})

    reply = await ask(Rules(on_validate=change), ROUTES[3])

    assert reply.verdict is Verdict.FAILED
    assert not is_allowed(reply)


MANIFESTS: dict[str, Manifest] = {
    "no labels and no finalizers": {"metadata": {"name": "x"}, "spec": {"a": 1}},
    "labels and finalizers of others": {
        "metadata": {
            "name": "x",
            "labels": {"example.org/team~a": "dba"},
            "finalizers": ["example.org/other"],
        },
        "spec": {"requestedBy": {"username": "eve", "extra": {"k": ["v"]}, "uid": "1"}},
    },
    "the same again": {"metadata": STAMP["metadata"], "spec": STAMP["spec"]},
    "nothing where maps belong": {"metadata": {"name": "x", "labels": None}, "spec": None},
    "text where maps belong": {"metadata": {"labels": "text"}, "spec": "text"},
    "lists where maps belong": {"metadata": {"labels": []}, "spec": [1, 2]},
    "no spec": {"metadata": {"name": "x"}},
}


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
@pytest.mark.parametrize("route", MUTATING, ids=lambda route: route.path)
async def test_a_patch_arrives_as_the_merge_patch_that_the_rules_gave(
    route: Route, manifest: Manifest
) -> None:
    async def stamp(_: AdmissionRequest) -> AdmissionAnswer:
        return Admitted(STAMP)

    reply = await ask(Rules(on_mutate=stamp), route, object=manifest)

    if merge(manifest, STAMP) == manifest:
        assert "patch" not in reply.body["response"]
    else:
        assert patched(manifest, reply) == merge(manifest, STAMP)


KEYS = st.sampled_from(["a", "a/b", "a~b", "~1", "", "labels", "0", "uid"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
OBJECTS = st.dictionaries(KEYS, JSON_VALUES, max_size=4)


@given(spec=OBJECTS, labels=OBJECTS, patch=OBJECTS)
async def test_any_patch_arrives_whole(spec: Manifest, labels: Manifest, patch: Manifest) -> None:
    async def change(_: AdmissionRequest) -> AdmissionAnswer:
        return Admitted({"spec": patch, "metadata": {"labels": patch}})

    manifest = {"metadata": {"name": "x", "labels": labels}, "spec": spec}
    reply = await ask(Rules(on_mutate=change), MUTATING[0], object=manifest)

    wanted = merge(manifest, {"spec": patch, "metadata": {"labels": patch}})
    got = patched(manifest, reply) if "patch" in reply.body["response"] else manifest
    assert json.dumps(got, sort_keys=True) == json.dumps(wanted, sort_keys=True)


LEAVES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, "", "CREATE", "DELETE", "status", "*", "proctor.dev", "v1alpha1", "Proc", [], {}]
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["operation", "subResource", "kind", "resource", "object", "oldObject", "userInfo", "name"]
    ),
    LEAVES | JSON_VALUES,
    max_size=4,
)


@given(changed=FIELDS, route=st.sampled_from(ROUTES), allows=st.booleans())
async def test_no_review_is_allowed_unless_the_rules_said_so(
    changed: dict[str, Any], route: Route, *, allows: bool
) -> None:
    async def judge(_: AdmissionRequest) -> AdmissionAnswer:
        return Admitted() if allows else TurnedAway("NotPermitted", "no")

    rules = Rules(judge, judge)
    sent = review(route.resource)
    sent["request"].update(changed)
    try:
        reply = await kopf_desk(rules).desk.answer(route.path, read_review(sent))
    except Unreadable:
        return
    except Exception:  # noqa: BLE001 - the server makes a denial of whatever is raised
        assert rules.asked == [] or not allows
        return
    assert is_allowed(reply) == (allows and len(rules.asked) == 1)


async def test_what_kopf_lets_pass_unasked_is_stopped_here() -> None:
    """Where Kopf finds no handler to call, it answers that it is allowed."""

    async def kopf_answers(request: Any, **_: Any) -> Any:
        return {"response": {"uid": request["request"]["uid"], "allowed": True}}

    with pytest.raises(RuntimeError, match="do not agree"):
        await KopfDesk(kopf_answers).answer(ROUTES[0].path, read_review(review()))


async def test_thousands_of_reviews_leave_no_memories_in_kopf() -> None:
    at_work = kopf_desk(Rules())
    for number in range(3000):
        manifest = {"metadata": {"name": "x", "uid": f"object-{number}"}, "spec": {}}
        sent = review(operation="UPDATE", object=manifest, oldObject=manifest)
        assert is_allowed(await at_work.desk.answer("/validate/procexecutions", read_review(sent)))

    assert len(list(at_work.memories.iter_all_memories())) <= 1


async def test_kopf_does_not_log_denials_as_errors(caplog: pytest.LogCaptureFixture) -> None:
    async def deny(_: AdmissionRequest) -> AdmissionAnswer:
        return TurnedAway("NotPermitted", "ada may not run grow-disk")

    with caplog.at_level(logging.DEBUG):
        await ask(Rules(deny, deny), ROUTES[3])
        logging.getLogger("kopf.objects").error("of a watch")

    assert [record.message for record in caplog.records] == ["of a watch"]


async def test_a_handler_that_kopf_calls_without_a_review_of_ours_fails() -> None:
    registry = kopf.OperatorRegistry()
    register(registry, Rules())
    handler, *_ = registry._webhooks.get_all_handlers()
    call: Any = handler.fn

    with pytest.raises(RuntimeError, match="by nobody of ours"):
        await call(patch=kopf.Patch(), warnings=[])
