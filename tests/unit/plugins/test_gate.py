"""The Gate plugin against a real HTTP server that speaks Gate's contract, well and badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proctor_plugin import Allow, Deny, NoOpinion, PluginFailure
from proctor_plugin.testing import check_contract
from proctor_plugin_gate import GatePlugin
from unit.gate_server import ADA, TOKEN, Asking, Gate, about, gate_at_work


@pytest.fixture
def gate() -> Iterator[Gate]:
    with gate_at_work() as known:
        yield known


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
async def asking(token_file: Path) -> AsyncIterator[Asking]:
    asking = Asking(token_file)
    yield asking
    await asking.close()


async def test_it_keeps_the_contract(gate: Gate, token_file: Path) -> None:
    config = {"endpoint": gate.address, "groups": ["dba"]}

    await check_contract(
        GatePlugin, config=config, credentials_file=token_file, requests=(about(),)
    )


@pytest.mark.parametrize(
    ("config", "groups", "verdict"),
    [
        ({"groups": ["dba", "sre"]}, (), Allow),
        ({"groups": ["dba", "ops"]}, (), Deny),
        ({"groups": ["dba", "ops"], "match": "Any"}, (), Allow),
        ({"groups": ["ops"], "match": "Any"}, (), Deny),
        ({}, ("dba",), Allow),
        ({}, ("ops",), Deny),
        ({"groups": ["dba"]}, ("ops",), Allow),
    ],
)
async def test_groups_are_matched_all_or_any(
    gate: Gate, asking: Asking, config: dict[str, Any], groups: tuple[str, ...], verdict: type
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, **config)

    assert isinstance(await plugin.authorize(about(ADA, *groups)), verdict)


async def test_without_any_group_there_is_no_opinion_and_no_request(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address)

    assert isinstance(await plugin.authorize(about()), NoOpinion)
    assert gate.asked == []


async def test_unknown_and_inactive_users_are_denied(gate: Gate, asking: Asking) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])

    unknown = await plugin.authorize(about("eve@example.org"))
    gate.users[ADA]["active"] = False
    inactive = await plugin.authorize(about())

    assert unknown == Deny(message="Gate does not know the user")
    assert inactive == Deny(message="Gate says that the user is inactive")


async def test_the_token_goes_into_a_header_and_never_into_the_url(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])

    await plugin.authorize(about())

    ((path, headers),) = gate.asked
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert path == "/api/v1/users/profile?email=ada%40example.org"


async def test_the_predecessors_form_of_the_request_is_a_matter_of_configuration(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"], tokenIn="query")

    assert isinstance(await plugin.authorize(about()), Allow)
    ((path, headers),) = gate.asked
    assert parse_qs(urlsplit(path).query) == {"email": [ADA], "access_token": [TOKEN]}
    assert "authorization" not in headers


async def test_a_rotated_token_is_used_at_once(gate: Gate, asking: Asking) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])
    gate.token = "svc-token-2"
    with pytest.raises(PluginFailure, match="refuses the service token"):
        await plugin.authorize(about())

    asking.token_file.write_text("svc-token-2")

    assert isinstance(await plugin.authorize(about()), Allow)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("slow", "did not answer within 0.3 s"),
        ("garbage", "no profile"),
        ("list", "no profile"),
        ("deep", "no profile"),
        ("huge", "longer than"),
        ("500", "answered 500"),
        ("302", "answered 302"),
        ("204", "answered 204"),
        ("somebody else", "profile of somebody else"),
        ("active as text", "no profile"),
    ],
)
@pytest.mark.parametrize("token_in", ["header", "query"])
async def test_what_is_no_answer_is_a_failure_and_shows_no_token(
    gate: Gate, asking: Asking, trouble: str, said: str, token_in: str
) -> None:
    plugin = await asking.plugin(
        endpoint=gate.address, groups=["dba"], timeoutSeconds=0.3, tokenIn=token_in
    )
    gate.trouble = trouble

    with pytest.raises(PluginFailure, match=said) as failure:
        await plugin.authorize(about())

    assert TOKEN not in str(failure.value)


async def test_a_server_that_is_not_there_is_a_failure(asking: Asking) -> None:
    plugin = await asking.plugin(endpoint="http://127.0.0.1:1", groups=["dba"], tokenIn="query")

    with pytest.raises(PluginFailure, match="cannot be reached: ConnectError"):
        await plugin.authorize(about())


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://gate.example.org",
        "ftp://127.0.0.1",
        "gate.example.org",
        "http://127.0.0.1.example.org",
        "https://user:word@gate.example.org",
        "https://gate.example.org?access_token=x",
        "https://",
    ],
)
async def test_an_address_that_would_show_the_token_is_refused(
    asking: Asking, endpoint: str
) -> None:
    with pytest.raises(PluginFailure, match=r"spec\.config\.endpoint"):
        await asking.plugin(endpoint=endpoint)


@pytest.mark.parametrize("content", ["", "\n", "a\x00b", "tök"])
async def test_a_file_without_a_token_is_a_failure(
    gate: Gate, asking: Asking, content: str
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])
    asking.token_file.write_text(content)

    with pytest.raises(PluginFailure, match=r"spec\.credentialsFile"):
        await plugin.authorize(about())
    assert gate.asked == []


async def test_questions_at_once_do_not_get_into_each_others_way(
    gate: Gate, asking: Asking
) -> None:
    plugin = await asking.plugin(endpoint=gate.address, groups=["dba"])

    verdicts = await asyncio.gather(
        *(plugin.authorize(about(ADA if n % 2 else "eve@example.org")) for n in range(20))
    )

    assert [isinstance(one, Allow) for one in verdicts] == [bool(n % 2) for n in range(20)]
