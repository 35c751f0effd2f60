"""`proctor-operator ROLE`: the one entry point of every process."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from proctor_operator.app.logging import configure_logging
from proctor_operator.app.loop import new_event_loop, new_patient_loop
from proctor_operator.app.records_command import add_records_arguments, run_records
from proctor_operator.app.settings import Settings, SettingsError, load_settings
from proctor_operator.app.stopping import Stopping, has_ended_what_is_left
from proctor_operator.domain.errors import NotLeading, ProctorError

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 2
EXIT_LEADERSHIP_LOST = 3
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a role.

    Returns 0, 1 when it failed, 2 when settings or arguments are wrong, 3 when another one leads now.
    """
    parsed = _parser().parse_args(arguments)
    # Whoever asks the webhook for a verdict waits for it; nobody waits for the controller's answers.
    new_loop = new_patient_loop if parsed.role == "controller" else new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        code = _run_in(runner, parsed)
        if runner.run(has_ended_what_is_left()):
            return code
        # The runner would wait for them for ever.
        sys.stderr.flush()
        os._exit(code)


def _run_in(runner: asyncio.Runner, parsed: argparse.Namespace) -> int:
    try:
        settings = load_settings(parsed.config)
        configure_logging(settings.log)
        return runner.run(_run(parsed, settings))
    except SettingsError as error:
        sys.stderr.write(f"proctor-operator: bad settings:\n{error}\n")
        return EXIT_BAD_SETTINGS
    except NotLeading as error:
        sys.stderr.write(f"proctor-operator: {error}\n")
        return EXIT_LEADERSHIP_LOST
    except ProctorError as error:
        sys.stderr.write(f"proctor-operator: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        # Of `records log`, say; the controller takes the signal and stops in order.
        return EXIT_INTERRUPTED


# A role imports what it needs and no more: Alembic or Kopf alone take longer to load than a listing of the
# record takes to print.
# ruff: noqa: PLC0415


async def _run(parsed: argparse.Namespace, settings: Settings) -> int:
    match parsed.role:
        case "migrate":
            await _keep_up(settings)
        case "controller":
            await _control(settings, _listening())
        case "webhook":
            await _admit(settings, _listening())
        case "all":
            await _do_all(settings, _listening())
        case "certs":
            await _keep_certificates(settings)
        case "records":
            return await run_records(parsed, settings)
    return 0


async def _control(settings: Settings, stopping: Stopping) -> None:
    from proctor_operator.app.controller import run_controller

    await run_controller(settings, stopping)


async def _admit(settings: Settings, stopping: Stopping) -> None:
    from proctor_operator.app.admission import build_admission
    from proctor_operator.app.webhook import run_webhook

    await run_webhook(settings, stopping, build_admission)


async def _control_and_admit(settings: Settings, stopping: Stopping) -> None:
    """Webhooks are served where they have a certificate."""
    from proctor_operator.app.admission import build_admission
    from proctor_operator.app.controller import run_controller

    serves = settings.webhook.certificate_file is not None
    await run_controller(settings, stopping, build_admission if serves else None)


async def _keep_up(settings: Settings) -> None:
    from proctor_operator.app.upkeep import keep_up

    await keep_up(settings)


async def _keep_certificates(settings: Settings) -> None:
    from proctor_operator.app.certs import keep_certificates

    await keep_certificates(settings)


async def _do_all(settings: Settings, stopping: Stopping) -> None:
    """Migrate, then control and admit, with the record's upkeep once a day beside it."""
    from proctor_operator.app.upkeep import keep_up, keep_up_daily, run_with_upkeep

    await keep_up(settings)
    upkeep = keep_up_daily(lambda: keep_up(settings))
    await run_with_upkeep(_control_and_admit(settings, stopping), upkeep)


def _listening() -> Stopping:
    stopping = Stopping()
    stopping.listen()
    return stopping


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="proctor-operator", description="Self-service automations on Kubernetes."
    )
    parser.add_argument("--version", action="version", version=version("proctor-operator"))
    parser.add_argument("--config", type=Path, help="YAML file with settings; the environment wins")
    roles = parser.add_subparsers(dest="role", required=True, metavar="ROLE")
    roles.add_parser("controller", help="watch the cluster and run executions")
    roles.add_parser(
        "migrate", help="bring the record's schema to this release and do its upkeep, as its owner"
    )
    roles.add_parser("webhook", help="judge what is written to the cluster, before it is stored")
    roles.add_parser("all", help="migrate, then controller and webhook, in one process")
    roles.add_parser(
        "certs", help="make or renew the webhook's certificate, and have the API server trust it"
    )
    add_records_arguments(roles.add_parser("records", help="read the record"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
