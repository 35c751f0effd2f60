"""The `CertificateAuthority` port: the only place that knows X.509 and the package that speaks it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proctor_operator.domain.certificate import (
    Certificate,
    Holding,
    Issued,
    SecretContent,
    ServingPair,
    Unusable,
)
from proctor_operator.domain.errors import Unreadable

_CURVE: Final = ec.SECP256R1()


class X509Authority:
    """P-256 and SHA-256; the authority's key lives as long as the call."""

    def read(self, content: SecretContent) -> Holding:
        """See the port."""
        authorities = _read_authorities(content.authorities)
        following = None
        if content.next_certificate or content.next_key:
            following = _read_pair(content.next_certificate, content.next_key, authorities)
        return Holding(
            serving=_read_pair(content.certificate, content.key, authorities),
            following=following,
            authorities=tuple(_value(one) for one in authorities),
        )

    def write(self, holding: Holding, resource_version: str) -> SecretContent:
        """See the port."""
        certificate, key = _text(holding.serving)
        next_certificate, next_key = _text(holding.following)
        return SecretContent(
            resource_version=resource_version,
            certificate=certificate,
            key=key,
            authorities=holding.bundle,
            next_certificate=next_certificate,
            next_key=next_key,
        )

    def issue(
        self, dns_names: Collection[str], *, not_before: datetime, not_after: datetime
    ) -> Issued:
        """See the port."""
        authority_key = ec.generate_private_key(_CURVE)
        key = ec.generate_private_key(_CURVE)
        # A name of its own for each, so that whoever looks for the issuer finds the right one at once.
        own_name = _name(f"proctor-webhook-ca-{x509.random_serial_number():x}"[:64])
        life = (not_before, not_after)
        authority = _sign(_authority(own_name, authority_key, life), authority_key)
        leaf = _sign(_leaf(own_name, key, authority_key, sorted(dns_names), life), authority_key)
        return Issued(ServingPair(_value(leaf), _key_pem(key)), _value(authority))


def read_expiries(pem: bytes) -> tuple[datetime, ...]:
    """When each certificate in a file ends; raises `Unreadable` when there is none or one is broken."""
    try:
        return tuple(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise Unreadable(f"not a certificate in PEM: {error}") from None


def _read_authorities(text: str) -> list[x509.Certificate]:
    """Whatever can be read of the bundle; an empty or broken one vouches for nobody."""
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return []


def _read_pair(
    certificate_pem: str, key_pem: str, authorities: list[x509.Certificate]
) -> ServingPair | Unusable:
    if not certificate_pem or not key_pem:
        return Unusable("there is no certificate yet")
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        key = serialization.load_pem_private_key(key_pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return Unusable("it cannot be read")
    if key.public_key() != certificate.public_key():
        return Unusable("its key is another one's")
    if not any(_vouches(authority, certificate) for authority in authorities):
        return Unusable("no authority of ca.crt vouches for it")
    return ServingPair(_value(certificate), key_pem)


def _vouches(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _value(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        dns_names=_dns_names(certificate),
    )


def _dns_names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(found.value.get_values_for_type(x509.DNSName))


def _authority(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, life: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        _certificate(name, name, key, key, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )


def _leaf(
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    dns_names: list[str],
    life: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    names = [x509.DNSName(one) for one in dns_names]
    return (
        _certificate(_name("proctor-webhook"), issuer, key, issuer_key, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    life: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(life[0])
        .not_valid_after(life[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_id, critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder, key: CertificateIssuerPrivateKeyTypes
) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _text(pair: ServingPair | Unusable | None) -> tuple[str, str]:
    if not isinstance(pair, ServingPair):
        return "", ""
    return pair.certificate.pem, pair.key
