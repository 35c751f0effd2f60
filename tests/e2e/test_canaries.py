"""I8: no secret value where Proctor writes or shows anything; canaries are sent through all it handles."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import pytest
import yaml

from harness.operator_process import ask
from harness.requesters import ALICE, plain
from harness.running import Manifest, RunningOperator, execution, proc
from localcluster.waiting import wait_until

OF_THE_AUTHOR: Final = 'author7f3a"+/%~canary'
OF_THE_REQUESTER: Final = 'requester91c"+/%~canary'
TYPED_BY_MISTAKE: Final = 'mistake55e"+/%~canary'
OF_THE_PLUGIN: Final = "plugin-d04-canary"
CANARIES: Final = (OF_THE_AUTHOR, OF_THE_REQUESTER, TYPED_BY_MISTAKE, OF_THE_PLUGIN)
PLAIN: Final = "plain2b8-not-secret"
"""Where this is found, a canary would be found as well."""

USES: Final = 'test -n "$DB_PASSWORD" && test -n "$TOKEN" && echo used'
"""It prints no more than that; what a container prints itself is its own affair."""
KINDS: Final = "procs,procexecutions,procschedules,procplugins,jobs,pods,events,configmaps"


def secret(name: str, value: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"k": value},
    }


def bound(name: str, secret_name: str) -> Manifest:
    return {"name": name, "secretKeyRef": {"name": secret_name, "key": "k"}}


def handling(name: str, script: str, **spec: object) -> Manifest:
    return proc(
        name,
        script=script,
        secrets=[bound("DB_PASSWORD", "canary-author")],
        parameters=[
            {"name": "TOKEN", "sensitive": True, "required": False},
            {"name": "SIZE", "required": False, "schema": {"type": "integer"}},
        ],
        **spec,
    )


def run(name: str, of: str) -> Manifest:
    taken = [bound("TOKEN", "canary-requester")]
    return execution(name, of=of, argumentsFrom=taken, reason=PLAIN)


def mistaken(arguments: Manifest, of: str = "canary-uses") -> Manifest:
    return execution("canary-mistake", of=of, arguments=arguments)


@pytest.fixture
def echoing() -> Iterator[str]:
    """A server that says the token back in its error, as bad ones do."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = f"no such token: {self.headers['Authorization']} {self.path}".encode()
            self.send_response(500)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Nothing on the test's own output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def gate(operator: RunningOperator, endpoint: str, token_file: Path) -> Iterator[None]:
    """The plugin `gate`, whose token is a canary."""
    token_file.write_text(OF_THE_PLUGIN)
    manifest = {
        "apiVersion": "proctor.dev/v1alpha1",
        "kind": "ProcPlugin",
        "metadata": {"name": "canary-gate"},
        "spec": {
            "transport": {"python": {"entryPoint": "gate"}},
            "hooks": [{"name": "Authorize"}],
            "credentialsFile": str(token_file),
            "config": {"endpoint": endpoint, "groups": ["dba"]},
        },
    }
    operator.apply(manifest)
    try:
        operator.kubectl("wait", "--for=condition=Ready", "procplugin/canary-gate", "--timeout=30s")
        yield
    finally:
        operator.kubectl("delete", "procplugin/canary-gate")


def test_no_canary_is_found_anywhere(
    operator: RunningOperator, echoing: str, tmp_path: Path
) -> None:
    guard = {"rbac": "Ignored", "plugins": ["canary-gate"]}
    operator.apply(
        secret("canary-author", OF_THE_AUTHOR),
        secret("canary-requester", OF_THE_REQUESTER),
        _may_read("canary-requester"),
        handling("canary-uses", USES),
        handling("canary-fails", f"{USES}; exit 3"),
        handling("canary-guarded", USES, authorization=guard),
        handling("canary-lost", USES, image="127.0.0.1:1/missing:1", pendingTimeoutSeconds=5),
    )
    with gate(operator, echoing, tmp_path / "token"):
        said = [
            _denial(operator, mistaken({"TOKEN": TYPED_BY_MISTAKE})),
            _denial(operator, mistaken({"TOKEN": [TYPED_BY_MISTAKE], "SIZE": "x"})),
            _denial(operator, mistaken({"TOKN": TYPED_BY_MISTAKE})),
        ]
        assert wait_until(
            lambda: (
                "the plugin canary-gate failed"
                in _denial(operator, run("canary-guarded-1", "canary-guarded"))
            ),
            seconds=20,
        )
        said.append(_denial(operator, run("canary-guarded-1", "canary-guarded")))
        operator.apply(
            run("canary-uses-1", "canary-uses"),
            run("canary-fails-1", "canary-fails"),
            run("canary-lost-1", "canary-lost"),
        )
        used = operator.wait_for_phase("canary-uses-1", "Succeeded")
        operator.wait_for_phase("canary-fails-1", "Failed")
        operator.wait_for_phase("canary-lost-1", "TimedOut", seconds=90)
        found = _sinks(operator) | {f"denial {n}": text for n, text in enumerate(said)}

    assert used["status"]["logTail"] == "used\n"
    for sink in ("objects", "executions"):
        assert PLAIN in found[sink], f"nothing would be found in {sink}"
    assert "canary-mistake" in found["denials"]
    assert found["webhook log"]
    assert "proctor_" in found["webhook metrics"]
    assert _sightings(found) == []


def test_the_search_itself_finds_every_spelling() -> None:
    for canary in CANARIES:
        encoded = base64.b64encode(b"xy" + canary.encode()).decode()
        hidden = (canary, json.dumps(canary), urllib.parse.quote(canary), encoded)
        assert [bool(_sightings({"x": f"<{text}>"})) for text in hidden] == [True] * len(hidden)


def _may_read(name: str) -> Manifest:
    rbac = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "Role",
        "metadata": {"name": "reads-canary"},
        "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}
        ],
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reads-canary"},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reads-canary"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": ALICE}],
    }
    return {"apiVersion": "v1", "kind": "List", "items": [role, binding]}


def _denial(operator: RunningOperator, asked: Manifest) -> str:
    done = operator.cluster.kubectl(
        *("create", f"--namespace={operator.namespace}", "--filename=-"),
        *(f"--as={ALICE}", "--as-group=dba"),
        stdin=yaml.safe_dump(plain(asked)),
        check=False,
    )
    assert "denied the request" in done.stderr, done
    return done.stderr


def _sinks(operator: RunningOperator) -> dict[str, str]:
    """All that the operator and the webhook have written, as text."""
    webhook_log = operator.log.with_name("webhook.log")
    return {
        "operator log": operator.log.read_text(),
        "webhook log": webhook_log.read_text(),
        "objects": operator.kubectl("get", KINDS, "--output=json"),
        "operator metrics": operator.ask("/metrics")[1],
        "webhook metrics": ask(f"http://127.0.0.1:{_health_port(webhook_log)}/metrics")[1],
        "records list": operator.records("list", "--output=json"),
        "records denials": operator.records("denials", "--output=json"),
        **_tables(operator),
    }


def _tables(operator: RunningOperator) -> dict[str, str]:
    query = operator.database.query
    names = query(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = 'proctor' AND table_type = 'BASE TABLE'"
    )
    assert len(names) > 3
    return {
        name: "\n".join(row[0] for row in query(f'SELECT t::text FROM proctor."{name}" t'))
        for (name,) in names
    }


def _health_port(log: Path) -> int:
    found = re.findall(r'"health_port": ?(\d+)', log.read_text())
    return int(found[-1])


def _sightings(sinks: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (sink, spelling)
        for sink, text in sinks.items()
        for canary in CANARIES
        for spelling in _spellings(canary)
        if spelling in text
    ]


def _spellings(canary: str) -> set[str]:
    """Raw, in JSON, in a URL, in hexadecimal, and in base64 wherever it begins."""
    raw = canary.encode()
    shifted = (base64.b64encode(b"x" * n + raw).decode()[4:-4] for n in range(3))
    return {
        canary,
        json.dumps(canary)[1:-1],
        urllib.parse.quote(canary),
        urllib.parse.quote(canary, safe=""),
        raw.hex(),
        *shifted,
    }
