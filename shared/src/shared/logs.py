"""Structured logs: one line an event, key=value on a terminal and JSON in a container.

Whatever the libraries log through `logging` takes the same form. No line holds a token: the text
of every line is searched for what was given to `hide`.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import BaseModel, SecretStr

from shared.tracing import trace_id

QUIET = {
    "aiosqlite": "INFO",
    "alembic": "WARNING",
    "httpcore": "WARNING",
    "httpx": "WARNING",
    "opentelemetry": "CRITICAL",
    "telegram": "INFO",
    "uvicorn": "WARNING",
}
"""Libraries that say too much, and the least level at which they are heard."""

_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Replace this text by *** wherever a line holds it: a token stands in every Bot API URL."""
    if secret:
        _hidden.add(secret)


def hide_secrets(settings: BaseModel) -> None:
    """Hide every secret of a service's settings, and the password in each of their addresses."""
    for _, value in settings:
        if isinstance(value, SecretStr):
            hide(value.get_secret_value())
        elif isinstance(value, str) and "://" in value:
            password = urlsplit(value).password or ""
            hide(password)
            hide(unquote(password))


def configure_logging(service: str, *, level: str = "INFO", format: str = "console") -> None:  # noqa: A002 — the setting's name
    """Send the logs of this process to standard error.

    Args:
        service: stands in every JSON line.
        level: the least level that is written, one of DEBUG, INFO, WARNING, ERROR.
        format: `json` for containers, `console` for people.
    """
    stamp = structlog.processors.TimeStamper(fmt="iso" if format == "json" else "%H:%M:%S")
    prepare: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _name_trace,
        stamp,
        structlog.processors.StackInfoRenderer(),
    ]
    if format == "json":
        renderer: list[Any] = [
            structlog.processors.format_exc_info,
            _name_service(service),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        colors = sys.stderr.isatty()
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=colors,
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,  # no local variables
            )
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=prepare,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer, _mask],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)
    structlog.configure(
        processors=[*prepare, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _name_service(service: str) -> Any:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
        return {"service": service, **event}

    return add


def _name_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Add the trace that a line belongs to, if there is one."""
    if (trace := trace_id()) is not None:
        event["trace_id"] = trace
    return event


def _mask(_logger: Any, _method: str, line: Any) -> str:
    text = str(line)
    for secret in _hidden:
        text = text.replace(secret, "***")
    return text
