"""Certificates of the webhook server: renewed without a gap, never to something that is no good."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from localcluster.certificates import Authority, Pair
from proctor_operator.adapters.http.certificates import CertificateFiles, ServingCertificate
from proctor_operator.adapters.metrics import PrometheusMetrics
from proctor_operator.adapters.x509 import read_expiries
from proctor_operator.domain.errors import Fault
from unit.webhooks import (
    Desk,
    Folder,
    Served,
    client_context,
    review,
    served,
    serving_pair,
    until,
)


async def _shown(running: Served, name: str = "localhost") -> bytes:
    """The certificate that a new connection gets; an address is a connection without SNI."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection(
        "127.0.0.1", running.server.port, ssl=context, server_hostname=name
    )
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


def _der(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


@asynccontextmanager
async def _under_load(running: Served) -> AsyncIterator[Callable[[], int]]:
    """Reviews all the time, half over kept connections and half over new ones; the yield counts answers."""
    answered = 0
    stop = asyncio.Event()

    async def keep_asking(headers: dict[str, str]) -> None:
        nonlocal answered
        while not stop.is_set():
            async with running.client.post(
                f"{running.url}/validate/procs", json=review("procs"), headers=headers
            ) as answer:
                assert (await answer.json())["response"]["allowed"] is True
            answered += 1

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(keep_asking({"Connection": "close"} if number % 2 else {}))
        yield lambda: answered
        stop.set()


async def test_a_renewal_under_load_fails_no_request(folder: Folder, authority: Authority) -> None:
    async with served(Desk(), folder, authority) as running, _under_load(running) as answered:
        for _ in range(3):
            fresh = serving_pair(authority)
            folder.write(fresh)
            loads = running.counted("proctor_webhook_certificate_loads_total", result="loaded")
            await until(
                lambda before=loads: (
                    running.counted(  # type: ignore[misc] # the default binds the loop's value
                        "proctor_webhook_certificate_loads_total", result="loaded"
                    )
                    > before
                )
            )
            assert await _shown(running) == _der(fresh)
            assert await _shown(running, "127.0.0.1") == _der(fresh)
            before = answered()
            await until(lambda n=before: answered() > n + 50)  # type: ignore[misc] # same


BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n"
Spoil = Callable[[Folder, Pair], object]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder, other: folder.put("tls.key", other.key), "no certificate with its key"),
        (
            lambda folder, other: folder.put("tls.crt", other.certificate),
            "no certificate with its key",
        ),
        (lambda folder, _: folder.put("tls.crt", b""), "not a certificate"),
        (lambda folder, _: folder.put("tls.crt", BROKEN), "not a certificate"),
        (lambda folder, _: folder.put("tls.key", b"nonsense"), "no certificate with its key"),
        (lambda folder, _: (folder.path / "tls.key").unlink(), "No such file"),
    ],
    ids=["another key", "another certificate", "empty", "cut off", "no key in it", "gone"],
)
async def test_what_is_no_good_leaves_the_last_one_in_use_and_is_said_once(
    folder: Folder,
    authority: Authority,
    spoil: Spoil,
    said: str,
    logged: list[MutableMapping[str, Any]],
) -> None:
    async with served(Desk(), folder, authority) as running:
        before = await _shown(running)
        spoil(folder, serving_pair(authority))
        await until(
            lambda: running.counted("proctor_webhook_certificate_loads_total", result="broken")
        )
        for _ in range(50):  # for longer than it takes to look again
            assert (await running.ask(review()))["allowed"] is True
        assert await _shown(running) == before
        (line,) = (one for one in logged if "no good" in one["event"])
        assert said in line["problem"]

        fresh = serving_pair(authority)
        folder.write(fresh)
        await until(
            lambda: running.counted("proctor_webhook_certificate_loads_total", result="loaded") > 1
        )
        assert await _shown(running) == _der(fresh)


@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_a_missing_file_is_named_at_the_start(folder: Folder, name: str) -> None:
    (folder.path / name).unlink()

    with pytest.raises(Fault, match=f"{name}: No such file"):
        ServingCertificate(folder.files, PrometheusMetrics(), read_expiries=read_expiries)


def test_a_certificate_that_does_not_fit_its_key_is_named_at_the_start(
    folder: Folder, authority: Authority
) -> None:
    (folder.path / "tls.key").write_bytes(serving_pair(authority).key)

    with pytest.raises(Fault, match=r"tls.crt and .*tls.key are no certificate with its key"):
        ServingCertificate(folder.files, PrometheusMetrics(), read_expiries=read_expiries)


def test_client_authorities_that_are_none_are_named_at_the_start(folder: Folder) -> None:
    nothing = folder.path / "client-ca.crt"
    nothing.write_text("nothing\n")
    files = CertificateFiles(folder.path / "tls.crt", folder.path / "tls.key", nothing)

    with pytest.raises(Fault, match=r"client-ca.crt: not a certificate in PEM"):
        ServingCertificate(files, PrometheusMetrics(), read_expiries=read_expiries)


async def test_the_expiry_of_what_is_in_use_is_told(folder: Folder, authority: Authority) -> None:
    folder.write_client_ca(authority)
    certificate = x509.load_pem_x509_certificate((folder.path / "tls.crt").read_bytes())
    metrics = PrometheusMetrics()
    ServingCertificate(folder.files, metrics, read_expiries=read_expiries)
    name = "proctor_webhook_certificate_expiry_timestamp_seconds"

    value = metrics.registry.get_sample_value
    assert value(name, {"certificate": "serving"}) == certificate.not_valid_after_utc.timestamp()
    ca_expiry = authority.certificate.not_valid_after_utc.timestamp()
    assert value(name, {"certificate": "client-ca"}) == ca_expiry


async def test_tls_before_1_2_is_refused(folder: Folder, authority: Authority) -> None:
    async with served(Desk(), folder, authority) as running:
        old = client_context(authority)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(aiohttp.ClientConnectorError):
            await running.client.post(running.url, json=review(), ssl=old)


class TestMutualTls:
    """With authorities of clients set, nobody else is served."""

    @pytest.fixture
    def clients(self, folder: Folder) -> Authority:
        clients = Authority.create("api-server-ca")
        folder.write_client_ca(clients)
        return clients

    async def test_a_client_with_a_certificate_of_theirs_is_served(
        self, folder: Folder, authority: Authority, clients: Authority
    ) -> None:
        tls = client_context(authority, clients.client("kube-apiserver"), folder.path)
        async with served(Desk(), folder, authority, client_tls=tls) as running:
            assert (await running.ask(review()))["allowed"] is True

    @pytest.mark.usefixtures("clients")
    async def test_a_client_without_one_is_refused(
        self, folder: Folder, authority: Authority
    ) -> None:
        desk = Desk()
        async with served(desk, folder, authority) as running:
            with pytest.raises(aiohttp.ClientError):
                await running.ask(review())
        assert desk.seen == []

    @pytest.mark.usefixtures("clients")
    async def test_a_client_of_another_authority_is_refused(
        self, folder: Folder, authority: Authority
    ) -> None:
        desk = Desk()
        stranger = Authority.create("api-server-ca").client("kube-apiserver")
        tls = client_context(authority, stranger, folder.path)
        async with served(desk, folder, authority, client_tls=tls) as running:
            with pytest.raises(aiohttp.ClientError):
                await running.ask(review())
        assert desk.seen == []

    @pytest.mark.usefixtures("clients")
    async def test_a_serving_certificate_is_not_one_for_clients(
        self, folder: Folder, authority: Authority, clients: Authority
    ) -> None:
        tls = client_context(authority, clients.server("kube-apiserver", ["x"]), folder.path)
        async with served(Desk(), folder, authority, client_tls=tls) as running:
            with pytest.raises(aiohttp.ClientError):
                await running.ask(review())

    async def test_a_new_authority_takes_the_place_of_the_old_one(
        self, folder: Folder, authority: Authority, clients: Authority
    ) -> None:
        successor = Authority.create("api-server-ca")
        old = client_context(authority, clients.client("kube-apiserver"), folder.path)
        new = client_context(authority, successor.client("kube-apiserver"), folder.path)
        async with served(Desk(), folder, authority, client_tls=old) as running:
            await running.ask(review())
            folder.write_client_ca(clients, successor)
            await until(
                lambda: (
                    running.counted("proctor_webhook_certificate_loads_total", result="loaded") > 1
                )
            )
            assert await _status(running, old) == await _status(running, new) == 200

            folder.write_client_ca(successor)
            await until(
                lambda: (
                    running.counted("proctor_webhook_certificate_loads_total", result="loaded") > 2
                )
            )
            assert await _status(running, new) == 200
            with pytest.raises(aiohttp.ClientError):
                await _status(running, old)


async def _status(running: Served, tls: ssl.SSLContext) -> int:
    connector = aiohttp.TCPConnector(ssl=tls)
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.post(f"{running.url}/validate/procs", json=review("procs")) as answer,
    ):
        return answer.status
