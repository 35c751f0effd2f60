"""The simulated API server is honest about what operators get wrong."""

from __future__ import annotations

from typing import Any

import pytest

from proctor_operator.domain.errors import AlreadyExists, Conflict, NotFound, Rejected
from simulation.api_server import ApiServer, Commit, merge_patch

KEY = ("jobs", "team", "one")


def made(plural: str = "jobs", **metadata: Any) -> tuple[ApiServer, dict[str, Any]]:
    server = ApiServer(lambda: 5.0)
    manifest = {"metadata": {"name": "one", "namespace": "team", **metadata}, "spec": {"a": 1}}
    return server, server.create(plural, manifest, actor="test")


def test_a_name_is_taken_once() -> None:
    server, stored = made()

    with pytest.raises(AlreadyExists):
        server.create("jobs", {"metadata": {"name": "one", "namespace": "team"}}, actor="test")
    assert stored["metadata"]["uid"]


def test_every_write_has_a_higher_version_and_nothing_is_no_write() -> None:
    server, first = made()

    second = server.patch(KEY, {"spec": {"a": 2}}, actor="test")
    third = server.patch(KEY, {"spec": {"a": 2}}, actor="test")

    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    assert third is second
    assert second["metadata"]["generation"] == 2


def test_a_write_on_an_old_version_is_a_conflict() -> None:
    server, first = made()
    server.patch(KEY, {"spec": {"a": 2}}, actor="test")
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}}

    with pytest.raises(Conflict):
        server.patch(KEY, {**stale, "spec": {"a": 3}}, actor="test")


def test_spec_and_status_are_written_apart() -> None:
    server, _ = made()

    server.patch(KEY, {"spec": {"a": 2}, "status": {"failed": 1}}, actor="test")
    stored = server.patch(
        KEY, {"spec": {"a": 3}, "status": {"failed": 2}}, sub="status", actor="test"
    )

    assert (stored["spec"], stored["status"]) == ({"a": 2}, {"failed": 2})


def test_a_deletion_waits_for_finalizers() -> None:
    server, _ = made(finalizers=["ours"])
    server.delete(KEY, actor="test")

    assert server.get(KEY)["metadata"]["deletionTimestamp"]
    server.patch(KEY, {"metadata": {"finalizers": None}}, actor="test")
    assert server.find(KEY) is None


def test_a_deletion_of_another_uid_is_a_conflict() -> None:
    server, _ = made()

    with pytest.raises(Conflict):
        server.delete(KEY, uid="another", actor="test")


def test_a_pod_goes_only_when_its_grace_period_is_over() -> None:
    server, _ = made("pods")
    key = ("pods", "team", "one")

    server.delete(key, actor="test")
    assert server.get(key)["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:35Z"
    server.delete(key, grace=0, actor="test")
    with pytest.raises(NotFound):
        server.get(key)


def test_operations_apply_all_or_none() -> None:
    server, _ = made(finalizers=["ours", "theirs"])
    test = {"op": "test", "path": "/metadata/finalizers/1", "value": "ours"}
    remove = {"op": "remove", "path": "/metadata/finalizers/0"}

    with pytest.raises(Rejected):
        server.apply(KEY, [remove, test], actor="test")
    server.apply(KEY, [{**test, "path": "/metadata/finalizers/0"}, remove], actor="test")

    assert server.get(KEY)["metadata"]["finalizers"] == ["theirs"]


def test_a_list_can_be_of_the_past() -> None:
    server, first = made()
    server.patch(KEY, {"spec": {"a": 2}}, actor="test")
    server.delete(KEY, actor="test")

    assert server.list_of("jobs") == []
    assert server.list_of("jobs", at_version=1) == [first]


def test_observers_see_every_version() -> None:
    server, _ = made()
    seen: list[Commit] = []
    server.observe(seen.append)

    server.patch(KEY, {"spec": {"a": 2}}, actor="test")
    server.delete(KEY, actor="test")

    assert [commit.type for commit in seen] == ["MODIFIED", "DELETED"]


def test_a_null_in_a_merge_patch_removes() -> None:
    assert merge_patch({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}}) == {
        "b": {"c": 2, "d": 3}
    }
