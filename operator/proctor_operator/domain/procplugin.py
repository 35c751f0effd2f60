"""A ProcPlugin: where a plugin runs, at which hooks it is asked, and for which Procs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import Field

from proctor_operator.domain.conditions import Condition
from proctor_operator.domain.model import FreeJson, Model
from proctor_operator.domain.naming import Namespace, Uid
from proctor_operator.domain.plugin import Hook
from proctor_operator.domain.proc import Proc, SecretKeyRef

NAMESPACE_NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label that every namespace carries with its own name; no user can set or change it."""

DEFAULT_ORDER: Final = 500
DEFAULT_TIMEOUT_SECONDS: Final = 2


class PythonTransport(Model):
    """An entry point of the group `proctor.plugins`, installed beside the operator."""

    entry_point: str


class ProcessTransport(Model):
    """An executable that the operator starts and watches over."""

    executable: str
    sha256: str | None = None


class GrpcTls(Model):
    """How a server on TCP is trusted."""

    ca_bundle: str | None = None
    server_name: str | None = None
    client_certificate: SecretKeyRef | None = None


class GrpcTransport(Model):
    """A server, on TCP or on a sidecar's socket."""

    endpoint: str
    tls: GrpcTls | None = None
    credentials: SecretKeyRef | None = None


class Signing(Model):
    """How notices are signed."""

    secret_key_ref: SecretKeyRef


class HttpsTransport(Model):
    """A web hook, for notices only."""

    url: str
    signing: Signing | None = None


class Transport(Model):
    """Exactly one of these."""

    python: PythonTransport | None = None
    process: ProcessTransport | None = None
    grpc: GrpcTransport | None = None
    https: HttpsTransport | None = None


class FailurePolicy(StrEnum):
    """What it means that a plugin crashes, hangs or talks nonsense: no, or nothing."""

    FAIL = "Fail"
    IGNORE = "Ignore"


class HookBinding(Model):
    """One hook at which the plugin is asked."""

    name: Hook
    order: int = DEFAULT_ORDER
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    failure_policy: FailurePolicy = FailurePolicy.FAIL


class SelectorOperator(StrEnum):
    """How an expression compares a label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class SelectorExpression(Model):
    """One demand on one label."""

    key: str
    operator: SelectorOperator
    values: tuple[str, ...] = ()

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet the demand; as Kubernetes has it, NotIn holds where the label is missing."""
        value = labels.get(self.key)
        match self.operator:
            case SelectorOperator.IN:
                return value in self.values
            case SelectorOperator.NOT_IN:
                return value not in self.values
            case SelectorOperator.EXISTS:
                return value is not None
            case SelectorOperator.DOES_NOT_EXIST:
                return value is None


class LabelSelector(Model):
    """Selects by labels; all demands together. An empty one selects everything."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[SelectorExpression, ...] = ()

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet every demand."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            expression.accepts(labels) for expression in self.match_expressions
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Labels that it asks for."""
        return (*self.match_labels, *(one.key for one in self.match_expressions))


class OverrideMode(StrEnum):
    """Whether a namespace may change anything about the plugin for itself."""

    DENY = "Deny"
    ALLOW = "Allow"


class OverrideField(StrEnum):
    """What it may change."""

    ENDPOINT = "endpoint"
    CONFIG = "config"
    SUBSCRIPTIONS = "subscriptions"


class NamespaceOverride(Model):
    """What namespaces may change about the plugin for themselves."""

    mode: OverrideMode = OverrideMode.DENY
    fields: tuple[OverrideField, ...] = ()
    endpoint_patterns: tuple[str, ...] = ()


class ProcPluginSpec(Model):
    """What the cluster's admin writes; field meanings stand in the CRD."""

    transport: Transport
    hooks: tuple[HookBinding, ...]
    namespace_selector: LabelSelector | None = None
    proc_selector: LabelSelector | None = None
    mandatory: bool = False
    config: FreeJson = Field(default_factory=dict)
    credentials_file: str | None = None
    capabilities: tuple[str, ...] = ()
    namespace_override: NamespaceOverride | None = None

    def binding(self, hook: Hook) -> HookBinding | None:
        """How the plugin is asked at a hook; None when it is not."""
        return next((one for one in self.hooks if one.name is hook), None)

    def selects(self, namespace: Namespace, proc: Proc) -> bool:
        """Whether the plugin is meant for a Proc in that namespace."""
        is_there = self.namespace_selector is None or self.namespace_selector.accepts(
            {NAMESPACE_NAME_LABEL: namespace}
        )
        return is_there and (self.proc_selector is None or self.proc_selector.accepts(proc.labels))


class ProcPluginStatus(Model):
    """What the operator found out about the plugin."""

    conditions: tuple[Condition, ...] = ()
    observed_generation: int | None = None
    version: str | None = None
    protocol: str | None = None
    restarts: int | None = None
    last_error: str | None = None


class ProcPlugin(Model):
    """A ProcPlugin as it stands in the cluster."""

    name: str
    uid: Uid
    generation: int
    resource_version: str
    spec: ProcPluginSpec
    status: ProcPluginStatus = ProcPluginStatus()


@dataclass(frozen=True, slots=True)
class UnreadablePlugin:
    """A ProcPlugin whose spec does not parse; one that says it is mandatory denies every Proc."""

    name: str
    uid: Uid
    generation: int
    resource_version: str
    problem: str
    is_mandatory: bool
    status: ProcPluginStatus = field(default_factory=ProcPluginStatus)
