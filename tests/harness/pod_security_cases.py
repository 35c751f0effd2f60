"""Pods for each control of the Pod Security Standards, good and bad, and what is wrong with the bad ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from proctor_operator.reconcile.merge import lay_over

Manifest = dict[str, Any]

STRICT: Manifest = {
    "metadata": {"name": "case"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "proc",
                "image": "registry.example.org/a:1",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
"""A pod that every level takes."""

_SAFE = STRICT["spec"]["containers"][0]["securityContext"]


@dataclass(frozen=True)
class Case:
    """A change to the strict pod and the fields that each level then finds wrong.

    `restricted` lists what it finds beyond, or instead of, `baseline`'s. `kubernetes_refuses`: the API
    server does not take such a pod at any level, so only our own evaluation can be asked.
    """

    change: Manifest
    baseline: tuple[str, ...] = ()
    restricted: tuple[str, ...] | None = None
    kubernetes_refuses: bool = False

    @property
    def pod(self) -> Manifest:
        return lay_over(STRICT, self.change)

    @property
    def at_restricted(self) -> tuple[str, ...]:
        return self.baseline if self.restricted is None else self.restricted


def pod(**spec: Any) -> Manifest:
    return {"spec": spec}


def container(**fields: Any) -> Manifest:
    """A change to the only container."""
    return pod(containers=[{"name": "proc", **fields}])


def context(**fields: Any) -> Manifest:
    """A change to the container's security context."""
    return container(securityContext=fields)


def init_container(**fields: Any) -> Manifest:
    """One more container, strict but for these fields of its security context."""
    one = {"name": "init", "image": "a:1", "securityContext": lay_over(_SAFE, fields)}
    return pod(initContainers=[one])


def ephemeral(**fields: Any) -> Manifest:
    one = {"name": "debug", "image": "a:1", "securityContext": lay_over(_SAFE, fields)}
    return pod(ephemeralContainers=[one])


def annotated(**annotations: str) -> Manifest:
    return {"metadata": {"annotations": annotations}}


def windows(**fields: Any) -> Manifest:
    """A Windows pod without anything of Linux, but for what is said."""
    bare = {"allowPrivilegeEscalation": None, "capabilities": None}
    plain: Manifest = {
        "os": {"name": "windows"},
        "securityContext": {"seccompProfile": None},
        "containers": [{"name": "proc", "securityContext": bare}],
    }
    return pod(**lay_over(plain, fields))


_C = "spec.containers[proc].securityContext"
_I = "spec.initContainers[init].securityContext"
_P = "spec.securityContext"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/proc"
_NO_ROOT_ANYWHERE = pod(securityContext={"runAsNonRoot": None})
_HTTP = {"httpGet": {"port": 80, "host": "10.0.0.1"}}
_TCP = {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}

CASES: dict[str, Case] = {
    "nothing wrong": Case({}),
    "a Windows host process of the pod": Case(
        windows(
            hostNetwork=True,
            securityContext={
                "windowsOptions": {"hostProcess": True, "runAsUserName": "NT AUTHORITY\\SYSTEM"}
            },
        ),
        (f"{_P}.windowsOptions.hostProcess", "spec.hostNetwork"),
    ),
    "a Windows host process of the container": Case(
        windows(
            hostNetwork=True,
            containers=[
                {"name": "proc", "securityContext": {"windowsOptions": {"hostProcess": True}}}
            ],
        ),
        (f"{_C}.windowsOptions.hostProcess", "spec.hostNetwork"),
    ),
    "no Windows host process": Case(
        windows(securityContext={"windowsOptions": {"hostProcess": False}})
    ),
    "the host's network": Case(pod(hostNetwork=True), ("spec.hostNetwork",)),
    "the host's processes": Case(pod(hostPID=True), ("spec.hostPID",)),
    "the host's IPC": Case(pod(hostIPC=True), ("spec.hostIPC",)),
    "no namespace of the host": Case(pod(hostNetwork=False, hostPID=False, hostIPC=False)),
    "a privileged container": Case(
        context(privileged=True, allowPrivilegeEscalation=True),
        (f"{_C}.privileged",),
        (f"{_C}.privileged", f"{_C}.allowPrivilegeEscalation"),
    ),
    "a privileged init container": Case(
        init_container(privileged=True, allowPrivilegeEscalation=True),
        (f"{_I}.privileged",),
        (f"{_I}.privileged", f"{_I}.allowPrivilegeEscalation"),
    ),
    "a privileged ephemeral container": Case(
        ephemeral(privileged=True),
        ("spec.ephemeralContainers[debug].securityContext.privileged",),
        kubernetes_refuses=True,
    ),
    "a container that says it is not privileged": Case(context(privileged=False)),
    "a capability of the default set": Case(
        context(capabilities={"drop": ["ALL"], "add": ["CHOWN"]}), (), (f"{_C}.capabilities.add",)
    ),
    "a capability beyond it": Case(
        context(capabilities={"drop": ["ALL"], "add": ["CHOWN", "NET_RAW"]}),
        (f"{_C}.capabilities.add",),
    ),
    "the capability with its long name": Case(
        context(capabilities={"drop": ["ALL"], "add": ["CAP_CHOWN"]}), (f"{_C}.capabilities.add",)
    ),
    "a low port": Case(context(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
    "not all capabilities dropped": Case(
        context(capabilities={"drop": ["NET_RAW"]}), (), (f"{_C}.capabilities.drop",)
    ),
    "all capabilities dropped by another word": Case(
        context(capabilities={"drop": ["all"]}), (), (f"{_C}.capabilities.drop",)
    ),
    "no capabilities named": Case(context(capabilities=None), (), (f"{_C}.capabilities.drop",)),
    "an empty map of capabilities": Case(
        context(capabilities={"drop": None}), (), (f"{_C}.capabilities.drop",)
    ),
    "no security context at all": Case(
        container(securityContext=None),
        (),
        (f"{_C}.allowPrivilegeEscalation", f"{_C}.capabilities.drop"),
    ),
    "an init container that drops nothing": Case(
        init_container(capabilities=None), (), (f"{_I}.capabilities.drop",)
    ),
    "a folder of the host": Case(
        pod(volumes=[{"name": "etc", "hostPath": {"path": "/etc"}}]),
        ("spec.volumes[etc].hostPath",),
    ),
    "a foreign volume": Case(
        pod(volumes=[{"name": "data", "nfs": {"server": "a.example.org", "path": "/"}}]),
        (),
        ("spec.volumes[data].nfs",),
    ),
    "a foreign block device": Case(
        pod(
            volumes=[
                {
                    "name": "d",
                    "iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2003-01.org.x:y", "lun": 1},
                }
            ]
        ),
        (),
        ("spec.volumes[d].iscsi",),
    ),
    "every volume that is allowed": Case(
        pod(
            volumes=[
                {"name": "a", "configMap": {"name": "x"}},
                {"name": "b", "downwardAPI": {"items": []}},
                {"name": "c", "emptyDir": {}},
                {"name": "d", "projected": {"sources": []}},
                {"name": "e", "secret": {"secretName": "x"}},
                {"name": "f", "csi": {"driver": "csi.example.org"}},
                {"name": "g", "persistentVolumeClaim": {"claimName": "x"}},
                {
                    "name": "h",
                    "ephemeral": {
                        "volumeClaimTemplate": {
                            "spec": {
                                "accessModes": ["ReadWriteOnce"],
                                "resources": {"requests": {"storage": "1Gi"}},
                            }
                        }
                    },
                },
                {"name": "i", "image": {"reference": "registry.example.org/data:1"}},
                {"name": "j"},
            ]
        )
    ),
    "a port of the host": Case(
        container(ports=[{"containerPort": 80, "hostPort": 8080}]),
        ("spec.containers[proc].ports[0].hostPort",),
    ),
    "a port of its own": Case(container(ports=[{"containerPort": 80, "hostPort": 0}])),
    "a probe of another host": Case(
        container(livenessProbe=_HTTP, readinessProbe=_TCP, startupProbe=_HTTP),
        (
            "spec.containers[proc].livenessProbe.httpGet.host",
            "spec.containers[proc].readinessProbe.tcpSocket.host",
            "spec.containers[proc].startupProbe.httpGet.host",
        ),
    ),
    "hooks that call another host": Case(
        container(lifecycle={"postStart": _HTTP, "preStop": _TCP}),
        (
            "spec.containers[proc].lifecycle.postStart.httpGet.host",
            "spec.containers[proc].lifecycle.preStop.tcpSocket.host",
        ),
    ),
    "probes and hooks of its own": Case(
        container(
            livenessProbe={"httpGet": {"port": 80}},
            lifecycle={"preStop": {"exec": {"command": ["true"]}}},
        )
    ),
    "no AppArmor for the pod": Case(
        pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}),
        (f"{_P}.appArmorProfile.type",),
    ),
    "no AppArmor for the container": Case(
        context(appArmorProfile={"type": "Unconfined"}), (f"{_C}.appArmorProfile.type",)
    ),
    "an AppArmor profile of the node": Case(
        context(appArmorProfile={"type": "Localhost", "localhostProfile": "x"})
    ),
    "no AppArmor by annotation": Case(
        annotated(**{_APPARMOR: "unconfined"}), (f"metadata.annotations[{_APPARMOR}]",)
    ),
    "AppArmor by annotation": Case(annotated(**{_APPARMOR: "runtime/default"})),
    "an annotation about something else": Case(annotated(team="unconfined")),
    "an SELinux type for containers": Case(
        context(seLinuxOptions={"type": "container_engine_t", "level": "s0:c1,c2"})
    ),
    "another SELinux type": Case(
        pod(securityContext={"seLinuxOptions": {"type": "spc_t"}}), (f"{_P}.seLinuxOptions.type",)
    ),
    "an SELinux user and role": Case(
        context(seLinuxOptions={"user": "u", "role": "r"}),
        (f"{_C}.seLinuxOptions.user", f"{_C}.seLinuxOptions.role"),
    ),
    "an unmasked /proc": Case(
        lay_over(context(procMount="Unmasked"), pod(hostUsers=False)), (f"{_C}.procMount",)
    ),
    "the usual /proc": Case(context(procMount="Default")),
    "no seccomp for the pod": Case(
        pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        (f"{_P}.seccompProfile.type",),
    ),
    "no seccomp for the container": Case(
        context(seccompProfile={"type": "Unconfined"}), (f"{_C}.seccompProfile.type",)
    ),
    "no seccomp for the pod, and a profile for the container": Case(
        lay_over(
            context(seccompProfile={"type": "RuntimeDefault"}),
            pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        ),
        (f"{_P}.seccompProfile.type",),
    ),
    "a seccomp profile nowhere": Case(
        pod(securityContext={"seccompProfile": None}), (), (f"{_C}.seccompProfile.type",)
    ),
    "a seccomp profile of the container only": Case(
        lay_over(
            context(seccompProfile={"type": "Localhost", "localhostProfile": "x.json"}),
            pod(securityContext={"seccompProfile": None}),
        )
    ),
    "an init container without a seccomp profile": Case(
        lay_over(
            lay_over(
                context(seccompProfile={"type": "RuntimeDefault"}),
                pod(securityContext={"seccompProfile": None}),
            ),
            init_container(),
        ),
        (),
        (f"{_I}.seccompProfile.type",),
    ),
    "a safe sysctl": Case(
        pod(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "4096 1 2"}]})
    ),
    "another sysctl": Case(
        pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        (f"{_P}.sysctls[kernel.msgmax].name",),
    ),
    "privilege escalation left open": Case(
        context(allowPrivilegeEscalation=None), (), (f"{_C}.allowPrivilegeEscalation",)
    ),
    "root by the pod": Case(
        pod(securityContext={"runAsNonRoot": False}), (), (f"{_P}.runAsNonRoot",)
    ),
    "root by the pod, though its container says no": Case(
        lay_over(context(runAsNonRoot=True), pod(securityContext={"runAsNonRoot": False})),
        (),
        (f"{_P}.runAsNonRoot",),
    ),
    "root by the container": Case(context(runAsNonRoot=False), (), (f"{_C}.runAsNonRoot",)),
    "no word on root": Case(_NO_ROOT_ANYWHERE, (), (f"{_C}.runAsNonRoot",)),
    "not root by the container only": Case(lay_over(context(runAsNonRoot=True), _NO_ROOT_ANYWHERE)),
    "an init container without a word on root": Case(
        lay_over(lay_over(context(runAsNonRoot=True), _NO_ROOT_ANYWHERE), init_container()),
        (),
        (f"{_I}.runAsNonRoot",),
    ),
    "user 0 of the pod": Case(pod(securityContext={"runAsUser": 0}), (), (f"{_P}.runAsUser",)),
    "user 0 of the container": Case(context(runAsUser=0), (), (f"{_C}.runAsUser",)),
    "another user": Case(context(runAsUser=1000)),
    "user 0 in a user namespace": Case(
        lay_over(context(runAsUser=0), pod(hostUsers=False)), (), (f"{_C}.runAsUser",)
    ),
    "a Windows pod without anything of Linux": Case(windows()),
    "a Windows pod without a word on root": Case(
        pod(
            **windows()["spec"]
            | {"securityContext": {"runAsNonRoot": None, "seccompProfile": None}}
        ),
        (),
        (f"{_C}.runAsNonRoot",),
    ),
}
