"""The base class of every plugin: it has every hook, and each does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from proctor_plugin.models import (
    AuthorizeRequest,
    Continue,
    Describe,
    GateAnswer,
    GateRequest,
    Hook,
    NoOpinion,
    Verdict,
    no_config,
)


class ProctorPlugin:
    """Override what you need: a hook that is not overridden is never called.

    Methods are `async` and run on Proctor's event loop, where one that blocks holds up everybody: a hook
    that must block is written without `async`, and is called in a thread. Raising anything is a
    failure, which the ProcPlugin's `failurePolicy` judges; a denial is an answer, and returned.

    `name` must be given. `config_schema` is the JSON Schema of the configuration; without one there is none.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = "0"
    config_schema: ClassVar[Mapping[str, Any]] = no_config()

    def describe(self) -> Describe:
        """Tell what this is; called before `configure`, and may not depend on it."""
        return Describe(
            name=self.name,
            version=self.version,
            implements=self.implements(),
            config_schema=dict(self.config_schema),
        )

    @classmethod
    def implements(cls) -> frozenset[Hook]:
        """The hooks that a class overrides."""
        return frozenset(
            hook
            for hook, method in METHODS.items()
            if getattr(cls, method) is not getattr(ProctorPlugin, method)
        )

    async def configure(self, config: Mapping[str, Any], credentials_file: Path | None) -> None:
        """Take `spec.config`, which fits the schema, and the path of `spec.credentialsFile`.

        Called once, before any hook; raise `ValueError` for what no schema can say. Read the file when
        you need it rather than here: what is mounted is rotated.
        """

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        """Vote on whether the principal may run the proc."""
        del request
        return NoOpinion()

    async def pre_submit(self, request: GateRequest) -> GateAnswer:
        """Gate before an execution is stored; it must have no side effects."""
        del request
        return Continue()

    async def pre_launch(self, request: GateRequest) -> GateAnswer:
        """Gate before an execution's Job is made; `Defer` keeps it waiting."""
        del request
        return Continue()

    async def pre_cancel(self, request: GateRequest) -> GateAnswer:
        """Gate before a cancel is stored."""
        del request
        return Continue()

    async def close(self) -> None:
        """Let go of connections; called once, and no hook after it."""


METHODS: Final[Mapping[Hook, str]] = {
    Hook.AUTHORIZE: "authorize",
    Hook.PRE_SUBMIT: "pre_submit",
    Hook.PRE_LAUNCH: "pre_launch",
    Hook.PRE_CANCEL: "pre_cancel",
}
"""The method of each hook."""
