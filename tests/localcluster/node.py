"""The commands and configuration files of containerd, the kubelet and kube-proxy."""

from __future__ import annotations

import json
import subprocess

from localcluster.cgroups import cgroup_name
from localcluster.config import Config
from localcluster.controlplane import Component, component
from localcluster.packages import find_tool

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "proctor.local/pause:1"
NODE = ("containerd", "kubelet", "kube-proxy")


def containerd(config: Config) -> Component:
    """Return the container runtime."""
    return component(config, "containerd", f"--config={config.settings('containerd.toml')}")


def ctr(config: Config) -> tuple[str, ...]:
    """Return the beginning of a command of containerd's own client."""
    return (str(config.binaries / "ctr"), f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io")


def node(config: Config) -> list[Component]:
    """Return what runs beside containerd and needs the API server."""
    return [
        component(
            config,
            "kubelet",
            f"--config={config.settings('kubelet.json')}",
            f"--kubeconfig={config.settings('kubelet.kubeconfig')}",
            f"--hostname-override={config.node_name}",
            f"--node-ip={config.addresses.server}",
            "--root-dir=/var/lib/kubelet",
        ),
        component(config, "kube-proxy", f"--config={config.settings('kube-proxy.json')}"),
    ]


def write_node_settings(config: Config) -> None:
    """Write the configuration files of the node."""
    config.settings("containerd.toml").write_text(_containerd(config))
    _write(config, "kubelet.json", _kubelet(config) | dict(config.tuning.kubelet_config))
    _write(config, "kube-proxy.json", _kube_proxy(config))
    config.settings("cni").mkdir()
    _write(config, "cni/10-pods.conflist", _cni(config))
    config.settings("resolv.conf").write_text("nameserver 127.0.0.1\noptions attempts:1\n")


def _write(config: Config, name: str, content: object) -> None:
    config.settings(name).write_text(json.dumps(content, indent=2))


def snapshotter(config: Config) -> str:
    """Return how containerd keeps layers: an overlay cannot lie on another, so it copies there."""
    command = [str(find_tool("findmnt")), "--noheadings", "--output=FSTYPE", "--target"]
    kind = subprocess.run(
        [*command, str(config.node_dir)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "native" if kind == "overlay" else "overlayfs"


def _containerd(config: Config) -> str:
    images = 'plugins."io.containerd.cri.v1.images"'
    runtime = 'plugins."io.containerd.cri.v1.runtime"'
    return f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
# This plugin would make /opt/containerd on the machine.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[{images}]
snapshotter = "{snapshotter(config)}"

[{images}.pinned_images]
sandbox = "{PAUSE_IMAGE}"

[{runtime}]
# Needed where the machine's root may not lower the score (no CAP_SYS_RESOURCE).
restrict_oom_score_adj = true

[{runtime}.containerd]
default_runtime_name = "runc"

[{runtime}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
# Not the one on PATH, which belongs to the machine's containerd where there is one.
runtime_path = "{config.binaries / "containerd-shim-runc-v2"}"

[{runtime}.containerd.runtimes.runc.options]
SystemdCgroup = false

[{runtime}.cni]
bin_dirs = ["{config.cni_folder}"]
conf_dir = "{config.settings("cni")}"

# Extensions of the machine's own runtime are none of ours.
[plugins."io.containerd.nri.v1.nri"]
disable = true
"""


def _cni(config: Config) -> dict[str, object]:
    # A cable for each pod instead of a bridge: all traffic of pods is routed, so that services work
    # without the kernel module that filters bridged packets.
    ranges = [[{"subnet": config.addresses.pod_cidr}]]
    ipam = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    plugin = {"type": "ptp", "ipMasq": True, "ipam": ipam}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [plugin]}


def _kubelet(config: Config) -> dict[str, object]:
    pki = config.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_name(config.state_dir)}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        # The machine is shared: never evict, never collect images that cannot be pulled again.
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": True,
        "oomScoreAdj": 0,
        "resolvConf": str(config.settings("resolv.conf")),
        # There is no cluster DNS. Nothing answers at a pod's own loopback, so names fail at once.
        "clusterDNS": ["127.0.0.1"],
        "clusterDomain": "cluster.local",
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "1m",
        "syncFrequency": "10s",
        "maxPods": 250,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "registryPullQPS": 0,
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
        "shutdownGracePeriodCriticalPods": "0s",
        "runtimeRequestTimeout": "2m",
    }


def _kube_proxy(config: Config) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(config.settings("kube-proxy.kubeconfig"))},
        "clusterCIDR": config.addresses.pod_cidr,
        "hostnameOverride": config.node_name,
        "iptables": {"minSyncPeriod": "0s"},
        # Zero leaves the machine's own limits as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
