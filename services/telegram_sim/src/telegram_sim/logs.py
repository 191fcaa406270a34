"""Structured log lines: key=value for a person at a terminal, JSON for a machine."""

import json
import logging
import sys
import time
from typing import Any, TextIO

LOGGER = logging.getLogger("telegram_sim")


def start_logs(form: str, stream: TextIO | None = None) -> None:
    """Send the simulator's log lines to a stream.

    Args:
        form: `console`, `json`, or `auto` for console at a terminal and JSON elsewhere.
        stream: Where the lines go; standard output when None.
    """
    target = sys.stdout if stream is None else stream
    if form == "auto":
        form = "console" if target.isatty() else "json"
    handler = logging.StreamHandler(target)
    handler.setFormatter(_Console() if form == "console" else _Json())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(logging.INFO)


def info(event: str, **fields: Any) -> None:
    """Log one thing that happened as it should."""
    LOGGER.info(event, extra={"fields": fields})


def warning(event: str, **fields: Any) -> None:
    """Log one thing that a person may want to look at."""
    LOGGER.warning(event, extra={"fields": fields})


def error(event: str, **fields: Any) -> None:
    """Log one thing that went wrong."""
    LOGGER.error(event, extra={"fields": fields})


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": _stamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(
            f"{name}={value}" for name, value in getattr(record, "fields", {}).items()
        )
        line = (
            f"{_stamp(record.created)} {record.levelname.lower():<7} {record.getMessage()} {fields}"
        )
        if record.exc_info:
            line = f"{line.rstrip()}\n{self.formatException(record.exc_info)}"
        return line.rstrip()


def _stamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
