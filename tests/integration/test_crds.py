"""The kinds on a real API server: what it takes, what it refuses and in which words."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.installation import Installation, Manifest, execution, plugin, proc, schedule
from proctor_operator.domain.naming import is_environment_name, is_refused_environment_name

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/*.yaml"))
SECRET = {"name": "replica-admin", "key": "password"}
SIZE = {"name": "SIZE_GB", "schema": {"type": "integer", "minimum": 10, "maximum": 2000}}
USER = {"username": "ada", "uid": "7", "groups": ["dba"], "extra": {"scopes": ["a"]}, "via": "API"}

VALID: dict[str, Manifest] = {
    "a proc with nothing but the required fields": proc(),
    "a proc with every field": proc(
        author="dba-team@example.org",
        contributors=["ada@example.org"],
        organization="Data",
        command=["/bin/grow"],
        args=["--verbose"],
        parameters=[
            SIZE | {"description": "New size", "default": 100},
            {"name": "TOKEN", "sensitive": True, "required": True},
            {
                "name": "REGIONS",
                "required": False,
                "schema": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["eu", "us"], "maxLength": 2},
                    "minItems": 1,
                    "maxItems": 2,
                },
            },
            {"name": "MODE", "schema": {"enum": ["fast", 1, 1.5, True, ["a"], {"deep": [{}]}]}},
            {"name": "WHEN", "default": "2027-01-01", "schema": {"format": "date"}},
        ],
        secrets=[{"name": "DB_PASSWORD", "description": "Admin's", "secretKeyRef": SECRET}],
        authorization={
            "groups": ["dba", "sre"],
            "groupsMatch": "All",
            "users": ["ada"],
            "rbac": "Required",
            "plugins": ["gate"],
            "anyone": False,
        },
        timeoutSeconds=3600,
        pendingTimeoutSeconds=600,
        retries=2,
        podFailurePolicy={"rules": [{"action": "FailJob", "onExitCodes": {"values": [42]}}]},
        concurrency={"policy": "Queue", "limit": 2, "key": ["SIZE_GB", "REGIONS"]},
        history={"succeeded": 20, "failed": 20, "ttlSeconds": 86400},
        logs={"tail": True, "mask": ["tok_[a-z0-9]+"]},
        resources={"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": 1}},
        serviceAccountName="grower",
        imagePullSecrets=[{"name": "registry"}],
        nodeSelector={"disk": "ssd"},
        tolerations=[{"key": "db", "operator": "Exists", "effect": "NoSchedule"}],
        queueName="dba",
        podTemplate={"spec": {"containers": [{"name": "proc", "workingDir": "/work"}]}},
        suspend=True,
    ),
    "defaults of every JSON type": proc(
        parameters=[
            {"name": f"P{number}", "default": default}
            for number, default in enumerate(["", "x", 0, 1.5, False, [], [{"a": [1]}], {}])
        ]
    ),
    "one group without groupsMatch": proc(authorization={"groups": ["dba"]}),
    "an execution with nothing but its proc": execution(),
    "an execution with a generated name": {
        **execution(),
        "metadata": {"generateName": "grow-"},
    },
    "an execution with every field": execution(
        arguments={"SIZE_GB": 200, "REGIONS": ["eu", "us"], "PLAN": {"steps": [{"run": "a"}]}},
        argumentsFrom=[{"name": "TOKEN", "secretKeyRef": {"name": "my-token", "key": "t"}}],
        reason="INC-1234",
        cancel=True,
        requestedBy=USER,
        cancelledBy={"username": "ada", "uid": "7"},
        procUID="0b2e6ac0-6f7c-4a5e-8f43-5b8ac7cc5c5e",
        procGeneration=3,
        scheduleRef={"name": "grow-nightly", "uid": "1", "scheduledTime": "2027-01-01T00:00:00Z"},
        rerunOf={"name": "grow-0", "uid": "1"},
    ),
    "a schedule with a cron expression": schedule(cron="*/15 6-20 * * mon-fri"),
    "a schedule by a name for its times": schedule(cron="@daily"),
    "a schedule that leaves its minute open": schedule(cron="H 2 * * *"),
    "a schedule with every field": schedule(
        arguments={"SIZE_GB": 200},
        argumentsFrom=[{"name": "TOKEN", "secretKeyRef": {"name": "my-token", "key": "t"}}],
        cron="0 2 * * *",
        timeZone="America/Argentina/Buenos_Aires",
        suspend=True,
        concurrency={"policy": "Forbid"},
        startingDeadlineSeconds=300,
        catchUp={"policy": "All", "limit": 10},
        jitterSeconds=60,
        history={"succeeded": 3, "failed": 3},
        tags=["nightly"],
        group="dba",
        requestedBy=USER,
    ),
    "a single run with catch-up and jitter": schedule(
        at="2027-01-01T00:00:00+01:00", catchUp={"policy": "Last"}, jitterSeconds=60
    ),
    "a plugin with nothing but the required fields": plugin(),
    "a plugin with every field": plugin(
        hooks=[
            {"name": "Authorize", "order": 0, "timeoutSeconds": 10, "failurePolicy": "Ignore"},
            {"name": "PreSubmit", "order": 999},
            {"name": "PreLaunch"},
            {"name": "PreCancel"},
        ],
        namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "apps"}},
        procSelector={
            "matchExpressions": [
                {"key": "tier", "operator": "NotIn", "values": ["web"]},
                {"key": "example.org/free", "operator": "DoesNotExist"},
            ]
        },
        mandatory=True,
        config={"groups": ["dba"], "deep": {"a": [1, None, {"b": True}]}},
        credentialsFile="/etc/proctor/gate/token",
        capabilities=["reserved"],
        namespaceOverride={"mode": "Deny", "fields": ["config"], "endpointPatterns": ["https://*"]},
    ),
    "a plugin in a process": plugin(
        transport={"process": {"executable": "proctor-plugin-x", "sha256": "0" * 64}}
    ),
    "a plugin behind gRPC": plugin(
        transport={
            "grpc": {
                "endpoint": "gate.example.org:443",
                "tls": {
                    "caBundle": "PEM",
                    "serverName": "gate",
                    "clientCertificate": {"name": "gate-tls", "key": "tls.pem"},
                },
                "credentials": {"name": "gate", "key": "token"},
            }
        }
    ),
    "a plugin behind a web hook": plugin(
        transport={
            "https": {
                "url": "https://a.example.org/b",
                "signing": {"secretKeyRef": {"name": "a", "key": "b"}},
            }
        }
    ),
}

INVALID: dict[str, tuple[Manifest, str]] = {
    "a plugin without a transport": (
        plugin(transport={}),
        "spec.transport takes exactly one of python, process, grpc and https",
    ),
    "a plugin with two transports": (
        plugin(transport={"python": {"entryPoint": "a"}, "process": {"executable": "b"}}),
        "spec.transport takes exactly one of python, process, grpc and https",
    ),
    "a plugin without a hook": (plugin(hooks=[]), "spec.hooks in body should have at least 1"),
    "a plugin with a hook twice": (
        plugin(hooks=[{"name": "PreLaunch"}] * 2),
        "spec.hooks[1]: Duplicate value",
    ),
    "a plugin with a hook that there is not": (
        plugin(hooks=[{"name": "PostLaunch"}]),
        'spec.hooks[0].name: Unsupported value: "PostLaunch"',
    ),
    "a plugin that may take longer than admission waits": (
        plugin(hooks=[{"name": "PreLaunch", "timeoutSeconds": 11}]),
        "spec.hooks[0].timeoutSeconds in body should be less than or equal to 10",
    ),
    "a plugin with a relative file": (
        plugin(credentialsFile="token"),
        "spec.credentialsFile in body should match",
    ),
    "a plugin that compares a label with nothing": (
        plugin(procSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "operator In of label a: In and NotIn need values",
    ),
    "a notice that goes out in the clear": (
        plugin(transport={"https": {"url": "http://a.example.org"}}),
        "spec.transport.https.url in body should match",
    ),
    "a field that does not exist": (
        proc(imagePullPolicy="Always"),
        'unknown field "spec.imagePull',
    ),
    "a reference with a namespace": (
        execution(procRef={"name": "grow-disk", "namespace": "other"}),
        'unknown field "spec.procRef.namespace"',
    ),
    "a proc without description": (
        proc(description=None),
        "spec.description: Required value",
    ),
    "an image with a blank": (proc(image="a b"), "spec.image in body should match"),
    "a parameter twice": (proc(parameters=[SIZE, SIZE]), "spec.parameters[1]: Duplicate value"),
    "a secret twice": (
        proc(secrets=[{"name": "A", "secretKeyRef": SECRET}] * 2),
        "spec.secrets[1]: Duplicate value",
    ),
    "a parameter and a secret of one name": (
        proc(parameters=[SIZE], secrets=[{"name": "SIZE_GB", "secretKeyRef": SECRET}]),
        "spec.parameters and spec.secrets both declare SIZE_GB: each is one environment variable",
    ),
    "a parameter that no variable can be named after": (
        proc(parameters=[{"name": "SIZE-GB"}]),
        "parameter SIZE-GB: the name becomes an environment variable, so it takes letters, digits",
    ),
    "a parameter that steers the loader": (
        proc(parameters=[{"name": "LD_PRELOAD"}]),
        "parameter LD_PRELOAD: this environment variable steers the loader, an interpreter, a proxy",
    ),
    "a secret that steers a proxy": (
        proc(secrets=[{"name": "https_proxy", "secretKeyRef": SECRET}]),
        "secret https_proxy: this environment variable steers the loader",
    ),
    "a sensitive parameter with a default": (
        proc(parameters=[{"name": "TOKEN", "sensitive": True, "default": "hunter2"}]),
        "spec.parameters TOKEN: a sensitive parameter has no default",
    ),
    "a sensitive parameter with a schema": (
        proc(parameters=[{"name": "TOKEN", "sensitive": True, "schema": {"type": "string"}}]),
        "parameter TOKEN is sensitive and has a schema: only the kubelet reads its value",
    ),
    "a required parameter with a default": (
        proc(parameters=[{"name": "SIZE_GB", "required": True, "default": False}]),
        "spec.parameters SIZE_GB: required is true and there is a default, which would never be used",
    ),
    "an unknown type": (
        proc(parameters=[{"name": "A", "schema": {"type": "int"}}]),
        'spec.parameters[0].schema.type: Unsupported value: "int": supported values: "string", "int',
    ),
    "an unknown format": (
        proc(parameters=[{"name": "A", "schema": {"format": "phone"}}]),
        'schema.format: Unsupported value: "phone": supported values: "date"',
    ),
    "minimum above maximum": (
        proc(parameters=[{"name": "A", "schema": {"minimum": 2, "maximum": 1}}]),
        "minimum is greater than maximum, so no value could satisfy both",
    ),
    "minLength above maxLength": (
        proc(parameters=[{"name": "A", "schema": {"minLength": 2, "maxLength": 1}}]),
        "minLength is greater than maxLength",
    ),
    "minItems above maxItems": (
        proc(parameters=[{"name": "A", "schema": {"minItems": 2, "maxItems": 1}}]),
        "minItems is greater than maxItems",
    ),
    "minimum above maximum of items": (
        proc(parameters=[{"name": "A", "schema": {"items": {"minimum": 2, "maximum": 1}}}]),
        'spec.parameters[0].schema.items: Invalid value: "object": minimum is greater than maximum',
    ),
    "a pattern for a number": (
        proc(parameters=[{"name": "A", "schema": {"type": "integer", "pattern": "^1"}}]),
        "schema has type integer: pattern, format, minLength and maxLength are for type string",
    ),
    "a minimum for a text": (
        proc(parameters=[{"name": "A", "schema": {"type": "string", "minimum": 1}}]),
        "schema has type string: minimum and maximum are for types integer and number",
    ),
    "items of a text": (
        proc(parameters=[{"name": "A", "schema": {"type": "string", "items": {}}}]),
        "schema has type string: items, minItems and maxItems are for type array",
    ),
    "a schema of items of items": (
        proc(parameters=[{"name": "A", "schema": {"items": {"items": {"type": "string"}}}}]),
        'unknown field "spec.parameters[0].schema.items.items"',
    ),
    "two groups without groupsMatch": (
        proc(authorization={"groups": ["dba", "sre"]}),
        "spec.authorization names more than one group: write groupsMatch, Any when one of them is",
    ),
    "an unknown word for rbac": (
        proc(authorization={"rbac": "Enough"}),
        'spec.authorization.rbac: Unsupported value: "Enough"',
    ),
    "a concurrency key that is not a parameter": (
        proc(parameters=[SIZE], concurrency={"policy": "Queue", "key": ["SIZE_GB", "DATABASE"]}),
        "spec.concurrency.key names DATABASE: it takes names of declared parameters that are not",
    ),
    "a concurrency key that is sensitive": (
        proc(
            parameters=[{"name": "TOKEN", "sensitive": True}],
            concurrency={"policy": "Queue", "key": ["TOKEN"]},
        ),
        "spec.concurrency.key names TOKEN: it takes names of declared parameters that are not sens",
    ),
    "a limit without a policy": (
        proc(concurrency={"limit": 3}),
        "spec.concurrency: limit and key have no meaning under policy Allow",
    ),
    "a limit of none": (
        proc(concurrency={"policy": "Forbid", "limit": 0}),
        "spec.concurrency.limit in body should be greater than or equal to 1",
    ),
    "a timeout of no time": (
        proc(timeoutSeconds=0),
        "spec.timeoutSeconds in body should be greater than or equal to 1",
    ),
    "more parameters than there may be": (
        proc(parameters=[{"name": f"P{number}"} for number in range(65)]),
        "spec.parameters: Too many: 65: must have at most 64 items",
    ),
    "an execution without a proc": (execution(procRef=None), "spec.procRef: Required value"),
    "a sensitive argument twice": (
        execution(argumentsFrom=[{"name": "TOKEN", "secretKeyRef": SECRET}] * 2),
        "spec.argumentsFrom[1]: Duplicate value",
    ),
    "an argument longer than 32 KiB": (
        execution(arguments={"TEXT": "x" * 32769}),
        "spec.arguments.TEXT: Too long: may not be more than 32768",
    ),
    "more arguments than there may be": (
        execution(arguments={f"P{number}": 1 for number in range(65)}),
        "spec.arguments: Too many: 65: must have at most 64 items",
    ),
    "an identity without a name": (
        execution(requestedBy={"groups": ["dba"]}),
        "spec.requestedBy.username: Required value",
    ),
    "a schedule without a time": (
        schedule(),
        "spec.cron or spec.at is needed: cron for recurring runs, at for a single one",
    ),
    "a schedule with two times": (
        schedule(cron="0 2 * * *", at="2027-01-01T00:00:00Z"),
        "spec.cron and spec.at are both given: keep cron for recurring runs or at for a single one",
    ),
    "a cron expression of four fields": (
        schedule(cron="0 2 * *"),
        "spec.cron 0 2 * *: it takes five fields (minute, hour, day of month, month, day of week)",
    ),
    "an unknown name for times": (
        schedule(cron="@often"),
        "spec.cron @often: it takes five fields (minute, hour, day of month, month, day of week)",
    ),
    "a time zone inside the cron expression": (
        schedule(cron="TZ=UTC 2 * * *"),
        "spec.cron TZ=UTC 2 * * *: it takes five fields",
    ),
    "a time zone for a single run": (
        schedule(at="2027-01-01T00:00:00Z", timeZone="Europe/Berlin"),
        "spec.timeZone is for cron only: at carries its own offset",
    ),
    "a day without a time": (
        schedule(at="2027-01-01"),
        "spec.at in body must be of type date-time",
    ),
    "an unknown way to catch up": (
        schedule(cron="0 2 * * *", catchUp={"policy": "Some"}),
        'spec.catchUp.policy: Unsupported value: "Some"',
    ),
}

ENVIRONMENT_NAMES = [
    *["A", "a", "_", "_1", "A1", "SIZE_GB", "lower", "x-y", "1A", "A.B", "A=", "$A", "Ä"],
    *["PATH", "path", "Path", "PATHS", "MY_PATH"],
    *["LD_PRELOAD", "LD_", "ld_library_path", "LDAP", "OLD_VALUE", "LD"],
    *["PYTHONPATH", "PYTHON", "python", "MYPYTHON"],
    *["BASH_ENV", "bash_env", "BASH_ENVS", "NODE_OPTIONS", "NODE_OPTION"],
    *["HTTP_PROXY", "http_proxy", "NO_PROXY", "_PROXY", "PROXY", "PROXY_HOST"],
    *["KUBERNETES_SERVICE_HOST", "kubernetes_", "KUBERNETES", "PROCTOR_NUMBER", "proctor_x"],
    *["EXECUTION_ID", "execution_id", "EXECUTION_IDS", "JOB_NAME", "JOB_NAMES", "EXECUTION_NAME"],
    *["PROCTOR", "USER_EMAIL", "EMAIL", "IMAGE_TAG", "IMAGE_TAGS"],
]

EXPLAINED = {
    "proc.spec.parameters": [
        "Inputs that an execution may or must give",
        "name\t<string> -required-",
    ],
    "proc.spec.parameters.default": ["Value when an execution gives none; any JSON value"],
    "proc.spec.timeoutSeconds": ["Longest time in seconds that one attempt may run"],
    "proc.spec.authorization.rbac": [
        "Sufficient (default): it allows by itself",
        "Sufficient Required Ignored",
    ],
    "pexec.spec.cancel": ["It cannot be taken back"],
    "pexec.spec.arguments": ["any JSON value but null", "map[string]"],
    "pexec.status.phase": ["A summary for people", "TimedOut"],
    "psched.spec.cron": ["*/15 6-20 * * mon-fri"],
    "psched.spec.timeZone": ["Default: Etc/UTC"],
}

CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "NotSupportedYet",
    "message": "A field is not honoured yet",
    "observedGeneration": 1,
    "lastTransitionTime": "2027-01-01T00:00:00Z",
}


@pytest.mark.parametrize("case", VALID)
def test_the_api_server_takes(installed: Installation, case: str) -> None:
    assert installed.refusal_of(VALID[case], *installed.as_operator) == ""


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{path.parent.name}/{path.name}" for path in EXAMPLES]
)
def test_the_api_server_takes_the_example(installed: Installation, example: Path) -> None:
    manifests = [_as_admission_fills_it_in(one) for one in yaml.safe_load_all(example.read_text())]
    installed.cluster.kubectl(
        *("create", "--dry-run=server", f"--namespace={installed.team}", "--filename=-"),
        stdin=yaml.safe_dump_all(manifests),
    )


def _as_admission_fills_it_in(manifest: Manifest) -> Manifest:
    """An execution may leave it to a schedule which proc runs; no webhook is here to look."""
    spec = manifest.get("spec", {})
    if manifest["kind"] != "ProcExecution" or "scheduleRef" not in spec:
        return manifest
    return manifest | {"spec": {"procRef": {"name": "of-the-schedule"}} | spec}


@pytest.mark.parametrize("case", INVALID)
def test_the_api_server_refuses(installed: Installation, case: str) -> None:
    manifest, words = INVALID[case]

    assert words in installed.refusal_of(manifest)


@pytest.mark.parametrize("place", ["parameter", "secret"])
def test_the_api_server_and_the_operator_refuse_the_same_names(
    installed: Installation, place: str
) -> None:
    parameters = [{"name": name} for name in ENVIRONMENT_NAMES]
    secrets = [one | {"secretKeyRef": SECRET} for one in parameters]
    manifest = proc(parameters=parameters) if place == "parameter" else proc(secrets=secrets)
    refusal = installed.refusal_of(manifest)

    no_variable = {name for name in ENVIRONMENT_NAMES if not is_environment_name(name)}
    steering = {name for name in ENVIRONMENT_NAMES if is_refused_environment_name(name)}
    assert set(re.findall(rf"{place} (\S+): the name becomes an", refusal)) == no_variable
    assert set(re.findall(rf"{place} (\S+): this environment variable", refusal)) == steering
    assert len(steering) > len(no_variable) > 0


@pytest.mark.parametrize("path", EXPLAINED)
def test_kubectl_explains(installed: Installation, path: str) -> None:
    explanation = installed.cluster.kubectl("explain", path).stdout

    assert [words for words in EXPLAINED[path] if words not in unwrapped(explanation)] == []


def test_an_execution_is_pending_at_once_and_without_a_write(installed: Installation) -> None:
    answer = installed.create(execution("pending") | {"status": {"phase": "Succeeded"}})
    read = json.loads(get(installed, "pexec", "pending", "--output=json").stdout)
    watched = get(
        installed,
        "pexec",
        "--watch",
        "--output-watch-events",
        "--output=jsonpath={.type} {.object.status}",
        "--field-selector=metadata.name=pending",
        "--request-timeout=1s",
    ).stdout

    assert answer["status"] == read["status"] == {"phase": "Pending", "observedGeneration": 0}
    assert read["metadata"]["resourceVersion"] == answer["metadata"]["resourceVersion"]
    assert {entry.get("subresource") for entry in managers(installed, "pending")} == {None}
    assert watched == 'ADDED {"observedGeneration":0,"phase":"Pending"}'


def test_null_reaches_the_operator_as_an_argument_so_that_it_can_refuse_it(
    installed: Installation,
) -> None:
    answer = installed.create(execution("null-argument", arguments={"SIZE_GB": None}))

    assert answer["spec"]["arguments"] == {"SIZE_GB": None}


def test_promised_defaults_are_written_into_the_objects(installed: Installation) -> None:
    created_proc = installed.create(proc("defaults", authorization={"users": ["ada"]}))
    created_schedule = installed.create(schedule("defaults", cron="0 2 * * *"))

    assert created_proc["spec"]["authorization"] == {"users": ["ada"], "rbac": "Sufficient"}
    assert (created_proc["spec"]["suspend"], created_schedule["spec"]["suspend"]) == (False, False)


def test_executions_can_be_selected_by_proc_and_phase(installed: Installation) -> None:
    installed.create(execution("selected", procRef={"name": "rare"}))
    selector = "--field-selector=spec.procRef.name=rare,status.phase="

    assert get(installed, "pexec", "--output=name", f"{selector}Pending").stdout == (
        "procexecution.proctor.dev/selected\n"
    )
    assert get(installed, "pexec", "--output=name", f"{selector}Running").stdout == ""


def test_a_listing_of_executions_tells_how_they_went(installed: Installation) -> None:
    installed.create(execution("listed", requestedBy={"username": "ada"}))
    write_status(
        installed,
        "pexec",
        "listed",
        phase="Failed",
        reason="ExitCode",
        number=17,
        exitCode=3,
        attempts=2,
        startTime="2027-01-01T00:00:00Z",
        completionTime="2027-01-01T00:00:09Z",
        jobRef={"name": "listed-0a1b2c3d4e", "uid": "1"},
    )

    assert columns(installed, "pexec", "listed") == {
        "NAME": "listed",
        "PROC": "grow-disk",
        "PHASE": "Failed",
        "REASON": "ExitCode",
        "REQUESTER": "ada",
    }
    wide = columns(installed, "pexec", "listed", "--output=wide")
    assert (
        wide.items()
        >= {
            "NUMBER": "17",
            "EXIT": "3",
            "ATTEMPTS": "2",
            "JOB": "listed-0a1b2c3d4e",
        }.items()
    )
    assert {"STARTED", "COMPLETED"} <= wide.keys()


def test_a_listing_of_procs_tells_what_can_be_run(installed: Installation) -> None:
    installed.create(proc("listed"))
    write_status(
        installed,
        "proc",
        "listed",
        conditions=[CONDITION],
        observedGeneration=1,
        active=2,
        queued=1,
        lastExecution={"name": "a", "phase": "Running", "time": "2027-01-01T00:00:00Z"},
    )

    assert columns(installed, "proc", "listed") == {
        "NAME": "listed",
        "IMAGE": "registry.example.org/dba/grow-disk:1.4",
        "READY": "False",
        "SUSPENDED": "false",
    }
    assert (
        columns(installed, "proc", "listed", "--output=wide").items()
        >= {
            "DESCRIPTION": "Grow the disk of a database replica",
            "REASON": "NotSupportedYet",
            "ACTIVE": "2",
            "QUEUED": "1",
            "LAST": "Running",
        }.items()
    )


def test_a_listing_of_schedules_tells_when_they_run(installed: Installation) -> None:
    installed.create(schedule("listed", cron="0 2 * * *", timeZone="Europe/Berlin"))
    write_status(
        installed,
        "psched",
        "listed",
        conditions=[CONDITION | {"status": "True", "reason": "Scheduled"}],
        nextOccurrence="2027-01-01T01:00:00Z",
        active=[{"name": "listed-1", "uid": "1"}],
        missed=0,
    )

    assert (
        columns(installed, "psched", "listed").items()
        >= {
            "NAME": "listed",
            "PROC": "grow-disk",
            "SCHEDULE": "0 2 * * *",
            "SUSPENDED": "false",
            "NEXT": "2027-01-01T01:00:00Z",
        }.items()
    )
    assert (
        columns(installed, "psched", "listed", "--output=wide").items()
        >= {
            "ZONE": "Europe/Berlin",
            "ACTIVE": "listed-1",
            "READY": "True",
        }.items()
    )


def test_all_kinds_are_listed_by_their_category(installed: Installation) -> None:
    installed.create(proc("by-category"))
    installed.create(execution("by-category"))
    installed.create(schedule("by-category", cron="0 2 * * *"))
    names = get(installed, "proctor", "--output=name").stdout.split()

    assert {name for name in names if name.endswith("/by-category")} == {
        "proc.proctor.dev/by-category",
        "procexecution.proctor.dev/by-category",
        "procschedule.proctor.dev/by-category",
    }


def get(installed: Installation, kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return installed.cluster.kubectl(
        "get", f"--namespace={installed.team}", kind, *arguments, check="--watch" not in arguments
    )


def columns(installed: Installation, kind: str, name: str, *arguments: str) -> dict[str, str]:
    """One line of a listing by its headings; ages, which move, and empty cells left out."""
    header, line = get(installed, kind, name, *arguments).stdout.splitlines()
    starts = [at for at in range(len(header)) if at == 0 or header[at - 2 : at] == "  "]
    starts = [at for at in starts if header[at] != " "]
    ends = [*starts[1:], max(len(header), len(line))]
    cells = {
        header[start:end].strip(): line[start:end].strip()
        for start, end in zip(starts, ends, strict=True)
    }
    return {name: cell for name, cell in cells.items() if cell and name not in ("AGE", "LAST SEEN")}


def write_status(installed: Installation, kind: str, name: str, **status: Any) -> None:
    installed.cluster.kubectl(
        "patch",
        f"--namespace={installed.team}",
        kind,
        name,
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': status})}",
    )


def managers(installed: Installation, name: str) -> list[dict[str, Any]]:
    """Who wrote which part of an execution, as the API server keeps it."""
    shown = get(installed, "pexec", name, "--output=json", "--show-managed-fields").stdout
    entries: list[dict[str, Any]] = json.loads(shown)["metadata"]["managedFields"]
    return entries


def unwrapped(text: str) -> str:
    """The text without the line breaks and indents that kubectl puts into it."""
    return re.sub(r" *\n *", " ", text)
