"""Certificate authorities and certificates, as a cluster installer would make them."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = dt.timedelta(days=365)
# A client whose clock is behind, by mistake or for a test, finds them valid all the same.
_BACKDATED = dt.timedelta(days=2)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> None:
        """Write ``name.crt`` and ``name.key``; only the owner may read the key."""
        (folder / f"{name}.crt").write_bytes(self.certificate)
        write_private(folder / f"{name}.key", self.key)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, also while it is being written."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key; elliptic curves, because a dozen RSA keys would take seconds."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key in PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public half of a key in PEM."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def signing_request(user: str, groups: Sequence[str]) -> tuple[bytes, bytes]:
    """Return a certificate signing request for a user, and its key, both in PEM."""
    key = new_key()
    request = x509.CertificateSigningRequestBuilder().subject_name(_subject(user, groups))
    signed = request.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM), private_pem(key)


@dataclass(frozen=True)
class Authority:
    """A certificate authority that can issue certificates."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, common_name: str) -> Authority:
        """Make a new authority that signs itself."""
        key = new_key()
        name = _subject(common_name, ())
        builder = (
            _builder(name, name, key, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def read(cls, folder: Path, name: str) -> Authority:
        """Read an authority that ``pair.write`` wrote."""
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{name}.key is not an elliptic curve key")
        return cls(certificate, key)

    @property
    def pair(self) -> Pair:
        """The authority's own certificate and key."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        return Pair(pem, private_pem(self.key))

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """Issue a client certificate: common name is the user, organizations are its groups."""
        return self._issue(_subject(user, groups), (), [ExtendedKeyUsageOID.CLIENT_AUTH])

    def server(self, common_name: str, alternatives: Sequence[str], *, peer: bool = False) -> Pair:
        """Issue a serving certificate for names and IP addresses.

        ``peer`` allows it as a client certificate too, as members of etcd need it.
        """
        usages = [ExtendedKeyUsageOID.SERVER_AUTH]
        if peer:
            usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
        return self._issue(_subject(common_name, ()), alternatives, usages)

    def _issue(
        self,
        subject: x509.Name,
        alternatives: Sequence[str],
        usages: Sequence[x509.ObjectIdentifier],
    ) -> Pair:
        key = new_key()
        builder = (
            _builder(subject, self.certificate.subject, key, self.key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if alternatives:
            names = x509.SubjectAlternativeName([_alternative(text) for text in alternatives])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), private_pem(key))


def _subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text) for text in organizations]
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    # Each in a set of its own: Go reads several organizations only in this form.
    return x509.Name([x509.RelativeDistinguishedName([attribute]) for attribute in attributes])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.CertificateBuilder:
    # From Python 3.13 on, clients insist on the two identifiers.
    subject_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - certificates need the real time
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
        .add_extension(subject_id, critical=False)
        .add_extension(issuer_id, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
