"""Reviews for tests of admission, and an API server's own way to lay a patch over an object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    ReviewUid,
    TurnedAway,
)
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import PROC_EXECUTIONS, Namespace
from proctor_operator.ports.cluster import OwnObject
from proctor_operator.runtime.admission import Admission
from proctor_operator.runtime.denials import DenialLog
from unit.builders import NAMESPACE
from unit.fakes import FakeAccess, FakeCluster, FakeDenials, FakeMetrics, FakePlugins
from unit.world import StillClock

OPERATOR = "system:serviceaccount:proctor-system:proctor"
ALICE = Requester(username="alice", uid="7", groups=("dba", "system:authenticated"))
EVE = Requester(username="eve", uid="9", groups=("system:authenticated",))
AS_OPERATOR = Requester(username=OPERATOR, uid="1")


def execution_manifest(**spec: Any) -> dict[str, Any]:
    """As a user writes it."""
    return {
        "metadata": {"namespace": NAMESPACE, "generateName": "grow-"},
        "spec": {"procRef": {"name": "grow-disk"}, **spec},
    }


def review(manifest: dict[str, Any], **fields: Any) -> AdmissionRequest:
    """A review of somebody creating an execution, unless the test says otherwise."""
    defaults: dict[str, Any] = {
        "uid": ReviewUid("review-1"),
        "operation": Operation.CREATE,
        "resource": PROC_EXECUTIONS,
        "namespace": Namespace(NAMESPACE),
        "name": "",
        "user": ALICE,
        "object": manifest,
    }
    return AdmissionRequest(**{**defaults, **fields})


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


class Gatehouse:
    """Admission with what it asks, in memory."""

    def __init__(self, *own: OwnObject) -> None:
        self.cluster = FakeCluster(*own)
        self.access = FakeAccess()
        self.plugins = FakePlugins()
        self.metrics = FakeMetrics()
        self.store = FakeDenials()
        self.clock = StillClock()
        self.denials = DenialLog(self.store, self.metrics, StillClock())
        self.admission = Admission(
            objects=self.cluster,
            access=self.access,
            plugins=self.plugins,
            denials=self.denials,
            metrics=self.metrics,
            clock=self.clock,
            operator_accounts=[OPERATOR],
            reviewers={},
        )

    async def submit(self, request: AdmissionRequest) -> tuple[AdmissionAnswer, dict[str, Any]]:
        """Mutate, then validate what came of it, as the API server does; the answer and the object."""
        answer = await self.admission.mutate(request)
        if isinstance(answer, TurnedAway):
            return answer, {}
        stored = merged(request.object, answer.patch)
        return await self.admission.validate(replace(request, object=stored)), stored

    async def stored(self, request: AdmissionRequest) -> dict[str, Any]:
        """The object that is stored; it must be let in."""
        answer, stored = await self.submit(request)
        assert isinstance(answer, Admitted), answer
        return stored

    async def denial(self, request: AdmissionRequest) -> TurnedAway:
        """Why it is turned away; it must be."""
        answer, _ = await self.submit(request)
        assert isinstance(answer, TurnedAway), answer
        return answer
