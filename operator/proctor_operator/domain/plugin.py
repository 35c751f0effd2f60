"""What plugins are asked and what they answer, whatever transport carries it (contract proctor.plugin.v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from proctor_operator.domain.identity import Requester
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.proc import Proc


class Hook(StrEnum):
    """The points at which a plugin is asked."""

    AUTHORIZE = "Authorize"
    PRE_SUBMIT = "PreSubmit"
    PRE_LAUNCH = "PreLaunch"
    PRE_CANCEL = "PreCancel"


class Opinion(StrEnum):
    """One plugin's word on who may run a proc."""

    ALLOW = "Allow"
    DENY = "Deny"
    NO_OPINION = "NoOpinion"


@dataclass(frozen=True, slots=True)
class Question:
    """What a hook is asked about: somebody, a Proc, and arguments as they may be shown.

    `arguments` never hold a sensitive value. `invocation` is the same on every retry of one question: the
    execution's UID, or that of the admission review. `execution` is empty where there is no name yet.
    """

    invocation: str
    requester: Requester
    proc: Proc
    arguments: Mapping[str, JsonValue]
    namespace: Namespace
    execution: str = ""
    execution_uid: Uid | None = None
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Vote:
    """How one plugin voted; a plugin that is missing or fails votes Deny unless its admin says Ignore.

    `is_failure`: the Deny is no answer of the plugin, which may give one later.
    """

    plugin: str
    opinion: Opinion
    message: str = ""
    is_failure: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """No gate has anything against it."""

    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deny:
    """A gate says no, for good; `reason` is one CamelCase word of the plugin's."""

    plugin: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Defer:
    """A gate says: not now, ask again later."""

    plugin: str
    reason: str
    message: str
    after_seconds: float


GateAnswer = Pass | Deny | Defer


@dataclass(frozen=True, slots=True)
class PluginFacts:
    """What a loaded plugin says of itself, and the hooks that it has."""

    version: str
    protocol: str
    hooks: frozenset[Hook]


@dataclass(frozen=True, slots=True)
class PluginHealth:
    """How a plugin does: `problem` is why it cannot be asked, `facts` are known once it was loaded."""

    problem: str = ""
    facts: PluginFacts | None = None
    is_failing: bool = False
    last_error: str = ""
