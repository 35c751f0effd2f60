"""The commands of etcd, the API server, the controller manager and the scheduler."""

from __future__ import annotations

import json
from dataclasses import dataclass

from localcluster.config import Config

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "None"},
    ],
}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager")


@dataclass(frozen=True)
class Component:
    """A program of the cluster and the arguments that it is started with."""

    name: str
    command: tuple[str, ...]


def write_control_plane_settings(config: Config) -> None:
    """Write the configuration files of the control plane."""
    config.settings("audit-policy.json").write_text(json.dumps(AUDIT_POLICY))


def control_plane(config: Config) -> list[Component]:
    """Return the components of the control plane, in the order in which they start."""
    components = [_etcd(config), _apiserver(config), _controller_manager(config)]
    return components if config.level == "api" else [*components, _scheduler(config)]


def component(config: Config, name: str, *arguments: str) -> Component:
    """Return a component of the cluster binary, with the extra arguments asked for at the end."""
    extra = config.tuning.extra_args.get(name, ())
    return Component(name, (str(config.binaries / name), *arguments, *extra))


def _etcd(config: Config) -> Component:
    pki = config.pki
    client = f"https://127.0.0.1:{config.addresses.etcd_port}"
    peer = f"https://127.0.0.1:{config.addresses.etcd_peer_port}"
    return component(
        config,
        "etcd",
        "--name=default",
        f"--data-dir={config.state_dir / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        f"--peer-cert-file={pki / 'etcd.crt'}",
        f"--peer-key-file={pki / 'etcd.key'}",
        "--log-level=warn",
        # Nothing here has to survive a power cut, and tests write much.
        "--unsafe-no-fsync",
    )


def _apiserver(config: Config) -> Component:
    addresses, pki = config.addresses, config.pki
    # On loopback there is no address that the kubernetes service could have as its endpoint.
    reconciler = [] if config.has_sandbox else ["--endpoint-reconciler-type=none"]
    bind = "0.0.0.0" if config.has_sandbox else "127.0.0.1"
    return component(
        config,
        "kube-apiserver",
        f"--bind-address={bind}",
        f"--advertise-address={addresses.server}",
        f"--secure-port={addresses.apiserver_port}",
        f"--service-cluster-ip-range={addresses.service_cidr}",
        f"--etcd-servers=https://127.0.0.1:{addresses.etcd_port}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP,Hostname",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        # Webhooks and aggregated APIs are reached at their endpoints, without kube-proxy.
        "--enable-aggregator-routing=true",
        f"--audit-policy-file={config.settings('audit-policy.json')}",
        f"--audit-log-path={config.audit_log}",
        "--audit-log-format=json",
        # One file, never rotated: tests count its lines.
        "--audit-log-maxsize=8192",
        *reconciler,
    )


def _controller_manager(config: Config) -> Component:
    pki = config.pki
    kubeconfig = config.settings("kube-controller-manager.kubeconfig")
    # Under full load the simulator is late with the nodes' heartbeats; their pods would be given up.
    patience = ["--node-monitor-grace-period=600s"] if config.level == "simulated" else []
    return component(
        config,
        "kube-controller-manager",
        "--bind-address=127.0.0.1",
        f"--secure-port={config.addresses.controller_manager_port}",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        f"--service-cluster-ip-range={config.addresses.service_cidr}",
        f"--cluster-name={config.name}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        # The stock limits hold Jobs to some hundred pods a minute.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-job-syncs=20",
        *patience,
    )


def _scheduler(config: Config) -> Component:
    kubeconfig = config.settings("kube-scheduler.kubeconfig")
    return component(
        config,
        "kube-scheduler",
        "--bind-address=127.0.0.1",
        f"--secure-port={config.addresses.scheduler_port}",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )
