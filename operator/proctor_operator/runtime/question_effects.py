"""Asking who may do what, and whether it may start."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from proctor_operator.domain.errors import Fault
from proctor_operator.domain.identity import Requester
from proctor_operator.domain.plugin import Question
from proctor_operator.domain.proc import Proc
from proctor_operator.ports.access import Access
from proctor_operator.ports.clock import Clock
from proctor_operator.ports.plugins import Plugins
from proctor_operator.reconcile.decision import (
    AskMayExecute,
    AskMayReadSecret,
    AskPlugins,
    AskPreLaunch,
)
from proctor_operator.reconcile.observed import ObservedExecution
from proctor_operator.reconcile.question import question_of
from proctor_operator.runtime.launch_gates import LaunchGates

QuestionAction = AskMayExecute | AskMayReadSecret | AskPlugins | AskPreLaunch


class QuestionEffects:
    """Answers come from the API server and from plugins."""

    def __init__(self, *, access: Access, plugins: Plugins, clock: Clock) -> None:
        self._access = access
        self._plugins = plugins
        self._gates = LaunchGates(plugins, clock)

    async def perform(
        self, action: QuestionAction, observed: ObservedExecution
    ) -> ObservedExecution:
        """Ask; what is known now."""
        execution = observed.execution
        match action:
            case AskMayExecute():
                allowed = await self._access.may_execute(
                    _requester(observed), execution.namespace, execution.spec.proc_ref.name
                )
                return replace(observed, holds_execute=allowed)
            case AskMayReadSecret(name):
                allowed = await self._access.may_read_secret(
                    _requester(observed), execution.namespace, name
                )
                return replace(observed, reads_secrets={**observed.reads_secrets, name: allowed})
            case AskPlugins():
                votes = await self._plugins.authorize(_question(observed))
                return replace(observed, votes=votes)
            case AskPreLaunch():
                return replace(observed, pre_launch=await self._gates.ask(_question(observed)))
            case _:
                assert_never(action)


def _question(observed: ObservedExecution) -> Question:
    if not isinstance(observed.proc, Proc):
        raise Fault("the proc has not been read")
    return question_of(observed.execution, observed.proc)


def _requester(observed: ObservedExecution) -> Requester:
    requester = observed.execution.spec.requested_by
    if requester is None:
        raise Fault("the execution names no requester")
    return requester
