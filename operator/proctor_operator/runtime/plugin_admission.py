"""A ProcPlugin is checked when it is written: what could not work is turned away with the reason."""

from __future__ import annotations

from typing import Final

from proctor_operator.domain.admission import (
    AdmissionAnswer,
    AdmissionRequest,
    Admitted,
    Operation,
    TurnedAway,
)
from proctor_operator.domain.errors import Unreadable
from proctor_operator.domain.model import parse
from proctor_operator.domain.procplugin import ProcPluginSpec
from proctor_operator.reconcile.plugin import find_plugin_problem

UNPROCESSABLE: Final = 422


class PluginAdmission:
    """Reviews ProcPlugins. Whether the plugin can be loaded is the status's to say: it may come later."""

    async def validate(self, request: AdmissionRequest) -> AdmissionAnswer:
        """Let through what can work, and whatever is on its way out."""
        is_written = request.operation in (Operation.CREATE, Operation.UPDATE)
        if not is_written or request.subresource or request.object is None:
            return Admitted()
        if "deletionTimestamp" in request.object.get("metadata", {}):
            return Admitted()
        try:
            spec = parse(ProcPluginSpec, request.object.get("spec"), where="spec")
        except Unreadable as error:
            return TurnedAway("InvalidSpec", error.message, code=UNPROCESSABLE)
        problem = find_plugin_problem(spec)
        if problem is not None:
            return TurnedAway(problem.reason, problem.message, code=UNPROCESSABLE)
        return Admitted()
