"""Users, authors and meddlers: they write to the API server and know nothing of the operator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from proctor_operator.domain.errors import ClusterError
from proctor_operator.domain.naming import (
    CONTAINER_NAME,
    EXECUTION_UID_LABEL,
    MANAGED_LABEL,
    RECORD_FINALIZER,
    Uid,
    job_name,
)
from simulation.api_server import (
    ADDED,
    DELETED,
    EXECUTIONS,
    JOBS,
    PODS,
    PROCS,
    ApiServer,
    Commit,
    Key,
    Manifest,
    controller_uid,
    has_condition,
    key_of,
)
from simulation.operator_process import NAMESPACE
from simulation.record_store import RecordTable
from simulation.workload import Deed, End, ExecutionPlan, Moment, Truth, UserAct

USER = "user"
_PROPAGATION = {
    Deed.DELETE: "Background",
    Deed.DELETE_FOREGROUND: "Foreground",
    Deed.DELETE_ORPHANING: "Orphan",
}


class People:
    """Create what the scenario asks for, and do their deeds at their moments, each once."""

    def __init__(
        self,
        server: ApiServer,
        table: RecordTable,
        truths: dict[str, Truth],
        disturb: Callable[[], None],
    ) -> None:
        self._server = server
        self._table = table
        self._truths = truths
        self._disturb = disturb
        self._begun: set[tuple[str, UserAct]] = set()
        self.deeds_to_come = 0
        self.applied_again = 0
        server.observe(self._on_commit)

    def publish(self, plan: ExecutionPlan) -> None:
        """The Proc of an execution."""
        is_there = self._server.find((PROCS, NAMESPACE, plan.proc_name)) is not None
        if not plan.has_proc or is_there:
            return
        spec = {
            "description": "A simulated automation",
            "image": "registry.example.org/proc:1",
            "authorization": {"users": ["ann"]},
            "timeoutSeconds": plan.timeout_seconds,
            "pendingTimeoutSeconds": plan.pending_timeout_seconds,
            "retries": plan.retries,
        }
        if plan.policy != "Allow":
            spec["concurrency"] = {"policy": plan.policy, "limit": plan.limit}
        if not plan.is_kept:
            spec["history"] = {"succeeded": 0, "failed": 0}
        metadata = {"name": plan.proc_name, "namespace": NAMESPACE}
        self._server.create(PROCS, {"metadata": metadata, "spec": spec}, actor=USER)

    def request(self, plan: ExecutionPlan, before: Truth | None = None) -> None:
        """The execution, as admission lets it through: stamped and with our finalizer."""
        spec: Manifest = {
            "procRef": {"name": plan.proc_name},
            "requestedBy": {"username": plan.username, "via": "API"},
        }
        if plan.is_poison:
            spec["nonsense"] = {"of": "a newer release"}
        metadata: Manifest = {
            "name": plan.name,
            "namespace": NAMESPACE,
            "finalizers": [RECORD_FINALIZER],
        }
        if plan.is_tracked:
            metadata["labels"] = {"kustomize.toolkit.fluxcd.io/name": "apps"}
        manifest = {"metadata": metadata, "spec": spec}
        commits_before = 1 if plan.is_name_taken else 0
        uid = f"{EXECUTIONS}-uid-{len(self._server.commits) + commits_before + 1}"
        self._truths[uid] = Truth(plan, uid, before=before)
        if plan.is_name_taken:
            self._take_the_name(plan, uid)
        self._server.create(EXECUTIONS, manifest, actor=USER)

    def _take_the_name(self, plan: ExecutionPlan, uid: str) -> None:
        """A stranger's Job under the name that ours would get, with forged labels."""
        labels = {MANAGED_LABEL: "true", EXECUTION_UID_LABEL: uid}
        pod = {"activeDeadlineSeconds": 600, "containers": [{"name": CONTAINER_NAME}]}
        name = job_name(plan.name, Uid(uid))
        job = {
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "spec": {"template": {"metadata": {"labels": labels}, "spec": pod}},
        }
        self._server.create(JOBS, job, actor="stranger")

    def _apply_again(self, gone: Truth) -> None:
        self.deeds_to_come -= 1
        self._disturb()
        self.request(replace(gone.plan, acts=(), comes_back=False), before=gone)

    def _on_commit(self, commit: Commit) -> None:
        for truth in tuple(self._truths.values()):
            is_gone = commit.type == DELETED and commit.after["metadata"]["uid"] == truth.uid
            if is_gone and truth.plan.comes_back:
                self.deeds_to_come += 1
                self.applied_again += 1
                asyncio.get_running_loop().call_later(1.0, self._apply_again, truth)
            for act in truth.plan.acts:
                if (truth.uid, act) not in self._begun and _is_moment(act.moment, commit, truth):
                    self._begun.add((truth.uid, act))
                    self.deeds_to_come += 1
                    # Even at once means after the commit that it answers.
                    asyncio.get_running_loop().call_later(act.after, self._act, act.deed, truth)

    def do(self, deed: Deed) -> None:
        """Do it to every execution, now."""
        for truth in tuple(self._truths.values()):
            if truth.uid:
                self.deeds_to_come += 1
                self._act(deed, truth)

    def _act(self, deed: Deed, truth: Truth) -> None:
        self.deeds_to_come -= 1
        self._disturb()
        now = asyncio.get_running_loop().time()
        key = (EXECUTIONS, NAMESPACE, truth.plan.name)
        if self._server.find(key) is None:
            return
        match deed:
            case Deed.CANCEL:
                truth.cancelled_at = now
                self._patch(key, {"spec": {"cancel": True, "cancelledBy": {"username": "bob"}}})
            case Deed.DELETE | Deed.DELETE_FOREGROUND | Deed.DELETE_ORPHANING:
                truth.deleted_at = now
                self._server.delete(key, propagation=_PROPAGATION[deed], actor=USER)
            case Deed.GIVE_UP:
                truth.deleted_at = truth.given_up_at = now
                word = {"proctor.dev/give-up": "the database is lost"}
                self._patch(key, {"metadata": {"annotations": word}})
                self._server.delete(key, actor=USER)
            case Deed.LOSE_THE_ROW:
                self._table.lose_row(truth.uid)
            case Deed.DELETE_JOB | Deed.ORPHAN_JOB | Deed.TEAR_JOB_AWAY:
                self._attack_job(truth, deed)
            case Deed.DELETE_POD | Deed.FORCE_POD:
                self._delete_pods(truth, grace=0 if deed is Deed.FORCE_POD else None)
            case Deed.LOSE_NODE:
                self._lose_node(truth, now)
            case Deed.TEAR_EXECUTION_AWAY:
                truth.execution_torn_at = now
                self._patch(key, {"metadata": {"finalizers": None}})
                self._server.delete(key, actor=USER)

    def _attack_job(self, truth: Truth, deed: Deed) -> None:
        how = "Orphan" if deed is Deed.ORPHAN_JOB else None
        for job in tuple(self._server.owned_by(JOBS, truth.uid)):
            truth.job_removed_at = asyncio.get_running_loop().time()
            if deed is Deed.TEAR_JOB_AWAY:
                truth.job_torn_at = truth.job_removed_at
                self._patch(key_of(JOBS, job), {"metadata": {"finalizers": None}})
            try:
                self._server.delete(key_of(JOBS, job), propagation=how, actor=USER)
            except ClusterError:
                return

    def _delete_pods(self, truth: Truth, *, grace: int | None) -> None:
        """Those that have not ended: what has, nobody can end."""
        for attempt in truth.attempts:
            pod = next(self._pods_of(attempt.pod_uid), None)
            if pod is not None and attempt.ended_at is None:
                truth.pod_deleted_at = asyncio.get_running_loop().time()
                self._server.delete(key_of(PODS, pod), grace=grace, actor=USER)

    def _lose_node(self, truth: Truth, now: float) -> None:
        """What would have become of an attempt on that node, nobody will know."""
        for attempt in truth.attempts:
            pod = next(self._pods_of(attempt.pod_uid), None)
            if pod is not None and attempt.ended_at is None:
                ran = now - (attempt.started_at or now)
                attempt.plan = replace(attempt.plan, end=End.NODE_LOST, seconds=ran)
                self._patch(key_of(PODS, pod), {"metadata": {"annotations": {"node": "lost"}}})

    def _pods_of(self, uid: str) -> Iterator[Manifest]:
        return (pod for pod in self._server.list_of(PODS) if pod["metadata"]["uid"] == uid)

    def _patch(self, key: Key, patch: dict[str, Any]) -> None:
        self._server.patch(key, patch, actor=USER)


def _is_moment(moment: Moment, commit: Commit, truth: Truth) -> bool:
    plural = commit.key[0]
    metadata = commit.after["metadata"]
    match moment:
        case Moment.CREATED:
            return plural == EXECUTIONS and commit.type == ADDED and metadata["uid"] == truth.uid
        case Moment.JOB_CREATED:
            return (
                plural == JOBS
                and commit.type == ADDED
                and controller_uid(commit.after) == truth.uid
            )
        case Moment.JOB_ENDED:
            return (
                plural == JOBS
                and controller_uid(commit.after) == truth.uid
                and has_condition(commit.after, "Complete", "Failed")
            )
        case Moment.RUNNING:
            pods = {attempt.pod_uid for attempt in truth.attempts}
            return (
                plural == PODS
                and metadata["uid"] in pods
                and commit.after["status"].get("phase") == "Running"
            )
