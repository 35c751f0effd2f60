"""The profile "baseline" of the Pod Security Standards: one function per control."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from proctor_operator.domain.pod_parts import Part, PodParts, Violation

Control = Callable[[PodParts], Iterator[Violation]]

_APPARMOR_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/"
_PROFILES: Final = ("RuntimeDefault", "Localhost")
_SELINUX_TYPES: Final = (
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
)
_CAPABILITIES: Final = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
_SYSCTLS: Final = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
)
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")


def host_process(pod: PodParts) -> Iterator[Violation]:
    """No Windows container with the host's own rights."""
    for context in pod.security_contexts:
        options = context.part("windowsOptions")
        if options.value("hostProcess") is True:
            yield options.violation("hostProcess", "false or left out")


def host_namespaces(pod: PodParts) -> Iterator[Violation]:
    """The host's network, processes and IPC stay its own."""
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.value(name) is True:
            yield pod.spec.violation(name, "false or left out")


def privileged_containers(pod: PodParts) -> Iterator[Violation]:
    """No privileged container."""
    for container in pod.containers:
        context = container.part("securityContext")
        if context.value("privileged") is True:
            yield context.violation("privileged", "false or left out")


def capabilities(pod: PodParts) -> Iterator[Violation]:
    """None is added beyond those that a container runtime gives by default."""
    for container in pod.containers:
        added = container.part("securityContext", "capabilities")
        if not set(added.texts("add")) <= set(_CAPABILITIES):
            yield added.violation("add", f"none but {', '.join(_CAPABILITIES)}")


def host_path_volumes(pod: PodParts) -> Iterator[Violation]:
    """No folder of the host."""
    for volume in pod.spec.items("volumes"):
        if volume.value("hostPath") is not None:
            yield volume.violation("hostPath", "left out")


def host_ports(pod: PodParts) -> Iterator[Violation]:
    """No port of the host."""
    for container in pod.containers:
        for port in container.items("ports"):
            if port.value("hostPort"):
                yield port.violation("hostPort", "0 or left out")


def host_probes(pod: PodParts) -> Iterator[Violation]:
    """Probes and hooks call the pod itself, not another host."""
    for container in pod.containers:
        callers = (
            *(container.part(name) for name in _PROBES),
            *(container.part("lifecycle", name) for name in _HOOKS),
        )
        for caller in callers:
            for kind in ("httpGet", "tcpSocket"):
                if caller.part(kind).value("host"):
                    yield caller.part(kind).violation("host", "left out")


def apparmor(pod: PodParts) -> Iterator[Violation]:
    """The runtime's AppArmor profile is not switched off."""
    for context in pod.security_contexts:
        yield from _profile_that_is_not_one_of(context.part("appArmorProfile"))
    annotations = pod.metadata.part("annotations")
    for name, value in annotations.fields.items():
        if name.startswith(_APPARMOR_ANNOTATION) and not _is_apparmor_profile(value):
            right = "runtime/default, localhost/... or left out"
            yield Violation(f"{annotations.path}[{name}]", value, right)


def selinux(pod: PodParts) -> Iterator[Violation]:
    """No SELinux user or role, and only types made for containers."""
    for context in pod.security_contexts:
        options = context.part("seLinuxOptions")
        kind = options.value("type")
        if kind and kind not in _SELINUX_TYPES:
            yield options.violation("type", f"{', '.join(_SELINUX_TYPES)} or left out")
        for name in ("user", "role"):
            if options.value(name):
                yield options.violation(name, "left out")


def proc_mount(pod: PodParts) -> Iterator[Violation]:
    """What the runtime hides of /proc stays hidden."""
    for container in pod.containers:
        context = container.part("securityContext")
        if context.value("procMount") not in (None, "Default"):
            yield context.violation("procMount", "Default or left out")


def seccomp(pod: PodParts) -> Iterator[Violation]:
    """The runtime's seccomp profile is not switched off."""
    for context in pod.security_contexts:
        yield from _profile_that_is_not_one_of(context.part("seccompProfile"))


def sysctls(pod: PodParts) -> Iterator[Violation]:
    """Only kernel parameters that each pod has for itself."""
    for sysctl in pod.security_context.items("sysctls"):
        if sysctl.value("name") not in _SYSCTLS:
            yield sysctl.violation("name", f"one of {', '.join(_SYSCTLS)}")


def _profile_that_is_not_one_of(profile: Part) -> Iterator[Violation]:
    if profile.is_written and profile.value("type") not in _PROFILES:
        yield profile.violation("type", f"{' or '.join(_PROFILES)}, or the profile left out")


def _is_apparmor_profile(value: object) -> bool:
    return isinstance(value, str) and (
        value in ("", "runtime/default") or value.startswith("localhost/")
    )


BASELINE: Final[tuple[Control, ...]] = (
    host_process,
    host_namespaces,
    privileged_containers,
    capabilities,
    host_path_volumes,
    host_ports,
    host_probes,
    apparmor,
    selinux,
    proc_mount,
    seccomp,
    sysctls,
)
