"""The newest known state of everything, whatever order it arrives in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proctor_operator.domain.execution import Phase
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.objects import Kind, ObjectKey
from proctor_operator.domain.workload import JobFacts
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.runtime.cache import ObjectCache, key_of
from unit.builders import (
    EXECUTION_UID,
    KEY,
    NAMESPACE,
    ago,
    complete_job,
    ended_pod,
    execution,
    finished_execution,
    job,
    pod,
    proc,
    running_pod,
    schedule,
    unreadable,
)

OTHER_UID = Uid("5b1c0d6e-0000-4000-8000-000000000002")

FINISHED = ObjectKey(Kind.FINISHED_EXECUTIONS, NAMESPACE, "grow-disk")


def test_finished_executions_are_found_by_their_proc_and_only_in_their_newest_state() -> None:
    cache = ObjectCache()
    cache.put(execution())
    assert not cache.finished.of(FINISHED)

    cache.put(finished_execution(resource_version="201"))
    cache.put(finished_execution(resource_version="202"))
    assert [one.resource_version for one in cache.finished.of(FINISHED)] == ["202"]

    cache.put(execution(uid=OTHER_UID, resource_version="203"))
    assert not cache.finished.of(FINISHED)


def test_a_finished_execution_that_is_gone_is_not_found_any_more() -> None:
    cache = ObjectCache()
    cache.put(finished_execution())

    cache.remove(KEY, OTHER_UID)
    assert cache.finished.of(FINISHED)
    cache.remove(KEY, EXECUTION_UID)
    assert not cache.finished.of(FINISHED)


def test_an_execution_whose_job_went_is_remembered_until_it_is_over() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.put_job(job())
    assert not cache.has_lost_its_job(EXECUTION_UID)

    cache.remove_job(job())
    assert cache.has_lost_its_job(EXECUTION_UID)

    cache.forget_run(EXECUTION_UID)
    assert not cache.has_lost_its_job(EXECUTION_UID)


@pytest.mark.parametrize(
    "other",
    [job(name="another-name"), job(owner_uid=OTHER_UID), job(owner_uid=None)],
    ids=["another name", "another's", "nobody's"],
)
def test_jobs_that_are_not_the_executions_own_may_come_and_go(other: JobFacts) -> None:
    cache = ObjectCache()
    cache.put(execution())

    cache.put_job(other)
    cache.remove_job(other)

    assert not cache.has_lost_its_job(EXECUTION_UID)


def test_a_job_keeps_the_owner_that_it_was_seen_to_have() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.put_job(job())

    cache.put_job(job(owner_uid=None, owner_name="", resource_version="401"))
    kept = cache.job_of(execution())
    cache.put_job(job(uid=OTHER_UID, owner_uid=None, resource_version="402"))
    another = cache.job_of(execution())

    assert kept is not None
    assert another is not None
    assert kept.owner_uid == EXECUTION_UID
    assert another.owner_uid is None, "its successor under the same name proves nothing"


def test_the_job_of_a_finished_execution_may_go() -> None:
    cache = ObjectCache()
    cache.put(finished_execution())

    cache.put_job(job())
    cache.remove_job(job())

    assert not cache.has_lost_its_job(EXECUTION_UID)


VERSIONS = {
    "a newer one replaces": ("200", "201", True),
    "an older one does not": ("200", "199", False),
    "the same one is no news": ("200", "200", False),
    "versions are numbers, not text": ("99", "100", True),
    "and so the other way round": ("100", "99", False),
    "what is no number counts as newer": ("abc", "200", True),
}


@pytest.mark.parametrize(("first", "second", "is_kept"), VERSIONS.values(), ids=VERSIONS)
def test_of_two_states_of_an_object_the_newer_is_kept(
    first: str, second: str, *, is_kept: bool
) -> None:
    cache = ObjectCache()
    cache.put(execution(resource_version=first))

    assert cache.put(execution(resource_version=second)) is is_kept

    kept = cache.get(KEY)
    assert kept is not None
    assert kept.resource_version == (second if is_kept else first)


@pytest.mark.parametrize(("first", "second", "is_kept"), VERSIONS.values(), ids=VERSIONS)
def test_of_two_states_of_a_job_or_pod_the_newer_is_kept(
    first: str, second: str, *, is_kept: bool
) -> None:
    cache = ObjectCache()
    cache.put(execution())
    for version in (first, second):
        cache.put_job(job(resource_version=version))
        cache.put_pod(pod(resource_version=version))

    (kept_job,) = cache.jobs()
    (kept_pod,) = cache.pods_of(EXECUTION_UID)
    expected = second if is_kept else first
    assert (kept_job.resource_version, kept_pod.resource_version) == (expected, expected)


def test_an_object_of_another_uid_replaces_whatever_its_version() -> None:
    cache = ObjectCache()
    cache.put(execution(resource_version="200"))
    cache.put_pod(pod())

    assert cache.put(execution(resource_version="5", uid=OTHER_UID))

    assert cache.key_of_uid(EXECUTION_UID) is None
    assert cache.key_of_uid(OTHER_UID) == KEY
    assert cache.pods_of(EXECUTION_UID) == ()


def test_a_job_of_another_uid_replaces_whatever_its_version() -> None:
    cache = ObjectCache()
    cache.put_job(job(resource_version="400"))
    cache.put_job(job(resource_version="5", uid=Uid("another")))

    assert [one.uid for one in cache.jobs()] == ["another"]


def test_an_answer_to_a_write_is_laid_over_what_is_there() -> None:
    cache = ObjectCache()
    cache.put(execution(resource_version="200"))
    cache.refresh(execution(resource_version="201"))
    cache.refresh(execution(resource_version="150"))

    known = cache.get(KEY)
    assert known is not None
    assert known.resource_version == "201"


@pytest.mark.parametrize("now_there", [None, OTHER_UID])
def test_an_answer_to_a_write_never_brings_back_what_is_gone(now_there: Uid | None) -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.remove(KEY)
    if now_there is not None:
        cache.put(execution(uid=now_there))

    cache.refresh(execution(resource_version="999"))

    known = cache.get(KEY)
    assert (known.uid if known else None) == now_there


def test_removing_by_uid_leaves_a_successor_of_the_same_name_alone() -> None:
    cache = ObjectCache()
    cache.put(execution(uid=OTHER_UID))
    cache.remove(KEY, EXECUTION_UID)
    cache.remove_job(job())
    assert cache.get(KEY) is not None

    cache.remove(KEY, OTHER_UID)
    assert cache.get(KEY) is None
    cache.remove(KEY)


def test_a_job_is_removed_only_if_it_is_still_that_one() -> None:
    cache = ObjectCache()
    cache.put_job(job(uid=Uid("another")))

    cache.remove_job(job())
    assert len(list(cache.jobs())) == 1

    cache.remove_job(job(uid=Uid("another")))
    assert list(cache.jobs()) == []


def test_the_job_of_an_execution_is_the_one_of_its_name_whoever_owns_it() -> None:
    cache = ObjectCache()
    cache.put_job(job(owner_uid=Uid("somebody")))
    cache.put_job(job(name="other"))
    cache.put_job(job(namespace=Namespace("elsewhere")))

    assert cache.job_of(execution()) == job(owner_uid=Uid("somebody"))
    assert cache.job_of(execution(uid=OTHER_UID)) is None


def test_a_pod_that_is_gone_keeps_what_was_last_seen_of_it() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.put_pod(running_pod())
    cache.mark_pod_gone(ended_pod(3, resource_version="501"))

    (known,) = cache.pods_of(EXECUTION_UID)
    assert known.is_gone
    assert known.end is not None
    assert known.end.exit_code == 3
    assert list(cache.pods()) == []


def test_a_pod_found_missing_by_an_older_list_keeps_its_exit_code() -> None:
    cache = ObjectCache()
    cache.put(execution())
    seen_before_the_list = running_pod(resource_version="500")
    cache.put_pod(ended_pod(3, resource_version="501"))

    cache.mark_pod_gone(seen_before_the_list)

    (known,) = cache.pods_of(EXECUTION_UID)
    assert known == replace(ended_pod(3, resource_version="501"), is_gone=True)


def test_a_late_event_does_not_bring_a_pod_back() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.mark_pod_gone(ended_pod(resource_version="501"))

    cache.put_pod(running_pod(resource_version="500"))

    assert cache.pods_of(EXECUTION_UID)[0].is_gone


def test_pods_of_what_is_over_or_unknown_are_not_kept() -> None:
    cache = ObjectCache()
    cache.put(finished_execution())
    cache.put_pod(pod())
    cache.put_pod(pod(execution_uid=None))
    cache.mark_pod_gone(pod(execution_uid=None))
    cache.mark_pod_gone(pod())
    cache.mark_pod_gone(pod(execution_uid=OTHER_UID))

    assert cache.pods_of(EXECUTION_UID) == cache.pods_of(OTHER_UID) == ()


def test_a_pod_that_comes_before_its_execution_is_kept() -> None:
    cache = ObjectCache()
    cache.put_pod(pod())
    cache.put(execution())

    assert cache.pods_of(EXECUTION_UID) == (pod(),)


def test_pods_go_with_their_execution_or_on_request() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.put_pod(pod())
    cache.forget_run(EXECUTION_UID)
    assert cache.pods_of(EXECUTION_UID) == ()

    cache.put_pod(pod())
    cache.remove(KEY)
    assert cache.pods_of(EXECUTION_UID) == ()


def test_live_keys_are_those_of_executions_that_have_not_finished() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.put(finished_execution(Phase.LOST, name="over", uid=OTHER_UID))
    cache.put(proc())
    cache.put(schedule())
    cache.put(unreadable(name="odd", uid=Uid("u3")))

    assert cache.live_keys() == (KEY,)


def test_a_proc_is_found_even_if_it_cannot_be_read() -> None:
    cache = ObjectCache()
    odd = unreadable(Kind.PROC, name="odd", uid=Uid("p2"))
    cache.put(proc())
    cache.put(odd)

    assert cache.proc(NAMESPACE, "grow-disk") == proc()
    assert cache.proc(NAMESPACE, "odd") == odd
    assert cache.proc(NAMESPACE, "none") is None
    assert cache.proc(Namespace("other"), "grow-disk") is None


KEYS: dict[str, tuple[OwnObject, Kind]] = {
    "a proc": (proc(), Kind.PROC),
    "an execution": (execution(), Kind.PROC_EXECUTION),
    "a schedule": (schedule(), Kind.PROC_SCHEDULE),
    "what cannot be read": (unreadable(Kind.PROC_SCHEDULE), Kind.PROC_SCHEDULE),
}


@pytest.mark.parametrize(("known", "kind"), KEYS.values(), ids=KEYS)
def test_an_object_is_worked_on_under_its_kind_namespace_and_name(
    known: OwnObject, kind: Kind
) -> None:
    assert key_of(known) == ObjectKey(kind, NAMESPACE, known.name)


def test_uids_are_those_of_everything_that_is_there() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.put(proc())
    cache.put_job(complete_job())

    assert set(cache.uids().values()) == {EXECUTION_UID, Uid("proc-uid-1")}


def test_a_forced_delete_does_not_hide_when_the_pod_was_first_asked_to_go() -> None:
    cache = ObjectCache()
    cache.put(execution())
    cache.put_pod(pod(resource_version="1", deletion_time=ago(30)))
    cache.put_pod(pod(resource_version="2", deletion_time=ago(10)))

    (seen,) = cache.pods_of(execution().uid)

    assert seen.deletion_time == ago(30)


def test_the_answer_to_a_release_is_known_and_brings_no_removed_job_back() -> None:
    cache = ObjectCache()
    cache.put_job(job(resource_version="1"))
    cache.refresh_job(job(resource_version="2", finalizers=()))
    known = cache.job_of(execution())
    cache.remove_job(job(resource_version="3"))
    cache.refresh_job(job(resource_version="4", finalizers=()))

    assert known is not None
    assert not known.is_held
    assert cache.job_of(execution()) is None
