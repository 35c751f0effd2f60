"""What the record's adapter must know about its database."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class TlsMode(StrEnum):
    """How connections are encrypted, with the words of `sslmode`."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """Where the database is and how patient to be with it; every `_seconds` may be a fraction.

    `dsn` is a `postgresql://` address; `password_file` replaces its password and is read at each
    connect, so that a rotated password needs no restart. `tls_root_file` holds the authorities
    that the verifying modes trust (None: those of the system). `deadline_seconds` bounds a whole
    call: waiting for a free connection, connecting, and the statements. The statement and lock
    timeouts are the server's, and shorter, so that an abandoned statement ends there too.

    Behind pgbouncer in transaction mode set `statement_cache_size` to 0 (each call then runs in
    one transaction) and, where pgbouncer refuses start-up parameters, `session_settings` to False;
    the timeouts then belong to the role (`ALTER ROLE .. SET ..`).

    `reuses_plans`: a statement is planned once for each connection, not for each call. For who calls few
    statements often, each by a key; a listing is better planned for what is asked.
    """

    dsn: str = field(repr=False)
    password_file: Path | None = None
    tls: TlsMode = TlsMode.PREFER
    tls_root_file: Path | None = None
    application_name: str = "proctor-operator"
    max_connections: int = 10
    connection_idle_seconds: float = 300.0
    connection_lifetime_seconds: float = 1800.0
    connect_timeout_seconds: float = 5.0
    deadline_seconds: float = 10.0
    statement_timeout_seconds: float = 8.0
    lock_timeout_seconds: float = 5.0
    idle_in_transaction_timeout_seconds: float = 30.0
    statement_cache_size: int = 100
    session_settings: bool = True
    reuses_plans: bool = False
