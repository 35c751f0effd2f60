"""The play itself: a proc, an execution, the watch, the log, the record."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from demo.stage import ALICES_GROUP, NAMESPACE, ROOT, Stage
from harness.operator_process import OperatorError, run_role
from harness.requesters import ALICE
from localcluster.errors import tail
from localcluster.existing import NodeCluster

_EXAMPLE = Path("examples") / "01-hello-world"
_PARAMETERS = Path("examples") / "02-parameters"
_EXECUTION = "procexecution/hello-1"
_SECONDS_TO_THE_END = 120
_TERMINAL = ("Succeeded", "Failed", "Cancelled", "TimedOut", "Refused", "Lost")


def show(stage: Stage) -> None:
    """Run the first example to Succeeded; raises `OperatorError` when it ends otherwise."""
    cluster = stage.cluster()
    cluster.kubectl("delete", _EXECUTION, f"--namespace={NAMESPACE}", "--ignore-not-found")
    _run(cluster, "apply", f"--filename={_EXAMPLE / 'proc.yaml'}")
    _run_as_alice(stage, "apply", f"--filename={_EXAMPLE / 'execution.yaml'}")
    _watch(cluster, stage)
    _run(cluster, "get", _EXECUTION, "--output=jsonpath={.status.logTail}")
    _show_a_denial(stage)
    _shown(f"proctor-operator --config {stage.config.relative_to(ROOT)} records list --limit 3")
    listed = run_role("records", "list", "--limit", "3", config=stage.config)
    print(listed.stdout, flush=True)
    if listed.returncode != 0:
        raise OperatorError(listed.stderr)


def _show_a_denial(stage: Stage) -> None:
    """A mistake is answered in words, before anything is stored."""
    _run(stage.cluster(), "apply", f"--filename={_PARAMETERS / 'proc.yaml'}")
    mistaken = f"--filename={_PARAMETERS / 'execution-bad-arguments.yaml'}"
    if _run_as_alice(stage, "apply", mistaken, check=False) == 0:
        raise OperatorError("an execution with bad arguments was admitted")


def tell_what_next(stage: Stage) -> None:
    """Three commands to try, that work as they stand."""
    cluster = stage.cluster()
    operator = (Path(sys.executable).parent / "proctor-operator").relative_to(ROOT)
    folder = _kubectl(cluster).parent
    path = "" if str(folder) in os.environ["PATH"].split(":") else f' PATH="{folder}:$PATH"'
    print(
        f"""It goes on running. Try next:

  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}{path}
  kubectl apply -n {NAMESPACE} -f examples/02-parameters/execution.yaml --as={ALICE} --as-group={ALICES_GROUP}
  kubectl explain proc.spec.parameters
  {operator} --config {stage.config.relative_to(ROOT)} records list

The operator's log is {stage.operator_log.relative_to(ROOT)}; `make demo-down` removes it all.""",
        flush=True,
    )


def _watch(cluster: NodeCluster, stage: Stage) -> None:
    """Show the watch until the execution has ended."""
    only = f"--field-selector=metadata.name={_EXECUTION.rpartition('/')[2]}"
    arguments = ["get", "procexecutions", f"--namespace={NAMESPACE}", only, "--watch"]
    _shown(f"kubectl {shlex.join(arguments)}")
    watch = subprocess.Popen(
        ["timeout", str(_SECONDS_TO_THE_END), _kubectl(cluster), *arguments],
        stdout=subprocess.PIPE,
        env=cluster.environment(),
        text=True,
    )
    phase = ""
    assert watch.stdout is not None
    for line in watch.stdout:
        print(line, end="", flush=True)
        phase = next((word for word in line.split() if word in _TERMINAL), "")
        if phase:
            break
    watch.terminate()
    watch.wait()
    watch.stdout.close()
    print()
    if phase != "Succeeded":
        described = cluster.kubectl(
            "describe", _EXECUTION, f"--namespace={NAMESPACE}", check=False
        ).stdout
        raise OperatorError(
            f"the execution ended as {phase or 'nothing'} after at most {_SECONDS_TO_THE_END} s\n"
            f"{described}\n{tail(stage.operator_log)}"
        )


def _run(cluster: NodeCluster, *arguments: str) -> None:
    """Show a kubectl command and its output."""
    placed: Sequence[str] = (*arguments, f"--namespace={NAMESPACE}")
    _shown(f"kubectl {shlex.join(placed)}")
    print(cluster.kubectl(*placed).stdout, flush=True)


def _run_as_alice(stage: Stage, *arguments: str, check: bool = True) -> int:
    """The same with her own login; returns the exit code."""
    placed = (*arguments, f"--namespace={NAMESPACE}")
    login = stage.alice.relative_to(ROOT)
    _shown(f"kubectl --kubeconfig={login} {shlex.join(placed)}")
    done = stage.cluster().kubectl(*placed, kubeconfig=stage.alice, check=check)
    print(done.stdout + done.stderr, flush=True)
    return done.returncode


def _shown(command: str) -> None:
    print(f"$ {command}", flush=True)


def _kubectl(cluster: NodeCluster) -> Path:
    return cluster.kubectl_path
