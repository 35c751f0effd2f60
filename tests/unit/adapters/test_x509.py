"""Certificates as OpenSSL and the package's own strict verifier see them."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from proctor_operator.adapters.x509 import X509Authority
from proctor_operator.domain.certificate import Holding, Issued, ServingPair, Unusable
from unit.certificate_store import NAME, START, trusts

LIFE = {"not_before": START, "not_after": START + timedelta(days=90)}


def issued(*names: str) -> Issued:
    return X509Authority().issue(names or (NAME,), **LIFE)


def held(one: Issued) -> Holding:
    return Holding(one.pair, None, (one.authority,))


def test_what_is_written_is_read_back() -> None:
    authority, first, second = X509Authority(), issued(), issued()
    holding = Holding(first.pair, second.pair, (first.authority, second.authority))

    assert authority.read(authority.write(holding, "1")) == holding


def test_a_strict_client_takes_it_for_every_name_and_for_no_other() -> None:
    one = issued("a.svc", "b.svc")
    now = START + timedelta(days=1)

    assert trusts(one.authority.pem, one.pair.certificate.pem, now, ("a.svc", "b.svc"))
    assert not trusts(one.authority.pem, one.pair.certificate.pem, now, ("c.svc",))
    assert not trusts(issued().authority.pem, one.pair.certificate.pem, now, ("a.svc",))


def test_it_is_on_p256_and_for_serving_only() -> None:
    leaf = x509.load_pem_x509_certificate(issued().pair.certificate.pem.encode())

    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


def test_two_authorities_have_different_names() -> None:
    read = [x509.load_pem_x509_certificate(issued().authority.pem.encode()) for _ in range(2)]

    assert read[0].subject != read[1].subject


def test_the_key_of_an_authority_is_not_given_away() -> None:
    one = issued()

    assert one.authority.pem.count("BEGIN") == one.authority.pem.count("BEGIN CERTIFICATE") == 1
    assert one.pair.key.count("BEGIN PRIVATE KEY") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"certificate": ""}, "there is no certificate yet"),
        ({"key": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"}, "cannot be read"),
        ({"key": issued().pair.key}, "its key is another one's"),
        ({"authorities": issued().authority.pem}, "no authority of ca.crt vouches for it"),
    ],
)
def test_what_is_of_no_use_says_why(change: dict[str, str], message: str) -> None:
    authority = X509Authority()
    content = replace(authority.write(held(issued()), "1"), **change)

    found = authority.read(content).serving

    assert isinstance(found, Unusable)
    assert message in found.message


def test_openssl_shakes_hands_with_it(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - OpenSSL asks the real clock
    one = X509Authority().issue(
        (NAME,), not_before=now - timedelta(hours=1), not_after=now + timedelta(days=1)
    )
    assert isinstance(one.pair, ServingPair)
    (tmp_path / "tls.crt").write_text(one.pair.certificate.pem)
    (tmp_path / "tls.key").write_text(one.pair.key)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    asking = ssl.create_default_context(cadata=one.authority.pem)
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(here, there, server_hostname=NAME)
    server = serving.wrap_bio(there, here, server_side=True)

    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue

    assert client.version() == "TLSv1.3"
