"""One GET per question, with a service token; the user's own token is not needed and not there.

The answer is a profile: `email`, `active`, and `groups` with a `name` each; other fields do not matter.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proctor_plugin import (
    Allow,
    AuthorizeRequest,
    Deny,
    NoOpinion,
    PluginFailure,
    ProctorPlugin,
    Verdict,
)

ANSWER_BYTES_AT_MOST: Final = 1024 * 1024
TOKEN_BYTES_AT_MOST: Final = 16 * 1024


class TokenIn(StrEnum):
    """Where the token goes; the predecessor's servers know the query only."""

    HEADER = "header"
    QUERY = "query"


class GateConfig(BaseModel):
    """`spec.config` of the ProcPlugin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str
    caFile: Path | None = None  # noqa: N815 - as people write it
    path: str = "api/v1/users/profile"
    tokenIn: TokenIn = TokenIn.HEADER  # noqa: N815 - same
    groups: tuple[str, ...] = ()
    match: str = "All"
    timeoutSeconds: float = 1.5  # noqa: N815 - same


class GateGroup(BaseModel):
    """A group of a profile."""

    name: str


class GateProfile(BaseModel):
    """What of a profile counts; `active` must be said, and said as a boolean."""

    model_config = ConfigDict(strict=True)

    email: str
    active: bool
    groups: list[GateGroup] = Field(default_factory=list)


class GatePlugin(ProctorPlugin):
    """Allows an active user in the groups; denies everybody whom the server does not know or calls inactive."""

    name = "gate"
    version = "0.1.0"
    config_schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "required": ["endpoint"],
        "additionalProperties": False,
        "properties": {
            "endpoint": {"type": "string", "minLength": 1, "maxLength": 1024},
            "caFile": {"type": "string", "pattern": "^/", "maxLength": 1024},
            "path": {"type": "string", "maxLength": 1024, "pattern": "^[A-Za-z0-9._~/-]*$"},
            "tokenIn": {"enum": ["header", "query"]},
            "groups": {
                "type": "array",
                "maxItems": 64,
                "items": {"type": "string", "minLength": 1, "maxLength": 1024},
            },
            "match": {"enum": ["All", "Any"]},
            "timeoutSeconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 10},
        },
    }

    async def configure(self, config: Mapping[str, Any], credentials_file: Path | None) -> None:
        """Check what no schema says; the token is read at each use, because it is rotated."""
        try:
            self._config = GateConfig.model_validate(config)
        except ValidationError as error:
            fields = ", ".join(str(part) for one in error.errors() for part in one["loc"])
            raise PluginFailure(f"spec.config: {fields} cannot be as it is") from None
        problem = _endpoint_problem(self._config.endpoint)
        if problem is not None:
            raise PluginFailure(f"spec.config.endpoint {problem}")
        if credentials_file is None:
            raise PluginFailure("spec.credentialsFile is missing: it holds the service token")
        self._token_file = credentials_file
        # No redirects: the token goes to this server and no other. No proxy from the environment either.
        # Reading the authorities takes a while in which no other plugin should have to wait.
        authorities = await asyncio.to_thread(_read_authorities, self._config.caFile)
        self._client = httpx.AsyncClient(
            verify=authorities,
            timeout=self._config.timeoutSeconds,
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def authorize(self, request: AuthorizeRequest) -> Verdict:
        """Look the user up; groups come from the configuration, else from the Proc."""
        wanted = self._config.groups or request.proc.groups
        if not wanted:
            return NoOpinion(message="neither the plugin's configuration nor the proc names groups")
        email = request.principal.username
        if not email or not email.isprintable():
            return Deny(message="the name of the user is none that Gate can know")
        profile = await self._look_up(email)
        if profile is None:
            return Deny(message="Gate does not know the user")
        if profile.email.casefold() != email.casefold():
            raise PluginFailure("Gate answered with the profile of somebody else")
        if not profile.active:
            return Deny(message="Gate says that the user is inactive")
        return self._judge(wanted, {group.name for group in profile.groups})

    def _judge(self, wanted: tuple[str, ...], held: set[str]) -> Verdict:
        matching = [group for group in wanted if group in held]
        is_enough = len(matching) == len(wanted) if self._config.match == "All" else bool(matching)
        if is_enough:
            return Allow(message="Gate lists the user in the groups that are needed")
        needed = "all" if self._config.match == "All" else "one"
        return Deny(message=f"Gate does not list the user in {needed} of the groups needed"[:256])

    async def _look_up(self, email: str) -> GateProfile | None:
        token = self._read_token()
        query = {"email": email}
        headers = {"Accept": "application/json"}
        if self._config.tokenIn is TokenIn.QUERY:
            query["access_token"] = token
        else:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self._config.endpoint.rstrip('/')}/{self._config.path.lstrip('/')}"
        # What httpx raises names the URL, which may hold the token: none of it is passed on.
        try:
            async with self._client.stream("GET", url, params=query, headers=headers) as response:
                return await _profile_of(response)
        except httpx.TimeoutException:
            raise PluginFailure(
                f"Gate did not answer within {self._config.timeoutSeconds:g} s"
            ) from None
        except httpx.HTTPError as error:
            raise PluginFailure(f"Gate cannot be reached: {type(error).__name__}") from None

    def _read_token(self) -> str:
        try:
            token = self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PluginFailure(
                f"spec.credentialsFile {self._token_file}: {type(error).__name__}"
            ) from None
        if not token or len(token) > TOKEN_BYTES_AT_MOST or not token.isprintable():
            raise PluginFailure(f"spec.credentialsFile {self._token_file} holds no token")
        return token


async def _profile_of(response: httpx.Response) -> GateProfile | None:
    """The profile; None where the server says that there is no such user."""
    if response.status_code == httpx.codes.NOT_FOUND:
        return None
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise PluginFailure("Gate refuses the service token (401)")
    if response.status_code != httpx.codes.OK:
        raise PluginFailure(f"Gate answered {response.status_code}")
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > ANSWER_BYTES_AT_MOST:
            raise PluginFailure(f"Gate's answer is longer than {ANSWER_BYTES_AT_MOST} bytes")
    try:
        return GateProfile.model_validate(json.loads(body))
    except (ValueError, RecursionError):
        raise PluginFailure("Gate's answer is no profile") from None


def _read_authorities(ca_file: Path | None) -> ssl.SSLContext:
    """Whom to believe: the authorities in the file and no others, else those that httpx brings."""
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise PluginFailure(
            f"spec.config.caFile {ca_file} holds no certificates in PEM: {problem}"
        ) from None


def _endpoint_problem(endpoint: str) -> str | None:
    """Why an address is not to be spoken to: in the clear only to this machine."""
    try:
        url = httpx.URL(endpoint)
    except httpx.InvalidURL:
        return "is no URL"
    if url.query or url.fragment or url.userinfo:
        return "takes no user, query or fragment"
    if url.scheme == "https" and url.host:
        return None
    if url.scheme == "http" and _is_loopback(url.host):
        return None
    return "must begin with https:// (http:// is for 127.0.0.1 and localhost only)"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
