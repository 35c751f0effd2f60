"""The Pod Security Standards of Kubernetes, as far as Proctor must know them itself.

The API server holds pods to them, and not the Jobs that make them: a Job whose pods it will refuse is
stored all the same. So a Proc's pod is judged here, by the published profiles as of Kubernetes 1.34
(kubernetes.io/docs/concepts/security/pod-security-standards), whatever version a namespace pins. The
relaxation for pods in a user namespace (hostUsers: false) is an alpha feature of the API server that is
off by default, and nobody outside can see whether it is on: it is not taken for granted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.pod_parts import PodParts, Violation
from proctor_operator.domain.pod_security_baseline import BASELINE, Control
from proctor_operator.domain.pod_security_restricted import RESTRICTED


class PodSecurityLevel(StrEnum):
    """A profile of the standards, as the label `pod-security.kubernetes.io/enforce` of a namespace names it."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"


_CONTROLS: Final[Mapping[PodSecurityLevel, tuple[Control, ...]]] = {
    PodSecurityLevel.PRIVILEGED: (),
    PodSecurityLevel.BASELINE: BASELINE,
    PodSecurityLevel.RESTRICTED: RESTRICTED,
}


def find_pod_security_violations(
    manifest: JsonObject, level: PodSecurityLevel
) -> tuple[Violation, ...]:
    """Everything in a pod, or a template of one, that the level forbids."""
    pod = PodParts.of(manifest)
    return tuple(violation for control in _CONTROLS[level] for violation in control(pod))
