"""From settings to objects: the only module that knows every adapter."""

from __future__ import annotations

from proctor_operator.adapters.postgres.options import PostgresOptions
from proctor_operator.adapters.postgres.options import TlsMode as PostgresTlsMode
from proctor_operator.adapters.postgres.retention import Retention
from proctor_operator.app.sections import (
    LogsSettings,
    PodSettings,
    PostgresSettings,
    RetentionSettings,
    RunSettings,
)
from proctor_operator.app.settings import Settings, SettingsError
from proctor_operator.domain.naming import Namespace
from proctor_operator.reconcile.policy import PodDefaults, RunPolicy
from proctor_operator.reconcile.retention import HistoryLimits, RetentionPolicy
from proctor_operator.runtime.log_streams import CaptureLimits


def run_policy(settings: Settings) -> RunPolicy:
    """What the admin decided for every run."""
    runs: RunSettings = settings.runs
    return RunPolicy(
        timeout_default=runs.timeout_default_seconds,
        timeout_ceiling=runs.timeout_ceiling_seconds,
        pending_timeout_default=runs.pending_timeout_default_seconds,
        pending_timeout_ceiling=runs.pending_timeout_ceiling_seconds,
        retries_ceiling=runs.retries_ceiling,
        release_after_seconds=runs.release_after_seconds,
        starts_told_at_once=runs.starts_told_at_once,
        rush_patience_seconds=runs.rush_patience_seconds,
        pod_defaults=_pod_defaults(runs.pods),
        pod_defaults_by_namespace={
            Namespace(name): _pod_defaults(pods) for name, pods in runs.pods_by_namespace.items()
        },
    )


def retention_policy(settings: Settings) -> RetentionPolicy:
    """What the admin decided about finished executions; -1 stands for no limit."""
    retention = settings.retention
    return RetentionPolicy(
        limits=HistoryLimits(
            succeeded=_limit(retention.succeeded),
            failed=_limit(retention.failed),
            ttl_seconds=_limit(retention.ttl_seconds),
        ),
        keep_seconds=retention.keep_seconds,
        deletes_per_second=retention.deletes_per_second,
    )


def _limit(setting: int) -> int | None:
    return None if setting < 0 else setting


def capture_limits(settings: LogsSettings) -> CaptureLimits:
    """How the output of runs is read."""
    return CaptureLimits(
        streams=settings.streams_at_most,
        follow_after_seconds=settings.follow_after_seconds,
        poll_seconds=settings.poll_seconds,
        finish_within_seconds=settings.finish_within_seconds,
        node_file_bytes=settings.node_file_bytes,
        bytes_per_second=settings.bytes_per_second,
    )


def postgres_options(settings: PostgresSettings) -> PostgresOptions:
    """The run-time role's way to the record; raises `SettingsError` when no address is set."""
    if settings.dsn is None:
        raise SettingsError(
            "postgres.dsn (PROCTOR_POSTGRES__DSN) is not set: Proctor runs nothing without a record"
        )
    return _options(settings, settings.dsn.get_secret_value())


def owner_options(settings: PostgresSettings) -> PostgresOptions:
    """The owner role's way to the record, for migrations."""
    if settings.owner_dsn is None:
        return postgres_options(settings)
    return _options(settings, settings.owner_dsn.get_secret_value(), with_password_file=False)


def record_retention(settings: RetentionSettings) -> Retention:
    """How long runs and their logs stay in the record."""
    return Retention(record_days=settings.record_days, log_days=settings.log_days)


def _options(
    settings: PostgresSettings, dsn: str, *, with_password_file: bool = True
) -> PostgresOptions:
    return PostgresOptions(
        dsn=dsn,
        password_file=settings.password_file if with_password_file else None,
        tls=PostgresTlsMode(settings.tls.value),
        tls_root_file=settings.tls_root_file,
        max_connections=settings.max_connections,
        connection_lifetime_seconds=settings.connection_lifetime_seconds,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        deadline_seconds=settings.deadline_seconds,
        statement_cache_size=settings.statement_cache_size,
    )


def _pod_defaults(pods: PodSettings) -> PodDefaults:
    return PodDefaults(
        annotations=pods.annotations,
        labels=pods.labels,
        image_pull_secrets=pods.image_pull_secrets,
        resources=pods.resources,
    )
