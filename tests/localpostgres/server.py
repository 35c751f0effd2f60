"""One server in a folder of its own: make, start, stop, kill, remove."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localpostgres.binaries import Binaries, require_binaries
from localpostgres.errors import LocalPostgresError, tail
from localpostgres.places import free_port, make_folder, remove_shared_memory
from localpostgres.processes import (
    Identity,
    children,
    command_line,
    server_account,
    wait_until,
)

ADMIN = "postgres"
OWNER = "proctor_owner"
RUNTIME = "proctor_operator"
DATABASE = "proctor"

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LONGEST_SOCKET_FOLDER = 80
_PORT_TRIES = 5


def default_state_dir() -> Path:
    """Return the folder for servers: a short path that other accounts may pass through."""
    return Path(tempfile.gettempdir()) / f"proctor-localpostgres-{os.geteuid()}"


@dataclass
class LocalPostgres:
    """A server on 127.0.0.1, with generated passwords and without anything outside `folder`.

    `durable` keeps data over a crash of the machine, as the demo wants it; tests do without.
    A server with `dies_with_parent` stops when the process that started it ends, however.
    """

    folder: Path
    port: int
    passwords: dict[str, str] = field(repr=False)
    durable: bool = False
    dies_with_parent: bool = False
    maker: Identity | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def create(
        cls,
        name: str,
        *,
        state_dir: Path | None = None,
        durable: bool = False,
        dies_with_parent: bool = False,
    ) -> LocalPostgres:
        """Make and start a server with two roles and an empty database, or leave nothing behind."""
        folder = (state_dir or default_state_dir()) / name
        if folder.exists():
            raise LocalPostgresError(
                f"{folder} exists already", remedy=f"python -m localpostgres down --name {name}"
            )
        passwords = {role: secrets.token_urlsafe(24) for role in (ADMIN, OWNER, RUNTIME)}
        server = cls(
            folder.resolve(), 0, passwords, durable, dies_with_parent, Identity.of(os.getpid())
        )
        try:
            server._initialise()
            server._start_on_afree_port()
            server._create_roles()
        except BaseException:
            server.remove()
            raise
        return server

    @classmethod
    def load(cls, name: str, *, state_dir: Path | None = None) -> LocalPostgres | None:
        """Return the server made under this name, running or not; None when there is none."""
        folder = ((state_dir or default_state_dir()) / name).resolve()
        try:
            saved: dict[str, Any] = json.loads((folder / "server.json").read_text())
        except FileNotFoundError:
            return None
        maker = saved.pop("maker")
        return cls(folder=folder, maker=None if maker is None else Identity(**maker), **saved)

    @classmethod
    def remove_remains(cls, name: str, *, state_dir: Path | None = None) -> None:
        """Remove what an interrupted `create` left: a folder without its description."""
        folder = ((state_dir or default_state_dir()) / name).resolve()
        if (folder / "data" / "PG_VERSION").exists() or (folder / "password").exists():
            cls(folder, 0, {}).remove()

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.folder.name

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "server.log"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def is_running(self) -> bool:
        """Whether the server process lives (it may not answer yet)."""
        return self._process() is not None

    def dsn(self, role: str = RUNTIME, database: str = DATABASE) -> str:
        """Return the address for one of the roles, with its password."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it on its port and wait until it answers; nothing to do when it runs."""
        if self.is_running:
            return
        # Of a killed server. Where nobody has reaped it, PostgreSQL would take it for alive; that
        # no session of it lives on, PostgreSQL sees from the shared memory.
        for lock in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            lock.unlink(missing_ok=True)
        binaries = require_binaries()
        with self.log.open("ab") as log:
            self._child = self._spawn(self._command(binaries), log)
        if not wait_until(self._is_ready_or_gone, seconds=_START_SECONDS) or not self._is_ready():
            raise LocalPostgresError(
                f"PostgreSQL in {self.folder} did not start", log_tail=tail(self.log)
            )

    def stop(self, *, immediately: bool = False) -> None:
        """Cut all sessions and stop; `immediately` without a checkpoint, as in a crash."""
        self._end(signal.SIGQUIT if immediately else signal.SIGINT)

    def kill(self) -> None:
        """Kill the server and all its sessions at once, as the kernel would for want of memory."""
        process = self._process()
        if process is None:
            return
        # Sessions lead groups of their own, so each is found and killed by itself.
        sessions = children(process.pid)
        self._end(signal.SIGKILL)
        for session in sessions:
            session.send(signal.SIGKILL)
        wait_until(lambda: not any(one.is_alive for one in sessions), seconds=_STOP_SECONDS)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold the server and all its sessions where they are, as a stalled machine would."""
        process = self._process()
        if process is None:
            raise LocalPostgresError(f"PostgreSQL in {self.folder} does not run")
        held = [process]
        try:
            process.send(signal.SIGSTOP)
            # Its children only now: it makes no more of them.
            for session in children(process.pid):
                session.send(signal.SIGSTOP)
                held.append(session)
            yield
        finally:
            for one in reversed(held):
                one.send(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it where it runs and remove everything it left."""
        self.stop(immediately=True)
        remove_shared_memory(self.data / "postmaster.pid")
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()

    def execute(self, sql: str, *, database: str = "postgres") -> str:
        """Run statements as the administrator and return what psql prints, unadorned."""
        psql = str(require_binaries().path("psql"))
        address = ["--host=127.0.0.1", f"--port={self.port}", f"--username={ADMIN}"]
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]
        options.append("--set=ON_ERROR_STOP=1")
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [psql, *address, f"--dbname={database}", *options, "--file=-"],
            input=sql,
            env={**os.environ, "PGPASSWORD": self.passwords[ADMIN]},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LocalPostgresError(f"psql: {done.stderr.strip()}", log_tail=tail(self.log))
        return done.stdout.strip()

    def _initialise(self) -> None:
        account = server_account()
        make_folder(self.folder, is_passed_through=account is not None)
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.passwords[ADMIN] + "\n")
        if account is not None:
            for path in (self.folder, password_file):
                os.chown(path, account.uid, account.gid)
            self._require_passage()
        command = [
            *(str(require_binaries().path("initdb")), f"--pgdata={self.data}"),
            *(f"--username={ADMIN}", f"--pwfile={password_file}", "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        with self.log.open("wb") as log:
            initdb = self._spawn(command, log)
            if initdb.wait() != 0:
                raise LocalPostgresError("initdb failed", log_tail=tail(self.log))
        password_file.unlink()

    def _require_passage(self) -> None:
        with Path(os.devnull).open("wb") as nowhere:
            passage = self._spawn(["test", "-w", str(self.folder)], nowhere, folder=Path("/"))
        if passage.wait() != 0:
            raise LocalPostgresError(
                f"the account that PostgreSQL runs as cannot reach {self.folder}",
                remedy="choose another --state-dir: one whose parents others may pass through",
            )

    def _start_on_afree_port(self) -> None:
        for remaining in reversed(range(_PORT_TRIES)):
            self.port = free_port()
            try:
                self.start()
            except LocalPostgresError as error:
                # Somebody may take the port between our look and the server's bind.
                if remaining == 0 or "Address already in use" not in error.log_tail:
                    raise
            else:
                break
        self._save()

    def _create_roles(self) -> None:
        self.execute(
            f"""
            CREATE ROLE {OWNER} LOGIN PASSWORD '{self.passwords[OWNER]}';
            CREATE ROLE {RUNTIME} LOGIN PASSWORD '{self.passwords[RUNTIME]}';
            CREATE DATABASE {DATABASE} OWNER {OWNER};
            """
        )

    def _save(self) -> None:
        saved = {
            "port": self.port,
            "passwords": self.passwords,
            "durable": self.durable,
            "dies_with_parent": self.dies_with_parent,
            "maker": None if self.maker is None else vars(self.maker),
        }
        path = self.folder / "server.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(saved))

    def _command(self, binaries: Binaries) -> list[str]:
        sockets = str(self.folder) if len(str(self.folder)) <= _LONGEST_SOCKET_FOLDER else ""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": sockets,
            "dynamic_shared_memory_type": "mmap",  # in the data folder: nothing left in /dev/shm
            "shared_buffers": "32MB",
            "max_connections": "60",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
        }
        if not self.durable:
            # A killed server still keeps what it committed; a machine that goes down need not.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        command = [str(binaries.path("postgres")), "-D", str(self.data)]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        if self.dies_with_parent and (setpriv := shutil.which("setpriv")):
            command = [setpriv, "--pdeathsig", "INT", *command]
        return command

    def _spawn(
        self, command: list[str], output: Any, *, folder: Path | None = None
    ) -> subprocess.Popen[bytes]:
        account = server_account()
        change: dict[str, Any] = {}
        if account is not None:
            change = {"user": account.uid, "group": account.gid, "extra_groups": []}
        return subprocess.Popen(
            command,
            cwd=folder or self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Control-C in the terminal is for the tests, not for the server under them.
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            **change,
        )

    def _process(self) -> Identity | None:
        """Return the server's process, if the one that wrote the pid file still is it."""
        self._reap()
        lines = self._pid_file()
        if not lines or not lines[0].isdigit():
            return None
        found = Identity.of(int(lines[0]))
        return found if found and str(self.data) in command_line(found.pid) else None

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _reap(self) -> bool:
        return self._child is not None and self._child.poll() is not None

    def _is_ready(self) -> bool:
        lines = self._pid_file()
        return len(lines) > 7 and lines[7].strip() == "ready" and self._process() is not None

    def _is_ready_or_gone(self) -> bool:
        return self._reap() or self._is_ready()

    def _end(self, number: signal.Signals) -> None:
        process = self._process()
        if process is None:
            return
        process.send(number)
        if not wait_until(lambda: self._reap() or not process.is_alive, seconds=_STOP_SECONDS):
            raise LocalPostgresError(
                f"PostgreSQL in {self.folder} did not stop", log_tail=tail(self.log)
            )
