"""The `CertificateStore` port on the real API server: one Secret, and two webhook configurations."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from proctor_operator.adapters.kube.client import KubeClient, Resource
from proctor_operator.domain.certificate import SecretContent, Trust
from proctor_operator.domain.errors import Conflict, Rejected
from proctor_operator.domain.model import JsonObject
from proctor_operator.domain.naming import Namespace

SECRET_RESOURCE: Final = Resource("", "v1", "secrets")
_REGISTRATION: Final = "admissionregistration.k8s.io"
_KINDS: Final = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
_CERT_MANAGER: Final = "cert-manager.io/certificate-name"

_CERTIFICATE: Final = "tls.crt"
_KEY: Final = "tls.key"
_AUTHORITIES: Final = "ca.crt"
_NEXT_CERTIFICATE: Final = "next.crt"
_NEXT_KEY: Final = "next.key"


class KubeCertificates:
    """Knows the objects by their names only, as its account does."""

    def __init__(
        self, client: KubeClient, namespace: Namespace, *, secret: str, configuration: str
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._secret = secret
        self._configuration = configuration

    async def fetch_trusts(self) -> tuple[Trust, ...]:
        """See the port."""
        return tuple([await self._fetch_trust(kind) for kind in _KINDS])

    async def fetch_secret(self) -> SecretContent:
        """See the port."""
        return read_secret(await self._client.get(SECRET_RESOURCE, self._namespace, self._secret))

    async def replace_secret(self, content: SecretContent) -> None:
        """See the port. Labels and annotations are other people's, and stay."""
        found = await self._client.get(SECRET_RESOURCE, self._namespace, self._secret)
        found["metadata"]["resourceVersion"] = content.resource_version
        found["data"] = _data(found.get("data") or {}, content)
        await self._client.replace(SECRET_RESOURCE, self._namespace, self._secret, found)

    async def write_bundle(self, trust: Trust, bundle: str) -> None:
        """See the port."""
        operations: list[JsonObject] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": trust.resource_version}
        ]
        encoded = base64.b64encode(bundle.encode()).decode()
        operations += [
            {"op": "add", "path": f"/webhooks/{place}/clientConfig/caBundle", "value": encoded}
            for place in range(len(trust.bundles))
        ]
        try:
            await self._client.apply_operations(
                _resource(trust.kind), None, self._configuration, operations
            )
        except Rejected as error:
            raise Conflict(f"{trust.kind} changed meanwhile: {error}", status=409) from error

    async def _fetch_trust(self, kind: str) -> Trust:
        found = await self._client.get(_resource(kind), None, self._configuration)
        return Trust(
            kind=kind,
            resource_version=found["metadata"]["resourceVersion"],
            bundles=tuple(
                _decode(one["clientConfig"].get("caBundle")) for one in found.get("webhooks") or ()
            ),
        )


def read_secret(manifest: Mapping[str, Any]) -> SecretContent:
    """Read the Secret; what is missing or no text is empty, and thereby of no use."""
    data = manifest.get("data") or {}
    annotations = manifest["metadata"].get("annotations") or {}
    return SecretContent(
        resource_version=manifest["metadata"]["resourceVersion"],
        certificate=_decode(data.get(_CERTIFICATE)),
        key=_decode(data.get(_KEY)),
        authorities=_decode(data.get(_AUTHORITIES)),
        next_certificate=_decode(data.get(_NEXT_CERTIFICATE)),
        next_key=_decode(data.get(_NEXT_KEY)),
        stranger="cert-manager" if _CERT_MANAGER in annotations else "",
    )


def _data(data: Mapping[str, str], content: SecretContent) -> dict[str, str]:
    ours = {
        _CERTIFICATE: content.certificate,
        _KEY: content.key,
        _AUTHORITIES: content.authorities,
        _NEXT_CERTIFICATE: content.next_certificate,
        _NEXT_KEY: content.next_key,
    }
    others = {name: value for name, value in data.items() if name not in ours}
    filled = {name: text for name, text in ours.items() if text}
    return others | {
        name: base64.b64encode(text.encode()).decode() for name, text in filled.items()
    }


def _decode(value: str | None) -> str:
    try:
        return base64.b64decode(value or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _resource(kind: str) -> Resource:
    return Resource(_REGISTRATION, "v1", kind)
