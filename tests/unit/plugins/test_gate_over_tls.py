"""The Gate plugin against a real HTTPS server: whom it shows its token to."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster.certificates import Authority, Pair, write_private
from proctor_plugin import Allow, PluginFailure
from unit.gate_server import TOKEN, Asking, Gate, about, gate_at_work

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("gate-ca")


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "ca.crt"
    path.write_bytes(authority.pair.certificate)
    return path


@pytest.fixture
def gate(authority: Authority, tmp_path: Path) -> Iterator[Gate]:
    with gate_at_work(serving(authority.server("gate", [HERE]), tmp_path)) as known:
        yield known


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Asking]:
    (tmp_path / "token").write_text(TOKEN)
    asking = Asking(tmp_path / "token")
    yield asking
    await asking.close()


def serving(pair: Pair, folder: Path) -> ssl.SSLContext:
    (folder / "tls.crt").write_bytes(pair.certificate)
    write_private(folder / "tls.key", pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


async def failure_of(asking: Asking, **config: Any) -> str:
    plugin = await asking.plugin(groups=["dba"], **config)
    with pytest.raises(PluginFailure) as failure:
        await plugin.authorize(about())
    return str(failure.value)


async def test_a_server_with_a_certificate_of_the_authority_in_the_file_is_asked(
    gate: Gate, asking: Asking, ca_file: Path
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"], caFile=str(ca_file))

    assert isinstance(await plugin.authorize(about()), Allow)
    assert [headers["authorization"] for _, headers in gate.asked] == [f"Bearer {TOKEN}"]


async def test_without_the_file_an_authority_that_the_world_does_not_know_is_not_believed(
    gate: Gate, asking: Asking
) -> None:
    assert await failure_of(asking, endpoint=gate.address) == "Gate cannot be reached: ConnectError"
    assert gate.asked == []


async def test_a_server_with_a_certificate_of_another_authority_never_sees_the_token(
    gate: Gate, asking: Asking, tmp_path: Path
) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(Authority.create("other-ca").pair.certificate)

    said = await failure_of(asking, endpoint=gate.address, caFile=str(other))

    assert said == "Gate cannot be reached: ConnectError"
    assert gate.asked == []


async def test_a_server_with_a_certificate_for_another_name_never_sees_the_token(
    authority: Authority, asking: Asking, ca_file: Path, tmp_path: Path
) -> None:
    elsewhere = authority.server("gate", ["gate.example.org"])
    with gate_at_work(serving(elsewhere, tmp_path)) as gate:
        said = await failure_of(asking, endpoint=gate.address, caFile=str(ca_file))

    assert said == "Gate cannot be reached: ConnectError"
    assert gate.asked == []


async def test_a_server_that_speaks_in_the_clear_never_sees_the_token(
    asking: Asking, ca_file: Path
) -> None:
    with gate_at_work() as gate:
        address = gate.address.replace("http:", "https:")
        said = await failure_of(asking, endpoint=address, caFile=str(ca_file))

    assert said == "Gate cannot be reached: ConnectError"
    assert gate.asked == []


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\xff\x00"])
async def test_a_file_without_an_authority_is_said_when_the_plugin_is_loaded(
    gate: Gate, asking: Asking, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "broken.crt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PluginFailure, match=r"spec\.config\.caFile .*broken\.crt holds no"):
        await asking.plugin(endpoint=gate.address, caFile=str(path))
