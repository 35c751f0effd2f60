"""The sections of the settings. Every field's description is a line of `docs/settings.md`, made from here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """JSON for machines, text for a terminal."""

    JSON = "json"
    TEXT = "text"


class TlsMode(StrEnum):
    """The words of libpq's `sslmode`."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class Section(BaseModel):
    """A group of settings; a name that is not known is an error, not a silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LogSettings(Section):
    """What the operator says of itself."""

    level: LogLevel = Field(LogLevel.INFO, description="Least severe level that is logged.")
    format: LogFormat = Field(LogFormat.JSON, description="`json`, or `text` for a terminal.")


class HealthSettings(Section):
    """The server of `/livez`, `/readyz` and `/metrics`."""

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - the kubelet and Prometheus ask from outside the pod
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")


class KubernetesSettings(Section):
    """The cluster to work in."""

    kubeconfig: Path | None = Field(
        None,
        description="File with cluster and account; unset in a pod, where its own account is used.",
    )
    context: str | None = Field(
        None, description="Context of the kubeconfig; unset takes its current one."
    )
    namespaces: tuple[str, ...] = Field(
        (), description="Namespaces to watch, as a JSON list; none means the whole cluster."
    )
    request_timeout_seconds: float = Field(
        15.0, gt=0, le=300, description="Deadline of each request to the API server."
    )
    list_every_seconds: float = Field(
        60.0,
        ge=5,
        le=600,
        description="Time between two rounds, up to a fifth more: what a silent watch did not tell is "
        "noticed then. Every fifth lists everything.",
    )


class PostgresSettings(Section):
    """The record."""

    dsn: SecretStr | None = Field(
        None,
        description="Address, `postgresql://user:password@host:port/database`, of the run-time role.",
    )
    owner_dsn: SecretStr | None = Field(
        None,
        description="Address of the owner role, for the roles `migrate` and `all`; unset takes `dsn`.",
    )
    password_file: Path | None = Field(
        None,
        description="File with the run-time role's password; read at each connect, so it may rotate.",
    )
    runtime_role: str = Field(
        "proctor_operator",
        description="Name of the run-time role, to which `migrate` grants its rights.",
    )
    tls: TlsMode = Field(TlsMode.PREFER, description="TLS mode, with the words of `sslmode`.")
    tls_root_file: Path | None = Field(
        None,
        description="Authorities that `verify-ca` and `verify-full` trust; unset takes the system's.",
    )
    max_connections: int = Field(
        10,
        ge=1,
        le=100,
        description="Most connections at once; of three or more, logs leave two to other calls.",
    )
    connection_lifetime_seconds: float = Field(
        1800.0, gt=0, description="A connection is replaced after 80 to 100 per cent of this time."
    )
    connect_timeout_seconds: float = Field(5.0, gt=0, description="Deadline of one connect.")
    statement_timeout_seconds: float = Field(8.0, gt=0, description="Deadline of one statement.")
    deadline_seconds: float = Field(
        10.0,
        gt=0,
        description="Deadline of one use of the record, waiting for a connection included.",
    )
    statement_cache_size: int = Field(
        100, ge=0, description="Prepared statements kept per connection; 0 behind pgbouncer."
    )


class PodSettings(Section):
    """Defaults for the pods of runs, below what a Proc says itself."""

    annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of every pod, as a JSON object."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of every pod, as a JSON object."
    )
    image_pull_secrets: tuple[str, ...] = Field(
        (), description="Names of image pull secrets, as a JSON list."
    )
    resources: dict[str, Any] = Field(
        default_factory=dict,
        description="Resources of the proc's container, as in a Pod; unset requests 50m CPU and 64Mi.",
    )


class RunSettings(Section):
    """Defaults and ceilings of every run."""

    timeout_default_seconds: int = Field(
        3600, gt=0, description="Time of one attempt where the Proc says nothing."
    )
    timeout_ceiling_seconds: int = Field(
        86400, gt=0, description="Most that a Proc's `timeoutSeconds` can get."
    )
    pending_timeout_default_seconds: int = Field(
        900,
        gt=0,
        description="Time until the first container must have started, where the Proc says nothing.",
    )
    pending_timeout_ceiling_seconds: int = Field(
        86400, gt=0, description="Most that a Proc's `pendingTimeoutSeconds` can get."
    )
    retries_ceiling: int = Field(10, ge=0, description="Most that a Proc's `retries` can get.")
    release_after_seconds: int = Field(
        60,
        ge=0,
        le=600,
        description="Time after its end until a Job is let go, so that clean-up does not get in the way of a "
        "burst; Kubernetes deletes it 120 s later. One that was stopped is let go at once.",
    )
    starts_told_at_once: int = Field(
        30,
        ge=0,
        le=10000,
        description="Starts within `rush_patience_seconds` that are told of at once; more are a rush.",
    )
    rush_patience_seconds: float = Field(
        10.0,
        ge=0,
        le=60,
        description="Time after which the others of a rush are told of: a run that is over by then never shows "
        "`Running`, and costs a write less. 0 tells of every start at once.",
    )
    pods: PodSettings = Field(PodSettings(), description="Defaults for pods everywhere.")
    pods_by_namespace: dict[str, PodSettings] = Field(
        default_factory=dict,
        description="The same for single namespaces, by name, as a JSON object.",
    )


class ScheduleSettings(Section):
    """What schedules may do."""

    requester_max_age_days: int = Field(
        0,
        ge=0,
        le=36500,
        description="Longest time for which a schedule acts for whoever wrote it: after that its runs are skipped "
        "(`RequesterTooOld`) until somebody who may run it changes what it runs. 0: no limit.",
    )


class RetentionSettings(Section):
    """How long what is over stays: ProcExecution objects in the cluster, and runs in the record."""

    succeeded: int = Field(
        20,
        ge=-1,
        description="Succeeded executions kept of each Proc, where it says nothing; -1 keeps all.",
    )
    failed: int = Field(
        20, ge=-1, description="The same for executions that ended in any other way; -1 keeps all."
    )
    ttl_seconds: int = Field(
        604800,
        ge=-1,
        description="Longest time that a finished execution is kept, where the Proc says nothing; -1 is for "
        "ever.",
    )
    keep_seconds: int = Field(
        300,
        ge=0,
        description="Nothing is deleted sooner after its end was shown, whatever a Proc says: who waits for an "
        "end must be able to see it.",
    )
    deletes_per_second: int = Field(
        10, ge=1, le=1000, description="Most deletions in any second, so that runs come first."
    )
    record_days: int = Field(
        400,
        ge=-1,
        le=36500,
        description="Days that the record keeps a run, from the execution's creation; -1, or 0, is for ever. "
        "Whole months go at once, so it may be a month more.",
    )
    log_days: int = Field(
        90,
        ge=-1,
        le=36500,
        description="The same for the lines of its log; never longer than the run itself.",
    )


class QueueSettings(Section):
    """The work queue."""

    workers: int = Field(32, ge=1, le=256, description="Objects worked on at once.")
    drain_seconds: float = Field(
        10.0, ge=0, description="Time that passes under way get to finish when the process stops."
    )


class ElectionSettings(Section):
    """Which of several controllers works, agreed on by a Lease."""

    enabled: bool = Field(
        default=True,
        description="Take part. Switch it off only where there is never a second controller.",
    )
    namespace: str | None = Field(
        None,
        description="Namespace of the Lease; unset takes that of the account in the pod, else of the kubeconfig's "
        "context, else `default`.",
    )
    lease: str = Field(
        "proctor-controller",
        description="Name of the Lease. Controllers that watch different namespaces need different ones.",
    )
    duration_seconds: int = Field(
        15,
        ge=1,
        le=600,
        description="A leader that was not heard of for this long is taken for gone.",
    )
    renew_every_seconds: float = Field(
        5.0, gt=0, description="How often the leader says that it is there."
    )
    give_up_after_seconds: float = Field(
        10.0,
        gt=0,
        description="A leader that could not say so for this long writes nothing more, and its process ends. "
        "It must be more than `renew_every_seconds` and less than `duration_seconds`.",
    )

    @model_validator(mode="after")
    def a_leader_gives_up_before_another_takes_over(self) -> ElectionSettings:
        """Refuse times with which two could lead, or none for long."""
        times = (self.renew_every_seconds, self.give_up_after_seconds, self.duration_seconds)
        if not times[0] < times[1] < times[2]:
            wanted = "renew_every_seconds {:g} < give_up_after_seconds {:g} < duration_seconds {:g}"
            raise ValueError(f"does not hold: {wanted.format(*times)}")
        return self


class LogsSettings(Section):
    """The output of runs (`log` is about what the operator says of itself)."""

    streams_at_most: int = Field(
        200,
        ge=0,
        le=5000,
        description="Logs that are followed at once; further ones are read now and then. Each holds a "
        "connection to the API server.",
    )
    follow_after_seconds: float = Field(
        10.0, ge=0, le=60, description="A run that ends sooner is read once, at its end."
    )
    poll_seconds: float = Field(
        10.0, ge=1, le=300, description="Pause between readings of a log that is not followed."
    )
    finish_within_seconds: float = Field(
        30.0,
        ge=1,
        le=300,
        description="Time after a run's end to read its last lines; then its outcome is recorded without them.",
    )
    bytes_per_second: int = Field(
        16777216,
        ge=65536,
        description="Most that is read in a second of all logs together; each alone is read at 1 MiB a second.",
    )
    node_file_bytes: int = Field(
        10485760,
        ge=1024,
        description="The nodes' `containerLogMaxSize`: from it follows whether a log that was first read late "
        "may have lost its beginning.",
    )


class WebhookSettings(Section):
    """The server of the admission webhooks (roles `webhook` and `all`)."""

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - the API server asks from outside the pod
    port: int = Field(9443, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    certificate_file: Path | None = Field(
        None,
        description="Serving certificate in PEM, with intermediate ones behind it; read anew when it changes. "
        "Unset, the role `all` serves no webhooks.",
    )
    key_file: Path | None = Field(None, description="Its private key in PEM, without a password.")
    client_ca_file: Path | None = Field(
        None,
        description="Authorities in PEM, one of which must have signed the API server's client certificate; "
        "unset, whoever reaches the port may ask.",
    )
    deadline_seconds: float = Field(
        8.0,
        gt=0,
        le=25,
        description="Time to judge one review; then it is denied. Keep it below the webhooks' `timeoutSeconds`.",
    )
    drain_seconds: float = Field(
        8.0,
        ge=0,
        le=300,
        description="Time that a stopping process serves on, unready, until nobody sends reviews to it.",
    )
    most_at_once: int = Field(
        100,
        ge=1,
        le=10000,
        description="Reviews judged at once; further ones are told to try again.",
    )
    operator_accounts: tuple[str, ...] = Field(
        (),
        description="User names of the operator's own accounts, `system:serviceaccount:NAMESPACE:NAME`, as a JSON "
        "list. They alone make the runs of schedules, in the name of the schedule's author.",
    )


class CertsSettings(Section):
    """The role `certs`, which makes and renews the webhook's certificate."""

    namespace: str | None = Field(
        None,
        description="Namespace of the webhook's Service and Secret; unset takes that of the account in the pod, "
        "else of the kubeconfig's context, else `default`.",
    )
    secret: str = Field(
        "proctor-webhook-tls",
        description="Name of the Secret. The chart makes it, empty; the role fills it.",
    )
    service: str = Field(
        "proctor-webhook", description="Name of the Service, for which the certificate is made."
    )
    configuration: str = Field(
        "proctor.dev",
        description="Name of the mutating and of the validating webhook configuration, whose `caBundle` is kept "
        "right.",
    )
    life_days: int = Field(
        90, ge=1, le=825, description="Life of a certificate; it is renewed after two thirds."
    )
