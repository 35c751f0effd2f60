"""The profile "restricted" of the Pod Security Standards: what it asks for beyond "baseline"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from proctor_operator.domain.pod_parts import PodParts, Violation
from proctor_operator.domain.pod_security_baseline import (
    BASELINE,
    Control,
    capabilities,
    host_path_volumes,
)

_VOLUMES: Final = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)


def volume_types(pod: PodParts) -> Iterator[Violation]:
    """Only volumes that give nothing of a host or of a foreign storage system.

    One without any source is an emptyDir: the API server makes it that.
    """
    for volume in pod.spec.items("volumes"):
        sources = [name for name, value in volume.fields.items() if value is not None]
        foreign = [name for name in sources if name not in ("name", *_VOLUMES)]
        if foreign and not any(name in _VOLUMES for name in sources):
            yield volume.violation(foreign[0], f"one of {', '.join(_VOLUMES)} instead")


def privilege_escalation(pod: PodParts) -> Iterator[Violation]:
    """No process gets more rights than its parent had."""
    if pod.is_windows:
        return
    for container in pod.containers:
        context = container.part("securityContext")
        if context.value("allowPrivilegeEscalation") is not False:
            yield context.violation("allowPrivilegeEscalation", "false")


def running_as_non_root(pod: PodParts) -> Iterator[Violation]:
    """Every container says, or inherits, that it does not run as root."""
    own = pod.security_context
    if own.value("runAsNonRoot") is False:
        yield own.violation("runAsNonRoot", "true")
    inherited = own.value("runAsNonRoot")
    for container in pod.containers:
        context = container.part("securityContext")
        written = context.value("runAsNonRoot")
        if written is False:
            yield context.violation("runAsNonRoot", "true")
        elif written is None and inherited is None:
            yield context.violation(
                "runAsNonRoot", "true, here or in the securityContext of the pod"
            )


def running_as_user(pod: PodParts) -> Iterator[Violation]:
    """User 0 is root."""
    for context in pod.security_contexts:
        if _is_zero(context.value("runAsUser")):
            yield context.violation("runAsUser", "another number than 0, or left out")


def seccomp_profile(pod: PodParts) -> Iterator[Violation]:
    """Every container has, or inherits, a seccomp profile; that it is a right one "baseline" sees to."""
    if pod.is_windows or pod.security_context.part("seccompProfile").is_written:
        return
    for container in pod.containers:
        profile = container.part("securityContext", "seccompProfile")
        if not profile.is_written:
            right = "RuntimeDefault or Localhost, here or in the securityContext of the pod"
            yield profile.violation("type", right)


def dropped_capabilities(pod: PodParts) -> Iterator[Violation]:
    """All are dropped, and none is added but that to serve on a low port."""
    if pod.is_windows:
        return
    for container in pod.containers:
        found = container.part("securityContext", "capabilities")
        if "ALL" not in found.texts("drop"):
            yield found.violation("drop", "[ALL]")
        if not set(found.texts("add")) <= {"NET_BIND_SERVICE"}:
            yield found.violation("add", "[NET_BIND_SERVICE] or left out")


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


RESTRICTED: Final[tuple[Control, ...]] = (
    # Two of them are stricter forms of a control of "baseline" and stand in its place.
    *(control for control in BASELINE if control not in (capabilities, host_path_volumes)),
    volume_types,
    privilege_escalation,
    running_as_non_root,
    running_as_user,
    seccomp_profile,
    dropped_capabilities,
)
