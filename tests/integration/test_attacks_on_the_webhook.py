"""What somebody who reaches the webhook's own port tries there: nothing is ever allowed by accident."""

from __future__ import annotations

import base64
import copy
import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chart.installation import proc, schedule
from harness.operator_process import OperatorProcess, write_config
from harness.siege import Siege, execution
from localcluster.certificates import Authority, write_private

Manifest = dict[str, Any]

TEAM: Final = "attacks-on-the-webhook"
EVE: Final = {"username": "eve", "groups": ["dev"]}
KINDS: Final[dict[str, Manifest]] = {
    "procexecutions": execution("direct", of="closed"),
    "procschedules": schedule("direct", procRef={"name": "closed"}, cron="0 1 * * *"),
    "procs": proc("direct", authorization={"anyone": True}),
}
"""What Eve may not write: two of a proc of others, and a proc without the right to create Jobs."""
VALIDATING: Final = (
    *((f"/validate/{plural}", plural) for plural in KINDS),
    ("/validate/procs/baseline", "procs"),
    ("/validate/procs/restricted", "procs"),
)
PATHS: Final = (*(path for path, _ in VALIDATING), *(f"/mutate/{plural}" for plural in KINDS))
AGAIN_AND_AGAIN: Final = settings(max_examples=150, deadline=None)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=20,
)
JUNK = JSON_VALUES | st.sampled_from(["CREATE", "UPDATE", "DELETE", "x", "\0", 2**63, -1, [[]]])


@dataclass(frozen=True)
class Door:
    """A connection to the webhook."""

    connection: http.client.HTTPSConnection

    def ask(self, path: str, body: bytes) -> tuple[int, str]:
        """POST; the code and the text."""
        self.connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def answer(self, path: str, review: Manifest) -> Manifest | None:
        """The response to a review that was let in; None where it was not."""
        code, text = self.ask(path, json.dumps(review).encode())
        if code != 200:
            assert 400 <= code < 500, text
            return None
        response: Manifest = json.loads(text)["response"]
        return response if response["allowed"] is not False else None


@pytest.fixture(scope="module")
def door(siege: Siege) -> Iterator[Door]:
    with closing(to_webhook(siege.webhook)) as connection:
        yield Door(connection)


@st.composite
def broken_reviews(draw: st.DrawFn, plural: str, *, is_stamped: bool) -> Manifest:
    """What the API server would send of her attempt, with something gone or turned into something else."""
    found = review_of(plural, is_stamped=is_stamped)
    for _ in range(draw(st.integers(0, 4))):
        part: Any = found
        while isinstance(part, dict) and part:
            key = draw(st.sampled_from(sorted(part)))
            if isinstance(part[key], dict) and draw(st.booleans()):
                part = part[key]
                continue
            if draw(st.booleans()):
                del part[key]
            else:
                part[key] = draw(JUNK)
            break
    return found


def review_of(plural: str, *, is_stamped: bool) -> Manifest:
    manifest = copy.deepcopy(KINDS[plural])
    if is_stamped and plural != "procs":
        manifest["spec"]["requestedBy"] = copy.deepcopy(EVE)
    where = {"group": "proctor.dev", "version": "v1alpha1"}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "review-1",
            "kind": {**where, "kind": manifest["kind"]},
            "resource": {**where, "resource": plural},
            "name": "direct",
            "namespace": TEAM,
            "operation": "CREATE",
            "userInfo": copy.deepcopy(EVE),
            "object": manifest,
            "dryRun": True,
        },
    }


def test_the_reviews_that_are_broken_here_are_denied_for_her_rights_when_they_are_whole(
    siege: Siege, door: Door
) -> None:
    """Else the tests below would only see reviews that nobody can read."""
    assert siege.team == TEAM
    for path, plural in VALIDATING:
        said = door.ask(path, json.dumps(review_of(plural, is_stamped=True)).encode())[1]
        assert json.loads(said)["response"]["status"]["code"] == 403, said
    for plural in KINDS:
        assert door.answer(f"/mutate/{plural}", review_of(plural, is_stamped=False)) is not None


@pytest.mark.parametrize(("path", "plural"), VALIDATING)
def test_no_review_that_anybody_makes_up_is_allowed_by_accident(
    door: Door, path: str, plural: str
) -> None:
    @AGAIN_AND_AGAIN
    @given(broken_reviews(plural, is_stamped=True))
    def is_denied(review: Manifest) -> None:
        assert door.answer(path, review) is None

    is_denied()


@pytest.mark.parametrize("plural", KINDS)
def test_what_is_let_through_to_be_stamped_bears_the_users_name_or_none_and_is_denied_next(
    door: Door, plural: str
) -> None:
    @AGAIN_AND_AGAIN
    @given(broken_reviews(plural, is_stamped=False))
    def is_denied_next(review: Manifest) -> None:
        response = door.answer(f"/mutate/{plural}", review)
        if response is None:
            return
        patched = stamped(review, response)
        stamp = stamp_of(patched["request"]["object"])
        assert stamp is None or stamp["username"] == review["request"]["userInfo"]["username"]
        assert door.answer(f"/validate/{plural}", patched) is None

    is_denied_next()


def stamped(review: Manifest, response: Manifest) -> Manifest:
    """The review as the API server sends it on, with the patch laid over the object."""
    operations = json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
    found = copy.deepcopy(review)
    found["request"]["object"] = jsonpatch.apply_patch(found["request"]["object"], operations)
    return found


def stamp_of(manifest: Any) -> Any:
    """What stands as who asked for it; None where there is no room for it (the spec may be anything here)."""
    spec = manifest.get("spec") if isinstance(manifest, dict) else None
    return spec.get("requestedBy") if isinstance(spec, dict) else None


@pytest.mark.parametrize("path", PATHS)
def test_no_body_that_is_no_review_is_allowed(door: Door, path: str) -> None:
    @AGAIN_AND_AGAIN
    @given(st.binary(max_size=200) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
    def is_refused(body: bytes) -> None:
        assert door.ask(path, body)[0] == 400

    is_refused()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b'"allowed"', b"\xff\xfe", b'{"kind":"AdmissionReview"}'),
        b"[" * 5000,
    ],
)
def test_no_body_that_is_no_review_gets_an_answer(door: Door, body: bytes) -> None:
    assert door.ask("/validate/procexecutions", body)[0] == 400


def test_with_client_certificates_only_the_api_server_is_served(
    siege: Siege, tmp_path: Path
) -> None:
    authority, other = Authority.create("for-the-api-server"), Authority.create("somebody-else")
    (tmp_path / "ca.crt").write_bytes(authority.pair.certificate)
    settings = json.loads(siege.webhook_config.read_text())
    settings["webhook"] |= {"client_ca_file": str(tmp_path / "ca.crt"), "port": 0}
    config = write_config(tmp_path / "webhook.yaml", settings)
    closed = OperatorProcess.start("webhook", config=config, log=tmp_path / "webhook.log")
    try:
        assert served(closed, authority, tmp_path)
        assert not served(closed, other, tmp_path)
        assert not served(closed, None, tmp_path)
    finally:
        closed.kill()


def served(webhook: OperatorProcess, authority: Authority | None, folder: Path) -> bool:
    body = json.dumps(review_of("procexecutions", is_stamped=True)).encode()
    with closing(to_webhook(webhook, authority, folder)) as connection:
        try:
            return Door(connection).ask("/validate/procexecutions", body)[0] == 200
        except OSError:
            # TLS 1.3 tells of it with the first answer.
            return False


def to_webhook(
    webhook: OperatorProcess, authority: Authority | None = None, folder: Path | None = None
) -> http.client.HTTPSConnection:
    (port,) = (one["port"] for one in webhook.log_events() if one["event"] == "Webhook serves")
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if authority is not None and folder is not None:
        pair = authority.client("kube-apiserver")
        (folder / "client.crt").write_bytes(pair.certificate)
        (folder / "client.key").unlink(missing_ok=True)
        write_private(folder / "client.key", pair.key)
        tls.load_cert_chain(folder / "client.crt", folder / "client.key")
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=tls)
