"""Every key, certificate and kubeconfig of a cluster: who is who, and in which groups."""

from __future__ import annotations

from localcluster.certificates import (
    Authority,
    Pair,
    new_key,
    private_pem,
    public_pem,
    write_private,
)
from localcluster.config import Config
from localcluster.kubeconfig import certificate_user, write_kubeconfig

ADMIN_GROUP = "system:masters"
KUBELET_CLIENT = "proctor-local-apiserver-kubelet-client"
_LOOPBACK = "127.0.0.1"


def write_identities(config: Config) -> None:
    """Make the authorities and all that they issue, each for one purpose only."""
    config.pki.mkdir(mode=0o700)
    ca = Authority.create("kubernetes")
    ca.pair.write(config.pki, "ca")
    _write_etcd(config)
    _write_front_proxy(config)
    _write_service_account_keys(config)
    serving = ca.server("kube-apiserver", _server_names(config))
    serving.write(config.pki, "apiserver")
    ca.client(KUBELET_CLIENT).write(config.pki, "apiserver-kubelet-client")
    admin = ca.client("kubernetes-admin", [ADMIN_GROUP])
    admin.write(config.pki, "admin")
    _write_kubeconfig(config, ca, "kubeconfig", admin)
    manager = ca.client("system:kube-controller-manager")
    _write_kubeconfig(config, ca, "kube-controller-manager", manager)
    if config.level != "api":
        scheduler = ca.client("system:kube-scheduler")
        _write_kubeconfig(config, ca, "kube-scheduler", scheduler)
    if config.level == "full":
        _write_node(config, ca)
    if config.level == "simulated":
        _write_simulator(config, ca)


def _write_node(config: Config, ca: Authority) -> None:
    _write_kubeconfig(config, ca, "kube-proxy", ca.client("system:kube-proxy"))
    node = f"system:node:{config.node_name}"
    _write_kubeconfig(config, ca, "kubelet", ca.client(node, ["system:nodes"]))
    names = (config.node_name, config.addresses.server)
    ca.server(node, names).write(config.pki, "kubelet-server")


def _write_simulator(config: Config, ca: Authority) -> None:
    """It is every node at once, which no name of a node would allow."""
    _write_kubeconfig(config, ca, "kwok", ca.client("proctor-local-kwok", [ADMIN_GROUP]))
    ca.server("kwok", (config.addresses.server,)).write(config.pki, "kwok-server")


def _write_kubeconfig(config: Config, ca: Authority, name: str, pair: Pair) -> None:
    at_root = name == "kubeconfig"
    write_kubeconfig(
        config.kubeconfig if at_root else config.settings(f"{name}.kubeconfig"),
        context=f"proctor-local-{config.name}",
        server=config.addresses.url,
        ca=ca.pair.certificate,
        user=certificate_user(pair),
    )


def _server_names(config: Config) -> list[str]:
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    addresses = {_LOOPBACK, config.addresses.server, config.addresses.service_ip}
    return [
        *service,
        "kubernetes.default.svc.cluster.local",
        "localhost",
        config.node_name,
        *sorted(addresses),
    ]


def _write_etcd(config: Config) -> None:
    ca = Authority.create("etcd-ca")
    ca.pair.write(config.pki, "etcd-ca")
    ca.server("etcd", ["localhost", _LOOPBACK], peer=True).write(config.pki, "etcd")
    ca.client("kube-apiserver-etcd-client").write(config.pki, "apiserver-etcd-client")


def _write_front_proxy(config: Config) -> None:
    ca = Authority.create("front-proxy-ca")
    ca.pair.write(config.pki, "front-proxy-ca")
    ca.client("front-proxy-client").write(config.pki, "front-proxy-client")


def _write_service_account_keys(config: Config) -> None:
    key = new_key()
    write_private(config.pki / "service-accounts.key", private_pem(key))
    (config.pki / "service-accounts.pub").write_bytes(public_pem(key))
