"""The command line: ``python -m localcluster``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from localcluster import images
from localcluster.binary import ensure_binaries
from localcluster.cluster import connect, up
from localcluster.config import DEFAULT_NAME, Level, Tuning
from localcluster.errors import LocalClusterError, UsageError
from localcluster.lifecycle import known_names, take_down
from localcluster.status import all_statuses, describe, look_at
from localcluster.waiting import silent, to_stderr

_EPILOG = """\
examples:
  python -m localcluster up                          a cluster called "proctor" that runs pods
  python -m localcluster up --name fast --level api  API server and controllers only, no root needed
  python -m localcluster build-image --tag proctor.local/hello:1 \\
      --add hello.sh:/hello.sh --entrypoint '["/hello.sh"]' -o hello.tar
  python -m localcluster load-image hello.tar
  export KUBECONFIG="$(python -m localcluster kubeconfig)"
  python -m localcluster kubectl -- get pods --all-namespaces
  python -m localcluster down --all

The first use on a machine builds Kubernetes, Helm and containerd from source (several minutes,
5 GiB) into ~/.cache/proctor/localcluster; level full installs Debian packages that are missing.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 1 for a failure, 2 for a bad request."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        result = options.run(options)
    except UsageError as problem:
        print(f"localcluster: {problem}", file=sys.stderr)
        return 2
    except LocalClusterError as problem:
        print(f"localcluster: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:  # a file that cannot be written, a disk that is full
        print(f"localcluster: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("localcluster: interrupted", file=sys.stderr)
        return 130
    return int(result or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localcluster",
        description="A real Kubernetes on this machine, for tests and demonstrations.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_up(commands)
    _add_down(commands)
    _add_images(commands)
    _add_uses(commands)
    status = commands.add_parser("status", help="show the clusters on this machine")
    status.add_argument("--name", help="show only this one; exit code 1 unless it is ready")
    status.set_defaults(run=_status)
    build = commands.add_parser("build", help="build Kubernetes and Helm into the cache, once")
    build.set_defaults(run=_build)
    return parser


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default=DEFAULT_NAME, help="the cluster (default: %(default)s)")


def _add_up(commands: Any) -> None:
    parser = commands.add_parser("up", help="bring a new cluster up")
    _add_name(parser)
    parser.add_argument(
        "--level",
        choices=get_args(Level),
        default="full",
        help="api: API server and controllers only; simulated: with nodes that only play pods; "
        "full: with a node that runs pods (default)",
    )
    parser.add_argument("--port", type=int, help="the API server's port, at any level but full")
    parser.add_argument(
        "--kubelet-config",
        metavar="JSON",
        default="{}",
        help='settings of the kubelet, such as \'{"containerLogMaxSize": "16Ki"}\'',
    )
    parser.add_argument(
        "--extra-arg",
        action="append",
        default=[],
        metavar="COMPONENT=FLAG",
        help="one more flag of a component, such as kube-apiserver=--v=4; may be repeated",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(run=_up)


def _add_down(commands: Any) -> None:
    parser = commands.add_parser("down", help="remove clusters, or what is left of them")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--name", default=DEFAULT_NAME, help="the cluster (default: %(default)s)")
    which.add_argument("--all", action="store_true", help="every cluster of this user")
    parser.set_defaults(run=_down)


def _add_images(commands: Any) -> None:
    load = commands.add_parser("load-image", help="put an image archive into a cluster's node")
    load.add_argument("file", type=Path, metavar="FILE.tar")
    _add_name(load)
    load.set_defaults(run=_load_image)
    build = commands.add_parser("build-image", help="make an image on top of a static busybox")
    build.add_argument("--tag", required=True, help="the image's name, such as proctor.local/x:1")
    build.add_argument("--add", action="append", default=[], metavar="SRC:DEST")
    build.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    build.add_argument("--entrypoint", default='["/bin/sh"]', metavar="JSON")
    build.add_argument("--cmd", default="[]", metavar="JSON")
    build.add_argument("-o", "--output", type=Path, default=Path("image.tar"), metavar="FILE.tar")
    build.set_defaults(run=_build_image)


def _add_uses(commands: Any) -> None:
    kubeconfig = commands.add_parser("kubeconfig", help="print the path of the kubeconfig")
    _add_name(kubeconfig)
    kubeconfig.set_defaults(run=lambda options: print(connect(options.name).kubeconfig))
    for tool in ("kubectl", "helm"):
        parser = commands.add_parser(tool, help=f"run {tool} as the cluster's administrator")
        _add_name(parser)
        parser.add_argument("arguments", nargs="*", metavar="-- ARGS")
        parser.set_defaults(run=_run_tool, tool=tool)
    for action in ("stop", "start"):
        parser = commands.add_parser(
            f"{action}-component", help=f"{action} one component, to see what its absence does"
        )
        parser.add_argument("component")
        _add_name(parser)
        parser.set_defaults(run=_component, action=action)


def _up(options: argparse.Namespace) -> None:
    kubelet_config = _json(options.kubelet_config, "--kubelet-config", dict)
    extra: dict[str, tuple[str, ...]] = {}
    for text in options.extra_arg:
        component, _, flag = text.partition("=")
        extra[component] = (*extra.get(component, ()), flag)
    cluster = up(
        options.name,
        options.level,
        tuning=Tuning(extra, kubelet_config),
        port=options.port,
        report=silent if options.quiet else to_stderr,
    )
    print(f'export KUBECONFIG="{cluster.kubeconfig}"')


def _down(options: argparse.Namespace) -> None:
    for name in known_names() if options.all else [options.name]:
        found = take_down(name)
        to_stderr(f"cluster {name} is gone" if found else f"there is no cluster {name}")


def _status(options: argparse.Namespace) -> int:
    if options.name is not None:
        status = look_at(options.name)
        print(describe(status) if status.name in known_names() else f"no cluster {status.name}")
        return 0 if status.verdict == "ready" else 1
    found = all_statuses()
    for status in found:
        print(describe(status))
    if not found:
        print("no clusters")
    return 0


def _build(_options: argparse.Namespace) -> None:
    print(ensure_binaries(to_stderr).folder)


def _load_image(options: argparse.Namespace) -> None:
    for tag in connect(options.name).load_image(options.file):
        print(tag)


def _build_image(options: argparse.Namespace) -> None:
    files: dict[str, Path] = {}
    for text in options.add:
        source, colon, target = text.rpartition(":")
        if not colon:
            raise UsageError(f"--add {text}: write it as SRC:DEST")
        files[target] = Path(source)
    image = images.Image(
        options.tag,
        _json(options.entrypoint, "--entrypoint", list),
        _json(options.cmd, "--cmd", list),
        files,
        dict(text.partition("=")[::2] for text in options.env),
    )
    print(images.write_image(image, options.output))


def _run_tool(options: argparse.Namespace) -> None:
    cluster = connect(options.name)
    program = cluster.kubectl_path if options.tool == "kubectl" else cluster.helm_path
    os.execve(program, [str(program), *options.arguments], cluster.environment())


def _component(options: argparse.Namespace) -> None:
    cluster = connect(options.name)
    if options.action == "stop":
        cluster.stop_component(options.component)
    else:
        cluster.start_component(options.component)


def _json(text: str, option: str, kind: type[list[Any] | dict[str, Any]]) -> Any:
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise UsageError(f"{option} is not JSON: {problem}") from problem
    if not isinstance(value, kind):
        wanted = "list" if kind is list else "object"
        raise UsageError(f"{option} must be a JSON {wanted}")
    return value
