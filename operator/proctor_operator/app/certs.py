"""The role `certs`: the webhook's certificate and whom the API server trusts for it, once and to the end."""

from __future__ import annotations

from datetime import timedelta

from proctor_operator.adapters.kube.certificates import KubeCertificates
from proctor_operator.adapters.kube.client import KubeClient
from proctor_operator.adapters.kube.connection import load_connection, open_session
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.x509 import X509Authority
from proctor_operator.app.clock import ClusterClock, SystemClock
from proctor_operator.app.sections import CertsSettings
from proctor_operator.app.settings import Settings
from proctor_operator.domain.naming import Namespace
from proctor_operator.reconcile.certificates import CertificatePolicy
from proctor_operator.runtime.certificates import CertificateKeeper


async def keep_certificates(settings: Settings) -> None:
    """Look, and do what is due; a second run right after it writes nothing.

    The API server checks the certificate, so its clock counts where it differs from ours.
    Raises `Fault` when something is missing or does not answer.
    """
    certs = settings.certs
    connection = load_connection(
        kubeconfig=settings.kubernetes.kubeconfig, context=settings.kubernetes.context
    )
    clock = ClusterClock(SystemClock())
    namespace = Namespace(certs.namespace or connection.namespace)
    async with open_session(connection) as session:
        client = KubeClient(
            connection.server,
            session,
            PrometheusMetrics(),
            deadline=settings.kubernetes.request_timeout_seconds,
            tell_time=clock.hear,
        )
        store = KubeCertificates(
            client, namespace, secret=certs.secret, configuration=certs.configuration
        )
        keeper = CertificateKeeper(
            store=store,
            authority=X509Authority(),
            clock=clock,
            policy=certificate_policy(certs, namespace),
        )
        await keeper.keep()


def certificate_policy(certs: CertsSettings, namespace: Namespace) -> CertificatePolicy:
    """The names by which the API server calls the Service, and how long a certificate lives."""
    service = f"{certs.service}.{namespace}"
    return CertificatePolicy(
        dns_names=frozenset({f"{service}.svc", f"{service}.svc.cluster.local", service}),
        life=timedelta(days=certs.life_days),
    )
