"""The ports that only answer: logs, access, metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime

from proctor_operator.domain.causes import Cause
from proctor_operator.domain.errors import ClusterUnavailable, Rejected
from proctor_operator.domain.execution import Phase
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace
from proctor_operator.ports.logs import LogPlace
from simulation.api_server import PODS, ApiServer
from simulation.container_log import ContainerLog
from simulation.line import API, Line
from simulation.workload import Truth
from unit.fakes import FakeMetrics

CRASHER = "crasher"
"""A requester about whom every question is met with a programming error."""


class SimulatedLogs:
    """The log of a pod can be asked for as long as the pod is there; who has it open reads on."""

    def __init__(self, server: ApiServer, line: Line, truths: dict[str, Truth]) -> None:
        self._server = server
        self._line = line
        self._truths = truths

    @asynccontextmanager
    async def open(
        self, place: LogPlace, *, follows: bool, since: datetime | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        key = (PODS, place.namespace, place.pod)
        pod = await self._line.read(API, f"log of {place.pod}", lambda: self._server.get(key))
        log = self._log_of(pod["metadata"]["uid"])
        if log is None:
            raise Rejected("the container is waiting to start", status=400)
        async with aclosing(self._pieces(log, follows=follows, since=since)) as pieces:
            yield pieces

    async def _pieces(
        self, log: ContainerLog, *, follows: bool, since: datetime | None
    ) -> AsyncGenerator[bytes]:
        ends_well = follows and log.reads % 2 == 0
        async for piece in log.read(follows=follows, since=since):
            try:
                await self._line.listen(API)
            except ClusterUnavailable:
                if ends_well:
                    # So does the API server when it loses the kubelet.
                    return
                raise
            yield piece

    def _log_of(self, pod_uid: str) -> ContainerLog | None:
        attempts = (one for truth in self._truths.values() for one in truth.attempts)
        return next((one.log for one in attempts if one.pod_uid == pod_uid), None)


class SimulatedAccess:
    """Ann may do everything, anybody else nothing."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def may_execute(self, requester: Requester, namespace: Namespace, proc: str) -> bool:
        return await self._ask(requester, f"may {requester.username} execute {namespace}/{proc}")

    async def may_read_secret(self, requester: Requester, namespace: Namespace, name: str) -> bool:
        return await self._ask(requester, f"may {requester.username} read {namespace}/{name}")

    async def may_cancel(self, requester: Requester, namespace: Namespace, execution: str) -> bool:
        return await self._ask(
            requester, f"may {requester.username} cancel {namespace}/{execution}"
        )

    async def may_create_jobs(self, requester: Requester, namespace: Namespace) -> bool:
        return await self._ask(requester, f"may {requester.username} create jobs in {namespace}")

    async def _ask(self, requester: Requester, question: str) -> bool:
        if requester.username == CRASHER:
            raise ZeroDivisionError("a defect that only this object meets")
        return await self._line.read(API, question, lambda: requester.username == "ann")


class SimulatedMetrics(FakeMetrics):
    """Counts passes by their result, and outcomes by their phase; keeps no list, for runs are long."""

    def __init__(self) -> None:
        super().__init__()
        self.passes_by_result: Counter[str] = Counter()
        self.outcomes: Counter[Phase] = Counter()

    def queue_depth(self, keys: int) -> None:
        pass

    def key_waited(self, kind: str, seconds: float) -> None:
        pass

    def pass_finished(self, kind: str, result: str, seconds: float) -> None:
        del kind, seconds
        self.passes_by_result[result] += 1

    def execution_finished(self, phase: Phase, cause: Cause) -> None:
        del cause
        self.outcomes[phase] += 1

    def cluster_call(self, verb: str, resource: str, code: int, seconds: float) -> None:
        pass

    def record_call(self, operation: str, result: str, seconds: float) -> None:
        pass
