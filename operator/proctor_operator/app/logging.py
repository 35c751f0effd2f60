"""Structured logs: an event's name and its fields, one line each."""

from __future__ import annotations

import logging
import sys

import structlog

from proctor_operator.app.sections import LogFormat, LogSettings


def configure_logging(settings: LogSettings) -> None:
    """Send everything, libraries included, to standard error in one format."""
    level = getattr(logging, settings.level.value.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor
    if settings.format is LogFormat.JSON:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Kopf tells of every event at INFO, and Alembic of every step; neither is news.
    for name in ("kopf", "aiohttp.access", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
