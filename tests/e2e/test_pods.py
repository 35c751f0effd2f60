"""Real pods: what a run costs, what its container gets, and what of its output stands in the status."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

from chart.installation import Installation
from harness.pods import job_of
from harness.running import RunningOperator, condition, execution, proc
from localcluster.cluster import LocalCluster
from localcluster.waiting import wait_until


def test_a_short_execution_costs_three_writes_until_its_final_status(
    operator: RunningOperator, installed: Installation, local_node_cluster: LocalCluster
) -> None:
    operator.apply(proc("thrifty", script="sleep 2"), execution("thrifty-1", of="thrifty"))
    operator.wait_for_phase("thrifty-1", "Succeeded")
    job = job_of(operator, "thrifty-1")["metadata"]["name"]
    released = wait_until(
        lambda: "finalizers" not in operator.get("job", job)["metadata"], seconds=10, interval=0.2
    )
    assert released

    writes: list[tuple[str, str]] = []

    def all_are_logged() -> bool:
        writes[:] = _writes(local_node_cluster, installed.user, {"thrifty-1", job})
        return ("patch", "jobs") in writes

    assert wait_until(all_are_logged, seconds=10, interval=0.2)
    assert writes[:3] == [
        ("create", "jobs"),
        ("patch", "procexecutions/status"),
        ("patch", "procexecutions/status"),
    ]
    assert Counter(writes[3:]) == Counter({("patch", "jobs"): 1})


def test_what_a_requester_writes_is_never_expanded(operator: RunningOperator) -> None:
    operator.apply(
        proc(
            "echo",
            script='printf "%s\\n" "$TEXT" "$PROCTOR_REQUESTER"',
            parameters=[{"name": "TEXT"}],
        )
    )
    hostile = "$(PROCTOR_NAMESPACE) $$(HOME) $PATH `id` $((1+1)) \\ \"quoted\" 'too'"
    asked = execution("echo-1", of="echo", arguments={"TEXT": hostile})
    asked["spec"]["requestedBy"]["username"] = "$(PROCTOR_NAMESPACE)@example.org"
    operator.apply(asked)

    done = operator.wait_for_phase("echo-1", "Succeeded")

    assert done["status"]["logTail"] == f"{hostile}\n$(PROCTOR_NAMESPACE)@example.org\n"


CORPUS: tuple[Any, ...] = (
    *("$", "$$", "$$$", "$(", "$()", "$)", "$(X)", "$$(X)", "$$$(X)", "$($(X))", "$(V0)"),
    *("$(PROCTOR_REQUESTER)", "$(DB_PASSWORD)", "$DB_PASSWORD", "${DB_PASSWORD}", "`id`"),
    *("'", '"', "\\", "\\n", "a\nb\n", "\n", "\r\n", "\t ", " ", "\x1b[31m", "\x7f", "\x01"),
    *(
        "\u00e4\u20ac\U0001f600",
        "\u202e\ufeff",
        "%s%n",
        "{{.}}",
        "--help",
        "*",
        "~",
        "#",
        "=",
        ";",
        "&",
    ),
    *(7, -1.5, True, ["$(X)", 'a"b', "\u20ac"], {"$(K)": {"key": [1, "$$"]}}, ["nul \0"]),
)


def test_every_value_reaches_the_container_byte_for_byte(operator: RunningOperator) -> None:
    names = [f"V{number}" for number in range(len(CORPUS))]
    # No `$(..)` in the script: Kubernetes would look at it.
    script = "; ".join(f"printf %s \"${name}\" | base64 | tr -d '\\n'; echo" for name in names)
    operator.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "corpus"},
            "stringData": {"k": "x"},
        },
        proc(
            "corpus",
            script=script,
            parameters=[{"name": name} for name in names],
            secrets=[{"name": "DB_PASSWORD", "secretKeyRef": {"name": "corpus", "key": "k"}}],
        ),
        execution("corpus-1", of="corpus", arguments=dict(zip(names, CORPUS, strict=True))),
    )

    done = operator.wait_for_phase("corpus-1", "Succeeded")

    lines = done["status"]["logTail"].splitlines()
    found = [base64.b64decode(line).decode() for line in lines]
    assert found == [
        one if isinstance(one, str) else json.dumps(one, ensure_ascii=False, separators=(",", ":"))
        for one in CORPUS
    ]


def test_a_run_that_takes_too_long_is_timed_out(operator: RunningOperator) -> None:
    script = "trap 'exit 1' TERM; echo begun; sleep 60 & wait $!"
    operator.apply(proc("slow", script=script, timeoutSeconds=2), execution("slow-1", of="slow"))

    done = operator.wait_for_phase("slow-1", "TimedOut", seconds=90)

    assert done["status"]["reason"] == "DeadlineExceeded"
    assert done["status"]["message"] == "the attempt ran longer than its time-out"
    assert done["status"]["logTail"] == "begun\n"


def test_a_pod_that_pod_security_refuses_is_not_waited_for_in_silence(
    operator: RunningOperator,
) -> None:
    """Admission refuses such a proc; this one is older than the namespace's level."""
    rootly = {"spec": {"securityContext": {"runAsUser": 0}}}
    level = "pod-security.kubernetes.io/enforce="
    operator.kubectl("label", "namespace", operator.namespace, f"{level}privileged", "--overwrite")
    operator.apply(proc("barred", podTemplate=rootly))
    operator.kubectl("label", "namespace", operator.namespace, f"{level}restricted", "--overwrite")
    operator.apply(execution("barred-1", of="barred"))

    pending = operator.wait_for("pexec", "barred-1", "{.status.reason}", "PodNotCreated")
    operator.kubectl("delete", "pexec/barred-1", "--timeout=60s")

    assert "kubectl describe job barred-1-" in pending["status"]["message"]


def test_deleting_a_running_execution_takes_its_pod_along(operator: RunningOperator) -> None:
    script = "trap 'exit 1' TERM; sleep 60 & wait $!"
    operator.apply(proc("gone", script=script), execution("gone-1", of="gone"))
    operator.wait_for_phase("gone-1", "Running")

    operator.kubectl("delete", "pexec/gone-1", "--timeout=60s")

    operator.wait_until_none("pods", "proctor.dev/execution=gone-1")
    row = operator.recorded("gone-1")
    assert (row["phase"], row["phase_reason"]) == ("Cancelled", "Deleted")


def test_control_characters_and_broken_text_do_not_reach_a_terminal(
    operator: RunningOperator,
) -> None:
    script = r"printf 'red \033[31m bell \007 nul \000 bad \377 done\r\n'"
    operator.apply(proc("noisy", script=script), execution("noisy-1", of="noisy"))

    done = operator.wait_for_phase("noisy-1", "Succeeded")

    assert done["status"]["logTail"] == "red \\x1b[31m bell \\x07 nul \\x00 bad \ufffd done\n"


def test_a_long_log_leaves_its_newest_lines(operator: RunningOperator) -> None:
    operator.apply(proc("chatty", script="seq 1 20000"), execution("chatty-1", of="chatty"))

    status = operator.wait_for_phase("chatty-1", "Succeeded")["status"]

    lines = status["logTail"].splitlines()
    assert lines[-1] == "20000"
    assert lines == [str(number) for number in range(int(lines[0]), 20001)]
    assert len(status["logTail"].encode()) <= 4096
    assert status["logTruncated"] is True


def test_a_termination_message_of_odd_bytes_is_a_readable_result(
    operator: RunningOperator,
) -> None:
    script = r"printf 'red \033[31m nul \000 euro \342\202\254\nend' > /dev/termination-log"
    operator.apply(proc("odd-words", script=script), execution("odd-words-1", of="odd-words"))

    done = operator.wait_for_phase("odd-words-1", "Succeeded")

    assert done["status"]["result"] == "red \\x1b[31m nul \\x00 euro \u20ac\nend"
    assert operator.recorded("odd-words-1")["result"] == done["status"]["result"]


def test_a_long_termination_message_is_cut_and_delays_no_end(operator: RunningOperator) -> None:
    script = "seq 1 5000 > /dev/termination-log"
    operator.apply(proc("long-words", script=script), execution("long-words-1", of="long-words"))

    result = operator.wait_for_phase("long-words-1", "Succeeded")["status"]["result"]

    assert 4000 < len(result.encode()) <= 4096
    assert operator.recorded("long-words-1")["result"] == result


def test_a_termination_message_that_is_no_text_delays_no_end(operator: RunningOperator) -> None:
    script = r"printf 'bad \377\376 done' > /dev/termination-log"
    operator.apply(proc("no-words", script=script), execution("no-words-1", of="no-words"))

    done = operator.wait_for_phase("no-words-1", "Succeeded")

    assert done["status"]["result"].startswith("bad ")
    assert done["status"]["result"].endswith(" done")


def test_a_proc_may_keep_its_output_out_of_the_status(operator: RunningOperator) -> None:
    operator.apply(proc("private", logs={"tail": False}), execution("private-1", of="private"))

    done = operator.wait_for_phase("private-1", "Succeeded")

    assert "logTail" not in done["status"]
    assert condition(done, "LogsCaptured")["reason"] == "Captured"


def _writes(cluster: LocalCluster, user: str, names: set[str]) -> list[tuple[str, str]]:
    """Verb and resource of each successful write of a user to the named objects, in order."""
    writes = []
    for line in cluster.audit_log.read_text().splitlines():
        event = json.loads(line)
        reference = event.get("objectRef", {})
        is_theirs = event["user"]["username"] == user
        is_done = event.get("responseStatus", {}).get("code", 500) < 300
        name = reference.get("name") or _created_name(event)
        if is_theirs and is_done and name in names:
            sub = f"/{reference['subresource']}" if "subresource" in reference else ""
            writes.append((event["verb"], reference["resource"] + sub))
    return writes


def _created_name(event: dict[str, dict[str, str]]) -> str:
    return event.get("objectRef", {}).get("name", "")
