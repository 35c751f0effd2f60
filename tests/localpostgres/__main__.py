"""`python -m localpostgres up|down|status|dsn --name NAME`: a server for the demo."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from localpostgres.binaries import ensure_packages
from localpostgres.errors import LocalPostgresError
from localpostgres.server import ADMIN, OWNER, RUNTIME, LocalPostgres, default_state_dir

_ROLES = {"admin": ADMIN, "owner": OWNER, "operator": RUNTIME}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; results go to standard output, the rest to standard error."""
    wanted = _parser().parse_args(arguments)
    try:
        return int(wanted.run(wanted))
    except LocalPostgresError as error:
        print(f"localpostgres: {error}", file=sys.stderr)
        return 1


def _up(wanted: argparse.Namespace) -> int:
    ensure_packages()
    server = LocalPostgres.load(wanted.name, state_dir=wanted.state_dir)
    if server is None:
        LocalPostgres.remove_remains(wanted.name, state_dir=wanted.state_dir)
        server = LocalPostgres.create(wanted.name, state_dir=wanted.state_dir, durable=True)
    server.start()
    print(f"localpostgres: {server.name} answers on 127.0.0.1:{server.port}", file=sys.stderr)
    return 0


def _down(wanted: argparse.Namespace) -> int:
    server = LocalPostgres.load(wanted.name, state_dir=wanted.state_dir)
    if server is None:
        LocalPostgres.remove_remains(wanted.name, state_dir=wanted.state_dir)
    else:
        server.remove()
    return 0


def _status(wanted: argparse.Namespace) -> int:
    server = LocalPostgres.load(wanted.name, state_dir=wanted.state_dir)
    if server is None:
        print("absent")
        return 4
    print("running" if server.is_running else "stopped")
    return 0 if server.is_running else 3


def _dsn(wanted: argparse.Namespace) -> int:
    server = LocalPostgres.load(wanted.name, state_dir=wanted.state_dir)
    if server is None:
        raise LocalPostgresError(f"there is no server called {wanted.name}")
    print(server.dsn(_ROLES[wanted.role]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localpostgres", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, run, explanation in (
        ("up", _up, "make the server where it is not there, and start it"),
        ("down", _down, "stop it and remove its data"),
        ("status", _status, "print running, stopped (exit code 3) or absent (4)"),
        ("dsn", _dsn, "print the address of its database, with the password"),
    ):
        command = commands.add_parser(name, help=explanation)
        command.set_defaults(run=run)
        command.add_argument("--name", default="demo")
        command.add_argument("--state-dir", type=Path, default=default_state_dir())
        if name == "dsn":
            command.add_argument("--role", choices=sorted(_ROLES), default="operator")
    return parser


if __name__ == "__main__":
    sys.exit(main())
