"""Where the API server is and how to log in: in the cluster, or by a kubeconfig."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from kubernetes import client, config

from proctor_operator.domain.errors import ClusterUnavailable

_CONNECTIONS_AT_MOST: Final = 64
_DEFAULT_NAMESPACE: Final = "default"
_TOKEN_SECONDS: Final = 1.0
"""A token is read anew at most so often: the library copies its whole configuration each time."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and credentials; `read_token` gives the newest bearer token, or None with a client certificate.

    `namespace` is the operator's own.
    """

    server: str
    tls: ssl.SSLContext
    read_token: Callable[[], str | None]
    namespace: str


def load_connection(*, kubeconfig: Path | None, context: str | None) -> Connection:
    """Load the account in the cluster when there is one and no kubeconfig is named.

    Raises `ClusterUnavailable` saying what is missing.
    """
    configuration = client.Configuration()
    in_cluster = kubeconfig is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ
    try:
        if in_cluster:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(
                config_file=str(kubeconfig) if kubeconfig else None,
                context=context,
                client_configuration=configuration,
            )
        tls = _tls_context(configuration)
    except (config.ConfigException, OSError) as error:
        wanted = "the pod's service account" if in_cluster else str(kubeconfig or "kubeconfig")
        raise ClusterUnavailable(f"cannot log in to Kubernetes with {wanted}: {error}") from error
    return Connection(
        server=configuration.host,
        tls=tls,
        read_token=_token_reader(configuration),
        namespace=_pod_namespace() if in_cluster else _context_namespace(kubeconfig, context),
    )


def open_session(
    connection: Connection,
    *middlewares: aiohttp.ClientMiddlewareType,
    connections: int = _CONNECTIONS_AT_MOST,
) -> aiohttp.ClientSession:
    """Open an HTTP session that adds a freshly read token to each request, inside the given middlewares.

    At most so many `connections` at once; 0 sets no limit.
    The caller closes it. Kopf gets one of its own: it closes its session when it stops, and the last
    writes come after that.
    """

    async def add_token(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        token = connection.read_token()
        if token is not None:
            request.headers["Authorization"] = token
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=connection.tls),
        middlewares=(*middlewares, add_token),
        # Lists would come compressed, which costs the API server and us more than a network in the
        # cluster does, and us in one piece.
        headers={"User-Agent": "proctor-operator", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, connect=5),
    )


def _tls_context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _token_reader(configuration: Any) -> Callable[[], str | None]:
    look_again_at = time.monotonic()

    def read_token() -> str | None:
        nonlocal look_again_at
        refresh = configuration.refresh_api_key_hook
        if refresh is not None and time.monotonic() >= look_again_at:
            refresh(configuration)
            look_again_at = time.monotonic() + _TOKEN_SECONDS
        keys: dict[str, str] = configuration.api_key
        return keys.get("BearerToken") or keys.get("authorization")

    return read_token


def _pod_namespace() -> str:
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return path.read_text().strip() if path.exists() else _DEFAULT_NAMESPACE


def _context_namespace(kubeconfig: Path | None, name: str | None) -> str:
    contexts, current = config.list_kube_config_contexts(str(kubeconfig) if kubeconfig else None)
    chosen = next((one for one in contexts if one["name"] == name), current)
    namespace: str = chosen["context"].get("namespace") or _DEFAULT_NAMESPACE
    return namespace
