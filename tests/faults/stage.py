"""One act: an operator behind proxies, executions with fates, a kubelet, and the judgement in the end."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from chart.installation import Installation
from faults.admin import EXECUTIONS, JOBS, Admin, Manifest
from faults.keeper import Keeper
from faults.kubelet import Kubelet
from faults.oracle import Limits, Violation, unsettled, violations
from faults.proxy import Proxy
from faults.witness import WITNESS_SQL, History, read_history
from faults.workload import HASTY_PROC, HASTY_SECONDS, PROC, Fate, People, Truth
from harness.running import RunningOperator, operator_in, proc
from localcluster.apiclient import ApiError
from localcluster.cluster import LocalCluster
from localcluster.errors import tail
from localcluster.waiting import wait_until
from localpostgres.fixtures import LocalDatabase, new_database
from localpostgres.server import LocalPostgres

CONVERGED_SECONDS: Final = 120.0
"""I9: everything has come to rest so long after the end of a fault."""
ELECTION: Final = {"duration_seconds": 4, "renew_every_seconds": 0.5, "give_up_after_seconds": 2.5}
"""So that a test need not wait long for who comes after a killed operator."""
_SHOWN_IN_FULL: Final = 3
_ROWS: Final = "SELECT uid, to_jsonb(e)::text FROM proctor.executions e"


@dataclass
class Stage:
    """The operator reaches the API server through `api`, PostgreSQL through `wire`; the test reaches both."""

    cluster: LocalCluster
    operator: RunningOperator
    api: Proxy
    wire: Proxy
    postgres: LocalPostgres
    user: str
    seed: int
    random: Random
    has_retention: bool = False
    truths: dict[str, Truth] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _admins: list[Admin] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._admin = self.new_admin()
        self.people = People(self.new_admin())
        self.kubelet = Kubelet(self.new_admin(), self.truths)
        self.keeper = Keeper(self.operator, self.note)
        self._threads = (self.people, self.kubelet, self.keeper)

    def begin(self, fates: Sequence[Fate]) -> None:
        """Let the fates take their course, beside those that were begun before."""
        truths = {fate.name: Truth(fate, is_under_retention=self.has_retention) for fate in fates}
        self.truths |= truths
        self.people.expect(truths.values())

    def new_admin(self) -> Admin:
        """Return a way to the API server, past the proxy, for one thread."""
        made = Admin(self.cluster, self.operator.namespace)
        self._admins.append(made)
        return made

    def note(self, words: str) -> None:
        """Keep what was done when, for the report."""
        self.notes.append(f"{time.monotonic() - self._began:7.2f} s  {words}")

    def wait(self, what: str, check: Callable[[], bool], *, seconds: float = 60) -> None:
        """Wait for a fact; the report tells what was there instead."""
        if not wait_until(lambda: self._looks(check), seconds=seconds, interval=0.1):
            self.fail(f"{what} did not come about in {seconds:.0f} s", [])

    def settle(
        self, *, seconds: float = CONVERGED_SECONDS, limits: Limits | None = None
    ) -> History:
        """Wait until all is over, let the oracle judge, and return what happened."""
        began = time.monotonic()
        open_ends: list[Violation] = []

        def is_over() -> bool:
            open_ends[:] = self._unsettled()
            return not open_ends

        if not wait_until(lambda: self._looks(is_over), seconds=seconds, interval=0.3):
            self.fail(f"not at rest {seconds:.0f} s after the last fault (I9)", open_ends)
        self.note(f"at rest, {time.monotonic() - began:.1f} s after the last fault")
        history = self.history()
        broken = violations(history, self.truths.values(), operator=self.user, limits=limits)
        if broken:
            self.fail("promises are broken", broken)
        return history

    def history(self) -> History:
        """What happened so far."""
        query = self.operator.database.query
        seen = {"procexecutions": self._admin.list(EXECUTIONS), "jobs": self._admin.list(JOBS)}
        return read_history(self.cluster.audit_log, self.operator.namespace, query, seen=seen)

    def execution(self, name: str) -> Manifest:
        """Read an execution."""
        return self._admin.request("GET", f"{EXECUTIONS}/{name}")

    def start_operator(self) -> None:
        """Start the operator, and keep it running."""
        self.keeper.start_operator()
        self.note("operator started")

    def kill_operator(self) -> None:
        """End the operator's process as a crash would."""
        self.keeper.kill_operator()
        self.note("operator killed")

    def process(self) -> subprocess.Popen[bytes]:
        """The operator's process."""
        assert self.operator.process is not None, "it was started"
        return self.operator.process.process

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the operator's process where it is, and let it go on afterwards."""
        process = self.process()
        process.send_signal(signal.SIGSTOP)
        self.note("operator frozen")
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)
            self.note("operator goes on")

    def people_are_done(self) -> bool:
        """Whether all executions were created, and stopped where that is their fate."""
        return self.people.is_done

    def has_ended(self, name: str) -> bool:
        """Whether the kubelet has reported the end of an execution's container."""
        return bool(self.truths[name].exit_codes)

    def delete_the_namespace(self) -> None:
        """Ask for the end of the namespace, and with it of every execution."""
        for truth in self.truths.values():
            truth.lost_its_namespace = True
        self._admin.request("DELETE", "api/v1/namespaces/{}")
        self.note("namespace deleted")

    def namespace_is_gone(self) -> bool:
        """Whether nothing is left of it."""
        try:
            self._admin.request("GET", "api/v1/namespaces/{}")
        except ApiError as problem:
            if problem.status == http.client.NOT_FOUND:
                return True
            raise
        return False

    def is_empty(self) -> bool:
        """Whether no execution is there any more."""
        return not self._admin.list(EXECUTIONS)

    def version_of_executions(self) -> str:
        """The resourceVersion of the collection at this moment."""
        return str(self._admin.request("GET", EXECUTIONS)["metadata"]["resourceVersion"])

    def ask(self, path: str) -> str:
        """GET, and the answer as it is."""
        return self._admin.read(path)

    def jobs(self) -> dict[str, Manifest]:
        """Jobs by the name of their execution."""
        found = self._admin.list(JOBS)
        return {job["metadata"]["labels"]["proctor.dev/execution"]: job for job in found}

    def shows(self, name: str, phase: str, reason: str | None = None) -> bool:
        """Whether an execution shows a phase, and a reason."""
        status = self.execution(name)["status"]
        return status.get("phase") == phase and reason in (None, status.get("reason"))

    def fail(self, headline: str, broken: Sequence[Violation]) -> None:
        """Raise with everything an engineer needs."""
        raise AssertionError("\n".join(self._report(headline, broken)))

    def open(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End every thread, the keeper first, and then raise what broke one."""
        with ExitStack() as stack:
            for admin in self._admins:
                stack.callback(admin.close)
            for thread in self._threads:
                stack.callback(thread.stop)

    def _looks(self, check: Callable[[], bool]) -> bool:
        for thread in self._threads:
            thread.check()
        try:
            return check()
        except ApiError as problem:
            # Asked while the API server is away; a wrong question would be answered so for ever.
            if problem.status in (0, 404, 429) or problem.status >= 500:
                return False
            raise

    def _unsettled(self) -> list[Violation]:
        if not self.people.is_done:
            return [Violation("I9", "people", "are still at work")]
        rows = {uid: json.loads(row) for uid, row in self.operator.database.query(_ROWS)}
        return unsettled(
            self._admin.list(EXECUTIONS), self._admin.list(JOBS), rows, self.truths.values()
        )

    def _report(self, headline: str, broken: Sequence[Violation]) -> Iterator[str]:
        yield f"{headline}; replay with PROCTOR_FAULTS_SEED={self.seed}"
        yield from (f"  {one}" for one in broken)
        yield "what was done:"
        yield from (f"  {note}" for note in self.notes)
        for name in list(dict.fromkeys(one.name for one in broken))[:_SHOWN_IN_FULL]:
            yield from self._story(name)
        for path in ("/livez", "/readyz"):
            yield f"{path}: {self.operator.ask(path)}"
        yield "the end of the operator's log:"
        yield tail(self.operator.log)

    def _story(self, name: str) -> Iterator[str]:
        yield f"--- {name}: {self.truths.get(name)}"
        try:
            yield yaml.safe_dump(self.execution(name))
        except ApiError as problem:
            yield str(problem)
        uid = self.truths[name].uid if name in self.truths else name
        history = self.history()
        for version in history.versions:
            if version.uid == uid:
                yield f"{version.committed_at} {version.operation} {version.row}"
        for write in history.writes:
            if write.name.startswith(name):
                finalizers = write.stored.get("metadata", {}).get("finalizers")
                yield (
                    f"{write.received_at} {write.user.rpartition(':')[2]} {write.verb} "
                    f"{write.resource} {write.name} -> {write.code} finalizers={finalizers} "
                    f"status={write.stored.get('status')}"
                )


@contextmanager
def staged(
    installed: Installation,
    cluster: LocalCluster,
    postgres: LocalPostgres,
    template: str,
    folder: Path,
    *,
    name: str,
    seed: int,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Stage]:
    """Set the stage: a namespace, a database with its witness, proxies, and the operator between them."""
    with (
        Proxy(cluster.config.addresses.apiserver_port) as api,
        Proxy(postgres.port) as wire,
        new_database(postgres, template) as database,
    ):
        postgres.execute(WITNESS_SQL, database=database.name)
        through = _through_the_proxies(installed, cluster, postgres, database, folder, api, wire)
        for section, values in (settings or {}).items():
            through[section] = {**through.get(section, {}), **values}
        with operator_in(
            installed, database, folder, namespace=name, settings=through, start=False
        ) as operator:
            random = Random(f"{seed} {name}")
            stage = Stage(
                cluster,
                operator,
                api,
                wire,
                postgres,
                installed.user,
                seed,
                random,
                has_retention="retention" in (settings or {}),
            )
            operator.apply(proc(PROC), proc(HASTY_PROC, pendingTimeoutSeconds=HASTY_SECONDS))
            try:
                stage.open()
                yield stage
            finally:
                stage.close()


def _through_the_proxies(
    installed: Installation,
    cluster: LocalCluster,
    postgres: LocalPostgres,
    database: LocalDatabase,
    folder: Path,
    api: Proxy,
    wire: Proxy,
) -> dict[str, dict[str, Any]]:
    kubeconfig = cluster.service_account_kubeconfig(
        installed.namespace, installed.account, folder / "proxied.kubeconfig"
    )
    text = kubeconfig.read_text()
    assert cluster.server in text
    kubeconfig.write_text(text.replace(cluster.server, f"https://127.0.0.1:{api.port}"))
    dsn = database.runtime_dsn.replace(f":{postgres.port}/", f":{wire.port}/")
    return {
        "kubernetes": {"kubeconfig": str(kubeconfig)},
        "postgres": {"dsn": dsn},
        "election": ELECTION,
        # In a long act executions would be old enough to go, and the oracle looks at all of them.
        "retention": {"succeeded": -1, "failed": -1, "ttl_seconds": -1},
    }
