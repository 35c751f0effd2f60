"""One connection: address, password, TLS and the session's settings."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import asyncpg

from proctor_operator.adapters.postgres.options import PostgresOptions, TlsMode

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What the server allows one session, in seconds; 0 means no limit."""

    statement_seconds: float
    lock_seconds: float
    idle_in_transaction_seconds: float

    @classmethod
    def of(cls, options: PostgresOptions) -> SessionLimits:
        """Return the limits for the calls of the running operator."""
        return cls(
            options.statement_timeout_seconds,
            options.lock_timeout_seconds,
            options.idle_in_transaction_timeout_seconds,
        )


async def connect(
    options: PostgresOptions, limits: SessionLimits, **pool_arguments: Any
) -> asyncpg.Connection:
    """Open a connection; raises what asyncpg, the socket or the TLS layer raise."""
    arguments: dict[str, Any] = dict(pool_arguments)
    if options.password_file is not None:
        arguments["password"] = _read_password(options.password_file)
    settings = {"application_name": options.application_name}
    if options.session_settings:
        settings |= _session_settings(limits)
        if options.reuses_plans:
            # Left to itself, PostgreSQL plans anew each time: of a plan for any month it believes that
            # it reads all of them, and planning is a fifth of what a run costs it (docs/benchmarks.md).
            settings["plan_cache_mode"] = "force_generic_plan"
    connection: asyncpg.Connection = await asyncpg.connect(
        options.dsn,
        ssl=_tls(options),
        timeout=options.connect_timeout_seconds,
        statement_cache_size=options.statement_cache_size,
        server_settings=settings,
        **arguments,
    )
    return connection


def _session_settings(limits: SessionLimits) -> dict[str, str]:
    return {
        # Statements name the schema; nothing else may be found by accident or by attack.
        "search_path": "proctor, pg_catalog",
        # The statements that read back what a racing writer stored need a new snapshot each.
        "default_transaction_isolation": "read committed",
        "timezone": "UTC",
        "statement_timeout": _milliseconds(limits.statement_seconds),
        "lock_timeout": _milliseconds(limits.lock_seconds),
        "idle_in_transaction_session_timeout": _milliseconds(limits.idle_in_transaction_seconds),
    }


def _milliseconds(seconds: float) -> str:
    # A limit above zero never rounds down to "no limit".
    return str(max(1, round(seconds * 1000)) if seconds > 0 else 0)


def _read_password(path: Path) -> str:
    # One line in a mounted file; editors and `echo` end it with a line break.
    return path.read_text(encoding="utf-8").rstrip("\r\n")


def _tls(options: PostgresOptions) -> ssl.SSLContext | Literal[False, "prefer"]:
    match options.tls:
        case TlsMode.DISABLE:
            return False
        case TlsMode.PREFER:
            return "prefer"
        case TlsMode.REQUIRE:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        case TlsMode.VERIFY_CA | TlsMode.VERIFY_FULL:
            root = options.tls_root_file
            context = ssl.create_default_context(cafile=None if root is None else str(root))
            context.check_hostname = options.tls is TlsMode.VERIFY_FULL
            return context
