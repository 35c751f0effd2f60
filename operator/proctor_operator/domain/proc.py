"""A Proc: a published automation, as its author wrote it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.model import FreeJson, FreeValue, Model, Timestamp
from proctor_operator.domain.naming import Namespace, Uid


class SecretKeyRef(Model):
    """One key of a Secret in the same namespace; the kubelet reads it, the operator never does."""

    name: str
    key: str


class ParameterType(StrEnum):
    """JSON Schema types a parameter may have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"


class ItemSchema(Model):
    """The schema of an array's items, one level deep."""

    type: ParameterType | None = None
    enum: tuple[FreeValue, ...] | None = None
    pattern: str | None = None
    format: str | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None


class ParameterSchema(ItemSchema):
    """The subset of JSON Schema that a parameter may use."""

    items: ItemSchema | None = None
    min_items: int | None = None
    max_items: int | None = None


class Parameter(Model):
    """A declared input; its name is the environment variable that the container reads."""

    name: str
    description: str = ""
    required: bool | None = None
    default: FreeValue = None
    sensitive: bool = False
    schema_: ParameterSchema | None = Field(default=None, alias="schema")

    @property
    def has_default(self) -> bool:
        """Whether the author wrote a default; null is pruned by the API server, so it is none."""
        return self.default is not None

    @property
    def is_required(self) -> bool:
        """Whether an execution must give it: as written, else when there is no default."""
        return not self.has_default if self.required is None else self.required


class SecretBinding(Model):
    """A secret set by the author; requesters neither see nor choose it."""

    name: str
    description: str = ""
    secret_key_ref: SecretKeyRef


class GroupsMatch(StrEnum):
    """Whether one of the groups is enough or all are needed."""

    ANY = "Any"
    ALL = "All"


class RbacRule(StrEnum):
    """What the verb `execute` on the Proc does: allow by itself, be needed as well, or nothing."""

    SUFFICIENT = "Sufficient"
    REQUIRED = "Required"
    IGNORED = "Ignored"


class Authorization(Model):
    """Who may run a proc."""

    groups: tuple[str, ...] = ()
    groups_match: GroupsMatch | None = None
    users: tuple[str, ...] = ()
    rbac: RbacRule = RbacRule.SUFFICIENT
    plugins: tuple[str, ...] = ()
    anyone: bool = False


class ConcurrencyPolicy(StrEnum):
    """What happens when the limit of simultaneous runs is reached."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"
    QUEUE = "Queue"


class Concurrency(Model):
    """How many runs may be active at once, per combination of the key parameters' values."""

    policy: ConcurrencyPolicy = ConcurrencyPolicy.ALLOW
    limit: int = 1
    key: tuple[str, ...] = ()


class ProcHistory(Model):
    """How many finished ProcExecution objects stay, and how long (seconds)."""

    succeeded: int | None = None
    failed: int | None = None
    ttl_seconds: int | None = None


class Logs(Model):
    """Whether the last lines go to the status, and what is blanked before anything is stored."""

    tail: bool = True
    mask: tuple[str, ...] = ()


class ImagePullSecret(Model):
    """A Secret with registry credentials, by name, in the same namespace."""

    name: str


class ProcSpec(Model):
    """What the author publishes; field meanings stand in the CRD (`kubectl explain proc.spec`)."""

    description: str
    image: str
    author: str = ""
    contributors: tuple[str, ...] = ()
    organization: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    secrets: tuple[SecretBinding, ...] = ()
    authorization: Authorization = Authorization()
    timeout_seconds: int | None = None
    pending_timeout_seconds: int | None = None
    retries: int = 0
    pod_failure_policy: FreeJson | None = None
    concurrency: Concurrency = Concurrency()
    history: ProcHistory | None = None
    logs: Logs = Logs()
    resources: FreeJson | None = None
    service_account_name: str | None = None
    image_pull_secrets: tuple[ImagePullSecret, ...] = ()
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    queue_name: str | None = None
    pod_template: FreeJson | None = None
    suspend: bool = False


class LastExecution(Model):
    """The newest execution of a proc; `time` is when it entered its phase."""

    name: str
    phase: str
    time: Timestamp


class ProcActivity(Model):
    """What runs and what waits; a summary for people, some seconds old."""

    last_execution: LastExecution | None = None
    active: int = 0
    queued: int = 0


class Proc(Model):
    """A Proc as it stands in the cluster."""

    namespace: Namespace
    name: str
    uid: Uid
    generation: int
    resource_version: str
    labels: dict[str, str] = Field(default_factory=dict)
    spec: ProcSpec
    conditions: tuple[Condition, ...] = ()
    activity: ProcActivity = ProcActivity()
