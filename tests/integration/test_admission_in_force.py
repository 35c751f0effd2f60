"""The role `webhook` behind the chart's own Service and certificate: stamps and denials, seen from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chart.installation import Installation, execution, proc, schedule
from harness.operator_metrics import OperatorMetrics, difference
from harness.requesters import ALICE
from harness.webhooks import webhook_in
from localpostgres.fixtures import LocalDatabase

AS_ALICE = (f"--as={ALICE}", "--as-group=dba")


def test_a_plain_execution_is_stamped_and_another_ones_is_denied_in_words(
    admitting: Installation, module_database: LocalDatabase, tmp_path: Path
) -> None:
    team = f"--namespace={admitting.team}"
    with webhook_in(admitting, module_database, tmp_path):
        admitting.create(proc("for-dba", authorization={"groups": ["dba"]}))
        admitting.create(proc("for-sre", authorization={"groups": ["sre"]}))
        asked = admitting.placed(execution("plain", procRef={"name": "for-dba"}))
        admitting.cluster.kubectl("create", "--filename=-", *AS_ALICE, stdin=json.dumps(asked))
        shown = admitting.cluster.kubectl("get", "pexec/plain", team, "--output=json")
        denied = admitting.refusal_of(execution("not-hers", procRef={"name": "for-sre"}), *AS_ALICE)

    stored = json.loads(shown.stdout)
    assert stored["spec"]["requestedBy"]["username"] == ALICE
    assert "dba" in stored["spec"]["requestedBy"]["groups"]
    assert "proctor.dev/record" in stored["metadata"]["finalizers"]
    assert "proctor.dev/shard" in stored["metadata"]["labels"]
    assert f"{ALICE} is not among those who may run this proc" in denied


def test_an_execution_is_two_reviews_and_one_question_to_the_api_server(
    admitting: Installation, module_database: LocalDatabase, tmp_path: Path
) -> None:
    with webhook_in(admitting, module_database, tmp_path) as webhook:
        admitting.create(proc("counted", authorization={"groups": ["dba"]}))
        before = OperatorMetrics(webhook.get("/metrics")[1])
        asked = admitting.placed(execution("counted", procRef={"name": "counted"}))
        admitting.cluster.kubectl("create", "--filename=-", *AS_ALICE, stdin=json.dumps(asked))
        after = OperatorMetrics(webhook.get("/metrics")[1])

    requests = difference(before.requests(), after.requests())
    reviews = "proctor_webhook_reviews_total"
    assert {name: count for name, count in requests.items() if "procplugins" not in name} == {
        "GET procs": 1
    }
    assert difference(before.by(reviews, "webhook"), after.by(reviews, "webhook")) == {
        "mutate": 1,
        "validate": 1,
    }


@pytest.mark.parametrize("name", ["bob", "system:serviceaccount:kube-system:default"])
def test_nobody_is_believed_to_be_somebody_else(
    admitting: Installation, module_database: LocalDatabase, tmp_path: Path, name: str
) -> None:
    forged = execution("forged", procRef={"name": "open"}, requestedBy={"username": name})
    with webhook_in(admitting, module_database, tmp_path):
        refusal = admitting.refusal_of(forged, *AS_ALICE)

    assert "requestedBy" in refusal


def test_a_schedule_whose_times_cannot_come_is_denied_in_words(
    admitting: Installation, module_database: LocalDatabase, tmp_path: Path
) -> None:
    run = {"procRef": {"name": "hourly"}}
    with webhook_in(admitting, module_database, tmp_path):
        admitting.create(proc("hourly", authorization={"groups": ["dba"]}))
        never = admitting.refusal_of(schedule("never", cron="0 0 30 2 *", **run), *AS_ALICE)
        nowhere = admitting.refusal_of(
            schedule("nowhere", cron="@daily", timeZone="Berlin", **run), *AS_ALICE
        )
        good = admitting.placed(schedule("good", cron="H H(0-5) * * mon-fri", **run))
        admitting.cluster.kubectl("create", "--filename=-", *AS_ALICE, stdin=json.dumps(good))

    assert "spec.cron '0 0 30 2 *': it never fires" in never
    assert "did you mean Europe/Berlin?" in nowhere
