"""`python -m demo up|down`: what `make demo` and `make demo-down` run."""

from __future__ import annotations

import argparse
import sys

from demo.show import show, tell_what_next
from demo.stage import Stage
from harness.operator_process import OperatorError
from localcluster.errors import LocalClusterError
from localpostgres.errors import LocalPostgresError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; failures are said in words, with what to do."""
    wanted = _parser().parse_args(arguments)
    stage = Stage.at_hand()
    try:
        if wanted.command == "down":
            stage.take_down()
            print("demo: nothing of it is left")
            return 0
        stage.set_up(wanted.context)
        show(stage)
        tell_what_next(stage)
    except (LocalClusterError, LocalPostgresError, OperatorError) as error:
        print(f"demo: {error}", file=sys.stderr)
        if wanted.command == "up":
            print("demo: `make demo-down` removes what is there", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; `make demo-down` removes what is there", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring everything up and run examples/01-hello-world")
    up.add_argument("--context", help="a context of your kubeconfig, instead of a local cluster")
    commands.add_parser("down", help="remove everything that up made")
    return parser


if __name__ == "__main__":
    sys.exit(main())
