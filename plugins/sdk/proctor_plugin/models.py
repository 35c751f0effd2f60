"""The words of the contract `proctor.plugin.v1`: what a plugin is asked and what it may answer.

Everything is frozen. Requests may gain fields in later releases, so they take fields that they do not
know; answers and `Describe` do not: what is mistyped must not be lost in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

PROTOCOL: Final = "proctor.plugin.v1"
"""The contract that this distribution speaks."""

MESSAGE_LIMIT: Final = 256
"""Characters of a message that Proctor passes on; it cuts longer ones."""

DEFER_SECONDS_AT_MOST: Final = 3600.0

Reason = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]
"""One CamelCase word, which people find in a status and programs can tell apart."""


class Hook(StrEnum):
    """The points at which a plugin can be asked, as `spec.hooks` of a ProcPlugin names them."""

    AUTHORIZE = "Authorize"
    PRE_SUBMIT = "PreSubmit"
    PRE_LAUNCH = "PreLaunch"
    PRE_CANCEL = "PreCancel"


class PluginFailure(Exception):
    """Raise it where there is no answer to give; the failure policy decides what that means.

    Its message reaches the admin, in the log and in the ProcPlugin's status, so no secret belongs into it.
    Of any other exception they see the type only.
    """


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Answered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Principal(_Asked):
    """Who asks, as the API server authenticated them; nothing of it comes from the user."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    via: str = "API"


class ProcInfo(_Asked):
    """The Proc that is to run. Its secrets, not even their names, are no plugin's business."""

    namespace: str
    name: str
    uid: str
    generation: int
    labels: Mapping[str, str] = Field(default_factory=dict)
    description: str = ""
    author: str = ""
    organization: str = ""
    image: str = ""
    groups: tuple[str, ...] = ()
    """`spec.authorization.groups`: those that the author wants people to be in."""
    needs_all_groups: bool = False
    """Whether all of them are needed, by the Proc's own rule."""


class AuthorizeRequest(_Asked):
    """May `principal` run `proc` with `arguments`? Sensitive values are never among them.

    The verdict must depend on these and on nothing else of the request: it is kept for a while.
    """

    invocation_id: str
    principal: Principal
    proc: ProcInfo
    arguments: Mapping[str, JsonValue] = Field(default_factory=dict)
    dry_run: bool = False
    """Nothing will come of it: a gate that counts or reserves must not."""


class GateRequest(AuthorizeRequest):
    """The same, of one execution. `invocation_id` is the same on every retry of one question."""

    hook: Hook
    execution: str = ""
    """Its name; empty where the API server has not given it one yet."""
    execution_uid: str = ""


class Allow(_Answered):
    """`Authorize`: the principal may, as far as this plugin is concerned. Any other's Deny outweighs it."""

    answer: Literal["Allow"] = "Allow"
    message: str = ""


class Deny(_Answered):
    """No: a voter's word that no other can outweigh, or a gate's. `message` is for the person who asked."""

    answer: Literal["Deny"] = "Deny"
    message: str
    reason: Reason = "DeniedByPlugin"


class NoOpinion(_Answered):
    """`Authorize`: others shall decide. When nobody allows, the answer is no."""

    answer: Literal["NoOpinion"] = "NoOpinion"
    message: str = ""


class Continue(_Answered):
    """A gate has nothing against it; warnings are shown to the person who asked, where there is a way to."""

    answer: Literal["Continue"] = "Continue"
    warnings: tuple[str, ...] = ()


class Defer(_Answered):
    """A gate says: not now. It is asked again after so many seconds, with the same `invocation_id`."""

    answer: Literal["Defer"] = "Defer"
    message: str
    after_seconds: float = Field(gt=0, le=DEFER_SECONDS_AT_MOST)
    reason: Reason = "Deferred"


Verdict = Allow | Deny | NoOpinion
"""What `authorize` answers."""

GateAnswer = Continue | Deny | Defer
"""What a gate answers. Where waiting is not possible (`PreSubmit`, `PreCancel`) a Defer means: try later."""


def no_config() -> dict[str, Any]:
    """The schema of a plugin that takes no configuration."""
    return {"type": "object", "additionalProperties": False}


class Describe(_Answered):
    """A plugin's own account of itself. Proctor calls only the hooks in `implements`."""

    name: str = Field(min_length=1, max_length=63)
    version: str = Field(min_length=1, max_length=63)
    protocol: str = PROTOCOL
    implements: frozenset[Hook] = frozenset()
    config_schema: dict[str, Any] = Field(default_factory=no_config)
    """JSON Schema (2020-12) of `spec.config`; Proctor holds the configuration to it before `configure`."""
