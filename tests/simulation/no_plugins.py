"""The `Plugins` port of a process that has none: whoever asks for a plugin's vote is denied."""

from __future__ import annotations

from proctor_operator.domain.plugin import GateAnswer, Hook, Opinion, Pass, Question, Vote


class NoPlugins:
    """A plugin that is named and is not there votes Deny."""

    async def authorize(self, question: Question) -> tuple[Vote, ...]:
        """See the port."""
        named = question.proc.spec.authorization.plugins
        return tuple(Vote(name, Opinion.DENY, "no such plugin is installed") for name in named)

    async def ask_gates(self, hook: Hook, question: Question) -> GateAnswer:
        """See the port."""
        del hook, question
        return Pass()
