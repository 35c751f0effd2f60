"""What a plugin of Proctor is made of (contract `proctor.plugin.v1`)."""

from proctor_plugin.models import (
    DEFER_SECONDS_AT_MOST,
    MESSAGE_LIMIT,
    PROTOCOL,
    Allow,
    AuthorizeRequest,
    Continue,
    Defer,
    Deny,
    Describe,
    GateAnswer,
    GateRequest,
    Hook,
    NoOpinion,
    PluginFailure,
    Principal,
    ProcInfo,
    Verdict,
)
from proctor_plugin.plugin import METHODS, ProctorPlugin

__all__ = [
    "DEFER_SECONDS_AT_MOST",
    "MESSAGE_LIMIT",
    "METHODS",
    "PROTOCOL",
    "Allow",
    "AuthorizeRequest",
    "Continue",
    "Defer",
    "Deny",
    "Describe",
    "GateAnswer",
    "GateRequest",
    "Hook",
    "NoOpinion",
    "PluginFailure",
    "Principal",
    "ProcInfo",
    "ProctorPlugin",
    "Verdict",
]
