"""What never starts: each refusal in words that a user understands, and in the record."""

from __future__ import annotations

from harness.running import RunningOperator, condition, execution, proc


def refused(operator: RunningOperator, name: str) -> tuple[str, str]:
    """Reason and message of a refused execution, which must also stand in the record."""
    status = operator.wait_for_phase(name, "Refused")["status"]
    row = operator.recorded(name)
    assert (row["phase"], row["phase_reason"]) == ("Refused", status["reason"])
    assert operator.list("jobs", f"proctor.dev/execution={name}") == []
    return status["reason"], status["message"]


def test_a_proc_that_is_not_there_is_named_together_with_the_way_to_find_one(
    operator: RunningOperator,
) -> None:
    operator.apply(execution("no-proc", of="nothing"))

    reason, message = refused(operator, "no-proc")

    assert reason == "ProcNotFound"
    assert message == (
        "there is no proc 'nothing' in namespace 'refusals'; `kubectl get procs -n refusals` lists what can be run"
    )


def test_a_suspended_proc_starts_nothing_and_says_so_itself(operator: RunningOperator) -> None:
    operator.apply(proc("resting", suspend=True), execution("on-rest", of="resting"))

    reason, message = refused(operator, "on-rest")

    assert (reason, message) == ("ProcSuspended", "the proc 'resting' is suspended by its author")
    shown = operator.wait_for(
        "proc", "resting", '{.status.conditions[?(@.type=="Ready")].reason}', "Suspended"
    )
    assert condition(shown, "Ready")["status"] == "False"
    assert condition(shown, "Stalled")["status"] == "False"


def test_all_problems_of_the_arguments_come_in_one_message(operator: RunningOperator) -> None:
    parameters = [
        {"name": "DATABASE", "schema": {"type": "string", "pattern": "^[a-z]+$"}},
        {"name": "SIZE_GB", "schema": {"type": "integer", "minimum": 10}},
        {"name": "TOKEN", "sensitive": True, "required": False},
    ]
    arguments = {"SIZE_GB": 5, "SPEED": "fast", "TOKEN": "hunter2"}
    operator.apply(proc("picky", parameters=parameters))
    operator.apply(execution("all-wrong", of="picky", arguments=arguments))

    reason, message = refused(operator, "all-wrong")

    assert reason == "InvalidArguments"
    for part in (
        "argument SPEED: the proc declares no such parameter",
        "argument DATABASE: required and not given",
        "argument SIZE_GB: the value is less than the minimum of 10 (given: 5)",
        "argument TOKEN: sensitive; give it by reference in spec.argumentsFrom",
    ):
        assert part in message
    assert "hunter2" not in message
    assert operator.recorded("all-wrong")["arguments"] == {
        "SIZE_GB": 5,
        "SPEED": "***",
        "TOKEN": "***",
    }


def test_nobody_runs_what_no_rule_allows_them(operator: RunningOperator) -> None:
    operator.apply(
        proc("for-sre", authorization={"groups": ["sre"]}), execution("not-sre", of="for-sre")
    )

    reason, message = refused(operator, "not-sre")

    assert reason == "NotPermitted"
    assert message == "alice@example.org is not among those who may run this proc"
    shown = operator.get("procexecution", "not-sre")
    assert condition(shown, "Authorized")["status"] == "False"


def test_the_verb_execute_on_the_proc_is_enough(operator: RunningOperator) -> None:
    operator.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "runs-guarded"},
            "rules": [
                {
                    "apiGroups": ["proctor.dev"],
                    "resources": ["procs"],
                    "resourceNames": ["guarded"],
                    "verbs": ["execute"],
                }
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "runs-guarded"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "runs-guarded",
            },
            "subjects": [
                {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "User",
                    "name": "alice@example.org",
                }
            ],
        },
        proc("guarded", authorization={"rbac": "Sufficient"}),
        execution("by-verb", of="guarded"),
    )

    path = '{.status.conditions[?(@.type=="Failed")].status}'
    job = operator.kubectl(
        "wait", "--for=create", "job", "--selector=proctor.dev/execution=by-verb"
    )
    assert "condition met" in job
    assert operator.kubectl("get", "pexec", "by-verb", f"--output=jsonpath={path}") == ""
    assert operator.recorded("by-verb")["granted_by"] == "verb execute"


def test_an_argument_may_not_borrow_a_secret_that_the_requester_cannot_read(
    operator: RunningOperator,
) -> None:
    operator.apply(proc("takes-token", parameters=[{"name": "TOKEN", "sensitive": True}]))
    reference = {"name": "TOKEN", "secretKeyRef": {"name": "not-mine", "key": "t"}}
    operator.apply(execution("borrower", of="takes-token", argumentsFrom=[reference]))

    assert refused(operator, "borrower") == (
        "NotPermitted",
        "argument TOKEN: the requester may not read the secret 'not-mine'",
    )


def test_an_execution_without_an_identity_does_not_start(operator: RunningOperator) -> None:
    operator.apply(proc("open"))
    nobody = execution("nobody", of="open")
    del nobody["spec"]["requestedBy"]
    operator.apply(nobody)

    reason, message = refused(operator, "nobody")

    assert reason == "IdentityMissing"
    assert message.startswith("spec.requestedBy is missing")
