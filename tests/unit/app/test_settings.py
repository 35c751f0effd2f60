"""Settings: the environment over the file over the default, and mistakes told so that they can be mended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proctor_operator.app.sections import LogFormat, LogLevel, TlsMode
from proctor_operator.app.settings import Settings, SettingsError, load_settings
from proctor_operator.app.wiring import owner_options, postgres_options, run_policy
from proctor_operator.domain.naming import Namespace

CANARY = "hunter2"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take away what the machine of the developer may have set."""
    for name in [name for name in os.environ if name.upper().startswith("PROCTOR_")]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def problem_of(file: Path | None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    return str(caught.value)


def test_without_anything_set_the_defaults_hold() -> None:
    settings = load_settings(None)

    assert settings.model_dump() == Settings().model_dump()
    assert settings.log.level is LogLevel.INFO
    assert settings.kubernetes.namespaces == ()


def test_the_file_counts_more_than_the_default(file: Path) -> None:
    file.write_text("log: {format: text}\nkubernetes: {namespaces: [apps, data]}\nqueue:\n")

    settings = load_settings(file)

    assert settings.log.format is LogFormat.TEXT
    assert settings.log.level is LogLevel.INFO
    assert settings.kubernetes.namespaces == ("apps", "data")
    assert settings.queue.workers == 32, "a section with nothing below it is its default"


def test_the_environment_counts_more_than_the_file_field_by_field(
    file: Path, environment: pytest.MonkeyPatch
) -> None:
    file.write_text("log: {format: text, level: debug}\nqueue: {workers: 5}\n")
    environment.setenv("PROCTOR_LOG__LEVEL", "error")
    environment.setenv("PROCTOR_KUBERNETES__NAMESPACES", '["apps"]')
    environment.setenv("PROCTOR_RUNS__PODS__LABELS", '{"team": "dba"}')

    settings = load_settings(file)

    assert settings.log.level is LogLevel.ERROR
    assert settings.log.format is LogFormat.TEXT
    assert settings.queue.workers == 5
    assert settings.kubernetes.namespaces == ("apps",)
    assert settings.runs.pods.labels == {"team": "dba"}


BAD_VALUES = {
    "a word that is not in the list": (
        "PROCTOR_LOG__LEVEL",
        "loud",
        "log.level (PROCTOR_LOG__LEVEL): ",
    ),
    "a number that is none": (
        "PROCTOR_QUEUE__WORKERS",
        "many",
        "queue.workers (PROCTOR_QUEUE__WORKERS): ",
    ),
    "a number out of range": (
        "PROCTOR_QUEUE__WORKERS",
        "0",
        "queue.workers (PROCTOR_QUEUE__WORKERS): ",
    ),
    "a port out of range": (
        "PROCTOR_HEALTH__PORT",
        "70000",
        "health.port (PROCTOR_HEALTH__PORT): ",
    ),
    "a time of nothing": (
        "PROCTOR_POSTGRES__DEADLINE_SECONDS",
        "0",
        "postgres.deadline_seconds (PROCTOR_POSTGRES__DEADLINE_SECONDS): ",
    ),
    "a TLS mode of nobody": (
        "PROCTOR_POSTGRES__TLS",
        "yes",
        "postgres.tls (PROCTOR_POSTGRES__TLS): ",
    ),
}


@pytest.mark.parametrize(("variable", "value", "message"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_value_is_told_by_field_variable_and_value(
    environment: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    environment.setenv(variable, value)

    told = problem_of(None)

    assert told.startswith(message)
    assert told.endswith(f", not '{value}'")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GIVE_UP_AFTER_SECONDS", "5", "renew_every_seconds 5 < give_up_after_seconds 5"),
        ("DURATION_SECONDS", "10", "give_up_after_seconds 10 < duration_seconds 10"),
    ],
    ids=["it gives up before it renews", "it gives up when another one leads"],
)
def test_times_with_which_nobody_could_lead_or_two_are_refused(
    environment: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    environment.setenv(f"PROCTOR_ELECTION__{variable}", value)

    told = problem_of(None)

    assert told.startswith("election (PROCTOR_ELECTION): ")
    assert said in told


def test_all_bad_values_are_told_at_once(file: Path, environment: pytest.MonkeyPatch) -> None:
    file.write_text("queue: {workers: 0}\n")
    environment.setenv("PROCTOR_LOG__LEVEL", "loud")

    told = problem_of(file).splitlines()

    assert [line.split(" ")[0] for line in told] == ["log.level", "queue.workers"]


SECRETS = {
    "a DSN that is no text": ("postgres", f"{{dsn: [{CANARY}]}}"),
    "the owner's DSN": ("postgres", f"{{owner_dsn: {{a: {CANARY}}}}}"),
    "a DSN under a wrong name": ("postgres", f"{{url: 'postgresql://u:{CANARY}@h/db'}}"),
    "a password under a wrong name": ("postgres", f"{{pass: {CANARY}}}"),
    "a section that is a DSN": ("postgres", f"postgresql://u:{CANARY}@h/db"),
    "a DSN in another section": ("queue", f"{{dsn: {CANARY}}}"),
    "a section under a wrong name": ("postgresql", f"{{dsn: {CANARY}}}"),
}


@pytest.mark.parametrize(("section", "text"), SECRETS.values(), ids=SECRETS)
def test_a_mistake_with_a_secret_does_not_show_it(file: Path, section: str, text: str) -> None:
    file.write_text(f"{section}: {text}\n")

    told = problem_of(file)

    assert CANARY not in told
    assert section in told


@pytest.mark.parametrize("name", ["PROCTOR_POSTGRES__URL", "PROCTOR_POSTGRES__PASS"])
def test_a_mistaken_variable_with_a_secret_does_not_show_it(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, f"postgresql://u:{CANARY}@h/db")

    told = problem_of(None)

    assert CANARY not in told
    assert name in told


def test_settings_never_show_their_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PROCTOR_POSTGRES__DSN", f"postgresql://u:{CANARY}@h/db")

    settings = load_settings(None)

    assert CANARY not in repr(settings) + str(settings) + settings.model_dump_json()
    assert CANARY in postgres_options(settings.postgres).dsn


def test_an_unknown_variable_of_ours_is_told_with_those_that_are_known(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PROCTOR_LGO__LEVEL", "info")

    told = problem_of(None)

    assert told.startswith("unknown environment: PROCTOR_LGO__LEVEL (known: ")
    assert "PROCTOR_LOG__…" in told


def test_variables_that_kubernetes_sets_for_a_service_are_not_ours(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PROCTOR_SERVICE_HOST", "10.0.0.1")
    environment.setenv("PROCTOR_POSTGRES_PORT", "tcp://10.0.0.1:5432")

    assert load_settings(None).model_dump() == Settings().model_dump()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("lgo: {level: info}", "lgo"),
        ("log: {levle: info}", "log.levle"),
        ("runs: {pods: {colour: red}}", "runs.pods.colour"),
    ],
)
def test_an_unknown_name_in_the_file_is_an_error(file: Path, text: str, named: str) -> None:
    file.write_text(text)

    assert f"{named} (PROCTOR_" in problem_of(file)


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"

    assert problem_of(missing) == f"--config: there is no file {missing}"
    assert problem_of(tmp_path) == f"--config: there is no file {tmp_path}"


@pytest.mark.parametrize(
    "text", [f"postgres: {{dsn: {CANARY}", f"postgres:\n  dsn: a: {CANARY}\n", "\t- x", "a: *b"]
)
def test_a_file_that_is_no_yaml_is_told_without_its_content(file: Path, text: str) -> None:
    file.write_text(text)

    told = problem_of(file)

    assert told.startswith(f"{file}: not YAML: ")
    assert CANARY not in told


@pytest.mark.parametrize("text", ["- a list", "just text", "5"])
def test_a_file_that_is_no_map_is_an_error_and_no_crash(file: Path, text: str) -> None:
    file.write_text(text)

    assert problem_of(file)


def test_an_empty_file_sets_nothing(file: Path) -> None:
    file.write_text("# nothing yet\n")

    assert load_settings(file).model_dump() == Settings().model_dump()


def test_a_list_that_is_no_json_is_told_by_its_field(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PROCTOR_KUBERNETES__NAMESPACES", "apps,data")

    assert "kubernetes" in problem_of(None)


def test_what_the_admin_sets_becomes_the_policy_of_runs(file: Path) -> None:
    file.write_text(
        """
        runs:
          timeout_default_seconds: 1
          timeout_ceiling_seconds: 2
          pending_timeout_default_seconds: 3
          pending_timeout_ceiling_seconds: 4
          retries_ceiling: 5
          pods: {annotations: {a: b}, image_pull_secrets: [s]}
          pods_by_namespace: {apps: {labels: {c: d}, resources: {requests: {cpu: 1}}}}
        """
    )

    policy = run_policy(load_settings(file))

    assert (policy.timeout_default, policy.timeout_ceiling) == (1, 2)
    assert (policy.pending_timeout_default, policy.pending_timeout_ceiling) == (3, 4)
    assert policy.retries_ceiling == 5
    defaults = policy.defaults_for(Namespace("apps"))
    assert defaults.annotations == {"a": "b"}
    assert defaults.labels == {"c": "d"}
    assert defaults.image_pull_secrets == ("s",)
    assert defaults.resources == {"requests": {"cpu": 1}}


def test_without_an_address_of_the_record_nothing_runs() -> None:
    with pytest.raises(SettingsError, match=r"postgres\.dsn \(PROCTOR_POSTGRES__DSN\)"):
        postgres_options(Settings().postgres)


def test_the_owner_has_an_address_of_its_own_and_not_the_password_of_the_run_time_role(
    file: Path,
) -> None:
    file.write_text("postgres: {dsn: a, owner_dsn: b, password_file: /p, tls: verify-full}\n")
    settings = load_settings(file).postgres

    assert settings.tls is TlsMode.VERIFY_FULL
    assert (postgres_options(settings).dsn, owner_options(settings).dsn) == ("a", "b")
    assert postgres_options(settings).password_file == Path("/p")
    assert owner_options(settings).password_file is None
    only_one = settings.model_copy(update={"owner_dsn": None})
    assert owner_options(only_one) == postgres_options(only_one)
