"""The serving certificate and the authorities of clients, read anew when their files change.

Each handshake is handed to the newest context; connections that are open keep theirs, so nothing is cut. A
context is never changed: adding to a living one could not take an old authority away, and a pair that does
not fit would leave it with half of each.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from proctor_operator.domain.errors import Fault, Unreadable
from proctor_operator.ports.metrics import WebhookMetrics

LOOK_EVERY_SECONDS: Final = 5.0

ReadExpiries = Callable[[bytes], tuple[datetime, ...]]
"""Tells when each certificate in a PEM file ends; raises `Unreadable`."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files; with `client_ca` only clients with a certificate of it are served."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class _Contents:
    certificate: bytes
    key: bytes
    client_ca: bytes | None


class ServingCertificate:
    """`context` is for the server; `watch` keeps it as new as the files, as long as they are sound."""

    def __init__(
        self,
        files: CertificateFiles,
        metrics: WebhookMetrics,
        *,
        read_expiries: ReadExpiries,
        look_every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        """Raises `Fault` naming the file that cannot be used."""
        self._files = files
        self._metrics = metrics
        self._read_expiries = read_expiries
        self._look_every = look_every_seconds
        self._seen: _Contents | str = self._read()
        if isinstance(self._seen, str):
            raise Fault(self._seen)
        self.context = self._newest = self._load(self._seen)
        self.context.sni_callback = self._hand_over

    async def watch(self) -> None:
        """Look at the files again and again until cancelled."""
        while True:
            await asyncio.sleep(self._look_every)
            found = await asyncio.to_thread(self._read)
            if found != self._seen:
                self._seen = found
                self._renew(found)

    def _renew(self, found: _Contents | str) -> None:
        """What cannot be used is said once for each change, and the last good one goes on."""
        try:
            if isinstance(found, str):
                raise Fault(found)  # noqa: TRY301 - one end for both ways of being no good
            self._newest = self._load(found)
        except Fault as fault:
            self._metrics.certificate_loaded("broken")
            log.error("New certificate is no good; the last one stays in use", problem=str(fault))  # noqa: TRY400 - no traceback: the files are wrong, not the code
        else:
            log.info("Certificate renewed")

    def _read(self) -> _Contents | str:
        """Read what stands in the files, or say what is wrong."""
        files = self._files
        try:
            return _Contents(
                files.certificate.read_bytes(),
                files.key.read_bytes(),
                files.client_ca.read_bytes() if files.client_ca is not None else None,
            )
        except OSError as error:
            return f"{error.filename}: {error.strerror}"

    def _load(self, contents: _Contents) -> ssl.SSLContext:
        files = self._files
        context = _new_context()
        expiry = self._expiries(contents.certificate, files.certificate)[0]
        try:
            with _as_file(contents.certificate) as certificate, _as_file(contents.key) as key:
                # A password would be asked for on the terminal.
                context.load_cert_chain(certificate, key, password="")
        except OSError as error:
            raise Fault(
                f"{files.certificate} and {files.key} are no certificate with its key: {error}"
            ) from None
        if contents.client_ca is not None and files.client_ca is not None:
            ca_expiry = min(self._expiries(contents.client_ca, files.client_ca))
            context.load_verify_locations(cadata=contents.client_ca.decode("ascii", "replace"))
            context.verify_mode = ssl.CERT_REQUIRED
            self._metrics.certificate_expires("client-ca", ca_expiry)
        self._metrics.certificate_expires("serving", expiry)
        self._metrics.certificate_loaded("loaded")
        return context

    def _expiries(self, pem: bytes, file: Path) -> tuple[datetime, ...]:
        try:
            return self._read_expiries(pem)
        except Unreadable as problem:
            raise Fault(f"{file}: {problem}") from None

    def _hand_over(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._newest


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A resumed session would bring back a client whose authority is not trusted any more.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path to these very bytes: the files may have changed since, and a key must not touch a disk."""
    descriptor = os.memfd_create("proctor-webhook")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
